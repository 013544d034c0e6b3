import t from 'tap'
import { ScaleUps, scaleUpAge, scaleUpOf } from '../../../../src/core/spill/scale-up.ts'

const involvedObject = { kind: 'Pod', uid: 'u' }
const at = (second: number) => Date.UTC(2026, 4, 6, 7, 8, second)

const cases: Readonly<Record<string, readonly [unknown, object | undefined]>> = {
  'of cluster-autoscaler, the last time it was said': [
    {
      involvedObject,
      // It may be copied from one cluster to another.
      metadata: { creationTimestamp: '2026-05-06T07:08:30Z' },
      firstTimestamp: '2026-05-06T07:08:01Z',
      lastTimestamp: '2026-05-06T07:08:05Z',
      eventTime: null,
    },
    { uid: 'u', atMs: at(5) },
  ],
  'of the newer group, with microseconds': [
    { involvedObject, eventTime: '2026-05-06T07:08:03.000000Z', lastTimestamp: null },
    { uid: 'u', atMs: at(3) },
  ],
  'of a series': [
    {
      involvedObject,
      eventTime: '2026-05-06T07:08:03.000000Z',
      series: { lastObservedTime: '2026-05-06T07:08:09.000000Z' },
    },
    { uid: 'u', atMs: at(9) },
  ],
  'with no time but that of its creation': [
    { involvedObject, metadata: { creationTimestamp: '2026-05-06T07:08:04Z' } },
    { uid: 'u', atMs: at(4) },
  ],
  'without any time': [{ involvedObject }, undefined],
  'about a Node': [
    { involvedObject: { kind: 'Node', uid: 'u' }, lastTimestamp: '2026-05-06T07:08:05Z' },
    undefined,
  ],
  'about nobody': [{ lastTimestamp: '2026-05-06T07:08:05Z' }, undefined],
  'that is none': [7, undefined],
}
for (const [name, [event, expected]] of Object.entries(cases))
  t.test(`an Event ${name}`, async t => t.strictSame(scaleUpOf(event), expected))

t.test('how long ago it was said; by a clock that is ahead, just now', async t => {
  t.equal(scaleUpAge(1_000, 4_000), 3_000)
  t.equal(scaleUpAge(4_000, 1_000), 0)
  t.equal(scaleUpAge(undefined, 1_000), undefined)
})

t.test('an Event that is removed takes nothing from a newer one about the same Pod', async t => {
  const scaleUps = new ScaleUps()
  scaleUps.hear({ uid: 'u', atMs: 1_000 }, 1_000)
  scaleUps.hear({ uid: 'u', atMs: 3_600_000 }, 3_600_000)
  scaleUps.hear({ uid: 'u', atMs: 2_000 }, 3_600_000)
  scaleUps.forget({ uid: 'u', atMs: 1_000 })
  t.equal(scaleUps.ageOf('u', 3_601_000), 1_000)
  scaleUps.forget({ uid: 'u', atMs: 3_600_000 })
  t.equal(scaleUps.ageOf('u', 3_601_000), undefined)
})

t.test('an Event of a clock that is ahead is as old as when it was heard', async t => {
  const scaleUps = new ScaleUps()
  scaleUps.hear({ uid: 'u', atMs: 300_000 }, 1_000)
  scaleUps.hear({ uid: 'u', atMs: 300_000 }, 200_000)
  t.equal(scaleUps.ageOf('u', 601_000), 600_000, 'heard again, it is none the younger')
})
