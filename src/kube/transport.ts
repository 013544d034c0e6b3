import type { Dispatcher } from 'undici'
import { messageOf, VnodeError } from '../core/errors.ts'
import { asRecord, asString, own } from '../core/kubernetes/objects.ts'
import { FIELD_MANAGER } from '../core/names.ts'
import {
  ApiError,
  type ApiRequest,
  type ApplyOptions,
  type KubeClient,
  type Query,
  type StreamRequest,
} from './api.ts'
import { createDispatcher, type Endpoint, identity } from './dispatcher.ts'
import { jsonLines } from './json-lines.ts'

export interface Credentials {
  readonly headers: Readonly<Record<string, string>>
  readonly endpoint: Endpoint
}

/** How the transport gets its credentials; they change while a program runs. */
export interface Access {
  readonly server: string
  readonly namespace: string | undefined
  credentials(): Promise<Credentials>
  /** Called after a 401 with `used`: newer credentials, or `used` itself when there are none. */
  renew(used: Credentials): Promise<Credentials>
}

const REQUEST_TIMEOUT_MS = 30_000
/** An object has at most about 1.5 MB in etcd; six times as much in JSON if all of it is escaped. */
const MAX_LINE_BYTES = 16 * 1024 * 1024

/** {@link KubeClient} over undici. */
export class Transport implements KubeClient {
  readonly server: string
  readonly namespace: string | undefined
  readonly #access: Access
  readonly #userAgent: string
  readonly #basePath: string
  readonly #dispatchers = new Set<Dispatcher>()
  #current: Connections | undefined
  #isClosed = false

  constructor(access: Access, userAgent: string) {
    const url = new URL(access.server)
    this.server = url.origin
    this.namespace = access.namespace
    this.#basePath = url.pathname.replace(/\/$/, '')
    this.#access = access
    this.#userAgent = userAgent
  }

  async request<T>(request: ApiRequest): Promise<T> {
    const what = this.#describe(request)
    const deadline = new Deadline(what, request.timeoutMs ?? REQUEST_TIMEOUT_MS, request.signal)
    try {
      const body = request.body === undefined ? null : JSON.stringify(request.body)
      const response = await this.#send({ ...request, body, signal: deadline.signal })
      const text = await response.body.text()
      if (response.statusCode >= 300) throw apiError(what, response, text)
      return parseBody<T>(what, text)
    } catch (error) {
      throw failure(what, error, deadline.signal)
    } finally {
      deadline.clear()
    }
  }

  async stream<T>(request: StreamRequest): Promise<AsyncIterable<T>> {
    const what = this.#describe({ ...request, method: 'GET' })
    const deadline = new Deadline(what, request.timeoutMs ?? REQUEST_TIMEOUT_MS, request.signal)
    try {
      const response = await this.#send({ ...request, method: 'GET', body: null, signal: deadline.signal })
      if (response.statusCode >= 300) throw apiError(what, response, await response.body.text())
      return follow<T>(what, response.body, deadline.signal)
    } catch (error) {
      throw failure(what, error, deadline.signal)
    } finally {
      deadline.clear()
    }
  }

