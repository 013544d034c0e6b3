import t, { type Test } from 'tap'
import type { EventRecord } from '../../../../src/kube/event.ts'
import type { Change } from '../../../../src/kube/reflector.ts'
import type { ReflectorOptions } from '../../../../src/kube/reflector-options.ts'
import { PodEvents } from '../../../../src/scheduler/spill/pod-events.ts'
import { VnodePods } from '../../../../src/scheduler/spill/vnode-pods.ts'
import { createHelperMetrics } from '../../../../src/telemetry/helper-metrics.ts'
import { createLogger } from '../../../../src/telemetry/json-log.ts'
import { makeEnvironment, makeNamespace, makeVnode } from '../../../helpers/environments.ts'
import { JumpClock } from '../../../helpers/fake-clock.ts'
import { makePod, type PodOverrides } from '../../../helpers/pods.ts'
import { podsApi, refuse, refuseOnce, versionsOf } from '../../../helpers/pods-api.ts'
import { SPILL_NODE } from '../../../helpers/spill.ts'
import { holds } from '../../../helpers/webhook.ts'

const RULE = {
  name: 'web',
  objectSelector: { matchLabels: { app: 'web' } },
  policy: { fair: {} },
  effect: { labels: { runs: 'eci' } },
} as const

function stored(name: string, version: string, more: PodOverrides = {}) {
  const identity = { name, namespace: 'team-a', uid: `uid-${name}`, resourceVersion: version }
  return makePod({ labels: { app: 'web' }, ...identity, ...more, spec: { nodeName: SPILL_NODE } })
}

/** VnodePods whose API server answers as `answer` says, and which hear of what `come` brings. */
function scene(t: Test, answer: (name: string, method: string) => unknown) {
  const over = new AbortController()
  const api = podsApi(answer)
  const clock = new JumpClock()
  const metrics = createHelperMetrics().spill
  const log = createLogger('silent', { write: () => undefined })
  const events: EventRecord[] = []
  let watch: Omit<ReflectorOptions<unknown>, 'client' | 'onError'> | undefined
  const reflector = { synced: true, objects: new Map(), start: () => undefined, stop: async () => undefined }
  const onVnodes = new VnodePods({
    client: api.client,
    world: {
      isLoaded: true,
      environment: makeEnvironment({ rules: [RULE], vnodes: [makeVnode(SPILL_NODE)] }),
      namespaceOf: makeNamespace,
      reflect: (_what, options) => {
        watch = options as never
        return reflector as never
      },
    },
    reports: new PodEvents({ events: { emit: event => void events.push(event) }, metrics, log }),
    metrics,
    clock,
  })
  onVnodes.setVnode(SPILL_NODE)
  const change = (type: 'added' | 'deleted', name: string) => {
    const value = watch?.keep(stored(name, '7'))
    watch?.onChange?.({ type, key: `team-a/${name}`, value } as Change<unknown>)
  }
  const run = onVnodes.run(over.signal)
  t.teardown(async () => {
    over.abort()
    await run
  })
  const told = () => events.map(({ reason, involved }) => `${reason} ${involved.name}`)
  return {
    ...api,
    clock,
    told,
    come: (name: string) => change('added', name),
    go: (name: string) => change('deleted', name),
  }
}

for (const status of [409, 422]) {
  t.test(`edited meanwhile (${status}): decided again on what it is by now`, async t => {
    const labels = { app: 'web', by: 'somebody' }
    const { patches, come } = scene(
      t,
      refuseOnce(status, name => stored(name, '8', { labels })),
    )
    come('app')
    await holds(() => patches.length === 2, 5000)
    t.strictSame(versionsOf(patches), ['7', '8'])
  })
}

t.test('edited so that no rule matches any more: left alone', async t => {
  const { patched, come } = scene(t, (name, method) => {
    if (name !== 'app') return {}
    return method === 'GET' ? stored(name, '8', { labels: { app: 'api' } }) : refuse(409)
  })
  come('app')
  come('after')
  await holds(() => patched.includes('after'), 5000)
  t.strictSame(patched, ['app', 'after'])
})

t.test('gone (404), or another one of its name by now: nothing more, and nothing is told', async t => {
  const { patched, come, clock, told } = scene(t, (name, method) => {
    if (name === 'gone') return refuse(404)
    if (name !== 'anew') return {}
    return method === 'GET' ? stored(name, '8', { uid: 'another' }) : refuse(409)
  })
  for (const name of ['gone', 'anew', 'after']) come(name)
  await holds(() => patched.includes('after'), 5000)
  clock.jump(60_000)
  come('last')
  await holds(() => patched.includes('last'), 5000)
  t.strictSame(patched, ['gone', 'anew', 'after', 'last'])
  t.strictSame(told(), [])
})

t.test('refused as it is (422): told once, and never tried again', async t => {
  const { patched, come, clock, told } = scene(t, (name, method) => {
    if (name === 'after') return {}
    return method === 'GET' ? stored(name, '7') : refuse(422)
  })
  come('app')
  await holds(() => told().length > 0, 5000)
  come('app')
  clock.jump(60_000)
  come('after')
  await holds(() => patched.includes('after'), 5000)
  t.strictSame(patched, ['app', 'after'])
  t.strictSame(told(), ['SpillRefused app'])
})

t.test(
  'denied, or in conflict though nobody has changed it: tried again later, and the others go on',
  async t => {
    const { patched, come, go, clock, told } = scene(t, (name, method) => {
      if (name === 'denied') return refuse(403)
      if (name !== 'odd') return {}
      return method === 'GET' ? stored(name, '7') : refuse(409)
    })
    for (const name of ['denied', 'odd', 'good']) come(name)
    await holds(() => patched.includes('good'), 2000)
    t.strictSame(patched, ['denied', 'odd', 'good'])
    t.strictSame(told(), ['SpillFailed denied', 'SpillFailed odd'])
    go('odd')
    clock.jump(1000)
    await holds(() => patched.length === 4, 5000)
    t.equal(patched[3], 'denied')
  },
)
