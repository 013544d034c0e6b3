/** Pods that the webhook did not see, effects that wait for a VNode, and warnings for those who wrote Deployments. No webhook runs here. */
import t, { type Test } from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import type { StoredPod } from '../helpers/placed-pods.ts'
import { vnodeTolerations } from '../helpers/pod-story.ts'
import { makeContainer, makeDeployment, makePod, type PodOverrides } from '../helpers/pods.ts'
import { setRules } from '../helpers/rules.ts'
import { TestSpiller } from '../helpers/spiller.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'

const COST = 'controller.kubernetes.io/pod-deletion-cost'
const effect = {
  annotations: { [COST]: '-1000', 'k8s.aliyun.com/eci-use-specs': '2-4Gi' },
  labels: { runs: 'eci' },
}
const rule = (name: string, policy: object) => ({
  name,
  objectSelector: { matchLabels: { rule: name } },
  policy,
  effect,
})
const RULES = [
  rule('forced', { virtualNodeOnly: {} }),
  rule('fair', { fair: {} }),
  rule('prefer', { normalNodePrefer: {} }),
]
const TIMEOUT = { timeout: 15_000 }
/** More than the real node has. */
const LARGE = [makeContainer({ cpu: '10' })]

interface EventObject extends KubeObject {
  readonly message: string
  readonly involvedObject: { readonly kind: string; readonly name: string; readonly uid: string }
}

const controlPlane = await controlPlaneOrSkip(t, { scheduler: true, controllerManager: true })

if (controlPlane !== undefined) {
  const real = await startRealNode(controlPlane, { name: 'real-1', cpu: '2' })
  const vnode = await startVnode(controlPlane)
  await setRules(controlPlane, RULES)
  const spiller = await TestSpiller.start(t, { controlPlane, name: 'missed' })
  const pods = (namespace: string) => `/api/v1/namespaces/${namespace}/pods`

  const create = async (t: Test, name: string, { spec, ...more }: PodOverrides = {}) => {
    const namespace = await controlPlane.namespace(t)
    const body = makePod({ labels: { rule: name }, spec: { containers: LARGE, ...spec }, ...more })
    await controlPlane.ask('POST', pods(namespace), { body })
    return { namespace, path: `${pods(namespace)}/app` }
  }
  const waitFor = (path: string, isWanted: (pod: StoredPod) => boolean) =>
    controlPlane.waitFor<StoredPod>(path, isWanted, TIMEOUT)
  const hasEffects = ({ metadata }: StoredPod) =>
    metadata.annotations?.[COST] === '-1000' && metadata.labels?.runs === 'eci'
  const deploy = async (t: Test, name: string, replicas: number, pod: PodOverrides) => {
    const namespace = await controlPlane.namespace(t)
    const body = makeDeployment({ replicas, pod: { labels: { rule: name }, ...pod } })
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments`
    const { metadata } = await controlPlane.ask('POST', path, { body })
    return { namespace, uid: metadata.uid }
  }
  const eventsOf = (namespace: string, reason: string, count = 1) =>
    controlPlane.waitForAll<EventObject>(
      `/api/v1/namespaces/${namespace}/events?fieldSelector=reason=${reason}`,
      events => events.length >= count,
      TIMEOUT,
    )

  for (const name of ['forced', 'fair']) {
    t.test(`a Pod without a node under ${name} is mended, and gets the rest on the VNode`, async t => {
      const { path } = await create(t, name)
      const pod = await waitFor(path, hasEffects)
      t.equal(pod.spec.nodeName, vnode.name)
      t.equal(vnodeTolerations(pod), 1)
      t.match(pod.metadata.annotations, {
        'k8s.aliyun.com/eci-use-specs': '2-4Gi',
        'vnode-profile.io/rules': name,
      })
      t.ok(pod.spec.tolerations?.every(({ tolerationSeconds = 86_400 }) => tolerationSeconds === 86_400))
      await spiller.metric('missed_pods_total', { rule: name }, 1)
      await spiller.metric('pod_patches_total', { purpose: 'missed', outcome: 'done' }, 1)
    })
  }

  t.test('a Pod that a real node had taken is left as it is, and told of once to its Deployment', async t => {
    const { namespace, uid } = await deploy(t, 'forced', 3, {})
    await controlPlane.waitForAll<StoredPod>(
      pods(namespace),
      found => found.length === 3 && found.every(({ spec }) => spec.nodeName !== undefined),
      TIMEOUT,
    )
    const [event, ...others] = await eventsOf(namespace, 'WebhookMissed')
    t.match(event, {
      involvedObject: { kind: 'Deployment', name: 'app', uid },
      message:
        /^rule forced is about Pod app-.*, which was created without the webhook, or before the rule: it/,
    })
    t.strictSame(others, [])
    const { items } = await controlPlane.ask<{ items: StoredPod[] }>('GET', pods(namespace))
    for (const pod of items.filter(({ spec }) => spec.nodeName === real.name)) t.notOk(hasEffects(pod))
  })

  t.test('effects wait for the VNode; on a real node there are none', async t => {
    const small = [makeContainer({ cpu: '100m' })]
    const there = await create(t, 'prefer')
    const here = await create(t, 'prefer', { spec: { containers: small } })
    const pod = await waitFor(there.path, hasEffects)
    t.equal(pod.spec.nodeName, vnode.name)
    const free = await waitFor(here.path, ({ status }) => status.phase === 'Running')
    t.equal(free.spec.nodeName, real.name)
    t.notOk(hasEffects(free))
    t.notMatch(free.metadata, { labels: { runs: 'eci' } })
  })

  t.test('what ECI refuses is told to the Deployment, once an hour, however many Pods there are', async t => {
    const securityContext = { capabilities: { add: ['SYS_ADMIN'] } }
    const containers = [{ ...makeContainer({ cpu: '10' }), securityContext }]
    const { namespace, uid } = await deploy(t, 'prefer', 3, { spec: { containers, hostNetwork: true } })
    await controlPlane.waitForAll<StoredPod>(
      pods(namespace),
      found => found.length === 3 && found.every(hasEffects),
      TIMEOUT,
    )
    const [event, ...others] = await eventsOf(namespace, 'EciWarnings')
    t.match(event, {
      involvedObject: { kind: 'Deployment', name: 'app', uid },
      message: /^Pod app-\S+ is on a VNode: .*host-network.*SYS_ADMIN/s,
    })
    t.strictSame(others, [])
    await spiller.metric('placed_pods_total', { rule: 'prefer', policy: 'normalNodePrefer' }, 4)
  })

  t.test(
    'a Pod that itself rules VNodes out is left as it is, and its Deployment is told why, once',
    async t => {
      const { namespace, uid } = await deploy(t, 'fair', 3, { spec: { nodeSelector: { type: 'metal' } } })
      const [event, ...others] = await eventsOf(namespace, 'RuleConflict')
      t.match(event, {
        involvedObject: { kind: 'Deployment', name: 'app', uid },
        message:
          /^rule "fair" sends Pod app-\S+ to a VNode, but it is left as it is: .*node-selector-conflict/,
      })
      t.strictSame(others, [])
      const { items } = await controlPlane.ask<{ items: StoredPod[] }>('GET', pods(namespace))
      t.equal(items.length, 3)
      for (const pod of items) {
        t.equal(vnodeTolerations(pod), 0)
        t.equal(pod.metadata.annotations?.['vnode-profile.io/rules'], undefined)
      }
    },
  )
}
