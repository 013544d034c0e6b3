/**
 * Whether a Pod that waits for a real node may go to a VNode now: one function for the helper and `vnode explain --live`. It is asked
 * about conditions, again and again, never about events. Source of every rule here: the design's section on the helper.
 */
import type { Toleration } from '../kubernetes/objects.ts'
import { covers } from '../pod/toleration.ts'
import { decide, type NamespaceFacts, type Placed, type RuledEnvironment } from '../policy/decide.ts'
import { renderDuration } from '../policy/duration.ts'
import type { Policy } from '../policy/policy.ts'
import type { Rule } from '../selector/rule.ts'
import { isReached, percentOf, type Share } from './capacity.ts'
import type { ClaimFault } from './claim.ts'
import { admits, type NodeState, toleratesAll } from './node-state.ts'
import type { PendingPod } from './pending-pod.ts'

export interface SpillSettings {
  /** Of rules that do not say `spillAfter`. */
  readonly afterMs: number
  /** For how long an autoscaler that makes a node for a Pod is waited for. */
  readonly waitForScaleUpMs: number
}

/** What keeps back a Pod that would spill otherwise. */
export type HeldCode =
  | 'preempting'
  | 'pod-group'
  | ClaimFault['code']
  | 'waiting'
  | 'scale-up'
  | 'vnode-absent'
  | 'vnode-mismatch'
  | 'vnode-not-ready'
  | 'vnode-cordoned'
  | 'vnode-tainted'
  | 'not-loaded'
  | 'real-nodes-have-room'

/** Why a spill is no question at all. */
export type IdleCode = 'no-policy' | 'open' | 'terminating' | 'gated' | 'not-unschedulable'

export type SpillVerdict =
  | { readonly outcome: 'idle'; readonly code: IdleCode; readonly reason: string }
  | Held
  | { readonly outcome: 'spill'; readonly reason: string; readonly rule: Rule; readonly placed: Placed }

export interface Held {
  readonly outcome: 'held'
  readonly code: HeldCode
  readonly reason: string
  readonly rule: Rule
  /** Where time alone can change the answer: after how much of it. */
  readonly forMs?: number
}

/** All that a verdict depends on besides the Pod. */
export interface SpillSituation {
  readonly namespace: NamespaceFacts
  readonly environment: RuledEnvironment
  readonly settings: SpillSettings
  /** For how long the Pod has been seen as unschedulable. */
  readonly waitedMs: number
  /** How long ago an autoscaler last said that it makes a node for the Pod. */
  readonly scaleUpAgeMs?: number | undefined
  /** What is wrong with a claim of the Pod's namespace; 'not-loaded' while that is not known. */
  readonly claimFault: (name: string) => ClaimFault | 'not-loaded' | undefined
  /** Undefined while they are not known. */
  readonly vnodes: readonly NodeState[] | undefined
  /** Undefined while it is not known. */
  readonly share: (tolerations: readonly Toleration[]) => Share | undefined
}

/** A Pod whose rule lets it spill. */
export interface Spillable {
  readonly rule: Rule
  readonly policy: NormalNodePrefer
  readonly placed: Placed
}

type NormalNodePrefer = Extract<Policy, { kind: 'normalNodePrefer' }>

export function spillVerdict(pod: PendingPod, situation: SpillSituation): SpillVerdict {
  const spillable = spillableOf(pod, situation)
  if (!('placed' in spillable)) return spillable
  const { rule, placed } = spillable
  const idle = idleOf(pod)
  if (idle !== undefined) return idle
  const hold = holdOf(pod, spillable, situation)
  if (hold !== undefined) return { outcome: 'held', rule, ...hold }
  return { outcome: 'spill', reason: 'no real node can take it, and a VNode can', rule, placed }
}

/** The Pod's rule, if it lets the Pod spill; else why it does not. Depends on labels, rules and tolerations alone. */
export function spillableOf(
  pod: PendingPod,
  { namespace, environment }: Pick<SpillSituation, 'namespace' | 'environment'>,
): Spillable | Extract<SpillVerdict, { outcome: 'idle' }> {
  const decision = decide(pod.facts, namespace, environment)
  if (decision.outcome !== 'placed') return idle('no-policy', decision.reason)
  const { rule, policy, route } = decision
  if (rule === undefined || policy?.kind !== 'normalNodePrefer' || route !== 'rule')
    return idle('no-policy', decision.reason)
  if (covers(pod.facts.tolerations, environment.settings.toleration))
    return idle('open', "it tolerates the VNodes' taint, and the scheduler may choose one")
  return { rule, policy, placed: decision }
}

function idle(code: IdleCode, reason: string): Extract<SpillVerdict, { outcome: 'idle' }> {
  return { outcome: 'idle', code, reason }
}

function idleOf({ isTerminating, gates, unschedulable }: PendingPod): SpillVerdict | undefined {
  if (isTerminating) return idle('terminating', 'it is being deleted')
  if (gates.length > 0) return idle('gated', `its scheduling gates keep it back: ${gates.join(', ')}`)
  if (unschedulable === undefined)
    return idle('not-unschedulable', 'the scheduler has not reported that no node can take it')
  return undefined
}

type Hold = Omit<Held, 'outcome' | 'rule'>
type Check = (pod: PendingPod, spillable: Spillable, situation: SpillSituation) => Hold | undefined

