/** `POST /mutate/pods`: what a review of a Pod is answered. Decided from memory alone; nothing here waits or calls an API. */
import type { Answer, ReviewRequest } from '../core/admission/review.ts'
import { messageOf } from '../core/errors.ts'
import { asRecord, asString } from '../core/kubernetes/objects.ts'
import { memoizeByObject } from '../core/memo.ts'
import { ownerOf } from '../core/pod/facts.ts'
import { type Mutation, mutatePod } from '../core/pod/mutate.ts'
import { checkPatch } from '../core/pod/patch-check.ts'
import type { Decision, NamespaceFacts, RuledEnvironment } from '../core/policy/decide.ts'
import { conflictWords } from '../core/spill/words.ts'
import type { RulesState } from '../rules/rules-state.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { AdmissionOutcome } from '../telemetry/metrics.ts'

/** {@link mutatePod}, or a test's stand-in with a planted fault. */
export type Mutate = (object: unknown, namespace: NamespaceFacts, environment: RuledEnvironment) => Mutation

export interface PodsRouteOptions {
  readonly state: Pick<RulesState, 'environment' | 'labelsOfNamespace'>
  readonly log: Logger
  readonly mutate?: Mutate
  /** Log also the Pods that were left as they are, with the reason. */
  readonly isVerbose?: boolean
}

export interface Reviewed {
  readonly answer: Answer
  readonly outcome: AdmissionOutcome
}

export type Reviewer = (request: ReviewRequest) => Reviewed

const UNTOUCHED: Answer = { allowed: true }

/** The reviewer never throws: a fault of ours lets the Pod through as it is, and is counted. */
export function podReviewer({
  state,
  log,
  mutate = mutatePod,
  isVerbose = false,
}: PodsRouteOptions): Reviewer {
  return request => {
    if (request.operation !== 'CREATE' || request.subResource !== '' || request.resource !== 'pods') {
      return { answer: UNTOUCHED, outcome: 'skipped' }
    }
    const namespace = { name: request.namespace, labels: state.labelsOfNamespace(request.namespace) }
    try {
      const mutation = mutate(request.object, namespace, state.environment)
      if (mutation.patch.length > 0) {
        checkPatch(request.object, mutation.patch)
        log.info(subjectOf(request), 'Pod changed', causeOf(mutation.decision))
      } else if (isVerbose)
        log.debug({ ...subjectOf(request), reason: mutation.decision.reason }, 'Pod left as it is')
      return { answer: answerOf(mutation), outcome: outcomeOf(mutation) }
    } catch (error) {
      log.error(
        { ...subjectOf(request), error: messageOf(error) },
        'a fault of ours; the Pod is let through as it is',
      )
      return { answer: UNTOUCHED, outcome: 'error' }
    }
  }
}

function answerOf({ decision, advice, patch }: Mutation): Answer {
  const warnings =
    decision.outcome === 'conflict' ? [conflictWords(decision, 'this Pod')] : advice.map(one => one.message)
  return {
    allowed: true,
    ...(patch.length === 0 ? {} : { patch }),
    ...(warnings.length === 0 ? {} : { warnings }),
  }
}

function outcomeOf({ decision, patch }: Mutation): AdmissionOutcome {
  if (decision.outcome !== 'placed') return decision.outcome
  return patch.length > 0 ? 'patched' : 'unchanged'
}

/** Why Pods are changed: the same for all that the same decision is about. */
const causeOf = memoizeByObject((decision: Decision): object => {
  if (decision.outcome !== 'placed') return {}
  const { rules, policy, route } = decision
  return { rules: rules.map(rule => rule.name), policy: policy?.kind, route }
})

/** Names are checked only after us: the log must not take a megabyte of one. */
const LONGEST_LOGGED = 300

/** None of the Pod's contents: environment variables and arguments hold secrets. */
function subjectOf({ namespace, object, isDryRun }: ReviewRequest): object {
  const owner = ownerOf(object)
  const metadata = asRecord(asRecord(object)?.metadata)
  const name = asString(metadata?.name) ?? asString(metadata?.generateName)
  return {
    namespace,
    ...(owner === undefined
      ? { name: name?.slice(0, LONGEST_LOGGED) }
      : { owner: `${owner.kind}/${owner.name}`.slice(0, LONGEST_LOGGED) }),
    ...(isDryRun ? { dryRun: true } : {}),
  }
}
