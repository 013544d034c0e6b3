/** Pods that a rule is about and that carry no mark of ours: the webhook did not see them. What of it can still be added. */
import { ANNOTATION_RULES } from '../names.ts'
import { additionsFor, additionsForSpill, isEmptyAdditions } from '../pod/additions.ts'
import { renderPatch } from '../pod/patch.ts'
import {
  type Decision,
  decide,
  type NamespaceFacts,
  type Placed,
  type RuledEnvironment,
} from '../policy/decide.ts'
import type { Settings } from '../settings.ts'
import type { PendingPod } from './pending-pod.ts'
import { checked, type PodPatch } from './spill-patch.ts'

export interface Missed {
  /** Of the rule that schedules it, or else of the first that applies. */
  readonly rule: string
  /** What can still be added; absent where that is nothing. */
  readonly patch?: PodPatch
  /** What cannot be added to a Pod that exists; absent where nothing is lost. */
  readonly lost?: string
}

/** Undefined for a Pod that was not missed. The marks are only looked for: who forges one deprives nobody but himself. */
export function missedOf(
  pod: PendingPod,
  namespace: NamespaceFacts,
  environment: RuledEnvironment,
): Missed | undefined {
  const { facts, isTerminating } = pod
  const decision = decide(facts, namespace, environment)
  const [first] = decision.outcome === 'placed' ? decision.rules : []
  if (decision.outcome !== 'placed' || first === undefined) return undefined
  if (isTerminating || facts.nodeName !== undefined || facts.annotations.has(ANNOTATION_RULES))
    return undefined
  const patch = patchOf(pod, decision, environment.settings)
  const lost = lostOf(decision)
  return {
    rule: (decision.rule ?? first).name,
    ...(patch === undefined ? {} : { patch }),
    ...(lost === undefined ? {} : { lost }),
  }
}

/** A Pod that a rule is about and that itself rules VNodes out: it is left exactly as it is. */
export type Conflicted = Extract<Decision, { outcome: 'conflict' }>

/** Undefined for a Pod without a conflict, or with a node. */
export function conflictedOf(
  { facts, isTerminating }: PendingPod,
  namespace: NamespaceFacts,
  environment: RuledEnvironment,
): Conflicted | undefined {
  if (isTerminating || facts.nodeName !== undefined) return undefined
  const decision = decide(facts, namespace, environment)
  return decision.outcome === 'conflict' ? decision : undefined
}

/** It cannot be changed any more; and a Pod that goes there by itself needs none. */
const NOTHING: ReadonlyMap<string, string> = new Map()

function patchOf(pod: PendingPod, placed: Placed, settings: Settings): PodPatch | undefined {
  const { route, policy } = placed
  // It stays on real nodes until it spills, and then gets all that it can.
  if (route === 'rule' && policy?.kind === 'normalNodePrefer') return undefined
  const additions =
    route === 'rule'
      ? additionsForSpill(placed, pod.facts, settings)
      : { ...additionsFor(placed, pod.facts, settings, []), nodeSelector: NOTHING }
  if (isEmptyAdditions(additions)) return undefined
  return checked(pod.facts, pod.resourceVersion, renderPatch(pod.facts.object, additions))
}

function lostOf({ route, policy }: Placed): string | undefined {
  if (route !== 'rule') return undefined
  switch (policy?.kind) {
    case 'virtualNodeOnly':
      return 'its node selector cannot be changed any more, so that a real node may take it'
    case 'normalNodePrefer':
      return 'its affinity cannot be changed any more: if it spills, it goes to a VNode even if a real node frees up meanwhile'
    case 'fair':
      return policy.preferRealNodes
        ? 'its affinity cannot be changed any more, so that it does not prefer real nodes'
        : undefined
    default:
      return undefined
  }
}
