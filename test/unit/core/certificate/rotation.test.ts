import { randomBytes, X509Certificate } from 'node:crypto'
import t from 'tap'
import { parseBundle } from '../../../../src/core/certificate/bundle.ts'
import { planRotation, type RotationAction } from '../../../../src/core/certificate/rotation.ts'
import {
  type Replica,
  type RotationInput,
  settleMs,
} from '../../../../src/core/certificate/rotation-state.ts'
import { makeAuthority as makeRsaAuthority } from '../../../helpers/authority.ts'
import { makeKeys, makeTestAuthority, makeTestLeaf } from '../../../helpers/certificates.ts'

const made = new Date('2026-01-01T00:00:00Z')
const DAY_MS = 86_400_000
const after = (days: number) => new Date(made.getTime() + days * DAY_MS)
const hosts = ['webhook.vnode-system.svc']
const a = makeTestAuthority({ now: made, days: 90 })
const b = makeTestAuthority({ now: after(60), days: 90 })
const leafOf = (ca: typeof a, days: number, more: object = {}) =>
  makeTestLeaf(ca, { hosts, now: after(days), days: 30, ...more })
const leafA = leafOf(a, 0)
const lateLeafA = leafOf(a, 55)
const leafB = leafOf(b, 61)

const steady = {
  caCert: a.certPem,
  caKey: a.keyPem,
  bundle: a.certPem,
  cert: leafA.certPem,
  key: leafA.keyPem,
}
const staged = {
  ...steady,
  ...pair(lateLeafA),
  nextCaCert: b.certPem,
  nextCaKey: b.keyPem,
  bundle: a.certPem + b.certPem,
}
const promoted = { caCert: b.certPem, caKey: b.keyPem, bundle: a.certPem + b.certPem, ...pair(leafB) }

const LONG = 10 * 60_000
const SHORT = 10_000
const everywhere = (bundle: string, forMs = LONG) => ({ bundles: [bundle, bundle], forMs })
const serving = (leaf: string, forMs = LONG) => ({
  replicas: [replica('a', leaf), replica('b', leaf)],
  forMs,
})
const steadily = {
  data: steady,
  now: after(1),
  published: everywhere(a.certPem),
  served: serving(leafA.certPem),
}
const stagedAt = { data: staged, now: after(61), served: serving(lateLeafA.certPem) }
const promotedAt = { data: promoted, now: after(62), published: everywhere(promoted.bundle) }
const unknown = { replicas: [replica('a', leafB.certPem), replica('b', undefined)], forMs: LONG }
const nothing = { published: { bundles: [], forMs: 0 }, served: { replicas: [], forMs: 0 } }
const notReady = { replicas: [{ ...replica('a', undefined), isReady: false }], forMs: 0 }
const rubbish = '-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n'

