import { VnodeError } from '../core/errors.ts'

/** Values of a query string; `undefined` leaves the parameter out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Begins with a slash; names in it are encoded by the caller. */
  readonly path: string
  readonly query?: Query
  /** Sent as JSON, which is also valid YAML for server-side apply. */
  readonly body?: unknown
  /** Of the body; default `application/json`. */
  readonly contentType?: string
  readonly accept?: string
  readonly signal?: AbortSignal
  /** For the whole answer; default 30 s. */
  readonly timeoutMs?: number
}

export interface StreamRequest {
  readonly path: string
  readonly query?: Query
  readonly accept?: string
  /** The only end of a stream that the server keeps open. */
  readonly signal: AbortSignal
  /** For the answer's head; default 30 s. The body has no limit of time: watch it yourself. */
  readonly timeoutMs?: number
}

export interface ApplyOptions {
  /** Takes fields over from other managers instead of failing with 409. */
  readonly force?: boolean
  readonly dryRun?: boolean
  /** Default: names.FIELD_MANAGER. */
  readonly fieldManager?: string
  readonly signal?: AbortSignal
}

/**
 * The Kubernetes API as our programs see it. Every failure is an {@link ApiError} (the server answered), a VnodeError
 * NETWORK (it did not), a VnodeError KUBECONFIG (credentials cannot be had), or the reason of the caller's own signal.
 */
export interface KubeClient {
  /** `https://host:port` of the API server, for messages. */
  readonly server: string
  /** The context's namespace, or the Pod's own when in a cluster. */
  readonly namespace: string | undefined
  /** One request; the answer's JSON. Never retried, but for one 401 after which the credentials have changed. */
  request<T>(request: ApiRequest): Promise<T>
  /** A GET whose answer is one JSON value a line (a watch); resolves when the head of the answer is there. */
  stream<T>(request: StreamRequest): Promise<AsyncIterable<T>>
  /** Server-side apply: creates the object or sets the fields that are named. */
  apply<T>(path: string, object: unknown, options?: ApplyOptions): Promise<T>
  /** Ends all connections; running requests fail. */
  close(): Promise<void>
}

export interface ApiErrorDetails {
  readonly status: number
  /** The Status object's reason, such as `NotFound` or `Expired`; empty when the answer was none of the API's. */
  readonly reason?: string
  readonly retryAfterSeconds?: number | undefined
}

/** The API server answered, and the answer is no. */
export class ApiError extends VnodeError {
  readonly status: number
  readonly reason: string
  readonly retryAfterSeconds: number | undefined

  constructor(message: string, details: ApiErrorDetails) {
    super('API', message)
    this.name = 'ApiError'
    this.status = details.status
    this.reason = details.reason ?? ''
    this.retryAfterSeconds = details.retryAfterSeconds
  }
}

/** True when the API server answered with this status. */
export function isStatus(error: unknown, status: number): error is ApiError {
  return error instanceof ApiError && error.status === status
}
