import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https'
import { json } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import type { Identity } from './authority.ts'

/** Any object of Kubernetes, as far as helpers read it. Tests name the rest by a type argument. */
export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: {
    name: string
    namespace?: string
    uid: string
    resourceVersion: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
    deletionTimestamp?: string
  }
  spec?: Record<string, unknown>
  status?: Record<string, unknown>
  [field: string]: unknown
}

export interface KubeList<T = KubeObject> {
  metadata: { resourceVersion: string; continue?: string }
  items: T[]
}

/** An answer that refuses: the body of every status of 400 and above. */
export interface KubeStatus {
  kind: 'Status'
  reason?: string
  message?: string
  code: number
}

export interface RequestSettings {
  /** Sent as JSON; a string goes as it is. */
  readonly body?: unknown
  /** `application/json` unless said otherwise: each kind of patch has a type of its own. */
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Acts as somebody else, with just that one's permissions. */
  readonly as?: Identity
  /** Milliseconds until an answer that does not come is an error. */
  readonly timeout?: number
}

export interface KubeResponse<T> {
  readonly status: number
  readonly body: T
}

export interface WatchEvent<T = KubeObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  readonly object: T
}

/** A client certificate with its key, or a token. */
export interface Credentials {
  readonly ca: string
  readonly cert?: string
  readonly key?: string
  readonly token?: string
}

/** The API over HTTP, without a client library, so that tests see what the apiserver itself says. */
export class KubeHttp {
  readonly url: string
  readonly #agent: Agent
  readonly #tls: Pick<Credentials, 'ca' | 'cert' | 'key'>
  readonly #authorization: Readonly<Record<string, string>>

  constructor(url: string, { token, ...tls }: Credentials) {
    this.url = url
    this.#tls = tls
    this.#authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
    this.#agent = new Agent({ keepAlive: true, ...tls })
  }

  /** Sends one request. Any status is an answer; only a connection that fails or stays silent is an error. */
  async request<T = KubeObject>(
    method: string,
    path: string,
    settings: RequestSettings = {},
  ): Promise<KubeResponse<T>> {
    const { body, timeout = 30_000 } = settings
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const response = await this.#send(path, text, {
      method,
      agent: this.#agent,
      headers: { ...this.#authorization, ...headersOf(settings, text) },
      signal: AbortSignal.timeout(timeout),
    })
    let received = ''
    for await (const chunk of response.setEncoding('utf8')) received += chunk
    const isJson = response.headers['content-type']?.startsWith('application/json') ?? false
    return { status: response.statusCode ?? 0, body: (isJson ? JSON.parse(received) : received) as T }
  }

  /** {@link request} for the case that is not under test: gives the body, and throws what was refused. */
  async ask<T = KubeObject>(method: string, path: string, settings: RequestSettings = {}): Promise<T> {
    const { status, body } = await this.request<T | KubeStatus>(method, path, settings)
    if (status < 400) return body as T
    const { reason, message } = body as KubeStatus
    throw new Error(`${method} ${path}: ${status} ${reason ?? ''}: ${message ?? String(body)}`)
  }

  /**
   * Watches a collection, from when this returns until the function that it gives back is called. Without a
   * `resourceVersion` in the path, the events begin with one ADDED for each object that is there.
   * A watch that ends is begun again, so after a restart of the apiserver ADDED comes for known objects too;
   * one that is refused (410 Gone, say) gives one ERROR event, and no more.
   */
  async watch<T = KubeObject>(path: string, onEvent: (event: WatchEvent<T>) => void): Promise<() => void> {
    const end = new AbortController()
    const first = await this.#openWatch(path, end.signal)
    void this.#follow(path, first, { signal: end.signal, onEvent: event => onEvent(event as WatchEvent<T>) })
    return () => end.abort()
  }

  async #follow(
    path: string,
    first: IncomingMessage,
    { signal, onEvent }: { signal: AbortSignal; onEvent: (event: WatchEvent<unknown>) => void },
  ): Promise<void> {
    let stream: IncomingMessage | undefined = first
    while (!signal.aborted) {
      for await (const event of eventsOf(stream)) {
        if (signal.aborted) return
        onEvent(event)
        if (event.type === 'ERROR') return
      }
      do {
        // The apiserver may be down for as long as a test wants, so only the end of the watch ends the attempts.
        await delay(100, undefined, { signal }).catch(() => undefined)
        stream = await this.#openWatch(path, signal).catch(() => undefined)
      } while (!signal.aborted && !isLasting(stream))
      if (stream === undefined) return
    }
  }

  async #openWatch(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const separator = path.includes('?') ? '&' : '?'
    // A connection of its own: it is as long-lived as the watch, and stopping the watch closes it.
    return await this.#send(`${path}${separator}watch=1`, undefined, {
      method: 'GET',
      agent: false,
      headers: this.#authorization,
      ...this.#tls,
      signal,
    })
  }

  async #send(path: string, text: string | undefined, options: RequestOptions): Promise<IncomingMessage> {
    const sent = httpsRequest(new URL(path, this.url), options)
    // Besides the wait below: an aborted stream says so once more when nobody waits any longer.
    sent.on('error', () => undefined)
    sent.end(text)
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    return response
  }

  /** Closes idle connections; the next request opens new ones. */
  disconnect(): void {
    this.#agent.destroy()
  }
}

/** False for what an apiserver answers only until it has started: not ready, or no roles known yet. */
function isLasting(response: IncomingMessage | undefined): boolean {
  if (response?.statusCode === 200 || response?.statusCode === 410) return true
  response?.destroy()
  return false
}

function headersOf({ contentType = 'application/json', headers, as }: RequestSettings, text?: string) {
  return {
    ...(text === undefined ? {} : { 'content-type': contentType, 'content-length': Buffer.byteLength(text) }),
    ...(as === undefined ? {} : { 'impersonate-user': as.user, 'impersonate-group': [...(as.groups ?? [])] }),
    ...headers,
  }
}

/** One event per line. A connection that breaks ends the events like one that is closed. */
async function* eventsOf(stream: IncomingMessage): AsyncGenerator<WatchEvent<unknown>> {
  let rest = ''
  try {
    if (stream.statusCode !== 200) {
      yield { type: 'ERROR', object: await json(stream) }
      return
    }
    for await (const chunk of stream.setEncoding('utf8')) {
      const lines = `${rest}${chunk}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) yield JSON.parse(line) as WatchEvent<unknown>
    }
  } catch (error) {
    if (error instanceof SyntaxError) throw error
  }
}
