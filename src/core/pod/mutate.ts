/** From a Pod to its patch: decide, add, apply the patch to the Pod, and look again until nothing more is to be added. */
import { type Advice, podAdvice } from '../eci/pod-advice.ts'
import { VnodeError } from '../errors.ts'
import { annotationsSize, areSurelyWithin, MAX_ANNOTATIONS_BYTES } from '../kubernetes/names.ts'
import {
  type Decision,
  decide,
  type NamespaceFacts,
  type Placed,
  type RuledEnvironment,
} from '../policy/decide.ts'
import { type Additions, additionsFor, isEmptyAdditions } from './additions.ts'
import { type PodFacts, podFacts } from './facts.ts'
import { type AddOperation, applyPatch, renderPatch } from './patch.ts'

export interface Mutation {
  readonly decision: Decision
  /** What of the Pod ECI will refuse; only of a Pod that may go there. */
  readonly advice: readonly Advice[]
  /** What is added; absent where nothing is. */
  readonly additions?: Additions | undefined
  /** `add`s only; empty where nothing is to be added. */
  readonly patch: readonly AddOperation[]
  /** The Pod after the patch; made when somebody asks for it. */
  readonly result: Record<string, unknown>
}

/** What one look at a Pod finds. */
export interface Found extends Omit<Mutation, 'result'> {
  /** True if a look at the Pod after the patch would surely find nothing to add. */
  readonly isSettled?: boolean
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
export type Look = (pod: PodFacts) => Found

/** Looks until there is nothing to add. */
export function settle(object: unknown, look: Look): Mutation {
  const pod = podFacts(object)
  let found = look(pod)
  for (let round = 1; found.patch.length > 0 && found.isSettled !== true; round++) {
    const result = podFacts(applyPatch(pod.object, found.patch))
    const next = look(result)
    if (next.patch.length === 0) {
      checkResult(pod, result)
      break
    }
    if (round === MOST_ROUNDS)
      throw new VnodeError('INTERNAL', `the Pod still changed after ${MOST_ROUNDS} rounds`)
    found = { ...next, patch: [...found.patch, ...next.patch] }
  }
  return new LazyMutation(pod.object, found)
}

class LazyMutation implements Mutation {
  readonly decision: Decision
  readonly advice: readonly Advice[]
  readonly additions?: Additions | undefined
  readonly patch: readonly AddOperation[]
  readonly #object: Record<string, unknown>
  #result: Record<string, unknown> | undefined

  constructor(object: Record<string, unknown>, { decision, advice, additions, patch }: Found) {
    this.decision = decision
    this.advice = advice
    this.additions = additions
    this.patch = patch
    this.#object = object
  }

  get result(): Record<string, unknown> {
    this.#result ??= this.patch.length === 0 ? this.#object : applyPatch(this.#object, this.patch)
    return this.#result
  }
}

function step(pod: PodFacts, namespace: NamespaceFacts, environment: RuledEnvironment): Found {
  const decision = decide(pod, namespace, environment)
  if (decision.outcome !== 'placed') return { decision, advice: [], patch: [] }
  const advice = podAdvice(pod.object, { annotations: decision.effect.annotations })
  const codes = advice.map(one => one.code)
  const additions = additionsFor(decision, pod, environment.settings, codes)
  if (isEmptyAdditions(additions)) return { decision, advice, patch: [] }
  const patch = renderPatch(pod.object, additions)
  return { decision, advice, additions, patch, isSettled: isSettled(decision, additions, environment) }
}

/**
 * True if a second look at the Pod would surely find nothing to add, which spares nearly all Pods that look. It would find the same rules,
 * if none of them asks about a label that is added; the same effect, since virtualNodeOnly adds all of it however the Pod comes to a VNode;
 * and the same advice, since containers and the annotations that ECI will see are the same. All of that is on the Pod then.
 */
function isSettled({ policy, route }: Placed, additions: Additions, { rules }: RuledEnvironment): boolean {
  const isWhole = policy?.kind === 'virtualNodeOnly' && route !== 'bound'
  return isWhole && !additions.isLarge && !rules.asksAbout(additions.labels)
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