/** In the order in which they help whoever asks: first what is about the Pod itself, last what is about the nodes. */
const CHECKS: readonly Check[] = [
  preempting,
  grouped,
  unclaimed,
  waiting,
  scalingUp,
  (pod, _, situation) => vnodeHold(pod, situation),
  (pod, { policy }, situation) => roomHold(pod, policy, situation),
]

function holdOf(pod: PendingPod, spillable: Spillable, situation: SpillSituation): Hold | undefined {
  for (const check of CHECKS) {
    const hold = check(pod, spillable, situation)
    if (hold !== undefined) return hold
  }
  return undefined
}

/** To spill now would have killed the victim for nothing (observed). */
function preempting({ nominatedNode }: PendingPod): Hold | undefined {
  if (nominatedNode === undefined) return undefined
  return { code: 'preempting', reason: `preemption makes room for it on node ${nominatedNode}` }
}

function grouped({ podGroup }: PendingPod): Hold | undefined {
  if (podGroup === undefined) return undefined
  return { code: 'pod-group', reason: `it is one of a group that is scheduled together (${podGroup})` }
}

function unclaimed({ claims }: PendingPod, _: Spillable, { claimFault }: SpillSituation): Hold | undefined {
  for (const name of claims) {
    const fault = claimFault(name)
    if (fault === 'not-loaded') return notLoaded('PersistentVolumeClaims')
    if (fault !== undefined) return fault
  }
  return undefined
}

function waiting(
  _: PendingPod,
  { policy }: Spillable,
  { settings, waitedMs }: SpillSituation,
): Hold | undefined {
  const afterMs = afterMsOf(policy, settings)
  if (waitedMs >= afterMs) return undefined
  const reason = `a real node has ${renderDuration(afterMs / 1000)} to take it, from when it was first seen as unschedulable`
  return { code: 'waiting', reason, forMs: afterMs - waitedMs }
}

/** How long a Pod under this policy waits for a real node. */
export function afterMsOf({ spillAfterSeconds }: NormalNodePrefer, { afterMs }: SpillSettings): number {
  return spillAfterSeconds === undefined ? afterMs : spillAfterSeconds * 1000
}

function scalingUp(
  _: PendingPod,
  __: Spillable,
  { settings: { waitForScaleUpMs }, scaleUpAgeMs }: SpillSituation,
): Hold | undefined {
  if (scaleUpAgeMs === undefined || scaleUpAgeMs >= waitForScaleUpMs) return undefined
  const limit = renderDuration(waitForScaleUpMs / 1000)
  const reason = `an autoscaler makes a real node for it, and has ${limit} to do so`
  return { code: 'scale-up', reason, forMs: waitForScaleUpMs - scaleUpAgeMs }
}

/** Why no VNode could take the Pod after the spill; undefined if one could. */
function vnodeHold({ facts }: PendingPod, { vnodes, environment }: SpillSituation): Hold | undefined {
  const tolerations = [...facts.tolerations, environment.settings.toleration]
  if (vnodes === undefined) return notLoaded('the nodes')
  if (vnodes.length === 0) return { code: 'vnode-absent', reason: 'there is no VNode' }
  const fitting = vnodes.filter(vnode => admits(facts, vnode))
  if (fitting.length === 0)
    return {
      code: 'vnode-mismatch',
      reason: 'no VNode satisfies its node selector and required node affinity',
    }
  const ready = fitting.filter(vnode => vnode.isReady)
  if (ready.length === 0) return { code: 'vnode-not-ready', reason: `${named(fitting)} not Ready` }
  const open = ready.filter(vnode => !vnode.isCordoned)
  if (open.length === 0) return { code: 'vnode-cordoned', reason: `${named(ready)} cordoned` }
  if (open.some(vnode => toleratesAll(tolerations, vnode.taints))) return undefined
  return { code: 'vnode-tainted', reason: `${named(open)} tainted with more than the Pod tolerates` }
}

function named(vnodes: readonly NodeState[]): string {
  const names = vnodes.map(({ name }) => name).join(', ')
  return vnodes.length === 1 ? `VNode ${names} is` : `VNodes ${names} are`
}

function roomHold(
  { facts }: PendingPod,
  { cpuRatio, memoryRatio }: NormalNodePrefer,
  { share }: SpillSituation,
): Hold | undefined {
  if (cpuRatio === undefined && memoryRatio === undefined) return undefined
  const sums = share(facts.tolerations)
  if (sums === undefined) return notLoaded("the real nodes' Pods")
  const { cpu, memory, nodes } = sums
  if (cpuRatio !== undefined && isReached(cpu, cpuRatio)) return undefined
  if (memoryRatio !== undefined && isReached(memory, memoryRatio)) return undefined
  const parts = [
    ...(cpuRatio === undefined ? [] : [`${percentOf(cpu)} % of CPU (the rule says ${cpuRatio} %)`]),
    ...(memoryRatio === undefined
      ? []
      : [`${percentOf(memory)} % of memory (the rule says ${memoryRatio} %)`]),
  ]
  const those =
    nodes === 1
      ? 'the real node that it could run on has'
      : `the ${nodes} real nodes that it could run on have`
  const reason = `${those} room: requested are ${parts.join(' and ')}, so what keeps it off them is not that they are full`
  return { code: 'real-nodes-have-room', reason }
}

function notLoaded(what: string): Hold {
  return { code: 'not-loaded', reason: `${what} are not loaded yet` }
}
