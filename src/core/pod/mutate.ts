/** From a Pod to its patch: decide, add, apply the patch to the Pod, and look again until nothing more is to be added. */
import { type Advice, podAdvice } from '../eci/pod-advice.ts'
import { VnodeError } from '../errors.ts'
import { annotationsSize, areSurelyWithin, MAX_ANNOTATIONS_BYTES } from '../kubernetes/names.ts'
import { type Decision, decide, type NamespaceFacts, type RuledEnvironment } from '../policy/decide.ts'
import { type Additions, additionsFor, isEmptyAdditions } from './additions.ts'
import { type PodFacts, podFacts } from './facts.ts'
import { type AddOperation, applyPatch, renderPatch } from './patch.ts'

export interface Mutation {
  readonly decision: Decision
  /** What of the Pod ECI will refuse; only of a Pod that may go there. */
  readonly advice: readonly Advice[]
  /** What is added; absent where nothing is. */
  readonly additions?: Additions
  /** `add`s only; empty where nothing is to be added. */
  readonly patch: readonly AddOperation[]
  /** The Pod after the patch. */
  readonly result: Record<string, unknown>
}

/**
 * Labels that one rule adds can make another rule match. The webhook may be called again for the same Pod or not, depending on other
 * webhooks, so the answer has to be the same either way: the Pod is looked at until nothing changes. Labels are only ever added, so
 * this ends; each round past the second takes another rule in the chain.
 */
const MOST_ROUNDS = 8

/**
 * Decides about a Pod and renders the patch. The object given is not changed. Feeding the result back yields no patch.
 * Throws a VnodeError where the Pod has a shape that no apiserver sends, or the result would not be accepted.
 */
export function mutatePod(
  object: unknown,
  namespace: NamespaceFacts,
  environment: RuledEnvironment,
): Mutation {
  return settle(object, pod => step(pod, namespace, environment))
}

/** One look at a Pod: what is to be done about it as it is. */
export type Step = (pod: PodFacts) => Mutation

/** Takes steps until one has nothing to add. */
export function settle(object: unknown, look: Step): Mutation {
  const pod = podFacts(object)
  let mutation = look(pod)
  for (let round = 1; mutation.patch.length > 0; round++) {
    const result = podFacts(mutation.result)
    const next = look(result)
    if (next.patch.length === 0) {
      checkResult(pod, result)
      return mutation
    }
    if (round === MOST_ROUNDS)
      throw new VnodeError('INTERNAL', `the Pod still changed after ${MOST_ROUNDS} rounds`)
    mutation = { ...next, patch: [...mutation.patch, ...next.patch] }
  }
  return mutation
}

function step(pod: PodFacts, namespace: NamespaceFacts, environment: RuledEnvironment): Mutation {
  const decision = decide(pod, namespace, environment)
  if (decision.outcome !== 'placed') return { decision, advice: [], patch: [], result: pod.object }
  const advice = podAdvice(pod.object, { annotations: decision.effect.annotations })
  const codes = advice.map(one => one.code)
  const additions = additionsFor(decision, pod, environment.settings, codes)
  if (isEmptyAdditions(additions)) return { decision, advice, patch: [], result: pod.object }
  const patch = renderPatch(pod.object, additions)
  return { decision, advice, additions, patch, result: applyPatch(pod.object, patch) }
}

/**
 * The last look before an answer leaves, at the one thing that single values do not show (these were checked when their rule was
 * compiled): throws if we would make the annotations too large. Those of an author who did that himself are the apiserver's to refuse.
 */
export function checkResult(
  before: Pick<PodFacts, 'annotations'>,
  after: Pick<PodFacts, 'annotations'>,
): void {
  if (areSurelyWithin(MAX_ANNOTATIONS_BYTES, after.annotations)) return
  const size = annotationsSize(after.annotations)
  if (size > MAX_ANNOTATIONS_BYTES && size > annotationsSize(before.annotations))
    throw new VnodeError('INTERNAL', `the Pod's annotations would be ${size} bytes`)
}
