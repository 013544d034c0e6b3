/**
 * A Pod that a cluster has: what admission decides about it, where it is, whether it spills and what is due to it. Every answer is the
 * webhook's or the helper's own; nothing is decided here.
 */
import jsonPatch from 'fast-json-patch'
import { type Advice, podAdvice } from '../eci/pod-advice.ts'
import { asRecord, asRecords, asString, own } from '../kubernetes/objects.ts'
import {
  ANNOTATION_POLICY,
  ANNOTATION_RULES,
  BINDING_MANAGER,
  MISSED_MANAGER,
  SPILL_MANAGER,
} from '../names.ts'
import { podFacts } from '../pod/facts.ts'
import { type Missed, missedOf } from '../spill/missed.ts'
import { type PendingPod, pendingPod } from '../spill/pending-pod.ts'
import { type PodPatch, patchOnVnode, spillPatch } from '../spill/spill-patch.ts'
import { type SpillSituation, type SpillVerdict, spillVerdict } from '../spill/verdict.ts'
import { lostOnNode } from '../spill/words.ts'
import { type Addition, additionsIn, type Explanation, explainPod, subjectOf } from './explanation.ts'
import { ownWhereabouts, type Whereabouts } from './whereabouts.ts'

export interface LiveSituation extends Omit<SpillSituation, 'waitedMs'> {
  /** Milliseconds of Unix time. */
  readonly nowMs: number
  /** Since when the helper leads that counts the time; undefined where that is not known. */
  readonly leaderSinceMs?: number | undefined
}

export interface LiveFacts {
  readonly phase: string
  readonly isTerminating: boolean
  readonly node?: { readonly name: string; readonly isVnode: boolean }
  /** What our annotations on it say; empty of a Pod that the webhook left alone or did not see. */
  readonly marks: { readonly rules?: string; readonly policy?: string }
  /** The webhook did not see it. */
  readonly missed?: Pick<Missed, 'rule' | 'lost'>
  readonly verdict: SpillVerdict
  /** For how long it counts as unschedulable; absent of one that is not. */
  readonly waitedMs?: number
  /** When each duty of the helper changed it, as the API server noted it. */
  readonly changed: { readonly spill?: string; readonly binding?: string; readonly missed?: string }
  /** What it would get besides if it were created now. */
  readonly anew: readonly Addition[]
}

export interface LiveExplanation {
  /** `added`, `patch` and `result` are about what is due to the Pod now. */
  readonly explanation: Explanation
  readonly live: LiveFacts
}

/** Explains a Pod of the API. Throws a VnodeError as {@link explainPod} does. */
export function explainLivePod(raw: Record<string, unknown>, situation: LiveSituation): LiveExplanation {
  const { namespace, environment } = situation
  const created = explainPod(asCreated(raw), namespace, environment)
  const pod = pendingPod(raw)
  const live = factsOf(raw, pod, { situation, created })
  const due = dueTo(raw, pod, { live, situation })
  const facts = podFacts(raw)
  const result = due === undefined ? raw : jsonPatch.applyPatch(structuredClone(raw), [...due]).newDocument
  const matches = environment.rules.match(subjectOf(podFacts(result), namespace))
  const [, ...operations] = due ?? []
  const explanation = {
    ...created,
    whereabouts: whereaboutsNow(raw, created, { live, situation }),
    added: additionsIn(operations, facts, matches),
    advice: adviceNow(created, result, live),
    addedOnVnode: live.node === undefined ? created.addedOnVnode : [],
    patch: due ?? [],
    result,
  }
  return { explanation, live }
}

function adviceNow(
  { advice }: Explanation,
  result: Record<string, unknown>,
  { node }: LiveFacts,
): readonly Advice[] {
  if (node === undefined) return advice
  return node.isVnode ? podAdvice(result, { everything: true }) : []
}

/** Without the node that the scheduler chose. Who wrote it there himself is in managedFields; the scheduler's binding is not. */
function asCreated(raw: Record<string, unknown>): Record<string, unknown> {
  const isAuthors = managers(raw).some(
    ({ fieldsV1, subresource }) =>
      (subresource ?? '') === '' &&
      own(asRecord(own(asRecord(fieldsV1), 'f:spec')), 'f:nodeName') !== undefined,
  )
  if (isAuthors) return raw
  const { nodeName: _, ...spec } = asRecord(raw.spec) ?? {}
  return { ...raw, spec }
}

interface Known {
  readonly situation: LiveSituation
  readonly created: Explanation
}

