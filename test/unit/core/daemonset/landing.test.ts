import t from 'tap'
import { landingOf } from '../../../../src/core/daemonset/landing.ts'
import { podFacts } from '../../../../src/core/pod/facts.ts'
import { vnodeOf } from '../../../../src/core/vnode/vnode-set.ts'
import { makeEnvironment, makeVnode } from '../../../helpers/environments.ts'
import { makePod, type PodOverrides } from '../../../helpers/pods.ts'

type Spec = NonNullable<PodOverrides['spec']>

const VNODE = 'cn-hangzhou.vnd-1'
const EVERYTHING = [{ operator: 'Exists' }]
const required = (...nodeSelectorTerms: object[]) => ({
  nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
})
const where = (...matchExpressions: object[]) => ({ matchExpressions })
const FENCE = { key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }
const LINUX = { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] }
const named = (...values: string[]) => ({ matchFields: [{ key: 'metadata.name', operator: 'In', values }] })

function makeTaintedVnode(labels: Record<string, string>, ...taints: object[]) {
  const vnode = vnodeOf({
    metadata: { name: VNODE, labels: { type: 'virtual-kubelet', ...labels } },
    spec: { taints },
  })
  if (vnode === undefined) throw new Error('no VNode')
  return vnode
}

const UNKNOWN = makeEnvironment()
const KNOWN = makeEnvironment({ vnodes: [makeVnode(VNODE, { zone: 'h', size: '9' })] })

/** The template's Pod, what is to be said with no VNode known, and with one. */
const CASES: Readonly<Record<string, [spec: Spec, unknown: string, known?: string]>> = {
  'no toleration': [{}, 'not-tolerated'],
  'the toleration of another value': [
    { tolerations: [{ key: 'k8s.aliyun.com/vnode', value: 'false' }] },
    'not-tolerated',
  ],
  'the toleration of another effect': [
    { tolerations: [{ operator: 'Exists', effect: 'NoExecute' }] },
    'not-tolerated',
  ],
  'the toleration of one taint': [
    { tolerations: [{ key: 'k8s.aliyun.com/vnode', operator: 'Exists' }] },
    'lands',
  ],
  'toleration of everything': [{ tolerations: EVERYTHING }, 'lands'],
  'fence in the only term': [{ tolerations: EVERYTHING, affinity: required(where(FENCE)) }, 'fenced'],
  'fence with another value beside it': [
    {
      tolerations: EVERYTHING,
      affinity: required(where({ ...FENCE, values: ['edge', 'virtual-kubelet'] })),
    },
    'fenced',
  ],
  'fence in one term of two': [
    { tolerations: EVERYTHING, affinity: required(where(FENCE), where(LINUX)) },
    'lands',
  ],
  'fence in every term': [
    { tolerations: EVERYTHING, affinity: required(where(FENCE), where(LINUX, FENCE)) },
    'fenced',
  ],
  'fence, and an empty term, which selects nothing': [
    { tolerations: EVERYTHING, affinity: required(where(FENCE), {}) },
    'fenced',
  ],
  'an empty term alone': [{ tolerations: EVERYTHING, affinity: required({}) }, 'kept-off'],
  'no term': [{ tolerations: EVERYTHING, affinity: required() }, 'kept-off'],
  'a term of a real node by name': [
    { tolerations: EVERYTHING, affinity: required(named('real-1')) },
    'kept-off',
  ],
  'terms of a real node and of a VNode by name': [
    { tolerations: EVERYTHING, affinity: required(named('real-1'), named(VNODE)) },
    'lands',
  ],
  'a term of a VNode by name': [{ tolerations: EVERYTHING, affinity: required(named(VNODE)) }, 'vnodes-only'],
  'preferred terms only': [
    {
      tolerations: EVERYTHING,
      affinity: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference: where(FENCE) }],
        },
      },
    },
    'lands',
  ],
  'a label that VNodes have with another value': [
    { tolerations: EVERYTHING, nodeSelector: { 'k8s.aliyun.com/vnode': 'false' } },
    'kept-off',
  ],
  'a nodeSelector of real nodes': [{ tolerations: EVERYTHING, nodeSelector: { type: 'worker' } }, 'kept-off'],
  'a nodeSelector of VNodes': [
    { tolerations: EVERYTHING, nodeSelector: { 'k8s.aliyun.com/vnode': 'true' } },
    'vnodes-only',
  ],
  'a label that no VNode has': [{ tolerations: EVERYTHING, nodeSelector: { disk: 'ssd' } }, 'kept-off'],
  'a label that this VNode has': [
    { tolerations: EVERYTHING, nodeSelector: { zone: 'h' } },
    'kept-off',
    'lands',
  ],
  'a label that kubelets report, which this VNode does not': [
    { tolerations: EVERYTHING, nodeSelector: { 'kubernetes.io/os': 'linux' } },
    'lands',
  ],
  'a number above a bound': [
    { tolerations: EVERYTHING, affinity: required(where({ key: 'size', operator: 'Gt', values: ['5'] })) },
    'kept-off',
    'lands',
  ],
  'a number below a bound': [
    { tolerations: EVERYTHING, affinity: required(where({ key: 'size', operator: 'Lt', values: ['5'] })) },
    'kept-off',
  ],
  'not the other label': [
    {
      tolerations: EVERYTHING,
      affinity: required(where({ key: 'k8s.aliyun.com/vnode', operator: 'DoesNotExist' })),
    },
    'kept-off',
  ],
  'bound to a real node': [{ tolerations: EVERYTHING, nodeName: 'real-1' }, 'kept-off'],
  'bound to a VNode': [{ tolerations: EVERYTHING, nodeName: VNODE }, 'vnodes-only'],
}

