import t, { type Test } from 'tap'
import type { EventRecord } from '../../../../src/kube/event.ts'
import { MissedPods } from '../../../../src/scheduler/spill/missed-pods.ts'
import { Owners } from '../../../../src/scheduler/spill/owners.ts'
import { PodEvents } from '../../../../src/scheduler/spill/pod-events.ts'
import { createHelperMetrics } from '../../../../src/telemetry/helper-metrics.ts'
import { createLogger } from '../../../../src/telemetry/json-log.ts'
import { makeEnvironment, makeNamespace, makeVnode } from '../../../helpers/environments.ts'
import { JumpClock } from '../../../helpers/fake-clock.ts'
import { makePod, type PodOverrides } from '../../../helpers/pods.ts'
import { podsApi, refuse, refuseOnce, versionsOf } from '../../../helpers/pods-api.ts'
import { makePending, type PendingOverrides, SPILL_NODE } from '../../../helpers/spill.ts'
import { holds } from '../../../helpers/webhook.ts'

const FAIR = { name: 'web', objectSelector: { matchLabels: { app: 'web' } }, policy: { fair: {} } }
const OF_TEAM = {
  name: 'team',
  namespaceSelector: { matchLabels: { eci: 'yes' } },
  policy: { fair: {} },
}
const OF_API = { ...FAIR, name: 'api', objectSelector: { matchLabels: { app: 'api' } } }
const environmentOf = (...rules: object[]) =>
  makeEnvironment({ rules: rules as never, vnodes: [makeVnode(SPILL_NODE)] })

/** MissedPods whose API server answers as `answer` says. */
function scene(t: Test, answer: (name: string, method: string) => unknown, rules: object[] = [FAIR]) {
  const over = new AbortController()
  const api = podsApi(answer)
  const clock = new JumpClock()
  const metrics = createHelperMetrics().spill
  const log = createLogger('silent', { write: () => undefined })
  const events: EventRecord[] = []
  const conflicts: string[] = []
  const labels = new Map<string, string>()
  const world = {
    isLoaded: true,
    environment: environmentOf(...rules),
    namespaceOf: (name: string) => ({ ...makeNamespace(name), labels }),
  }
  const missed = new MissedPods({
    client: api.client,
    world,
    owners: new Owners(api.client),
    reports: new PodEvents({ events: { emit: event => void events.push(event) }, metrics, log }),
    metrics,
    log,
    clock,
    onConflict: ({ name }, { rule }) => void conflicts.push(`${rule.name} ${name}`),
  })
  const add = (name: string, more: PendingOverrides = {}) =>
    missed.add(makePending({ name, uid: `uid-${name}`, ...more }))
  const run = missed.run(over.signal)
  t.teardown(async () => {
    over.abort()
    await run
  })
  const counted = async () => (await metrics.missed.get()).values.reduce((sum, { value }) => sum + value, 0)
  const told = () => events.map(({ reason, involved }) => `${reason} ${involved.name}`)
  return { ...api, add, missed, clock, world, labels, told, counted, conflicts }
}

t.test('Pods that are denied over and over keep nobody else', async t => {
  const { patched, add, clock, told } = scene(t, name => (name.startsWith('bad') ? refuse(403) : {}))
  for (let index = 0; index < 12; index += 1) add(`bad-${index}`)
  add('good')
  await holds(() => patched.includes('good'), 2000)
  t.equal(patched.length, 13, 'each had one attempt')
  t.equal(told()[0], 'SpillFailed bad-0')
  clock.jump(1000)
  await holds(() => patched.length === 25, 5000)
  t.equal(patched.filter(name => name === 'good').length, 1)
})

t.test('an API server that is away is left in peace', async t => {
  let isAway = true
  const { patched, add, clock } = scene(t, () => (isAway ? refuse(503) : {}))
  add('first')
  await holds(() => patched.length === 1, 5000)
  isAway = false
  add('second')
  clock.jump(60_000)
  await holds(() => patched.includes('second') && patched.length === 3, 5000)
})

t.test('a rule that comes later is about the Pods that still wait', async t => {
  const { patched, add, world, clock, counted } = scene(t, () => ({}), [OF_API])
  add('app')
  add('api', { labels: { app: 'api' } })
  await holds(() => patched.length === 1, 5000)
  world.environment = environmentOf(OF_API, FAIR)
  clock.jump(1000)
  await holds(() => patched.length === 2, 5000)
  t.strictSame(patched, ['api', 'app'])
  world.environment = environmentOf(OF_API, FAIR)
  clock.jump(10_000)
  add('last')
  await holds(() => patched.includes('last'), 5000)
  t.equal(patched.length, 3, 'what was done is not done again')
  t.equal(await counted(), 3)
})

