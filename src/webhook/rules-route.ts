/** `POST /validate/rules`: refuses an edit of the rules up front, in the same words that an Event would say afterwards. */
import type { Answer, ReviewRequest } from '../core/admission/review.ts'
import { messageOf } from '../core/errors.ts'
import { asRecord } from '../core/kubernetes/objects.ts'
import { SELECTOR_GROUP, SELECTOR_PLURAL } from '../core/names.ts'
import { compileConfigMapRules } from '../core/selector/configmap-rules.ts'
import { rulesTextOf } from '../core/selector/documents.ts'
import { hasErrors, type Problem, renderProblem } from '../core/selector/problem.ts'
import { compileSelector } from '../core/selector/resource-rules.ts'
import type { Settings } from '../core/settings.ts'
import { refusalText } from '../rules/refusal-text.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Reviewed, Reviewer } from './pods-route.ts'

export interface RulesRouteOptions {
  readonly settings: Settings
  readonly rulesNamespace: string
  readonly rulesName: string
  readonly log: Logger
}

/** The reviewer never throws; a fault of ours lets the edit through, and the webhook's own reading of it is still to come. */
export function rulesReviewer(options: RulesRouteOptions): Reviewer {
  return request => {
    try {
      const problems = problemsOf(request, options)
      if (problems === undefined) return { answer: { allowed: true }, outcome: 'skipped' }
      return judge(problems, request.resource === SELECTOR_PLURAL ? 'the Selector' : undefined)
    } catch (error) {
      options.log.error(
        { namespace: request.namespace, name: request.name, error: messageOf(error) },
        'a fault of ours; the edit is let through',
      )
      return { answer: { allowed: true }, outcome: 'error' }
    }
  }
}

/** Undefined for what is no rules of ours. */
function problemsOf(request: ReviewRequest, options: RulesRouteOptions): readonly Problem[] | undefined {
  const { resource, subResource, operation, object } = request
  if (subResource !== '' || (operation !== 'CREATE' && operation !== 'UPDATE')) return undefined
  if (resource === SELECTOR_PLURAL) return selectorProblems(request, options)
  const isOurs =
    resource === 'configmaps' &&
    request.namespace === options.rulesNamespace &&
    request.name === options.rulesName
  if (!isOurs) return undefined
  const text = rulesTextOf(object)
  // Another key of the ConfigMap was edited: it must not wait for somebody to mend the rules.
  if (operation === 'UPDATE' && text === rulesTextOf(request.oldObject)) return undefined
  const isTooLarge = typeof text === 'string' && text.length > LARGEST_TEXT
  return isTooLarge ? [TOO_LARGE] : compileConfigMapRules(typeof text === 'string' ? text : '').problems
}

/**
 * What a ConfigMap holds, in bytes; its text has no more characters than that. Source: the API server's validation, which comes after
 * us. Anybody who reaches us can send more, and is not to keep everybody's Pods waiting.
 */
const LARGEST_TEXT = 1024 * 1024
const TOO_LARGE: Problem = {
  severity: 'error',
  path: '',
  message: 'is larger than 1 MiB, which is all that a ConfigMap holds',
}

function selectorProblems(
  { object, operation, oldObject, namespace }: ReviewRequest,
  { settings }: RulesRouteOptions,
): readonly Problem[] | undefined {
  const selector = asRecord(object)
  if (selector === undefined || !String(selector.apiVersion).startsWith(`${SELECTOR_GROUP}/`))
    return undefined
  const isUnchanged =
    operation === 'UPDATE' && JSON.stringify(selector.spec) === JSON.stringify(asRecord(oldObject)?.spec)
  // A finalizer or label must come off a Selector that was wrong before we were there.
  if (isUnchanged) return undefined
  const metadata = { ...asRecord(selector.metadata), ...(namespace === '' ? {} : { namespace }) }
  return compileSelector({ metadata, spec: selector.spec }, settings).problems
}

function judge(problems: readonly Problem[], what?: string): Reviewed {
  const told = problems.map(problem => renderProblem(problem))
  if (!hasErrors(problems)) {
    const answer: Answer = { allowed: true, ...(told.length === 0 ? {} : { warnings: told }) }
    return { answer, outcome: 'allowed' }
  }
  return { answer: { allowed: false, message: refusalText(problems, what) }, outcome: 'refused' }
}
