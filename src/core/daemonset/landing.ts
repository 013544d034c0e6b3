/**
 * Whether the DaemonSet controller makes a Pod for VNodes. It asks of each node what the scheduler asks: nodeName, the nodeSelector, one of
 * the terms of the required node affinity, and whether every taint of the node is tolerated (Kubernetes' pkg/controller/daemon).
 */
import type { NodeSelectorTerm, Taint } from '../kubernetes/objects.ts'
import { LABEL_HOSTNAME, VNODE_TYPE_LABEL, VNODE_TYPE_VALUE } from '../names.ts'
import type { PodFacts } from '../pod/facts.ts'
import {
  ANY_VALUE,
  ANY_VNODE_NAME,
  meets,
  NAME_FIELD,
  type NodeRequirement,
  type NodeValue,
  renderNodeRequirement,
  requirementsOf,
} from '../pod/node-requirement.ts'
import { type Environment, selectsVnodesOnly, toleratesVnode } from '../pod/placement.ts'
import { tolerates } from '../pod/toleration.ts'
import type { Vnode, VnodeSet } from '../vnode/vnode-set.ts'
import { isFenced } from './fence.ts'

export interface Landing {
  /**
   * `lands`: on VNodes too. `vnodes-only`: its own words ask for VNodes and for nothing else. The others keep off every VNode: no VNode's
   * taint is tolerated, our fence or one like it is in every term, or something else in the template does it.
   */
  readonly code: 'lands' | 'vnodes-only' | 'not-tolerated' | 'fenced' | 'kept-off'
  /** In words; completes "it lands there, or does not, because". */
  readonly reason: string
}

/** `pod` is the template, or a Pod of the DaemonSet. */
export function landingOf(pod: PodFacts, environment: Environment): Landing {
  const vnodes = candidatesOf(environment).filter(one => toleratesTaints(pod, one.taints, environment))
  if (vnodes.length === 0) return { code: 'not-tolerated', reason: "it does not tolerate the VNodes' taint" }
  const { nodeName } = pod
  if (nodeName !== undefined && !environment.vnodes.hasName(nodeName))
    return { code: 'kept-off', reason: `its nodeName is the real node ${nodeName}` }
  if (isFenced(pod))
    return { code: 'fenced', reason: 'its required node affinity has type NotIn [virtual-kubelet]' }
  const failures = vnodes.map(one => unmetBy(pod, one, environment.vnodes))
  const [failure] = failures
  if (failure !== undefined && !failures.includes(undefined)) return { code: 'kept-off', reason: failure }
  if (nodeName !== undefined || selectsVnodesOnly(pod, environment))
    return { code: 'vnodes-only', reason: 'its own selectors ask for VNodes and for no other node' }
  return { code: 'lands', reason: "it tolerates the VNodes' taint, and nothing else keeps it off" }
}

/** A VNode as the requirements of a template see it. */
interface Candidate {
  readonly taints: readonly Taint[]
  readonly value: (key: string) => NodeValue
}

/**
 * Labels that kubelets and cloud controllers report by themselves. A VNode that has none of them today may have them after an update
 * of what runs it, so that their absence keeps nothing off.
 */
const REPORTED_LABELS: ReadonlySet<string> = new Set([
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'kubernetes.io/role',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/instance-type',
  'node-role.kubernetes.io/agent',
  'node.kubernetes.io/instance-type',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
])

/** The known VNodes; where there are none, one as ECI registers it. */
function candidatesOf({ settings, vnodes }: Environment): readonly Candidate[] {
  if (vnodes.all.length > 0) return vnodes.all.map(candidateOf)
  const { key, value, effect } = settings.toleration
  const taint = { key: key ?? '', value: value ?? '', effect: effect ?? 'NoSchedule' }
  const labels = new Map([...settings.nodeSelector, [VNODE_TYPE_LABEL, VNODE_TYPE_VALUE] as const])
  const labelOf = (label: string) => {
    if (label === LABEL_HOSTNAME || label === NAME_FIELD) return ANY_VNODE_NAME
    return labels.get(label) ?? reportedValue(label)
  }
  return [{ taints: [taint], value: labelOf }]
}

function candidateOf({ name, labels, taints }: Vnode): Candidate {
  return { taints, value: key => (key === NAME_FIELD ? name : (labels.get(key) ?? reportedValue(key))) }
}

function reportedValue(label: string): NodeValue {
  return REPORTED_LABELS.has(label) ? ANY_VALUE : undefined
}

/** The taint of the settings is what every VNode comes with, whatever taints those have that are here today. */
function toleratesTaints(pod: PodFacts, taints: readonly Taint[], environment: Environment): boolean {
  return (
    toleratesVnode(pod, environment) ||
    taints.filter(isLasting).every(taint => tolerates(pod.tolerations, taint))
  )
}

/** A node's condition and a cordon come and go, and the controller lets daemons tolerate most of that by itself. */
export function isLasting({ key = '', effect }: Taint): boolean {
  if (effect === 'PreferNoSchedule') return false
  return !/^node(?:\.cloudprovider)?\.kubernetes\.io\//.test(key)
}

/** Why the VNode is none for the Pod, in words; undefined if it is one. */
function unmetBy(pod: PodFacts, vnode: Candidate, vnodes: VnodeSet): string | undefined {
  const isUnmet = (one: NodeRequirement) => !meets(one, vnode.value(one.key), vnodes)
  for (const [key, value] of pod.nodeSelector) {
    if (isUnmet({ key, operator: 'In', values: [value] }))
      return `its nodeSelector wants ${key}=${value}, which no VNode has`
  }
  const { requiredTerms } = pod
  if (requiredTerms === undefined) return undefined
  const failures = requiredTerms.map(term => unmetOf(term, isUnmet))
  if (failures.includes(undefined)) return undefined
  return `its required node affinity (${failures[0] ?? 'without a term'}) is satisfied by no VNode`
}

/** An empty term selects no node. */
function unmetOf(term: NodeSelectorTerm, isUnmet: (one: NodeRequirement) => boolean): string | undefined {
  const requirements = [...requirementsOf(term.matchFields), ...requirementsOf(term.matchExpressions)]
  if (requirements.length === 0) return 'an empty term'
  const unmet = requirements.find(isUnmet)
  return unmet === undefined ? undefined : renderNodeRequirement(unmet)
}