type Input = Partial<RotationInput>
const cases: Readonly<Record<string, readonly [input: Input, action: RotationAction, reason: RegExp]>> = {
  'all is well': [{}, 'keep', /good; it is renewed from 2026-01-2/],
  'the first start': [
    { data: {}, ...nothing },
    'start',
    /a new CA, which signs at once: there is no certificate/,
  ],
  'a first start beside a registration that outlived its installation': [
    { data: {}, published: everywhere(a.certPem), served: notReady },
    'start',
    /there is no certificate/,
  ],
  'the leaf is at two thirds': [{ now: after(20) }, 'renew', /two thirds/],
  'the leaf is at two thirds, right after a change of the registration': [
    { now: after(20), published: everywhere(a.certPem, 0) },
    'renew',
    /two thirds/,
  ],
  'another name is dialled': [{ hosts: ['other.svc'] }, 'renew', /not for other.svc/],
  'the leaf is rubbish, and its CA is known': [
    { data: { ...steady, cert: 'rubbish' } },
    'renew',
    /cannot be read/,
  ],
  'the leaf is rubbish, and its CA is not known for long enough': [
    { data: { ...steady, cert: rubbish }, published: everywhere(a.certPem, SHORT) },
    'wait',
    /a new certificate waits: it is in every registered caBundle, but not yet for 30 s/,
  ],
  'the leaf is of another CA, which the registration does not trust': [
    { data: { ...steady, ...pair(leafB) }, now: after(62), published: everywhere(b.certPem) },
    'stage',
    /two thirds/,
  ],
  'the leaf has expired: there is nothing to wait for': [
    { now: after(31), published: everywhere(b.certPem, 0) },
    'renew',
    /expired/,
  ],
  'the CA is at two thirds': [
    { data: { ...steady, ...pair(lateLeafA) }, now: after(60) },
    'stage',
    /a next CA is made known: two thirds/,
  ],
  'the CA has lost its key': [{ data: { ...steady, caKey: undefined } }, 'stage', /has no key/],
  'the CA is rubbish': [{ data: { ...steady, caCert: rubbish } }, 'stage', /cannot be read/],
  'the Secret is lost while replicas go on': [{ data: {} }, 'stage', /there is no certificate/],
  'everything has expired': [{ now: after(100) }, 'start', /expired/],
  'the next CA is not registered yet': [
    { ...stagedAt, published: everywhere(a.certPem) },
    'wait',
    /the next CA waits: it is not in the caBundle of every registered webhook/,
  ],
  'the next CA is in one of two configurations': [
    { ...stagedAt, published: { bundles: [staged.bundle, a.certPem], forMs: LONG } },
    'wait',
    /not in the caBundle of every/,
  ],
  'the next CA was registered a moment ago': [
    { ...stagedAt, published: everywhere(staged.bundle, SHORT) },
    'wait',
    /but not yet for 30 s/,
  ],
  'the next CA is known': [
    { ...stagedAt, published: everywhere(staged.bundle) },
    'promote',
    /it is in every registered caBundle, for 30 s at least/,
  ],
  'the registration was withdrawn': [
    { ...stagedAt, published: { bundles: [], forMs: LONG } },
    'promote',
    /no webhook is registered, for 30 s/,
  ],
  'the registration was withdrawn a moment ago': [
    { ...stagedAt, published: { bundles: [], forMs: SHORT } },
    'wait',
    /no webhook is registered, but not yet/,
  ],
  'the leaf is due while the next CA waits': [
    { ...stagedAt, now: after(78), published: everywhere(a.certPem) },
    'renew',
    /still of the CA before: two thirds/,
  ],
  'the leaf ends before the next CA is known for long': [
    { ...stagedAt, now: new Date(after(85).getTime() - 60_000), published: everywhere(staged.bundle, SHORT) },
    'promote',
    /and the certificate before is about to end/,
  ],
  'the next CA is rubbish, and none is due': [
    { data: { ...steady, nextCaCert: rubbish } },
    'mend',
    /the next CA is of no use/,
  ],
  'the next CA is rubbish, and one is due': [
    { ...stagedAt, data: { ...staged, nextCaKey: 'rubbish' }, published: everywhere(staged.bundle) },
    'stage',
    /two thirds/,
  ],
  'the bundle lacks the next CA': [
    { ...stagedAt, data: { ...staged, bundle: a.certPem }, published: everywhere(a.certPem) },
    'mend',
    /lacked a CA/,
  ],
  'the bundle is empty': [{ data: { ...steady, bundle: undefined } }, 'mend', /lacked/],
  'the bundle is partly rubbish': [
    { data: { ...steady, bundle: a.certPem + rubbish } },
    'mend',
    /could not be read/,
  ],
  'a replica serves the leaf before': [
    {
      ...promotedAt,
      served: { replicas: [replica('a', leafB.certPem), replica('b', lateLeafA.certPem)], forMs: LONG },
    },
    'wait',
    /stays in the bundle: b serves another certificate still/,
  ],
  'a replica cannot be seen': [{ ...promotedAt, served: unknown }, 'wait', /what b serves could not be seen/],
  'nothing is known of replicas': [
    { ...promotedAt, served: undefined },
    'wait',
    /not known what the replicas serve/,
  ],
  'the last replica has changed a moment ago': [
    { ...promotedAt, served: serving(leafB.certPem, SHORT) },
    'wait',
    /since a moment ago/,
  ],
  'every replica serves the new leaf': [
    { ...promotedAt, served: serving(leafB.certPem) },
    'retire',
    /every replica serves a certificate of the new CA/,
  ],
  'the CA before has expired, whatever a replica serves': [
    { ...promotedAt, data: { ...promoted, ...pair(leafOf(b, 85)) }, now: after(91), served: unknown },
    'retire',
    /the CA before has expired/,
  ],
}

for (const [name, [input, action, reason]] of Object.entries(cases)) {
  t.test(name, async t => {
    const plan = planRotation(inputOf(input))
    t.equal(plan.action, action)
    t.match(plan.reason, reason)
    t.equal(plan.next === undefined, action === 'keep' || action === 'wait')
  })
}

