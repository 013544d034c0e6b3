/** DaemonSets of every shape: with the fence the real controller makes no Pod for the VNode, and the same ones for real nodes. */
import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { Daemons, EVERYTHING, FENCE, required } from '../helpers/daemons.ts'
import { makeDaemonSet, type PodSpec } from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const LINUX = { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] }
const DISK = { key: 'disk', operator: 'Exists' }
const named = (name: string) => ({
  matchFields: [{ key: 'metadata.name', operator: 'In', values: [name] }],
})
const VNODE = 'cn-hangzhou.vnd-test0000000000000000'

interface Case {
  readonly spec: Partial<PodSpec> & Record<string, unknown>
  /** Without the fence, and with it. */
  readonly before: readonly string[]
  readonly after: readonly string[]
  readonly isFenced?: boolean
}

const EVERYWHERE = ['real-1', 'real-2', VNODE].sort()
const REAL = ['real-1', 'real-2']

const CASES: Readonly<Record<string, Case>> = {
  'no affinity': { spec: {}, before: EVERYWHERE, after: REAL },
  'one term': {
    spec: { affinity: required({ matchExpressions: [LINUX] }) },
    before: EVERYWHERE,
    after: REAL,
  },
  'three terms': {
    spec: {
      affinity: required({ matchExpressions: [DISK] }, { matchExpressions: [LINUX, DISK] }, named(VNODE)),
    },
    before: ['real-2', VNODE].sort(),
    after: ['real-2'],
  },
  'a term with matchFields only': {
    spec: {
      affinity: required({
        matchFields: [{ key: 'metadata.name', operator: 'NotIn', values: ['real-2'] }],
      }),
    },
    before: ['real-1', VNODE].sort(),
    after: ['real-1'],
  },
  'an empty term beside another': {
    spec: { affinity: required({}, { matchExpressions: [LINUX] }) },
    before: EVERYWHERE,
    after: REAL,
  },
  'preferred terms only': {
    spec: {
      affinity: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 1, preference: { matchExpressions: [FENCE] } },
          ],
        },
      },
    },
    before: EVERYWHERE,
    after: REAL,
  },
  'fenced already': {
    spec: { affinity: required({ matchExpressions: [FENCE] }) },
    before: REAL,
    after: REAL,
    isFenced: false,
  },
  'kept off by a nodeSelector': {
    spec: { nodeSelector: { disk: 'ssd' } },
    before: ['real-2'],
    after: ['real-2'],
    isFenced: false,
  },
  'tolerates no VNode': { spec: { tolerations: [] }, before: REAL, after: REAL, isFenced: false },
}

const controlPlane = await controlPlaneOrSkip(t, { scheduler: true, controllerManager: true })

if (controlPlane !== undefined) {
  await startRealNode(controlPlane, { name: 'real-1' })
  await startRealNode(controlPlane, { name: 'real-2', labels: { disk: 'ssd' } })
  await startVnode(controlPlane, { name: VNODE })
  const webhook = await startTestWebhook(t, { controlPlane })
  await webhook.ready()
  await registerWebhook(t, controlPlane, webhook, { daemonSets: true })
  await webhook.until('the VNode is known', ({ environment }) => environment.vnodes.all.length === 1)

  for (const [name, { spec, before, after, isFenced = true }] of Object.entries(CASES)) {
    t.test(name, async t => {
      const daemons = new Daemons(controlPlane, await controlPlane.namespace(t))
      const pod = { spec: { tolerations: EVERYTHING, ...spec } }
      const make = (name: string, labels: Record<string, string> = {}) =>
        daemons.make(makeDaemonSet({ name, labels, pod }))
      await make('unfenced', { 'vnode-profile.io/fence': 'off' })
      const { metadata } = await make('fenced')
      t.equal(metadata.annotations?.['vnode-profile.io/fence'] !== undefined, isFenced)
      t.strictSame(await daemons.nodes('unfenced'), before, 'without the fence')
      t.strictSame(await daemons.nodes('fenced'), after, 'with it')
    })
  }
}
