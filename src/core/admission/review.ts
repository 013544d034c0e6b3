/**
 * AdmissionReview, v1 and v1beta1 (their requests and responses have the same members). Source: the admission API; an apiserver
 * sends v1beta1 when the registration lists it first (observed).
 */
import { VnodeError } from '../errors.ts'
import { asRecord, asString } from '../kubernetes/objects.ts'
import { type AddOperation, patchToBase64 } from '../pod/patch.ts'
import { cutText } from '../selector/problem.ts'

export const REVIEW_VERSIONS = ['admission.k8s.io/v1', 'admission.k8s.io/v1beta1'] as const

export interface ReviewRequest {
  /** Echoed in the answer, along with the version that was asked in. */
  readonly apiVersion: string
  readonly uid: string
  readonly operation: string
  /** Plural name, e.g. `pods`; empty if the request does not say. */
  readonly resource: string
  readonly subResource: string
  /** The request's word counts: an object's own metadata.namespace may be missing at CREATE. */
  readonly namespace: string
  readonly name: string
  readonly isDryRun: boolean
  readonly object: unknown
  readonly oldObject: unknown
}

/** Reads a decoded body. Throws BAD_REVIEW if it is not an AdmissionReview with a request and its uid. */
export function decodeReview(body: unknown): ReviewRequest {
  const review = asRecord(body)
  const apiVersion = asString(review?.apiVersion) ?? ''
  if (review === undefined || !REVIEW_VERSIONS.some(version => version === apiVersion)) {
    throw new VnodeError(
      'BAD_REVIEW',
      `the body is not an AdmissionReview of ${REVIEW_VERSIONS.join(' or ')}`,
    )
  }
  const request = asRecord(review.request)
  const uid = uidOf(body)
  if (request === undefined || uid === undefined)
    throw new VnodeError('BAD_REVIEW', 'the AdmissionReview has no request with a uid')
  const resource = asRecord(request.resource)
  return {
    apiVersion,
    uid,
    operation: asString(request.operation) ?? '',
    resource: asString(resource?.resource) ?? '',
    subResource: asString(request.subResource) ?? '',
    namespace: asString(request.namespace) ?? '',
    name: asString(request.name) ?? '',
    isDryRun: request.dryRun === true,
    object: request.object,
    oldObject: request.oldObject,
  }
}

/** The uid of whatever was sent, so that even a refusal can echo it; undefined if there is none. */
export function uidOf(body: unknown): string | undefined {
  const uid = asString(asRecord(asRecord(body)?.request)?.uid)
  return uid === '' ? undefined : uid
}

export interface Answer {
  readonly allowed: boolean
  readonly patch?: readonly AddOperation[]
  readonly warnings?: readonly string[]
  /** Why the object is refused. */
  readonly message?: string
}

/** The apiserver cuts a warning at 256 characters and drops what is over 4096 in all; we stay well below both. */
const LONGEST_WARNING = 200
const MOST_WARNINGS = 10

/** The AdmissionReview that answers the request, as JSON text. */
export function encodeReview(
  { apiVersion, uid }: Pick<ReviewRequest, 'apiVersion' | 'uid'>,
  answer: Answer,
): string {
  const { allowed, patch = [], warnings = [], message } = answer
  let members = `"uid":${JSON.stringify(uid)},"allowed":${allowed}`
  if (message !== undefined)
    members += `,"status":${JSON.stringify({ code: 422, reason: 'Invalid', message })}`
  // The patch is most of the answer, and base64 has nothing in it to escape.
  if (patch.length > 0) members += `,"patchType":"JSONPatch","patch":"${patchToBase64(patch)}"`
  if (warnings.length > 0) members += `,"warnings":${JSON.stringify(trimWarnings(warnings))}`
  return `{"apiVersion":${JSON.stringify(apiVersion)},"kind":"AdmissionReview","response":{${members}}}`
}

function trimWarnings(warnings: readonly string[]): string[] {
  const kept = warnings.length > MOST_WARNINGS ? warnings.slice(0, MOST_WARNINGS - 1) : warnings
  const short = kept.map(shorten)
  const rest = warnings.length - kept.length
  return rest === 0 ? short : [...short, `… and ${rest} more; vnode explain shows all of them`]
}

function shorten(text: string): string {
  // The apiserver drops a warning with control characters in it.
  const line = text.replaceAll(/\p{Cc}+/gu, ' ')
  return line.length < LONGEST_WARNING ? line : `${cutText(line, LONGEST_WARNING - 2)}…`
}
