/** HTTPS to Alibaba Cloud: connections, proxy, authorities and limits of time. */
import { getCACertificates } from 'node:tls'
import { type Dispatcher, EnvHttpProxyAgent } from 'undici'

export interface WireSettings {
  /** PEM of further authorities to trust, for an endpoint of one's own. */
  readonly extraCa?: string | undefined
  /** `http://[user:password@]host:port`; as the variables HTTPS_PROXY and NO_PROXY have it. */
  readonly proxy?: string | undefined
  /** Hosts that are reached without the proxy, comma-separated. */
  readonly noProxy?: string | undefined
  /** For one attempt, connection included; default 20 s. */
  readonly timeoutMs?: number | undefined
}

/** As the API may take some seconds to answer a creation; never below 10 s. */
export const TIMEOUT_MS = 20_000
const CONNECT_TIMEOUT_MS = 10_000
/** The longest answer is a page of 20 VNodes with their events: some hundred KB. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024

export interface WireRequest {
  readonly origin: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly signal?: AbortSignal | undefined
}

export interface WireAnswer {
  readonly status: number
  readonly text: string
  readonly retryAfterSeconds: number | undefined
}

/** POST of a form. Connections are kept for the next one. */
export class Wire {
  readonly #dispatcher: Dispatcher
  readonly #timeoutMs: number

  constructor({ extraCa, proxy = '', noProxy = '', timeoutMs = TIMEOUT_MS }: WireSettings = {}) {
    const tls = extraCa === undefined ? {} : { ca: [...getCACertificates('default'), extraCa] }
    this.#timeoutMs = timeoutMs
    // Everything is named, or undici would look into the environment.
    this.#dispatcher = new EnvHttpProxyAgent({
      httpProxy: proxy,
      httpsProxy: proxy,
      noProxy,
      allowH2: false,
      connect: { timeout: CONNECT_TIMEOUT_MS, ...tls },
      requestTls: { timeout: CONNECT_TIMEOUT_MS, ...tls },
      // Limits of time are those of the attempt.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: MAX_ANSWER_BYTES,
    })
  }

  /** Rejects when no whole answer came; the reason is the caller's own signal where that ended it. */
  async post({ origin, headers, body, signal }: WireRequest): Promise<WireAnswer> {
    const late = AbortSignal.timeout(this.#timeoutMs)
    const either = signal === undefined ? late : AbortSignal.any([signal, late])
    const response = await this.#dispatcher.request({
      origin,
      path: '/',
      method: 'POST',
      headers,
      body,
      signal: either,
    })
    return {
      status: response.statusCode,
      text: await response.body.text(),
      retryAfterSeconds: seconds(response.headers['retry-after']),
    }
  }

  close(): Promise<void> {
    return this.#dispatcher.destroy()
  }
}

function seconds(header: string | string[] | undefined): number | undefined {
  const value = Number(typeof header === 'string' ? header : Number.NaN)
  return Number.isFinite(value) && value >= 0 ? value : undefined
}
