/** `POST /mutate/daemonsets`: keeps DaemonSets off VNodes. Decided from memory alone, like everything about Pods. */
import type { ReviewRequest } from '../core/admission/review.ts'
import { admitDaemonSet, type DaemonSetAdmission } from '../core/daemonset/admit.ts'
import { messageOf } from '../core/errors.ts'
import { asRecord, asString } from '../core/kubernetes/objects.ts'
import type { RulesState } from '../rules/rules-state.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Reviewed, Reviewer } from './pods-route.ts'

export interface DaemonSetsRouteOptions {
  readonly state: Pick<RulesState, 'environment'>
  readonly log: Logger
  /** {@link admitDaemonSet}, or a test's stand-in with a planted fault. */
  readonly admit?: typeof admitDaemonSet
  /** Log also the DaemonSets that were left as they are, with the reason. */
  readonly isVerbose?: boolean
}

const UNTOUCHED = { allowed: true } as const

/** The reviewer never throws: a fault of ours lets the DaemonSet through as it is, and is counted. */
export function daemonSetReviewer(options: DaemonSetsRouteOptions): Reviewer {
  const { state, log, admit = admitDaemonSet, isVerbose = false } = options
  return request => {
    const { operation, resource, subResource, namespace, object, oldObject } = request
    const isEdit = operation === 'CREATE' || operation === 'UPDATE'
    if (!isEdit || resource !== 'daemonsets' || subResource !== '')
      return { answer: UNTOUCHED, outcome: 'skipped' }
    try {
      const admission = admit({ operation, namespace, object, oldObject }, state.environment)
      const { outcome, reason } = admission
      if (outcome === 'patched') log.info({ ...subjectOf(request), reason }, 'DaemonSet fenced')
      else if (isVerbose) log.debug({ ...subjectOf(request), reason }, 'DaemonSet left as it is')
      return { answer: answerOf(admission), outcome }
    } catch (error) {
      log.error(
        { ...subjectOf(request), error: messageOf(error) },
        'a fault of ours; the DaemonSet is let through as it is',
      )
      return { answer: UNTOUCHED, outcome: 'error' }
    }
  }
}

function answerOf({ outcome, patch, reason }: DaemonSetAdmission): Reviewed['answer'] {
  if (outcome === 'patched') return { allowed: true, patch }
  if (outcome !== 'conflict') return UNTOUCHED
  const warning = `no VNode runs daemons, and this DaemonSet is for VNodes only: ${reason}; it is left as it is`
  return { allowed: true, warnings: [warning] }
}

/** Names are checked only after us: the log must not take a megabyte of one. */
const LONGEST_LOGGED = 300

function subjectOf({ namespace, operation, object, isDryRun }: ReviewRequest): object {
  const name = asString(asRecord(asRecord(object)?.metadata)?.name)
  return { namespace, name: name?.slice(0, LONGEST_LOGGED), operation, ...(isDryRun ? { dryRun: true } : {}) }
}