for (const [name, [spec, unknown, known = unknown]] of Object.entries(CASES)) {
  t.test(name, async t => {
    const pod = podFacts(makePod({ spec }))
    t.equal(landingOf(pod, UNKNOWN).code, unknown, 'with no VNode known')
    t.equal(landingOf(pod, KNOWN).code, known, 'with one known')
  })
}

t.test('what a taint has to be to keep a daemon off', async t => {
  const code = (tolerations: Spec['tolerations'], ...taints: object[]) =>
    landingOf(
      podFacts(makePod({ spec: tolerations === undefined ? {} : { tolerations } })),
      makeEnvironment({ vnodes: [makeTaintedVnode({}, ...taints)] }),
    ).code
  t.equal(code([]), 'lands', 'there is none')
  t.equal(code([], { key: 'a', effect: 'NoSchedule' }), 'not-tolerated')
  t.equal(code([], { key: 'a', effect: 'PreferNoSchedule' }), 'lands', 'a preference')
  t.equal(code([], { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute' }), 'lands', 'a condition')
  t.equal(code([], { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }), 'lands', 'a cordon')
  const own = [{ key: 'k8s.aliyun.com/vnode', operator: 'Exists' }]
  const other = { key: 'virtual-kubelet.io/provider', value: 'alibabacloud', effect: 'NoSchedule' }
  t.equal(code(own, other), 'lands', 'the next VNode has the taint that VNodes come with')
  t.equal(code([{ key: other.key, operator: 'Exists' }], other), 'lands', 'the taint of this one')
})

t.test('of several VNodes one is enough', async t => {
  const environment = makeEnvironment({
    vnodes: [makeVnode(VNODE), makeVnode('cn-hangzhou.vnd-2', { disk: 'ssd' })],
  })
  const pod = podFacts(makePod({ spec: { tolerations: EVERYTHING, nodeSelector: { disk: 'ssd' } } }))
  t.equal(landingOf(pod, environment).code, 'lands')
})

t.test('reasons', async t => {
  const reason = (spec: Spec) =>
    landingOf(podFacts(makePod({ spec: { tolerations: EVERYTHING, ...spec } })), KNOWN).reason
  t.equal(reason({ nodeSelector: { disk: 'ssd' } }), 'its nodeSelector wants disk=ssd, which no VNode has')
  t.equal(reason({ nodeName: 'real-1' }), 'its nodeName is the real node real-1')
  t.equal(
    reason({ affinity: required(where({ key: 'zone', operator: 'In', values: ['i', 'j'] })) }),
    'its required node affinity (zone In [i, j]) is satisfied by no VNode',
  )
  t.equal(
    reason({ affinity: required({}, where({ key: 'disk', operator: 'Exists' })) }),
    'its required node affinity (an empty term) is satisfied by no VNode',
  )
  t.equal(
    reason({ affinity: required() }),
    'its required node affinity (without a term) is satisfied by no VNode',
  )
})