t.test('each step leaves in the Secret what the next one builds on', async t => {
  const at = (data: RotationInput['data'], more: Input) => planRotation(inputOf({ ...more, data }))
  const first = at({ ...steady, ...pair(lateLeafA) }, { now: after(60), served: serving(lateLeafA.certPem) })
  t.match(first, { action: 'stage', next: { caCert: a.certPem, ...pair(lateLeafA) } })
  t.equal(countOf(first.next?.bundle), 2)
  const bundle = first.next?.bundle ?? ''
  const second = at(first.next ?? {}, {
    now: after(61),
    published: everywhere(bundle),
    served: serving(lateLeafA.certPem),
  })
  t.match(second, {
    action: 'promote',
    next: { caCert: first.next?.nextCaCert, caKey: first.next?.nextCaKey, bundle },
  })
  t.strictSame(Object.keys(second.next ?? {}).sort(), ['bundle', 'caCert', 'caKey', 'cert', 'key'])
  const leaf = new X509Certificate(second.next?.cert ?? '')
  t.ok(leaf.verify(new X509Certificate(second.next?.caCert ?? '').publicKey))
  t.equal(leaf.checkHost(hosts[0] ?? ''), hosts[0])
  const served = serving(second.next?.cert ?? '')
  const third = at(second.next ?? {}, { now: after(61), published: everywhere(bundle), served })
  t.match(third, { action: 'retire', next: { bundle: second.next?.caCert } })
  t.equal(at(third.next ?? {}, { now: after(61), published: everywhere(bundle), served }).action, 'keep')
})

t.test(
  'what a lost Secret told of is taken from the registration, so that replicas that go on are trusted',
  async t => {
    const { next } = planRotation(inputOf({ data: {} }))
    t.equal(countOf(next?.bundle), 2)
    t.match(next?.bundle, a.certPem.trim())
    t.equal(next?.cert, undefined, 'nothing is served that is not known yet')
  },
)

t.test('a certificate that was dropped on purpose does not come back from the registration', async t => {
  const data = { ...promoted, bundle: b.certPem }
  const published = everywhere(promoted.bundle)
  t.equal(
    planRotation(inputOf({ data, now: after(62), published, served: serving(leafB.certPem) })).action,
    'keep',
  )
})

t.test('a change settles for half a minute, or a thirtieth of a short life', async t => {
  t.equal(settleMs({ authorityMs: 365 * DAY_MS, servingMs: 90 * DAY_MS }), 30_000)
  t.equal(settleMs({ authorityMs: 120_000, servingMs: 60_000 }), 2000)
  t.equal(settleMs({ authorityMs: 6_000, servingMs: 6_000 }), 1000)
})

t.test('a CA whose key we do not sign with, as another tool may have left it, is replaced', async t => {
  const { certPem: caCert, keyPem: caKey } = await makeRsaAuthority()
  const data = { ...steady, caCert, caKey, bundle: a.certPem + caCert }
  const now = new Date()
  const plan = planRotation(inputOf({ data, now, published: everywhere(data.bundle) }))
  t.match(plan, { action: 'start', reason: /not a P-256 key/ })
  t.not(plan.next?.caCert, caCert)
})

t.test('nothing in the Secret makes it throw', async t => {
  const texts = [undefined, 'rubbish', rubbish, a.certPem, a.keyPem, leafB.keyPem, leafA.certPem]
  const keys = ['caCert', 'caKey', 'nextCaCert', 'nextCaKey', 'bundle', 'cert', 'key'] as const
  for (const [index, key] of keys.entries()) {
    for (const [shift, text] of texts.entries()) {
      const other = keys[(index + shift) % keys.length] ?? key
      const data = { ...staged, [other]: texts[(shift + 3) % texts.length], [key]: text }
      const { action } = planRotation(inputOf({ ...stagedAt, data }))
      t.type(action, 'string')
    }
  }
})

function inputOf(input: Input): RotationInput {
  const material = () => ({ keys: makeKeys(), random: randomBytes(16) })
  const lives = { authorityMs: 90 * DAY_MS, servingMs: 30 * DAY_MS }
  return { hosts, lives, material, ...steadily, ...input }
}

function pair({ certPem, keyPem }: typeof a) {
  return { cert: certPem, key: keyPem }
}

function replica(address: string, leaf: string | undefined): Replica {
  const fingerprint = leaf === undefined ? undefined : new X509Certificate(leaf).fingerprint256
  return { address, isReady: true, fingerprint }
}

function countOf(bundle = ''): number {
  return parseBundle(bundle).certificates.length
}
