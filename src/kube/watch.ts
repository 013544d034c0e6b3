import { VnodeError } from '../core/errors.ts'
import { asArray, asRecord, asString, own } from '../core/kubernetes/objects.ts'
import { ApiError, type KubeClient, type Query } from './api.ts'
import type { Clock } from './clock.ts'
import { type Identity, identify } from './store.ts'

/** Which objects of which collection, and how much of each. */
export interface Collection {
  readonly client: Pick<KubeClient, 'request' | 'stream'>
  readonly path: string
  readonly labelSelector: string | undefined
  readonly fieldSelector: string | undefined
  readonly metadataOnly: boolean
}

export interface Page {
  readonly items: readonly unknown[]
  readonly resourceVersion: string
}

export interface ListOptions {
  /** Undefined: all at once, the way out when the server drops its snapshot between two pages. */
  readonly pageSize: number | undefined
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** The collection as of one resourceVersion, page by page. No resourceVersion is asked for: the answer is current, not cached. */
export async function* listPages(collection: Collection, options: ListOptions): AsyncGenerator<Page> {
  let token: string | undefined
  do {
    const { pageSize, timeoutMs, signal } = options
    const list = asRecord(
      await collection.client.request<unknown>({
        method: 'GET',
        path: collection.path,
        query: { ...selection(collection), limit: pageSize, continue: token },
        accept: acceptOf(collection, 'PartialObjectMetadataList'),
        timeoutMs,
        signal,
      }),
    )
    const metadata = asRecord(own(list, 'metadata'))
    yield {
      items: asArray(own(list, 'items')),
      resourceVersion: asString(own(metadata, 'resourceVersion')) ?? '',
    }
    token = asString(own(metadata, 'continue')) || undefined
  } while (token !== undefined)
}

export type WatchEvent =
  | {
      readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
      readonly identity: Identity
      readonly object: unknown
    }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }

/** An error that the server sent inside an open watch; the watch cannot be resumed. */
export class WatchError extends ApiError {}

/** The apiserver answers a watch before its first event; a stale connection never does. */
const HEAD_TIMEOUT_MS = 30_000

export interface WatchOptions {
  readonly resourceVersion: string
  readonly timeoutSeconds: number
  /** Silence after which the watch counts as dead: a peer that is gone without a word sends no bookmark. */
  readonly idleMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Resolves when the server has accepted the watch. */
export async function openWatch(
  collection: Collection,
  options: WatchOptions,
): Promise<AsyncIterable<WatchEvent>> {
  const { resourceVersion, timeoutSeconds, idleMs, clock, signal } = options
  const dead = new AbortController()
  const stream = await collection.client.stream<unknown>({
    path: collection.path,
    query: {
      ...selection(collection),
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion,
      timeoutSeconds,
    },
    accept: acceptOf(collection, 'PartialObjectMetadata'),
    signal: AbortSignal.any([signal, dead.signal]),
    timeoutMs: Math.min(idleMs, HEAD_TIMEOUT_MS),
  })
  const error = new VnodeError(
    'NETWORK',
    `no sign of life on the watch of ${collection.path} for ${idleMs / 1000} s`,
  )
  return watchEvents(stream, new Silence(clock, idleMs, () => dead.abort(error)))
}

async function* watchEvents(stream: AsyncIterable<unknown>, silence: Silence): AsyncGenerator<WatchEvent> {
  silence.start()
  try {
    for await (const line of stream) {
      silence.start()
      const event = readEvent(line)
      if (event !== undefined) yield event
    }
  } finally {
    silence.stop()
  }
}

/** Undefined for types that this version does not know. */
function readEvent(line: unknown): WatchEvent | undefined {
  const event = asRecord(line)
  const object = own(event, 'object')
  const type = own(event, 'type')
  if (type === 'ERROR') throw watchError(object)
  if (type === 'BOOKMARK') {
    const metadata = asRecord(own(asRecord(object), 'metadata'))
    return { type, resourceVersion: asString(own(metadata, 'resourceVersion')) ?? '' }
  }
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED') return undefined
  const identity = identify(object)
  return identity === undefined ? undefined : { type, identity, object }
}

function watchError(object: unknown): WatchError {
  const status = asRecord(object)
  const code = own(status, 'code')
  const details = asRecord(own(status, 'details'))
  const retryAfter = own(details, 'retryAfterSeconds')
  return new WatchError(`the watch ended: ${asString(own(status, 'message')) ?? 'no reason given'}`, {
    status: typeof code === 'number' ? code : 500,
    reason: asString(own(status, 'reason')) ?? '',
    retryAfterSeconds: typeof retryAfter === 'number' ? retryAfter : undefined,
  })
}

/** Calls back when nothing was heard for a while. */
class Silence {
  readonly #clock: Clock
  readonly #ms: number
  readonly #onSilent: () => void
  #heardAt = 0
  #cancel: (() => void) | undefined

  constructor(clock: Clock, ms: number, onSilent: () => void) {
    this.#clock = clock
    this.#ms = ms
    this.#onSilent = onSilent
  }

  /** Begins to listen, or notes that something was heard: busy watches re-arm no timer for each event. */
  start(): void {
    this.#heardAt = this.#clock.now()
    this.#cancel ??= this.#clock.after(this.#ms, () => this.#check())
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #check(): void {
    const left = this.#ms - (this.#clock.now() - this.#heardAt)
    // A timer may fire a little early by the monotonic clock.
    if (left > 1) this.#cancel = this.#clock.after(left, () => this.#check())
    else this.#onSilent()
  }
}

function selection({ labelSelector, fieldSelector }: Collection): Query {
  return { labelSelector, fieldSelector }
}

/** Plain JSON stays acceptable for servers that cannot reduce. */
function acceptOf({ metadataOnly }: Collection, kind: string): string {
  const json = 'application/json'
  return metadataOnly ? `${json};as=${kind};g=meta.k8s.io;v=v1,${json}` : json
}
