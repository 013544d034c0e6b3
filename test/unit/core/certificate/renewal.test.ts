import { randomBytes, X509Certificate } from 'node:crypto'
import t from 'tap'
import {
  type AuthorityState,
  decideAuthorityRenewal,
  decideLeafRenewal,
  type LeafState,
} from '../../../../src/core/certificate/renewal.ts'
import { makeKeys, makeTestAuthority, makeTestLeaf } from '../../../helpers/certificates.ts'

const made = new Date('2026-01-01T00:00:00Z')
const DAY_MS = 86_400_000
const after = (days: number) => new Date(made.getTime() + days * DAY_MS)
const authority = makeTestAuthority({ now: made, days: 300 })
const leaf = makeTestLeaf(authority, { now: made, days: 30, hosts: ['webhook.svc', '10.0.0.7', '::1'] })
const other = makeTestAuthority({ now: made, days: 300 })
const due = new X509Certificate(leaf.certPem)
const dueAt = new Date(
  due.validFromDate.getTime() + ((due.validToDate.getTime() - due.validFromDate.getTime()) * 2) / 3,
)

const good: LeafState = { ...leaf, caPem: authority.certPem, hosts: ['webhook.svc'], now: after(1) }

const leafCases = new Map<string, [change: Partial<LeafState>, reason: RegExp | false]>([
  ['young and right', [{}, false]],
  ['all its names are wanted', [{ hosts: ['WEBHOOK.svc', '10.0.0.7', '0:0::1'] }, false]],
  ['no names are wanted', [{ hosts: [] }, false]],
  ['the CA is one of a bundle', [{ caPem: other.certPem + authority.certPem }, false]],
  ['a second before two thirds', [{ now: new Date(dueAt.getTime() - 1000) }, false]],
  ['at two thirds', [{ now: dueAt }, /^two thirds of the certificate's life were over at 2026-01-2/]],
  ['long after two thirds', [{ now: after(29.9) }, /^two thirds/]],
  ['expired', [{ now: after(30) }, /expired at 2026-01-31T00:00:00.000Z/]],
  ['not valid yet', [{ now: after(-1) }, /not valid before 2025-12-31T23:55:00.000Z/]],
  ['no certificate', [{ certPem: undefined }, /^there is no certificate$/]],
  ['an empty certificate', [{ certPem: '' }, /^there is no certificate$/]],
  ['garbage for a certificate', [{ certPem: 'garbage' }, /^the certificate cannot be read: ./]],
  ['a key for a certificate', [{ certPem: leaf.keyPem }, /^the certificate cannot be read: ./]],
  ['no key', [{ keyPem: undefined }, /has no key/]],
  ['garbage for a key', [{ keyPem: 'garbage' }, /^the key cannot be read: ./]],
  ['the key of another', [{ keyPem: authority.keyPem }, /key does not belong to the certificate/]],
  ['another DNS name', [{ hosts: ['webhook.svc', 'other.svc'] }, /is not for other.svc$/]],
  ['another address', [{ hosts: ['10.0.0.8', 'webhook.svc', '::2'] }, /is not for 10.0.0.8, ::2$/]],
  ['the common name is no name', [{ hosts: ['webhook'] }, /is not for webhook$/]],
  ['no CA', [{ caPem: undefined }, /^there is no CA$/]],
  ['an unreadable CA', [{ caPem: 'garbage' }, /signed by another CA/]],
  ['another CA', [{ caPem: other.certPem }, /signed by another CA/]],
  ['itself as CA', [{ caPem: leaf.certPem }, /signed by another CA/]],
])

const authorityCases = new Map<string, [change: Partial<AuthorityState>, reason: RegExp | false]>([
  ['young and right', [{}, false]],
  ['before two thirds', [{ now: after(199) }, false]],
  ['after two thirds', [{ now: after(201) }, /^two thirds/]],
  ['expired', [{ now: after(301) }, /expired/]],
  ['not valid yet', [{ now: after(-1) }, /not valid before/]],
  ['missing', [{ certPem: undefined }, /there is no certificate/]],
  ['garbage', [{ certPem: garbagePem() }, /cannot be read/]],
  ['the key of another', [{ keyPem: other.keyPem }, /does not belong/]],
  ['not a CA', [{ ...leaf }, /not the certificate of a CA/]],
])

t.test('a serving certificate is renewed when', async t => {
  for (const [sentence, [change, reason]] of leafCases) {
    const renewal = decideLeafRenewal({ ...good, ...change })
    t.equal(renewal.needed, reason !== false, sentence)
    t.match(renewal.reason, reason || /^the certificate is good; it is renewed from /, sentence)
  }
})

t.test('a CA is renewed when', async t => {
  for (const [sentence, [change, reason]] of authorityCases) {
    const renewal = decideAuthorityRenewal({ ...authority, now: after(1), ...change })
    t.equal(renewal.needed, reason !== false, sentence)
    t.match(renewal.reason, reason || /^the certificate is good/, sentence)
  }
})

t.test('the CA that signed has to be valid itself', async t => {
  // Made twice from one key and one serial: the same issuer to the leaf, with another life.
  const same = { keys: makeKeys(), random: randomBytes(16), now: made }
  const ofLong = makeTestLeaf(makeTestAuthority({ ...same, days: 300 }), { now: made, days: 200 })
  const short = makeTestAuthority({ ...same, days: 2 }).certPem
  const state = { ...ofLong, caPem: short, hosts: [] }
  t.equal(decideLeafRenewal({ ...state, now: after(1) }).needed, false)
  t.match(decideLeafRenewal({ ...state, now: after(3) }), {
    needed: true,
    reason: 'the CA that signed the certificate is not valid now',
  })
})

t.test('when renewal is due is told, whether it is needed or not', async t => {
  t.same(decideLeafRenewal(good).due, dueAt)
  t.same(decideLeafRenewal({ ...good, now: after(40) }).due, dueAt)
  t.equal(decideLeafRenewal({ ...good, certPem: 'garbage' }).due, undefined)
})

function garbagePem(): string {
  return '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
}