  apply<T>(path: string, object: unknown, options: ApplyOptions = {}): Promise<T> {
    const { force, dryRun, fieldManager = FIELD_MANAGER, signal } = options
    return this.request<T>({
      method: 'PATCH',
      path,
      query: { fieldManager, force, dryRun: dryRun === true ? 'All' : undefined },
      contentType: 'application/apply-patch+yaml',
      body: object,
      ...(signal === undefined ? {} : { signal }),
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#current?.dispatcher.catch(() => undefined)
    await Promise.all([...this.#dispatchers].map(dispatcher => dispatcher.destroy()))
    this.#dispatchers.clear()
  }

  async #send(request: PreparedRequest): Promise<Dispatcher.ResponseData> {
    const used = await abortable(this.#access.credentials(), request.signal)
    const response = await this.#sendAs(used, request)
    if (response.statusCode !== 401) return response
    // Without newer credentials the 401 itself is the better answer.
    const renewed = await abortable(this.#access.renew(used), request.signal).catch(() => used)
    if (renewed === used) return response
    await response.body.dump()
    return this.#sendAs(renewed, request)
  }

  async #sendAs(credentials: Credentials, request: PreparedRequest): Promise<Dispatcher.ResponseData> {
    const dispatcher = await this.#dispatcher(credentials.endpoint)
    request.signal.throwIfAborted()
    // Dispatcher.request follows no redirect, so that credentials go to this server alone.
    const sent = dispatcher.request({
      origin: this.server,
      path: `${this.#basePath}${request.path}${search(request.query)}`,
      method: request.method,
      headers: {
        accept: request.accept ?? 'application/json',
        'user-agent': this.#userAgent,
        ...(request.body === null ? {} : { 'content-type': request.contentType ?? 'application/json' }),
        ...credentials.headers,
      },
      body: request.body,
      signal: request.signal,
    })
    // undici heeds the signal only once it is connected, which may take its whole connect timeout.
    return abortable(sent, request.signal)
  }

  /** The cached connections of an endpoint. When it changes, the old ones end with the requests that run on them. */
  async #dispatcher(endpoint: Endpoint): Promise<Dispatcher> {
    if (this.#isClosed) throw new VnodeError('NETWORK', 'the connection to the API server was closed')
    const dispatcher = await this.#connections(endpoint).dispatcher
    if (this.#isClosed) await dispatcher.destroy()
    this.#dispatchers.add(dispatcher)
    return dispatcher
  }

  #connections(endpoint: Endpoint): Connections {
    const current = this.#current
    if (current?.endpoint === endpoint) return current
    const key = identity(endpoint)
    if (current?.key === key) return current
    // One that could not be made needs no end, and one whose end fails is destroyed with all others.
    current?.dispatcher.then(old => this.#retire(old)).catch(() => undefined)
    this.#current = { endpoint, key, dispatcher: createDispatcher(this.server, endpoint) }
    return this.#current
  }

  async #retire(dispatcher: Dispatcher): Promise<void> {
    await dispatcher.close()
    this.#dispatchers.delete(dispatcher)
  }

  /** What was asked, for messages: without the query, which may hold more than a log should. */
  #describe(request: { readonly method: string; readonly path: string }): string {
    return `${request.method} ${this.server}${this.#basePath}${request.path}`
  }
}

interface Connections {
  readonly endpoint: Endpoint
  readonly key: string
  readonly dispatcher: Promise<Dispatcher>
}

interface PreparedRequest {
  readonly method: ApiRequest['method']
  readonly path: string
  readonly query?: Query
  readonly accept?: string
  readonly contentType?: string
  readonly body: string | null
  readonly signal: AbortSignal
}

/** A limit of time that can be lifted, joined with the caller's signal. */
class Deadline {
  readonly signal: AbortSignal
  readonly #timer: NodeJS.Timeout

  constructor(what: string, ms: number, signal: AbortSignal | undefined) {
    const late = new AbortController()
    this.signal = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal])
    const error = () => late.abort(new VnodeError('NETWORK', `${what}: no answer within ${ms / 1000} s`))
    this.#timer = setTimeout(error, ms)
  }

  clear(): void {
    clearTimeout(this.#timer)
  }
}

/** For work that takes no signal or heeds it late, such as a credential plugin: it goes on, but nobody waits for it. */
async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

async function* follow<T>(
  what: string,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  try {
    yield* jsonLines<T>(body, MAX_LINE_BYTES)
  } catch (error) {
    throw failure(what, error, signal)
  }
  signal.throwIfAborted()
}

function search(query: Query = {}): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value))
  }
  return parameters.size === 0 ? '' : `?${parameters.toString()}`
}

function parseBody<T>(what: string, text: string): T {
  try {
    return JSON.parse(text) as T
  } catch {
    throw new VnodeError('API', `${what}: the answer is not JSON`)
  }
}

/** The error as it leaves: the caller's own abort reason, one of ours, or what the network did. */
function failure(what: string, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason
  if (error instanceof VnodeError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const text = messageOf(error)
  const message = text.includes(code) ? text : `${text} (${code})`.trim()
  return new VnodeError('NETWORK', `${what}: ${message || 'the connection failed'}`, { cause: error })
}

function apiError(what: string, response: Dispatcher.ResponseData, text: string): ApiError {
  const status = response.statusCode
  const { message, reason } = parseStatus(text)
  const retryAfter = Number(response.headers['retry-after'])
  return new ApiError(`${what}: ${status}${message === '' ? '' : ` ${message}`}`, {
    status,
    reason,
    retryAfterSeconds: Number.isFinite(retryAfter) && retryAfter >= 0 ? retryAfter : undefined,
  })
}

/** Of a Status object; other answers (a proxy's page) are not quoted, nor is the document that the apiserver could not read. */
function parseStatus(text: string): { message: string; reason: string } {
  try {
    const status = asRecord(JSON.parse(text))
    const message = asString(own(status, 'message')) ?? ''
    return {
      message: message.replace(/, error found in #[\s\S]*$/, ''),
      reason: asString(own(status, 'reason')) ?? '',
    }
  } catch {
    return { message: '', reason: '' }
  }
}
