import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { install } from '../helpers/helper.ts'
import type { StoredPod } from '../helpers/placed-pods.ts'
import { PodStory, vnodeTolerations } from '../helpers/pod-story.ts'
import { makeContainer, makeDeployment, makePod } from '../helpers/pods.ts'
import { setRules } from '../helpers/rules.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'

const NAME = 'spilling'
const COST = 'controller.kubernetes.io/pod-deletion-cost'
const SPOT = 'k8s.aliyun.com/eci-spot-strategy'
const RULES = [
  {
    name: 'web',
    objectSelector: { matchLabels: { tier: 'web' } },
    policy: { normalNodePrefer: {} },
    effect: {
      annotations: { [SPOT]: 'SpotAsPriceGo', [COST]: '-1000' },
      labels: { 'billing.example.com/runs-on': 'eci' },
    },
  },
]
const HALF = [makeContainer({ cpu: '500m' })]
const isRunning = ({ status }: StoredPod) => status.phase === 'Running'
const isLive = ({ metadata }: StoredPod) => metadata.deletionTimestamp === undefined
const TIMEOUT = { timeout: 15_000 }

const controlPlane = await controlPlaneOrSkip(t, { scheduler: true, controllerManager: true })

if (controlPlane !== undefined) {
  const real = await startRealNode(controlPlane, { name: 'real-1', cpu: '2' })
  await startRealNode(controlPlane, { name: 'real-2', cpu: '2' })
  const vnode = await startVnode(controlPlane)
  await setRules(controlPlane, RULES)
  const { helper, startWebhook } = await install(t, { controlPlane, name: NAME, spill: {} })
  const webhook = await startWebhook()
  await webhook.ready()
  await webhook.inForce('web')
  await helper.registered('mutating')
  const pods = (namespace: string) => `/api/v1/namespaces/${namespace}/pods`
  const onVnode = ({ spec }: StoredPod) => spec.nodeName === vnode.name

  t.test('real nodes are filled, and the rest spills; on scale-in the paid Pods go first', async t => {
    const namespace = await controlPlane.namespace(t)
    const story = await PodStory.follow(t, controlPlane, namespace)
    const pod = { labels: { tier: 'web' }, spec: { containers: HALF } }
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments`
    await controlPlane.ask('POST', path, { body: makeDeployment({ replicas: 10, pod }) })
    const running = await controlPlane.waitForAll<StoredPod>(
      pods(namespace),
      found => found.filter(isRunning).length === 10,
      TIMEOUT,
    )
    const paid = running.filter(onVnode)
    t.equal(paid.length, 2, 'two nodes of two CPUs take four Pods of half a CPU each')
    for (const { metadata } of paid)
      t.ok(story.wasUnschedulable(metadata.name), 'no Pod went without a failure')
    const free = running.filter(one => !onVnode(one))
    for (const { metadata, spec } of free) {
      t.equal(metadata.annotations?.[COST], undefined)
      t.equal(metadata.labels?.['billing.example.com/runs-on'], undefined)
      t.match(spec.affinity, { nodeAffinity: {} })
    }
    const costly = await controlPlane.waitForAll<StoredPod>(
      pods(namespace),
      found => found.filter(onVnode).every(({ metadata }) => metadata.annotations?.[COST] === '-1000'),
      TIMEOUT,
    )
    for (const one of costly.filter(onVnode)) {
      t.equal(vnodeTolerations(one), 1)
      t.equal(story.spills(one.metadata.name), 1)
      t.match(one.metadata, {
        annotations: { [SPOT]: 'SpotAsPriceGo', 'vnode-profile.io/rules': 'web' },
        labels: { 'billing.example.com/runs-on': 'eci' },
      })
      t.ok(
        one.spec.tolerations
          ?.filter(({ effect }) => effect === 'NoExecute')
          .every(({ tolerationSeconds }) => tolerationSeconds === 86_400),
      )
    }
    await helper.metric('spilled_pods_total', { rule: 'web' }, 2)
    await helper.metric('placed_pods_total', { rule: 'web', policy: 'normalNodePrefer' }, 2)

    // The real nodes have four of them each and the VNode two: by the number of neighbours, those of a real node would go.
    const scale = { body: { spec: { replicas: 8 } }, contentType: 'application/merge-patch+json' }
    await controlPlane.ask('PATCH', `${path}/app`, scale)
    const left = await controlPlane.waitForAll<StoredPod>(
      pods(namespace),
      found => found.length === 8 && found.every(isLive),
      TIMEOUT,
    )
    t.strictSame(left.filter(onVnode), [], 'the VNode’s Pods went first')
  })

  t.test('a real node that frees up between spill and binding wins', async t => {
    const namespace = await controlPlane.namespace(t)
    const create = (body: object) => controlPlane.ask('POST', pods(namespace), { body })
    // Those of the test before end with their namespace.
    await controlPlane.waitForAll('/api/v1/pods', found => found.length === 0, TIMEOUT)
    for (const nodeName of ['real-1', 'real-2'])
      await create(
        makePod({ name: nodeName, spec: { nodeName, containers: [makeContainer({ cpu: '1500m' })] } }),
      )
    // It can be bound only once its friend runs, and by then both kinds of nodes have room.
    const friend = { labelSelector: { matchLabels: { app: 'friend' } }, topologyKey: 'kubernetes.io/os' }
    const affinity = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [friend] } }
    const containers = [makeContainer({ cpu: '1' })]
    await create(makePod({ name: 'app', labels: { tier: 'web' }, spec: { containers, affinity } }))
    const path = `${pods(namespace)}/app`
    const spilled = await controlPlane.waitFor<StoredPod>(path, one => vnodeTolerations(one) === 1, TIMEOUT)
    t.equal(spilled.spec.nodeName, undefined)
    await controlPlane.ask('DELETE', `${pods(namespace)}/real-1`)
    await controlPlane.waitForGone(`${pods(namespace)}/real-1`, TIMEOUT)
    await create(makePod({ name: 'friend', labels: { app: 'friend' }, spec: { nodeName: 'real-2' } }))
    const bound = await controlPlane.waitFor<StoredPod>(
      path,
      ({ spec }) => spec.nodeName !== undefined,
      TIMEOUT,
    )
    t.equal(bound.spec.nodeName, real.name)
    t.equal(bound.metadata.annotations?.[COST], undefined)
    t.equal(bound.metadata.labels?.['billing.example.com/runs-on'], undefined)
  })
}
