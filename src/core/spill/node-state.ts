/** Nodes as a spill looks at them, and which of them can take a Pod, by the scheduler's rules for selectors, affinity and taints. */

import {
  asRecord,
  asRecords,
  asString,
  asStrings,
  type NodeSelectorTerm,
  type Taint,
  type Toleration,
} from '../kubernetes/objects.ts'
import { amountIn } from '../kubernetes/quantity.ts'
import { VNODE_TYPE_LABEL, VNODE_TYPE_VALUE } from '../names.ts'
import type { PodFacts } from '../pod/facts.ts'
import { tolerates } from '../pod/toleration.ts'
import { type Labels, labelsOf } from '../selector/requirement.ts'

export interface NodeState {
  readonly name: string
  readonly isVnode: boolean
  readonly isReady: boolean
  readonly isCordoned: boolean
  readonly taints: readonly Taint[]
  /** In nano-units. */
  readonly cpu: bigint
  readonly memory: bigint
  /** Of VNodes only: nobody asks for those of thousands of real nodes. */
  readonly labels: Labels
}

const NO_LABELS: Labels = new Map()

/** Reads a Node of the API; what has the wrong type counts as absent. */
export function nodeState(raw: unknown): NodeState {
  const node = asRecord(raw) ?? {}
  const metadata = asRecord(node.metadata)
  const spec = asRecord(node.spec)
  const status = asRecord(node.status)
  const labels = labelsOf(metadata?.labels)
  const isVnode = labels.get(VNODE_TYPE_LABEL) === VNODE_TYPE_VALUE
  const ready = asRecords(status?.conditions).find(({ type }) => type === 'Ready')
  return {
    name: asString(metadata?.name) ?? '',
    isVnode,
    isReady: ready?.status === 'True',
    isCordoned: spec?.unschedulable === true,
    taints: asRecords(spec?.taints).map(({ key, value, effect }) => ({
      key: asString(key) ?? '',
      value: asString(value) ?? '',
      effect: asString(effect) ?? '',
    })),
    cpu: amountIn(status?.allocatable, 'cpu') ?? 0n,
    memory: amountIn(status?.allocatable, 'memory') ?? 0n,
    labels: isVnode ? labels : NO_LABELS,
  }
}

/** A real node that takes new Pods, as far as its own state says. */
export function isOpenRealNode({ isVnode, isReady, isCordoned }: NodeState): boolean {
  return !isVnode && isReady && !isCordoned
}

/** Does the Pod tolerate every taint that keeps Pods off? PreferNoSchedule does not. */
export function toleratesAll(tolerations: readonly Toleration[], taints: readonly Taint[]): boolean {
  return taints.every(taint => taint.effect === 'PreferNoSchedule' || tolerates(tolerations, taint))
}

/** Do the Pod's node selector and required node affinity admit the node? */
export function admits(
  { nodeSelector, requiredTerms }: Pick<PodFacts, 'nodeSelector' | 'requiredTerms'>,
  node: Pick<NodeState, 'name' | 'labels'>,
): boolean {
  for (const [key, value] of nodeSelector) if (node.labels.get(key) !== value) return false
  return requiredTerms === undefined || requiredTerms.some(term => matchesTerm(term, node))
}

/** Terms are ORed, the requirements in one ANDed; a term without any matches no node. */
function matchesTerm(term: NodeSelectorTerm, { name, labels }: Pick<NodeState, 'name' | 'labels'>): boolean {
  const fields = asRecords(term.matchFields)
  const expressions = asRecords(term.matchExpressions)
  if (fields.length + expressions.length === 0) return false
  const hasFields = fields.every(one => one.key === 'metadata.name' && meets(one, name))
  return hasFields && expressions.every(one => meets(one, labels.get(asString(one.key) ?? '')))
}

function meets(requirement: Record<string, unknown>, value: string | undefined): boolean {
  const values = asStrings(requirement.values)
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    case 'Gt':
      return isBeyond(value, values[0], (is, bound) => is > bound)
    case 'Lt':
      return isBeyond(value, values[0], (is, bound) => is < bound)
    default:
      return false
  }
}

const INTEGER = /^[+-]?\d+$/

function isBeyond(
  value: string | undefined,
  bound: string | undefined,
  compare: (is: bigint, bound: bigint) => boolean,
): boolean {
  if (value === undefined || bound === undefined || !INTEGER.test(value) || !INTEGER.test(bound)) return false
  return compare(BigInt(value.replace('+', '')), BigInt(bound.replace('+', '')))
}
