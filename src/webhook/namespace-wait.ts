/** Reviews of Pods in a namespace that is too new to be known: the one thing about a review that may wait, and only for a moment. */
import type { ReviewRequest } from '../core/admission/review.ts'
import type { RuleSource } from '../rules/source.ts'
import type { Reviewed, Reviewer } from './pods-route.ts'

/** Of a namespace that is known, as nearly all are, the answer is there at once. */
export type PatientReviewer = (request: ReviewRequest) => Reviewed | Promise<Reviewed>

export function awaitNamespaces(reviewer: Reviewer, source: RuleSource): PatientReviewer {
  return request => {
    const arrival = source.awaitNamespace?.(request.namespace)
    return arrival === undefined ? reviewer(request) : arrival.then(() => reviewer(request))
  }
}
