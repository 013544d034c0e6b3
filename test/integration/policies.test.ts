import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import {
  awayTolerations,
  type Placement,
  placementOf,
  type StoredPod,
  sentToVnodes,
  UNTOUCHED,
  VNODE_TOLERATION,
} from '../helpers/placed-pods.ts'
import { makeContainer, makePod } from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { setRules } from '../helpers/rules.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const PODS = 10
const REAL = 'real-1'
const ECI_ANNOTATION = { 'k8s.aliyun.com/eci-use-specs': '2-4Gi' }
const EFFECT = {
  annotations: {
    ...ECI_ANNOTATION,
    'controller.kubernetes.io/pod-deletion-cost': '-1000',
    'example.com/team': 'a',
  },
  labels: { 'example.com/on-eci': 'true' },
}

const marks = (policy: string) => ({ 'vnode-profile.io/rules': 'one', 'vnode-profile.io/policy': policy })

/** As the scheduler weighs it: a real node that has room wins over any VNode. */
const REAL_NODES_PREFERRED = {
  nodeAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: [
      {
        weight: 100,
        preference: { matchExpressions: [{ key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }] },
      },
    ],
  },
}

interface Case {
  readonly policy: object
  readonly stored: Placement
  /** Of the ten Pods; undefined where it is up to the scheduler. */
  readonly onVnode: number | undefined
}

const toVnodes = sentToVnodes('one')
const cases: Record<string, Case> = {
  'virtualNodeOnly: selector, toleration, all effects; all Pods on the VNode': {
    policy: { virtualNodeOnly: {} },
    stored: {
      ...toVnodes,
      labels: EFFECT.labels,
      annotations: { ...toVnodes.annotations, ...EFFECT.annotations },
    },
    onVnode: PODS,
  },
  'fair: toleration and annotations for ECI only; the scheduler decides': {
    policy: { fair: {} },
    stored: {
      ...UNTOUCHED,
      annotations: { ...marks('fair'), ...ECI_ANNOTATION },
      tolerations: [...awayTolerations(300), VNODE_TOLERATION],
    },
    onVnode: undefined,
  },
  'fair with preferRealNodes: the preferred affinity besides; real nodes while they have room': {
    policy: { fair: { preferRealNodes: true } },
    stored: {
      ...UNTOUCHED,
      annotations: { ...marks('fair'), ...ECI_ANNOTATION },
      tolerations: [...awayTolerations(300), VNODE_TOLERATION],
      affinity: REAL_NODES_PREFERRED,
    },
    onVnode: 0,
  },
  'normalNodePrefer: at creation the preferred affinity alone; real nodes while they have room': {
    policy: { normalNodePrefer: { cpuRatio: 80, spillAfter: '30s' } },
    stored: { ...UNTOUCHED, annotations: marks('normalNodePrefer'), affinity: REAL_NODES_PREFERRED },
    onVnode: 0,
  },
  'normalNodeOnly: nothing at all; real nodes': {
    policy: { normalNodeOnly: {} },
    stored: UNTOUCHED,
    onVnode: 0,
  },
}

const controlPlane = await controlPlaneOrSkip(t, { scheduler: true })