t.test('a Pod that is gone, or has its mark, is not looked at again', async t => {
  const { patched, add, missed, world, clock } = scene(t, () => ({}), [OF_API])
  for (const name of ['gone', 'marked', 'waits']) add(name)
  add('api', { labels: { app: 'api' } })
  await holds(() => patched.length === 1, 5000)
  missed.forget('uid-gone')
  add('marked', { annotations: { 'vnode-profile.io/rules': 'x' } })
  world.environment = environmentOf(FAIR)
  clock.jump(1000)
  await holds(() => patched.includes('waits'), 5000)
  t.strictSame(patched, ['api', 'waits'])
})

t.test('labels of a namespace that become known later count as well', async t => {
  const { patched, add, labels, clock } = scene(t, () => ({}), [OF_API, OF_TEAM])
  add('app')
  add('api', { labels: { app: 'api' } })
  await holds(() => patched.length === 1, 5000)
  labels.set('eci', 'yes')
  clock.jump(10_000)
  await holds(() => patched.includes('app'), 5000)
})

const stored = (name: string, version: string, spec: PodOverrides['spec'] = {}) => {
  const { metadata, ...rest } = makePod({
    name,
    namespace: 'team-a',
    uid: `uid-${name}`,
    labels: { app: 'web' },
    spec,
  })
  return { ...rest, metadata: { ...metadata, resourceVersion: version } }
}

t.test('a Pod that rules VNodes out itself is left as it is, and told of as long as it waits', async t => {
  const { patched, add, missed, world, clock, conflicts } = scene(t, () => ({}))
  add('odd', { spec: { nodeSelector: { type: 'metal' } } })
  await holds(() => conflicts.length === 1, 5000)
  clock.jump(10_000)
  await holds(() => conflicts.length === 2, 5000)
  missed.forget('uid-odd')
  world.environment = environmentOf(FAIR)
  clock.jump(10_000)
  add('good')
  await holds(() => patched.length > 0, 5000)
  t.strictSame(patched, ['good'])
  t.strictSame(conflicts, ['web odd', 'web odd'])
})

for (const status of [409, 422]) {
  t.test(`edited meanwhile (${status}): decided again on what it is by now`, async t => {
    const { patches, add } = scene(
      t,
      refuseOnce(status, name => stored(name, '8')),
    )
    add('app')
    await holds(() => patches.length === 2, 5000)
    t.strictSame(versionsOf(patches), ['7', '8'])
  })
}

t.test('bound to a real node meanwhile: left as it is, and its owner is told', async t => {
  const preferring = { ...FAIR, policy: { fair: { preferRealNodes: true } } }
  const { patched, add, told } = scene(
    t,
    (name, method) => (method === 'GET' ? stored(name, '8', { nodeName: 'worker-1' }) : refuse(409)),
    [preferring],
  )
  add('app')
  await holds(() => told().length > 0, 5000)
  t.strictSame(told(), ['WebhookMissed app'])
  t.strictSame(patched, ['app'])
})

t.test('somebody who changes it all the time keeps nobody else', async t => {
  let version = 7
  const { patched, add } = scene(t, (name, method) => {
    if (name !== 'busy') return {}
    version += 1
    return method === 'GET' ? stored(name, `${version}`) : refuse(409)
  })
  add('busy')
  add('good')
  await holds(() => patched.includes('good'), 2000)
  t.ok(patched.length < 10)
})

t.test('gone (404): nothing more, and nothing is told', async t => {
  const { patched, add, clock, told } = scene(t, name => (name === 'gone' ? refuse(404) : {}))
  add('gone')
  add('good')
  clock.jump(60_000)
  await holds(() => patched.includes('good'), 5000)
  t.strictSame(patched, ['gone', 'good'])
  t.strictSame(told(), [])
})

t.test('refused as it is (422): told once, and never tried again', async t => {
  const { patched, add, clock, told, world } = scene(t, (name, method) =>
    method === 'GET' ? stored(name, '7') : refuse(422),
  )
  add('app')
  await holds(() => told().includes('SpillRefused app'), 5000)
  world.environment = environmentOf(FAIR)
  clock.jump(10_000)
  add('another')
  await holds(() => patched.includes('another'), 5000)
  t.strictSame(patched, ['app', 'another'])
})
