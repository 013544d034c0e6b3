import t from 'tap'
import { spillVerdict } from '../../../../src/core/spill/verdict.ts'
import { PodEvents } from '../../../../src/scheduler/spill/pod-events.ts'
import { DEFAULT_SPILL } from '../../../../src/scheduler/spill/settings.ts'
import { Spiller } from '../../../../src/scheduler/spill/spiller.ts'
import { createHelperMetrics } from '../../../../src/telemetry/helper-metrics.ts'
import { createLogger } from '../../../../src/telemetry/json-log.ts'
import { makeNamespace } from '../../../helpers/environments.ts'
import { JumpClock } from '../../../helpers/fake-clock.ts'
import { podsApi, refuse } from '../../../helpers/pods-api.ts'
import { makePending, makeSituation, UNSCHEDULABLE } from '../../../helpers/spill.ts'
import { holds } from '../../../helpers/webhook.ts'

/** A spiller whose API server answers as `answer` says; gives the names of the Pods that were patched, in order. */
function scene(
  t: Tap.Test,
  answer: (name: string, method: string) => unknown,
  { rate = 1000, burst = 1000 }: { rate?: number; burst?: number } = {},
) {
  const situation = makeSituation()
  const over = new AbortController()
  const { client, patched } = podsApi(answer)
  const clock = new JumpClock()
  const metrics = createHelperMetrics().spill
  const told: string[] = []
  const log = createLogger('silent', { write: () => undefined })
  const spiller = new Spiller({
    client,
    world: {
      isLoaded: true,
      environment: situation.environment,
      judge: (pod, waitedMs) =>
        spillVerdict(pod, { ...situation, namespace: makeNamespace(pod.namespace), waitedMs }),
    },
    settings: { ...DEFAULT_SPILL, rate, burst },
    reports: new PodEvents({ events: { emit: ({ reason }) => void told.push(reason) }, metrics, log }),
    metrics,
    clock,
  })
  const add = (name: string) =>
    spiller.setPod(`team-a/${name}`, makePending({ name, uid: `uid-${name}`, namespace: 'team-a' }))
  const run = spiller.run(over.signal)
  t.teardown(async () => {
    over.abort()
    await run
  })
  return { spiller, patched, add, clock, told, metrics, over, run }
}

declare namespace Tap {
  type Test = typeof t
}

for (const status of [403, 500]) {
  t.test(`Pods that are refused with ${status} over and over stop nobody else`, async t => {
    const { patched, add, spiller } = scene(t as never, name =>
      name.startsWith('bad') ? refuse(status) : {},
    )
    for (let index = 0; index < 6; index += 1) add(`bad-${index}`)
    add('good')
    await holds(() => patched.includes('good'), 5000)
    spiller.touchAll()
    add('another')
    await holds(() => patched.includes('another'), 5000)
    for (let index = 0; index < 6; index += 1)
      t.equal(
        patched.filter(name => name === `bad-${index}`).length,
        1,
        'news do not bring the next attempt forward',
      )
  })
}

t.test('a crowd that is denied takes no turns of those that are not, however old it is', async t => {
  const { patched, add, clock } = scene(t as never, name => (name.startsWith('bad') ? refuse(403) : {}), {
    rate: 20,
    burst: 100,
  })
  const CROWD = 800
  for (let index = 0; index < CROWD; index += 1) add(`bad-${index}`)
  add('good')
  // By 20 a second this would take more than half a minute.
  await holds(() => patched.includes('good'), 5000)
  t.equal(patched.length, CROWD + 1, 'each had one attempt')
  clock.jump(60_000)
  await holds(() => patched.length > CROWD + 1, 5000)
  add('another')
  await holds(() => patched.includes('another'), 5000)
  t.ok(patched.length < CROWD + 40, 'and few had a second one meanwhile')
})

t.test('a conflict about a Pod that nobody has changed is a failure, told and slower each time', async t => {
  const stored = { metadata: { uid: 'uid-odd', resourceVersion: '7' } }
  const { patched, add, clock, told } = scene(t as never, (name, method) => {
    if (name !== 'odd') return {}
    return method === 'PATCH' ? refuse(409) : stored
  })
  add('odd')
  await holds(() => told.includes('SpillFailed'), 5000)
  add('good')
  await holds(() => patched.includes('good'), 5000)
  t.strictSame(patched, ['odd', 'good'])
  clock.jump(1000)
  await holds(() => patched.length === 3, 5000)
  t.equal(patched[2], 'odd')
})

t.test('one that leads no more says of no Pod that it waits', async t => {
  const { patched, add, spiller, clock, metrics, over, run } = scene(t as never, () => ({}), {
    rate: 0.001,
    burst: 1,
  })
  const sum = async (gauge: { get(): Promise<{ values: { value: number }[] }> }) =>
    (await gauge.get()).values.reduce((all, { value }) => all + value, 0)
  for (const name of ['first', 'waits']) add(name)
  const nominatedNodeName = 'worker-1'
  const held = makePending({ name: 'held', uid: 'uid-held', status: { ...UNSCHEDULABLE, nominatedNodeName } })
  spiller.setPod('team-a/held', held)
  await holds(() => patched.length === 1, 5000)
  clock.jump(1000)
  await holds(async () => (await sum(metrics.queue)) === 1 && (await sum(metrics.heldBackNow)) === 1, 5000)
  over.abort()
  await run
  t.equal(await sum(metrics.queue), 0)
  t.equal(await sum(metrics.heldBackNow), 0)
})

t.test('an API server that is busy is left in peace', async t => {
  let isBusy = true
  const { patched, add, clock } = scene(t as never, () => (isBusy ? refuse(429) : {}))
  add('first')
  await holds(() => patched.length === 1, 5000)
  add('second')
  isBusy = false
  clock.jump(60_000)
  await holds(() => new Set(patched).size === 2, 5000)
  t.equal(patched[0], 'first')
})
