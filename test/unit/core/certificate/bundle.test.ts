import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { mergeBundles, parseBundle } from '../../../../src/core/certificate/bundle.ts'
import { makeTestAuthority } from '../../../helpers/certificates.ts'

const now = new Date('2026-06-01T00:00:00Z')
const daysBefore = (days: number) => new Date(now.getTime() - days * 86_400_000)
const one = makeTestAuthority({ now: daysBefore(1) }).certPem
const two = makeTestAuthority({ now: daysBefore(2) }).certPem
const expired = makeTestAuthority({ now: daysBefore(31) }).certPem
const endsNow = makeTestAuthority({ now: daysBefore(30) }).certPem
const future = makeTestAuthority({ now: daysBefore(-5) }).certPem
const { certPem, keyPem } = makeTestAuthority({ now })
const rewrapped = one
  .replaceAll('\n', '\r\n')
  .replace(/(\r\n[^-]{20})/, '$1\r\n')
  .trim()
const garbage = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
const unfinished = two.slice(0, 200)

interface Case {
  readonly bundles: readonly string[]
  readonly pem: string
  readonly dropped?: Partial<Record<'duplicate' | 'expired' | 'unreadable', number>>
}

const cases = new Map<string, Case>([
  ['nothing gives nothing', { bundles: [], pem: '' }],
  ['empty texts give nothing', { bundles: ['', '\n'], pem: '' }],
  ['one stays as it is', { bundles: [one], pem: one }],
  ['two bundles are joined in their order', { bundles: [two, one], pem: two + one }],
  ['one bundle of two is taken apart', { bundles: [one + two], pem: one + two }],
  ['a missing last line feed is mended', { bundles: [one.trim(), two.trim()], pem: one + two }],
  [
    'a duplicate goes, the first one stays',
    { bundles: [one + two, one], pem: one + two, dropped: { duplicate: 1 } },
  ],
  [
    'other wrapping is the same certificate',
    { bundles: [one, rewrapped], pem: one, dropped: { duplicate: 1 } },
  ],
  ['other wrapping alone gives the same bytes', { bundles: [rewrapped], pem: one }],
  ['an expired one goes', { bundles: [expired, one], pem: one, dropped: { expired: 1 } }],
  ['one that ends this second goes', { bundles: [endsNow], pem: '', dropped: { expired: 1 } }],
  ['the next generation stays before its time', { bundles: [one, future], pem: one + future }],
  ['comments go', { bundles: [`# the CA\nsubject=x\n${one}# end\n`], pem: one }],
  ['a key never gets into a bundle', { bundles: [keyPem + certPem + keyPem], pem: certPem }],
  ['garbage goes and is counted', { bundles: [garbage + one], pem: one, dropped: { unreadable: 1 } }],
  [
    'a block without end does not swallow the next',
    { bundles: [unfinished + one], pem: one, dropped: { unreadable: 1 } },
  ],
  [
    'a block without end at the end is counted',
    { bundles: [one + unfinished], pem: one, dropped: { unreadable: 1 } },
  ],
])

t.test('bundles are merged', async t => {
  for (const [sentence, { bundles, pem, dropped }] of cases) {
    const merged = mergeBundles(bundles, now)
    t.equal(merged.pem, pem, sentence)
    t.equal(merged.kept, parseBundle(pem).certificates.length, sentence)
    t.same(merged.dropped, { duplicate: 0, expired: 0, unreadable: 0, ...dropped }, sentence)
    t.same(mergeBundles([merged.pem], now).pem, merged.pem, `${sentence}; merging again changes nothing`)
  }
})

t.test('parsing gives the certificates in order', async t => {
  const { certificates, unreadable } = parseBundle(two + garbage + one)
  t.same(
    certificates.map(certificate => certificate.fingerprint256),
    [two, one].map(pem => new X509Certificate(pem).fingerprint256),
  )
  t.equal(unreadable, 1)
})
