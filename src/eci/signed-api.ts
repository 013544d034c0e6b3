/**
 * Signed calls of Alibaba Cloud's RPC-style APIs (ECI, VPC, ECS). Signature and flattening of lists are the SDK's; the way over the
 * wire is ours, because the SDK's puts the parameters, KubeConfig among them, into the URL and its errors, knows no proxy and loses the
 * status of an answer that is not JSON.
 */
import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import sdk from '@alicloud/openapi-util'
import { messageOf, VnodeError } from '../core/errors.ts'
import { asRecord, asString, own } from '../core/kubernetes/objects.ts'
import { isRetryable } from './advice.ts'
import type { CredentialSource, Credentials } from './credentials.ts'
import type { Product } from './endpoint.ts'
import { EciError, isUnsureStatus } from './error.ts'
import { redact } from './redact.ts'
import type { Wire, WireAnswer } from './wire.ts'

const ALGORITHM = 'ACS3-HMAC-SHA256'

export interface Retrying {
  /** Of one call, the first included. */
  readonly attempts: number
  readonly minDelayMs: number
  readonly maxDelayMs: number
  /** 0 <= random() < 1 */
  readonly random: () => number
  /** Rejects with the signal's reason. */
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>
}

/** What a caller may want to log: never a parameter. */
export interface RetryNotice {
  readonly action: string
  readonly attempt: number
  readonly delayMs: number
  /** The code or what happened, without secrets. */
  readonly reason: string
}

export interface SignedApiOptions {
  readonly product: Product
  readonly version: string
  readonly origin: string
  readonly credentials: CredentialSource
  readonly wire: Wire
  readonly userAgent: string
  readonly retrying: Retrying
  readonly onRetry?: ((notice: RetryNotice) => void) | undefined
}

/** Parameters as the API names them; lists and objects become `Tag.1.Key`. */
export type Parameters = Readonly<Record<string, unknown>>

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /** Values of parameters that no message may quote. */
  readonly secrets?: readonly string[]
}

/** The answer's JSON object. */
export type Answer = Readonly<Record<string, unknown>>

export class SignedApi {
  readonly #options: SignedApiOptions

  constructor(options: SignedApiOptions) {
    this.#options = options
  }

  /**
   * One call. Throttling, faults of the server and of the network are tried again with growing delays: the same parameters, byte for
   * byte, under a new signature. So a call that changes something needs its ClientToken among the parameters, or to be harmless twice.
   * Throws an EciError, a VnodeError CREDENTIALS, or the reason of the caller's signal.
   */
  async call(
    action: string,
    parameters: Parameters,
    { signal, secrets = [] }: CallOptions = {},
  ): Promise<Answer> {
    const { retrying, onRetry, product } = this.#options
    const body = sdk.default.toForm(parameters)
    let isUnsure = false
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted()
      const outcome = await this.#attempt({ action, body, secrets, signal })
      if ('answer' in outcome) return outcome.answer
      const { failure } = outcome
      const isFinal = failure.isFinal === true || !isRetryable(failure.httpStatus, failure.apiCode)
      if (attempt >= retrying.attempts || isFinal)
        throw new EciError({ action, product, attempts: attempt, isUnsure, ...failure })
      isUnsure ||= isUnsureStatus(failure.httpStatus)
      const delayMs = delayBefore(attempt, retrying, failure.retryAfterSeconds)
      onRetry?.({ action, attempt, delayMs, reason: failure.apiCode || failure.reason })
      await retrying.sleep(delayMs, signal)
    }
  }

  async #attempt({ action, body, secrets, signal }: Attempt): Promise<Outcome> {
    const { credentials, wire, origin } = this.#options
    const used = await credentials()
    const hidden = [used.accessKeySecret, used.securityToken, used.accessKeyId, ...secrets]
    try {
      const headers = this.#signedHeaders(action, body, used)
      return read(await wire.post({ origin, headers, body, signal }), hidden)
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      if (error instanceof VnodeError) throw error
      return { failure: networkFailure(error, origin, hidden) }
    }
  }

  #signedHeaders(action: string, body: string, credentials: Credentials): Record<string, string> {
    const { version, origin, userAgent } = this.#options
    const { accessKeyId, accessKeySecret, securityToken } = credentials
    const hash = sdk.default.hexEncode(sdk.default.hash(Buffer.from(body), ALGORITHM))
    const headers: Record<string, string> = {
      host: new URL(origin).host,
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      'user-agent': userAgent,
      'x-acs-action': action,
      'x-acs-version': version,
      'x-acs-date': new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
      'x-acs-signature-nonce': randomUUID(),
      'x-acs-content-sha256': hash,
      ...(securityToken === undefined ? {} : { 'x-acs-security-token': securityToken }),
    }
    const authorization = sdk.default.getAuthorization(
      // Of these the signature covers method, path, query and headers.
      {
        method: 'POST',
        pathname: '/',
        query: {},
        headers,
        protocol: 'https',
        port: 0,
        body: Readable.from([]),
      },
      ALGORITHM,
      hash,
      accessKeyId,
      accessKeySecret,
    )
    return { ...headers, authorization }
  }
}

