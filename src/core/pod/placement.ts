/** Where a Pod's own words send it, and what of them no VNode can satisfy. */
import type { NodeSelectorTerm } from '../kubernetes/objects.ts'
import { LABEL_HOSTNAME, VNODE_TYPE_LABEL, VNODE_TYPE_VALUE } from '../names.ts'
import type { Labels } from '../selector/requirement.ts'
import type { Settings } from '../settings.ts'
import type { VnodeSet } from '../vnode/vnode-set.ts'
import type { PodFacts } from './facts.ts'
import {
  ANY_VNODE_NAME,
  meets,
  NAME_FIELD,
  type NodeRequirement,
  type NodeValue,
  renderNodeRequirement,
  requirementsOf,
} from './node-requirement.ts'
import { covers, tolerates } from './toleration.ts'

export interface Environment {
  readonly settings: Settings
  readonly vnodes: VnodeSet
}

export interface Conflict {
  readonly code: 'node-selector-conflict' | 'node-affinity-conflict'
  readonly message: string
}

/** What a requirement can be asked about: the value of a label that tells VNodes from real nodes. */
type NodeLabel = (key: string) => NodeValue

/** True if the Pod goes to a VNode whatever we do: it tolerates the taint, and its selectors admit VNodes only. */
export function goesByItself(pod: PodFacts, environment: Environment): boolean {
  return toleratesVnode(pod, environment) && selectsVnodesOnly(pod, environment)
}

/** Does the Pod tolerate the taint that VNodes carry? */
export function toleratesVnode(
  { tolerations }: PodFacts,
  { settings: { toleration } }: Environment,
): boolean {
  return covers(tolerations, toleration) || tolerates(tolerations, toleration)
}

/** Do its selectors, or each of its terms, admit VNodes only? */
export function selectsVnodesOnly(pod: PodFacts, environment: Environment): boolean {
  const { settings, vnodes } = environment
  if (pod.nodeSelector.get(VNODE_TYPE_LABEL) === VNODE_TYPE_VALUE) return true
  // One of several labels may be on real nodes too; all of them together are what sends a Pod to a VNode.
  if (hasAll(pod.nodeSelector, settings.nodeSelector)) return true
  const hostname = pod.nodeSelector.get(LABEL_HOSTNAME)
  if (hostname !== undefined && vnodes.hasName(hostname)) return true
  // An empty term selects no node at all.
  const terms = (pod.requiredTerms ?? []).filter(
    term => requirementsOf(term.matchFields).length + requirementsOf(term.matchExpressions).length > 0,
  )
  return terms.length > 0 && terms.every(term => admitsVnodesOnly(term, environment))
}

function hasAll(labels: Labels, wanted: Labels): boolean {
  for (const [key, value] of wanted) if (labels.get(key) !== value) return false
  return true
}

function admitsVnodesOnly(term: NodeSelectorTerm, { settings, vnodes }: Environment): boolean {
  const isNamed = ({ key, operator, values }: NodeRequirement) =>
    key === NAME_FIELD && operator === 'In' && values.every(name => vnodes.hasName(name))
  const isTyped = ({ key, operator, values }: NodeRequirement) => {
    if (operator !== 'In') return false
    if (key === LABEL_HOSTNAME) return values.every(name => vnodes.hasName(name))
    const isTelling = settings.nodeSelector.size === 1
    const label = isTelling ? settings.nodeSelector.get(key) : undefined
    const wanted = key === VNODE_TYPE_LABEL ? VNODE_TYPE_VALUE : label
    return wanted !== undefined && values.every(value => value === wanted)
  }
  return requirementsOf(term.matchFields).some(isNamed) || requirementsOf(term.matchExpressions).some(isTyped)
}

/** Why no VNode can take the Pod, judged by the labels that tell VNodes from real nodes; undefined if one may. */
export function conflictOf(pod: PodFacts, environment: Environment): Conflict | undefined {
  return selectorConflict(pod, environment) ?? affinityConflict(pod, environment)
}

function selectorConflict(
  { nodeSelector }: PodFacts,
  { settings, vnodes }: Environment,
): Conflict | undefined {
  if (nodeSelector.size === 0) return undefined
  const wanted = [...settings.nodeSelector, [VNODE_TYPE_LABEL, VNODE_TYPE_VALUE] as const]
  for (const [key, value] of wanted) {
    const has = nodeSelector.get(key)
    if (has === undefined || has === value) continue
    return {
      code: 'node-selector-conflict',
      message: `its nodeSelector wants ${key}=${has}, and VNodes have ${key}=${value}`,
    }
  }
  const hostname = nodeSelector.get(LABEL_HOSTNAME)
  if (hostname === undefined || vnodes.hasName(hostname)) return undefined
  return {
    code: 'node-selector-conflict',
    message: `its nodeSelector wants ${LABEL_HOSTNAME}=${hostname}, which is not a VNode`,
  }
}

function affinityConflict(pod: PodFacts, environment: Environment): Conflict | undefined {
  const terms = pod.requiredTerms
  if (terms === undefined || terms.length === 0) return undefined
  const nodes = nodeLabels(environment)
  let unmet: string | undefined
  for (const term of terms) {
    const failures = nodes.map(node => unmetRequirement(term, node, environment))
    if (failures.some(failure => failure === undefined)) return undefined
    unmet ??= failures[0]
  }
  return {
    code: 'node-affinity-conflict',
    message: `its required node affinity (${unmet}) is satisfied by no VNode`,
  }
}

function nodeLabels({ settings, vnodes }: Environment): NodeLabel[] {
  if (vnodes.all.length > 0)
    return vnodes.all.map(vnode => key => (key === NAME_FIELD ? vnode.name : vnode.labels.get(key)))
  return [
    key => {
      if (key === LABEL_HOSTNAME || key === NAME_FIELD) return ANY_VNODE_NAME
      return key === VNODE_TYPE_LABEL ? VNODE_TYPE_VALUE : settings.nodeSelector.get(key)
    },
  ]
}

/** The first requirement of the term that the node fails, in words; a term without any requirement selects no node. */
function unmetRequirement(
  term: NodeSelectorTerm,
  node: NodeLabel,
  environment: Environment,
): string | undefined {
  const fields = requirementsOf(term.matchFields)
  const expressions = requirementsOf(term.matchExpressions)
  if (fields.length + expressions.length === 0) return 'an empty term'
  const isDecisive = (key: string) =>
    key === LABEL_HOSTNAME || key === VNODE_TYPE_LABEL || environment.settings.nodeSelector.has(key)
  const failed =
    fields.find(one => one.key === NAME_FIELD && !meets(one, node(NAME_FIELD), environment.vnodes)) ??
    expressions.find(one => isDecisive(one.key) && !meets(one, node(one.key), environment.vnodes))
  return failed === undefined ? undefined : renderNodeRequirement(failed)
}
