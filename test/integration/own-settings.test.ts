import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import {
  awayTolerations,
  type Placement,
  placementOf,
  type StoredPod,
  sentToVnodes,
  UNTOUCHED,
  VNODE_SELECTOR,
  VNODE_TOLERATION,
} from '../helpers/placed-pods.ts'
import { makePod, type PodOverrides } from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { forwardTo, type Operation, patchOf, patchWith, startReviewServer } from '../helpers/review-server.ts'
import { setRules } from '../helpers/rules.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const ECI = { 'alibabacloud.com/eci': 'true' }
const SPECS = 'k8s.aliyun.com/eci-use-specs'
const COST = 'controller.kubernetes.io/pod-deletion-cost'
const RULES = [
  {
    name: 'eci',
    objectSelector: { matchLabels: ECI },
    effect: {
      annotations: { [SPECS]: '2-4Gi', [COST]: '-1000' },
      labels: { 'example.com/where': 'eci', tier: 'burst' },
    },
  },
  {
    name: 'by-sidecar',
    objectSelector: { matchLabels: { 'example.com/mesh': 'on' } },
    effect: { annotations: { 'k8s.aliyun.com/eci-extra-ephemeral-storage': '50Gi' } },
  },
]

const sent = sentToVnodes('eci')
/** What becomes of a Pod that has nothing but the label. */
const plain: Placement = {
  ...sent,
  labels: { ...ECI, 'example.com/where': 'eci', tier: 'burst' },
  annotations: { ...sent.annotations, [SPECS]: '2-4Gi', [COST]: '-1000' },
}

const own = { key: 'k8s.aliyun.com/vnode', operator: 'Exists' }
const kept: Record<string, { pod: PodOverrides; stored: Placement }> = {
  'nothing of its own': { pod: {}, stored: plain },
  'the very toleration that we add': {
    pod: { spec: { tolerations: [VNODE_TOLERATION] } },
    stored: { ...plain, tolerations: [VNODE_TOLERATION, ...awayTolerations(86_400)] },
  },
  'a wider toleration': {
    pod: { spec: { tolerations: [own] } },
    stored: { ...plain, tolerations: [own, ...awayTolerations(86_400)] },
  },
  'a toleration of another taint, and away tolerations with seconds of its own': {
    pod: {
      spec: {
        tolerations: [{ key: 'gpu', operator: 'Exists', effect: 'NoSchedule' }, ...awayTolerations(7)],
      },
    },
    stored: {
      ...plain,
      tolerations: [
        { key: 'gpu', operator: 'Exists', effect: 'NoSchedule' },
        ...awayTolerations(7),
        VNODE_TOLERATION,
      ],
    },
  },
  'the node selector that we add': { pod: { spec: { nodeSelector: VNODE_SELECTOR } }, stored: plain },
  'another key of the node selector': {
    pod: { spec: { nodeSelector: { zone: 'a' } } },
    stored: { ...plain, nodeSelector: { zone: 'a', ...VNODE_SELECTOR } },
  },
  'other values of annotations and labels that the effect sets': {
    pod: { annotations: { [SPECS]: '4-8Gi', [COST]: '5' }, labels: { tier: 'web' } },
    stored: {
      ...plain,
      labels: { ...plain.labels, tier: 'web' },
      annotations: { ...plain.annotations, [SPECS]: '4-8Gi', [COST]: '5' },
    },
  },
  'an empty value where the effect has one': {
    pod: { annotations: { [SPECS]: '' }, labels: { tier: '' } },
    stored: {
      ...plain,
      labels: { ...plain.labels, tier: '' },
      annotations: {
        ...plain.annotations,
        [SPECS]: '',
        'vnode-profile.io/warnings': 'annotation-value',
      },
    },
  },
  'marks of ours that its author forged': {
    pod: { annotations: { 'vnode-profile.io/rules': 'mine', 'vnode-profile.io/policy': 'fair' } },
    stored: plain,
  },
}