interface Attempt {
  readonly action: string
  readonly body: string
  readonly secrets: readonly string[]
  readonly signal: AbortSignal | undefined
}

interface Failure {
  readonly apiCode: string
  readonly httpStatus: number
  readonly requestId?: string | undefined
  readonly reason: string
  readonly retryAfterSeconds?: number | undefined
  /** Another attempt would end the same. */
  readonly isFinal?: boolean
  readonly next?: string | undefined
}

type Outcome = { readonly answer: Answer } | { readonly failure: Failure }

function read(
  { status, text, retryAfterSeconds }: WireAnswer,
  secrets: readonly (string | undefined)[],
): Outcome {
  const answer = parseObject(text)
  if (answer !== undefined && status < 300) return { answer }
  const apiCode = asString(own(answer, 'Code')) ?? ''
  const message = asString(own(answer, 'Message')) ?? notAnAnswer(status, text)
  const requestId = asString(own(answer, 'RequestId'))
  return {
    failure: {
      apiCode: redact(apiCode, secrets),
      // A success that cannot be read says as little about the outcome as no answer.
      httpStatus: status < 300 ? 0 : status,
      requestId: requestId === undefined ? undefined : redact(requestId, secrets),
      reason: redact(message, secrets),
      retryAfterSeconds,
    },
  }
}

function parseObject(text: string): Answer | undefined {
  try {
    return asRecord(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** Gateways and proxies answer in HTML; its title is all that is worth reading. */
function notAnAnswer(status: number, text: string): string {
  const title = /<title>([^<]{1,80})<\/title>/i.exec(text)?.[1]
  return `the answer is not JSON${title === undefined ? '' : ` but a page "${title.trim()}"`} (status ${status})`
}

/** Codes of Node's TLS for a certificate that is not trusted, or is another's. */
const UNTRUSTED = /CERT|^UNABLE_TO_/
const TRUST = 'Name the authority that signed it with --eci-ca FILE, or check whose endpoint this is.'

/** undici's messages may name the address, never the body. */
function networkFailure(error: unknown, origin: string, secrets: readonly (string | undefined)[]): Failure {
  const host = new URL(origin).host
  const code = asString(own(asRecord(error), 'code')) ?? ''
  const isLate = error instanceof DOMException && error.name === 'TimeoutError'
  const detail = `${messageOf(error)}${code === '' ? '' : ` (${code})`}`
  const reason = isLate ? `no answer from ${host} in time` : `no answer from ${host}: ${detail}`
  const isUntrusted = UNTRUSTED.test(code)
  return {
    apiCode: '',
    httpStatus: 0,
    reason: redact(reason, secrets),
    // A name that does not exist, unlike one that cannot be looked up now (EAI_AGAIN); a proxy that wants a password.
    isFinal: isUntrusted || code === 'ENOTFOUND' || /\b407\b/.test(reason),
    next: isUntrusted ? TRUST : undefined,
  }
}

/** Doubling, with jitter over the upper half, so that many clients that were throttled together come back apart. */
function delayBefore(attempt: number, { minDelayMs, maxDelayMs, random }: Retrying, retryAfter = 0): number {
  const ceiling = Math.min(maxDelayMs, minDelayMs * 2 ** (attempt - 1))
  return Math.min(maxDelayMs, Math.max(retryAfter * 1000, ceiling / 2 + random() * (ceiling / 2)))
}
