import { test } from 'tap'
import { microTime, parseLease } from '../../../src/kube/lease-record.ts'

test('a MicroTime', async t => {
  const cases: [string, string, string, string][] = [
    ['has six decimals', '2026-05-06T07:08:09.123Z', '', '2026-05-06T07:08:09.123000Z'],
    ['has them in a full second too', '2026-05-06T07:08:09.000Z', '', '2026-05-06T07:08:09.000000Z'],
    ['is in UTC', '2026-05-06T07:08:09.5+08:00', '', '2026-05-05T23:08:09.500000Z'],
    [
      'is another when the clock stands',
      '2026-05-06T07:08:09.123Z',
      '2026-05-06T07:08:09.123000Z',
      '2026-05-06T07:08:09.123001Z',
    ],
    [
      'and another again',
      '2026-05-06T07:08:09.123Z',
      '2026-05-06T07:08:09.123001Z',
      '2026-05-06T07:08:09.123000Z',
    ],
    [
      'may go back with the clock',
      '2026-05-06T07:08:09.123Z',
      '2027-01-01T00:00:00.000000Z',
      '2026-05-06T07:08:09.123000Z',
    ],
  ]
  for (const [name, date, previous, expected] of cases) {
    t.equal(microTime(new Date(date), previous), expected, name)
  }
})

test('a Lease', async t => {
  const metadata = { uid: 'u', resourceVersion: '7' }
  t.test('of which nothing is set is held by nobody', async t => {
    const nothing = { uid: 'u', resourceVersion: '7', holder: '', durationMs: undefined, transitions: 0 }
    for (const spec of [undefined, {}, null, [], { holderIdentity: null, leaseTransitions: null }]) {
      t.strictSame(parseLease({ metadata, spec }), { ...nothing, acquireTime: '', renewTime: '' })
    }
  })

  t.test('is read field by field', async t => {
    const spec = {
      holderIdentity: 'b',
      leaseDurationSeconds: 15,
      leaseTransitions: 3,
      acquireTime: '2026-05-06T07:00:00.000000Z',
      renewTime: '2026-05-06T07:08:08.000000Z',
    }
    t.strictSame(parseLease({ metadata, spec }), {
      uid: 'u',
      resourceVersion: '7',
      holder: 'b',
      durationMs: 15_000,
      transitions: 3,
      acquireTime: spec.acquireTime,
      renewTime: spec.renewTime,
    })
  })

  t.test('that is none is refused', async t => {
    for (const raw of [undefined, null, 'x', [], {}, { metadata: {} }, { metadata: { uid: 'u' } }]) {
      t.throws(() => parseLease(raw), { code: 'API' })
    }
  })
})