const REAL = 'real-1'
const VNODE = 'cn-hangzhou.vnd-test0000000000000000'
const required = (term: object) => ({
  affinity: {
    nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } },
  },
})
const hostname = (...values: string[]) => ({
  matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values }],
})
const conflicts: Record<string, { spec: NonNullable<PodOverrides['spec']>; warning: RegExp | undefined }> = {
  'required affinity to the hostname of a real node': {
    spec: required(hostname(REAL)),
    warning: /its required node affinity \(kubernetes\.io\/hostname In \[real-1\]\) is satisfied by no VNode/,
  },
  'required affinity to the name of a real node by matchFields': {
    spec: required({ matchFields: [{ key: 'metadata.name', operator: 'In', values: [REAL] }] }),
    warning: /metadata\.name In \[real-1\]/,
  },
  'required affinity away from VNodes': {
    spec: required({
      matchExpressions: [{ key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }],
    }),
    warning: /type NotIn \[virtual-kubelet\]/,
  },
  'a node selector with another value': {
    spec: { nodeSelector: { 'k8s.aliyun.com/vnode': 'false' } },
    warning:
      /its nodeSelector wants k8s\.aliyun\.com\/vnode=false, and VNodes have k8s\.aliyun\.com\/vnode=true/,
  },
  'a node selector with the hostname of a real node': {
    spec: { nodeSelector: { 'kubernetes.io/hostname': REAL } },
    warning: /its nodeSelector wants kubernetes\.io\/hostname=real-1, which is not a VNode/,
  },
  'required affinity to either a real node or the VNode': {
    spec: required(hostname(REAL, VNODE)),
    warning: undefined,
  },
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  await startRealNode(controlPlane)
  const vnode = await startVnode(controlPlane)
  const webhook = await startTestWebhook(t, { controlPlane })
  await setRules(controlPlane, RULES)
  await webhook.inForce('eci', 'by-sidecar')
  await webhook.until('the VNode is known', state => state.environment.vnodes.hasName(vnode.name))
  const front = await startReviewServer(t, forwardTo(webhook))
  await registerWebhook(t, controlPlane, front)

  const store = async (namespace: string, overrides: PodOverrides): Promise<StoredPod> => {
    const body = makePod({ ...overrides, labels: { ...ECI, ...overrides.labels } })
    return await controlPlane.ask<StoredPod>('POST', `/api/v1/namespaces/${namespace}/pods`, { body })
  }

  t.test('whatever its author wrote is kept, and nothing is there twice:', async t => {
    const namespace = await controlPlane.namespace(t)
    for (const [index, [what, { pod, stored }]] of Object.entries(kept).entries()) {
      const found = await store(namespace, { name: `pod-${index}`, ...pod })
      t.strictSame(placementOf(found), stored, what)
      // As if it were sent once more, the Pod as it is stored now gets no patch.
      const { apiVersion, metadata, spec, kind } = found
      const { name: _, resourceVersion: __, uid: ___, ...rest } = metadata
      const body = { apiVersion, kind, metadata: { ...rest, name: `again-${index}` }, spec }
      await controlPlane.ask('POST', `/api/v1/namespaces/${namespace}/pods`, { body })
      const last = front.exchanges.at(-1)
      t.match(last?.request, { name: `again-${index}` })
      t.strictSame(last && patchOf(last), [], `${what}: no patch the second time`)
    }
  })

  t.test('a Pod that can run on no VNode is left as it is, and kubectl shows why:', async t => {
    const namespace = await controlPlane.namespace(t)
    for (const [index, [what, { spec, warning }]] of Object.entries(conflicts).entries()) {
      const name = `pod-${index}`
      const input = JSON.stringify(makePod({ name, labels: ECI, spec }))
      const { code, stderr } = await controlPlane.kubectl(['create', '-n', namespace, '-f', '-'], { input })
      t.equal(code, 0, `${what}: created`)
      const path = `/api/v1/namespaces/${namespace}/pods/${name}`
      const stored = placementOf(await controlPlane.ask<StoredPod>('GET', path))
      const before = { ...UNTOUCHED, labels: ECI, ...spec }
      if (warning === undefined) {
        t.equal(stderr, '', what)
        t.match(stored, { nodeSelector: VNODE_SELECTOR, affinity: spec.affinity })
      } else {
        t.match(stderr, /^Warning: rule "eci" sends this Pod to a VNode, but it is left as it is: /, what)
        t.match(stderr, warning, what)
        t.strictSame(stored, before, `${what}: untouched`)
        await webhook.logged('Pod left as it is', { namespace, name })
      }
    }
    t.equal(await webhook.reviews('pods', 'conflict'), Object.keys(conflicts).length - 1)
  })

  t.test('what ECI will refuse is said by kubectl, and the Pod goes all the same', async t => {
    const namespace = await controlPlane.namespace(t)
    const input = JSON.stringify(makePod({ labels: ECI, spec: { hostNetwork: true } }))
    const { code, stderr } = await controlPlane.kubectl(['create', '-n', namespace, '-f', '-'], { input })
    t.equal(code, 0)
    t.match(stderr, /^Warning: .*hostNetwork/)
    const pod = await controlPlane.ask<StoredPod>('GET', `/api/v1/namespaces/${namespace}/pods/app`)
    t.match(pod.metadata.annotations, { 'vnode-profile.io/warnings': /host-network/ })
    t.strictSame(pod.spec.nodeSelector, VNODE_SELECTOR)
  })

  const sidecar = { name: 'mesh', image: 'localhost/mesh:1' }
  const afterUs: Record<string, { operations: readonly Operation[]; stored: Placement; second: number }> = {
    'a container: no patch the second time': {
      operations: [{ op: 'add', path: '/spec/containers/-', value: sidecar }],
      stored: plain,
      second: 0,
    },
    'a label that one more rule wants: its effect and its name are added, and all else stays': {
      operations: [{ op: 'add', path: '/metadata/labels/example.com~1mesh', value: 'on' }],
      stored: {
        ...plain,
        labels: { ...plain.labels, 'example.com/mesh': 'on' },
        annotations: {
          ...plain.annotations,
          'vnode-profile.io/rules': 'eci,by-sidecar',
          'k8s.aliyun.com/eci-extra-ephemeral-storage': '50Gi',
        },
      },
      second: 2,
    },
    'a toleration before ours, so that all others move': {
      operations: [{ op: 'add', path: '/spec/tolerations/0', value: { key: 'mesh', operator: 'Exists' } }],
      stored: { ...plain, tolerations: [{ key: 'mesh', operator: 'Exists' }, ...plain.tolerations] },
      second: 0,
    },
    'no toleration, but takes all away: the apiserver brings its own back, and we ours': {
      operations: [{ op: 'replace', path: '/spec/tolerations', value: [] }],
      stored: plain,
      second: 3,
    },
  }
  for (const [what, { operations, stored, second }] of Object.entries(afterUs)) {
    t.test(`another webhook, called after ours, adds ${what}`, async t => {
      const namespace = await controlPlane.namespace(t)
      // Its second call, if there is one, finds its own change.
      const done = new Set<string>()
      const other = await startReviewServer(
        t,
        patchWith(({ metadata }) => {
          if (done.has(metadata.name)) return []
          done.add(metadata.name)
          return operations
        }),
      )
      // Webhooks are called in the order of their configurations' names.
      const registration = { name: 'zz-other', reinvocationPolicy: 'Never' } as const
      await registerWebhook(t, controlPlane, other, registration)
      const before = front.exchanges.length
      const found = await store(namespace, { name: 'reinvoked' })
      const ours = front.exchanges.slice(before)
      t.equal(ours.length, 2, 'the apiserver asked ours twice')
      t.ok(ours.every(({ request }) => request.name === 'reinvoked'))
      t.equal(other.exchanges.filter(({ request }) => request.name === 'reinvoked').length, 1)
      t.equal(
        ours[1] === undefined ? undefined : patchOf(ours[1]).length,
        second,
        'operations of the second patch',
      )
      t.strictSame(placementOf(found), stored)
    })
  }
}