function factsOf(raw: Record<string, unknown>, pod: PendingPod, { situation, created }: Known): LiveFacts {
  const { annotations, nodeName } = pod.facts
  const [rules, policy] = [annotations.get(ANNOTATION_RULES), annotations.get(ANNOTATION_POLICY)]
  const isVnode = nodeName !== undefined && situation.environment.vnodes.hasName(nodeName)
  const waitedMs = waitedOf(pod, situation)
  const missed = missedLive(raw, { isVnode, situation })
  return {
    phase: asString(asRecord(raw.status)?.phase) ?? 'Unknown',
    isTerminating: pod.isTerminating,
    ...(nodeName === undefined ? {} : { node: { name: nodeName, isVnode } }),
    marks: { ...(rules === undefined ? {} : { rules }), ...(policy === undefined ? {} : { policy }) },
    ...(missed === undefined ? {} : { missed }),
    verdict: spillVerdict(pod, { ...situation, waitedMs: waitedMs ?? 0 }),
    ...(waitedMs === undefined ? {} : { waitedMs }),
    changed: changesOf(raw),
    anew: created.added,
  }
}

/**
 * By the scheduler's time, or from when there is a leader. The leader counts from when it first saw the Pod so, which may be later: the
 * scheduler's time does not change when a gate goes.
 */
function waitedOf(
  { unschedulable }: PendingPod,
  { nowMs, leaderSinceMs = Number.NEGATIVE_INFINITY }: LiveSituation,
): number | undefined {
  if (unschedulable === undefined) return undefined
  return Math.max(0, nowMs - Math.max(unschedulable.transitionMs ?? nowMs, leaderSinceMs))
}

function missedLive(
  raw: Record<string, unknown>,
  { isVnode, situation }: { readonly isVnode: boolean; readonly situation: LiveSituation },
): Pick<Missed, 'rule' | 'lost'> | undefined {
  const { nodeName } = podFacts(raw)
  const missed = missedOf(pendingPod(asCreated(raw)), situation.namespace, situation.environment)
  if (missed === undefined) return undefined
  const { rule, lost } = missed
  const lostNow = nodeName === undefined ? lost : isVnode ? undefined : lostOnNode(nodeName)
  return { rule, ...(lostNow === undefined ? {} : { lost: lostNow }) }
}

function changesOf(raw: Record<string, unknown>): LiveFacts['changed'] {
  const timeOf = (name: string) => {
    const entry = managers(raw).find(({ manager }) => manager === name)
    return entry === undefined ? undefined : (asString(entry.time) ?? '')
  }
  const [spill, binding, missed] = [SPILL_MANAGER, BINDING_MANAGER, MISSED_MANAGER].map(timeOf)
  return {
    ...(spill === undefined ? {} : { spill }),
    ...(binding === undefined ? {} : { binding }),
    ...(missed === undefined ? {} : { missed }),
  }
}

function managers(raw: Record<string, unknown>): readonly Record<string, unknown>[] {
  return asRecords(asRecord(raw.metadata)?.managedFields)
}

/** The patch that the helper sends next; undefined where there is none. */
function dueTo(
  raw: Record<string, unknown>,
  pod: PendingPod,
  { live, situation }: { readonly live: LiveFacts; readonly situation: LiveSituation },
): PodPatch | undefined {
  const { namespace, environment } = situation
  const { verdict, node, changed } = live
  if (verdict.outcome === 'spill') return spillPatch(pod, verdict.placed, environment.settings)
  if (node === undefined) return missedOf(pod, namespace, environment)?.patch
  if (!node.isVnode || changed.binding !== undefined || pod.isTerminating) return undefined
  const isMended = changed.missed !== undefined
  return patchOnVnode({ ...pod, isMended, facts: podFacts(raw) }, namespace, environment)
}

function whereaboutsNow(
  raw: Record<string, unknown>,
  created: Explanation,
  { live, situation }: { readonly live: LiveFacts; readonly situation: LiveSituation },
): Whereabouts {
  const { node, missed, verdict } = live
  if (node !== undefined)
    return node.isVnode
      ? { code: 'vnode', place: `the VNode ${node.name}` }
      : { code: 'real', place: `the real node ${node.name}` }
  const isOpen = verdict.outcome === 'idle' && verdict.code === 'open'
  if (isOpen) return { code: 'vnode-or-real', place: 'a real node or a VNode', note: OPEN }
  // What would have sent it there was not added, or only in part.
  const isByItself = missed !== undefined && created.whereabouts.code !== 'real-then-vnode'
  return isByItself ? ownWhereabouts(podFacts(raw), situation.environment) : created.whereabouts
}

const OPEN = "It tolerates the VNodes' taint by now, so that the scheduler may choose one."
