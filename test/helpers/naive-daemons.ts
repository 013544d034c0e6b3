/** Which nodes a DaemonSet gets Pods on, by the words of Kubernetes' documentation and nothing of ours; to compare with. */
import type { Random } from './random.ts'

export interface NaiveNode {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly taints: readonly { readonly key: string; readonly value: string; readonly effect: string }[]
}

interface Requirement {
  readonly key: string
  readonly operator: string
  readonly values?: readonly string[]
}

interface Term {
  readonly matchExpressions?: readonly Requirement[] | null
  readonly matchFields?: readonly Requirement[] | null
}

/** Of a template's Pod, as far as it decides. */
export interface DaemonSpec {
  nodeName?: string
  nodeSelector?: Record<string, string> | null
  tolerations?: readonly { key?: string; operator?: string; value?: string; effect?: string }[] | null
  affinity?: {
    nodeAffinity?: {
      requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms: readonly Term[] } | null
    } | null
    [other: string]: unknown
  } | null
}

export function naiveNodes(spec: DaemonSpec, nodes: readonly NaiveNode[]): string[] {
  return nodes.filter(node => isTolerated(spec, node) && isSelected(spec, node)).map(node => node.name)
}

function isTolerated({ tolerations }: DaemonSpec, { taints }: NaiveNode): boolean {
  return taints.every(taint =>
    (tolerations ?? []).some(({ key = '', operator = 'Equal', value = '', effect = '' }) => {
      const fitsEffect = effect === '' || effect === taint.effect
      if (operator === 'Exists') return fitsEffect && (key === '' || key === taint.key)
      return fitsEffect && key === taint.key && value === taint.value
    }),
  )
}

function isSelected(spec: DaemonSpec, node: NaiveNode): boolean {
  if (spec.nodeName !== undefined && spec.nodeName !== '' && spec.nodeName !== node.name) return false
  if (!Object.entries(spec.nodeSelector ?? {}).every(([key, value]) => node.labels[key] === value))
    return false
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  if (required === undefined || required === null) return true
  return required.nodeSelectorTerms.some(({ matchExpressions, matchFields }) => {
    const [expressions, fields] = [matchExpressions ?? [], matchFields ?? []]
    if (expressions.length + fields.length === 0) return false
    return (
      expressions.every(one => isMet(one, node.labels[one.key])) && fields.every(one => isMet(one, node.name))
    )
  })
}

function isMet({ operator, values = [] }: Requirement, value: string | undefined): boolean {
  if (operator === 'Exists') return value !== undefined
  if (operator === 'DoesNotExist') return value === undefined
  if (operator === 'NotIn') return value === undefined || !values.includes(value)
  if (value === undefined) return false
  if (operator === 'In') return values.includes(value)
  return operator === 'Gt' ? Number(value) > Number(values[0]) : Number(value) < Number(values[0])
}

const VNODE_TAINT = { key: 'k8s.aliyun.com/vnode', value: 'true', effect: 'NoSchedule' }

export const VNODE: NaiveNode = {
  name: 'cn-hangzhou.vnd-1',
  labels: {
    type: 'virtual-kubelet',
    'k8s.aliyun.com/vnode': 'true',
    'kubernetes.io/hostname': 'cn-hangzhou.vnd-1',
    'kubernetes.io/os': 'linux',
    zone: 'h',
    size: '9',
  },
  taints: [VNODE_TAINT],
}

export const REAL_NODES: readonly NaiveNode[] = [
  real('worker-1', { zone: 'h', size: '1' }),
  real('worker-2', { zone: 'i', disk: 'ssd' }),
  real('master-1', { 'node-role.kubernetes.io/control-plane': '' }, [
    { key: 'node-role.kubernetes.io/control-plane', value: '', effect: 'NoSchedule' },
  ]),
]

function real(name: string, labels: Record<string, string>, taints: NaiveNode['taints'] = []): NaiveNode {
  return { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', ...labels }, taints }
}

const EXPRESSIONS: readonly Requirement[] = [
  { key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] },
  { key: 'type', operator: 'NotIn', values: ['virtual-kubelet', 'edge'] },
  { key: 'type', operator: 'In', values: ['virtual-kubelet'] },
  { key: 'type', operator: 'Exists' },
  { key: 'type', operator: 'DoesNotExist' },
  { key: 'k8s.aliyun.com/vnode', operator: 'NotIn', values: ['true'] },
  { key: 'zone', operator: 'In', values: ['h', 'i'] },
  { key: 'zone', operator: 'NotIn', values: ['h'] },
  { key: 'disk', operator: 'Exists' },
  { key: 'size', operator: 'Gt', values: ['5'] },
  { key: 'size', operator: 'Lt', values: ['5'] },
  { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] },
  { key: 'kubernetes.io/hostname', operator: 'In', values: ['worker-1', 'cn-hangzhou.vnd-1'] },
]
const FIELDS: readonly Requirement[] = [
  { key: 'metadata.name', operator: 'In', values: ['worker-2'] },
  { key: 'metadata.name', operator: 'In', values: ['cn-hangzhou.vnd-1'] },
  { key: 'metadata.name', operator: 'NotIn', values: ['worker-1'] },
]
const TOLERATIONS = [
  { operator: 'Exists' },
  { operator: 'Exists', effect: 'NoSchedule' },
  { key: 'k8s.aliyun.com/vnode', value: 'true' },
  { key: 'k8s.aliyun.com/vnode', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node-role.kubernetes.io/control-plane', operator: 'Exists' },
] as const
const SELECTORS: readonly [Record<string, string>, ...Record<string, string>[]] = [
  { 'kubernetes.io/os': 'linux' },
  { disk: 'ssd' },
  { zone: 'h' },
  { type: 'virtual-kubelet' },
  {},
]

/** The template's Pod of a DaemonSet, as odd as an API server lets through. */
export function randomDaemonSpec(random: Random): DaemonSpec {
  return {
    ...random.maybe(0.1, () => ({ nodeName: random.one(['worker-1', VNODE.name]) })),
    ...random.maybe(0.3, () => ({ nodeSelector: random.one(SELECTORS) })),
    ...random.maybe(0.9, () => ({ tolerations: random.some(TOLERATIONS, 0.4) })),
    ...random.maybe(0.8, () => ({ affinity: randomAffinity(random) })),
  }
}

function randomAffinity(random: Random): NonNullable<DaemonSpec['affinity']> {
  const nodeSelectorTerms = Array.from({ length: 1 + random.below(3) }, () => randomTerm(random))
  const required = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } }
  const preferred = { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference: {} }] }
  const spread = { podAntiAffinity: {} }
  const nodeAffinity = { ...random.maybe(0.2, () => preferred), ...random.maybe(0.85, () => required) }
  return { ...random.maybe(0.2, () => spread), ...random.maybe(0.95, () => ({ nodeAffinity })) }
}

function randomTerm(random: Random): Term {
  return {
    ...random.maybe(0.8, () => ({ matchExpressions: random.some(EXPRESSIONS, 0.15) })),
    ...random.maybe(0.3, () => ({ matchFields: random.some(FIELDS, 0.4) })),
  }
}
