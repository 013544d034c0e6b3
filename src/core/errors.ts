/**
 * The one catalogue of errors. A code is stable and never used for something else once retired.
 * `user` errors are mistakes somebody can mend (exit 2 or a 4xx); `fault` errors are ours or the machine's.
 */
export const ERROR_CODES = {
  USAGE: 'user',
  BAD_FILE: 'user',
  BAD_RULES: 'user',
  BAD_SETTINGS: 'user',
  BAD_CERTIFICATE: 'user',
  BAD_REVIEW: 'user',
  KUBECONFIG: 'user',
  CREDENTIALS: 'user',
  API: 'fault',
  NETWORK: 'fault',
  ECI: 'fault',
  REFUSED: 'fault',
  NOT_LEADER: 'fault',
  INTERNAL: 'fault',
} as const

export type ErrorCode = keyof typeof ERROR_CODES

export interface ErrorDetails {
  readonly cause?: unknown
  /** What the reader does next, one sentence. */
  readonly next?: string
}

/** An error whose message is meant for people: what is wrong, where; `next` says what to do about it. */
export class VnodeError extends Error {
  readonly code: ErrorCode
  readonly next: string | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'VnodeError'
    this.code = code
    this.next = details.next
  }

  /** True for a mistake that the user can mend, false for a fault. */
  get isUserError(): boolean {
    return ERROR_CODES[this.code] === 'user'
  }
}

/** The message of whatever was thrown, in one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replaceAll(/\s+/g, ' ').trim()
}