if (controlPlane !== undefined) {
  await startRealNode(controlPlane, { name: REAL, cpu: '16', memory: '64Gi' })
  const vnode = await startVnode(controlPlane)
  const webhook = await startTestWebhook(t, { controlPlane })
  await webhook.until('the VNode is known', state => state.environment.vnodes.hasName(vnode.name))
  await registerWebhook(t, controlPlane, webhook)

  for (const [behaviour, { policy, stored, onVnode }] of Object.entries(cases)) {
    t.test(behaviour, async t => {
      const namespace = await controlPlane.namespace(t)
      const pods = `/api/v1/namespaces/${namespace}/pods`
      const rule = { name: 'one', namespaces: [namespace], effect: EFFECT, policy }
      const everyPod = { matchExpressions: [{ key: 'not-there', operator: 'DoesNotExist' }] }
      await setRules(controlPlane, [{ ...rule, objectSelector: everyPod }])
      await webhook.until('the rule is in force', ({ environment }) =>
        environment.rules.rules.some(({ namespaces }) => namespaces?.patterns.includes(namespace)),
      )
      const spec = { containers: [makeContainer({ cpu: '500m', memory: '1Gi' })] }
      const first = makePod({ name: 'pod-0', spec })
      t.strictSame(placementOf(await controlPlane.ask<StoredPod>('POST', pods, { body: first })), stored)
      for (let index = 1; index < PODS; index += 1)
        await controlPlane.ask('POST', pods, { body: makePod({ name: `pod-${index}`, spec }) })
      const bound = await controlPlane.waitForAll<StoredPod>(pods, found =>
        found.every(({ spec }) => spec.nodeName !== undefined),
      )
      t.equal(bound.length, PODS)
      const chosen = bound.filter(({ spec }) => spec.nodeName === vnode.name).length
      if (onVnode === undefined) t.comment(`${chosen} of ${PODS} Pods chose the free VNode`)
      else t.equal(chosen, onVnode)
    })
  }

  t.test('the first rule that schedules wins, also where it keeps Pods on real nodes', async t => {
    const namespace = await controlPlane.namespace(t)
    const selector = (value: string) => ({ objectSelector: { matchLabels: { tier: value } } })
    await setRules(controlPlane, [
      { name: 'stay', ...selector('web'), policy: { normalNodeOnly: {} } },
      { name: 'go', objectSelector: { matchExpressions: [{ key: 'tier', operator: 'Exists' }] } },
      { name: 'all', effect: { annotations: ECI_ANNOTATION } },
    ])
    await webhook.inForce('stay', 'go', 'all')
    const store = async (tier: string) => {
      const body = makePod({ name: tier, labels: { tier } })
      return placementOf(
        await controlPlane.ask<StoredPod>('POST', `/api/v1/namespaces/${namespace}/pods`, { body }),
      )
    }
    t.strictSame(await store('web'), { ...UNTOUCHED, labels: { tier: 'web' } })
    const { annotations } = sentToVnodes('go', 'all')
    t.match(await store('batch'), { annotations: { ...annotations, ...ECI_ANNOTATION } })
    await webhook.logged('Pod left as it is', {
      namespace,
      name: 'web',
      reason: 'rule stay matches with policy normalNodeOnly',
    })
  })

  t.test("the author's own affinity is kept, ours comes after it, and only once", async t => {
    const namespace = await controlPlane.namespace(t)
    const pods = `/api/v1/namespaces/${namespace}/pods`
    const objectSelector = { matchLabels: { tier: 'web' } }
    await setRules(controlPlane, [{ name: 'prefer', objectSelector, policy: { normalNodePrefer: {} } }])
    await webhook.inForce('prefer')
    const zone = { weight: 1, preference: { matchExpressions: [{ key: 'zone', operator: 'Exists' }] } }
    const linux = { matchExpressions: [{ key: 'kubernetes.io/os', operator: 'In', values: ['linux'] }] }
    const own = {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { labelSelector: { matchLabels: { app: 'other' } }, topologyKey: 'kubernetes.io/hostname' },
        ],
      },
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [linux] },
        preferredDuringSchedulingIgnoredDuringExecution: [zone],
      },
    }
    const [ours] = REAL_NODES_PREFERRED.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution
    const wanted = {
      ...own,
      nodeAffinity: { ...own.nodeAffinity, preferredDuringSchedulingIgnoredDuringExecution: [zone, ours] },
    }
    let affinity: Record<string, unknown> = own
    for (const name of ['first', 'again']) {
      const body = makePod({ name, labels: { tier: 'web' }, spec: { affinity } })
      affinity = placementOf(await controlPlane.ask<StoredPod>('POST', pods, { body })).affinity
      t.strictSame(affinity, wanted, name)
    }
    await controlPlane.waitForAll<StoredPod>(pods, found => found.every(({ spec }) => spec.nodeName === REAL))
  })
}
