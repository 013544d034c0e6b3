import { VnodeError } from '../core/errors.ts'
import { adviceFor } from './advice.ts'

export interface EciErrorDetails {
  /** The call, such as `CreateVirtualNode`. */
  readonly action: string
  /** The API's own code, such as `Forbidden.RAM`; empty where no answer of the API came. */
  readonly apiCode: string
  /** Of the answer; 0 where none came. */
  readonly httpStatus: number
  readonly requestId?: string | undefined
  /** What the API says, or what happened on the way. Without secrets: see `redact`. */
  readonly reason: string
  /** For permissions: `eci`, `vpc` or `ecs`. */
  readonly product: string
  /** How often the call was sent. */
  readonly attempts: number
  /** True where an attempt before the last one may have been executed. */
  readonly isUnsure?: boolean | undefined
  /** In place of what the code suggests. */
  readonly next?: string | undefined
}

/**
 * A call of Alibaba Cloud that failed for good, retries included. The message has the code, the request id and the HTTP status, `next`
 * says what to do. It carries nothing of the request and no original error: either could hold a kubeconfig or a signature.
 */
export class EciError extends VnodeError {
  readonly action: string
  readonly apiCode: string
  readonly httpStatus: number
  readonly requestId: string | undefined
  readonly attempts: number
  readonly #isUnsure: boolean

  constructor(details: EciErrorDetails) {
    super('ECI', describe(details), { next: details.next ?? adviceFor(details) })
    this.name = 'EciError'
    this.action = details.action
    this.apiCode = details.apiCode
    this.httpStatus = details.httpStatus
    this.requestId = details.requestId
    this.attempts = details.attempts
    this.#isUnsure = details.isUnsure === true
  }

  /**
   * True where the call may have been executed all the same: an attempt had no answer, or a fault of the server, whatever was said to a
   * later one. Only the same request with the same ClientToken may follow it. False: the API has refused, and nothing has been done.
   */
  get isOutcomeUnknown(): boolean {
    return this.#isUnsure || isUnsureStatus(this.httpStatus)
  }
}

/** True of an attempt that may have been executed: there was no answer (0), or a fault of the server. */
export function isUnsureStatus(httpStatus: number): boolean {
  return httpStatus === 0 || httpStatus >= 500
}

function describe(details: EciErrorDetails): string {
  const { action, apiCode, httpStatus, requestId, reason, attempts, isUnsure } = details
  const facts = [
    ...(httpStatus === 0 ? [] : [`HTTP ${httpStatus}`]),
    ...(requestId === undefined ? [] : [`request id ${requestId}`]),
    ...(attempts > 1 ? [`${attempts} attempts`] : []),
    ...(isUnsure && !isUnsureStatus(httpStatus) ? ['an earlier one may have been executed'] : []),
  ]
  const what = [action, apiCode, reason].filter(part => part !== '').join(': ')
  return facts.length === 0 ? what : `${what} (${facts.join(', ')})`
}

/** True when the API answered with this code, or with one that begins with it and a dot. */
export function hasApiCode(error: unknown, code: string): error is EciError {
  return error instanceof EciError && (error.apiCode === code || error.apiCode.startsWith(`${code}.`))
}
