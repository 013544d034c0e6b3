import t, { type Test } from 'tap'
import { conflictedOf } from '../../../../src/core/spill/missed.ts'
import type { EventRecord } from '../../../../src/kube/event.ts'
import { EciWarnings } from '../../../../src/scheduler/spill/eci-warnings.ts'
import { Owners } from '../../../../src/scheduler/spill/owners.ts'
import { PodEvents } from '../../../../src/scheduler/spill/pod-events.ts'
import { createHelperMetrics } from '../../../../src/telemetry/helper-metrics.ts'
import { createLogger } from '../../../../src/telemetry/json-log.ts'
import { makeNamespace } from '../../../helpers/environments.ts'
import { JumpClock } from '../../../helpers/fake-clock.ts'
import { makePod, type PodOverrides } from '../../../helpers/pods.ts'
import { podsApi, refuse } from '../../../helpers/pods-api.ts'
import { makePending, makeSituation } from '../../../helpers/spill.ts'
import { holds } from '../../../helpers/webhook.ts'

const DEPLOYMENT = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  name: 'web',
  uid: 'uid-web',
  controller: true,
}
const HOST_NETWORK = { spec: { hostNetwork: true } }
const of = (kind: string, name: string) => [
  { apiVersion: 'apps/v1', kind, name, uid: `uid-${name}`, controller: true },
]

/** Warnings about Pods that the API server has as `stored`; the names under `fails` are answered with 500 as long as they are there. */
function scene(t: Test) {
  const over = new AbortController()
  const stored = new Map<string, unknown>()
  const fails = new Set<string>()
  const { client } = podsApi(name => {
    if (fails.has(name)) return refuse(500)
    if (name.startsWith('rs-')) return { metadata: { ownerReferences: [DEPLOYMENT] } }
    return stored.get(name) ?? refuse(404)
  })
  const clock = new JumpClock()
  const metrics = createHelperMetrics().spill
  const log = createLogger('silent', { write: () => undefined })
  const events: EventRecord[] = []
  const { environment } = makeSituation()
  const warnings = new EciWarnings({
    client,
    world: { environment, namespaceOf: makeNamespace },
    owners: new Owners(client),
    reports: new PodEvents({ events: { emit: event => void events.push(event) }, metrics, log }),
    clock,
    today: () => new Date('2026-05-06T07:08:09Z'),
  })
  const arrive = (name: string, more: PodOverrides, isStored = true) => {
    const uid = `uid-${name}`
    if (isStored) stored.set(name, makePod({ name, uid, namespace: 'team-a', ...more }))
    warnings.add(makePending({ name, uid, ...more }))
  }
  const run = warnings.run(over.signal)
  t.teardown(async () => {
    over.abort()
    await run
  })
  const told = () => events.map(({ message }) => /^Pod (\S+)/.exec(message)?.[1])
  return { arrive, warnings, fails, clock, events, told }
}

t.test('each template of a Deployment is looked at once an hour', async t => {
  const { arrive, told, events } = scene(t)
  arrive('harmless', { ownerReferences: of('ReplicaSet', 'rs-1'), spec: { hostNetwork: false } })
  arrive('second', { ownerReferences: of('ReplicaSet', 'rs-2'), ...HOST_NETWORK })
  arrive('third', { ownerReferences: of('ReplicaSet', 'rs-2'), ...HOST_NETWORK })
  arrive('last', HOST_NETWORK)
  await holds(() => told().includes('last'), 5000)
  t.notOk(told().includes('third'))
  const second = events.find(({ message }) => message.startsWith('Pod second '))
  t.match(second, { reason: 'EciWarnings', involved: { kind: 'Deployment', name: 'web' } })
})

t.test('each revision of a StatefulSet as well', async t => {
  const { arrive, told } = scene(t)
  const ownerReferences = of('StatefulSet', 'db')
  const labels = (hash: string) => ({ app: 'web', 'controller-revision-hash': hash })
  arrive('db-1', { ownerReferences, labels: labels('a'), ...HOST_NETWORK })
  arrive('db-0', { ownerReferences, labels: labels('b'), ...HOST_NETWORK })
  await holds(() => told().length === 2, 5000)
  t.strictSame(told(), ['db-1', 'db-0'])
})

t.test('a read that fails, and a Pod that is gone, do not silence its owner', async t => {
  const { arrive, told, fails, clock } = scene(t)
  const pod = { ownerReferences: of('ReplicaSet', 'rs-1'), ...HOST_NETWORK }
  fails.add('first')
  arrive('first', pod)
  arrive('gone', pod, false)
  arrive('next', pod)
  clock.jump(1000)
  await holds(() => {
    clock.jump(1000)
    return told().length > 0
  }, 5000)
  t.strictSame(told(), ['next'])
})

t.test('an owner that could not be read is read again for the next Pod', async t => {
  const { arrive, fails, events, told } = scene(t)
  const pod = (hash: string) => ({
    ownerReferences: of('ReplicaSet', 'rs-1'),
    labels: { app: 'web', 'controller-revision-hash': hash },
    ...HOST_NETWORK,
  })
  fails.add('rs-1')
  arrive('first', pod('a'))
  await holds(() => told().length === 1, 5000)
  fails.delete('rs-1')
  arrive('second', pod('b'))
  await holds(() => told().length === 2, 5000)
  t.strictSame(
    events.map(({ involved }) => involved.kind),
    ['ReplicaSet', 'Deployment'],
  )
})

t.test('a conflict is told to the owner once an hour, however often it is found', async t => {
  const { warnings, arrive, events } = scene(t)
  const { environment } = makeSituation()
  const ownerReferences = of('ReplicaSet', 'rs-1')
  const pod = (name: string) =>
    makePending({ name, uid: `uid-${name}`, ownerReferences, spec: { nodeSelector: { type: 'metal' } } })
  for (const name of ['app-1', 'app-2', 'app-1']) {
    const one = pod(name)
    const conflicted = conflictedOf(one, makeNamespace('team-a'), environment)
    if (conflicted === undefined) throw new Error('no conflict')
    warnings.addConflict(one, conflicted)
  }
  arrive('last', HOST_NETWORK)
  await holds(() => events.some(({ reason }) => reason === 'EciWarnings'), 5000)
  const [told, ...others] = events.filter(({ reason }) => reason === 'RuleConflict')
  t.match(told, {
    involved: { kind: 'Deployment', name: 'web' },
    type: 'Warning',
    message:
      /^rule "web" sends Pod app-\d to a VNode, but it is left as it is: .* \(node-selector-conflict\)$/,
    key: '2026-05-06T07',
  })
  t.strictSame(others, [])
})
