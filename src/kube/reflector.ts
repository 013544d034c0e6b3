import { messageOf, VnodeError } from '../core/errors.ts'
import { ApiError, isStatus } from './api.ts'
import { Backoff } from './backoff.ts'
import { type Clock, sleep, systemClock } from './clock.ts'
import { Gate, type WaitOptions } from './gate.ts'
import { asError, Handlers } from './handlers.ts'
import {
  DEFAULT_TIMINGS,
  type ReflectorOptions,
  type ReflectorState,
  type ReflectorTimings,
} from './reflector-options.ts'
import { type Change, identify, ObjectStore, type StoredObject } from './store.ts'
import { type Collection, listPages, openWatch, WatchError, type WatchEvent } from './watch.ts'

export type { Change, StoredObject } from './store.ts'

/** Failed attempts to resume after which the resourceVersion is no longer trusted (an etcd restored from a backup). */
const RESUMES = 3
/** A longer Retry-After is taken for a mistake. */
const MAX_RETRY_AFTER_SECONDS = 60

interface Position {
  readonly collection: Collection
  readonly resourceVersion: string
}

/**
 * Keeps a copy of one collection by list and watch for as long as it runs, whatever the server and the network do.
 * While the server is away the last good state stays. Once stop() has returned no callback is called.
 */
export class Reflector<T> {
  readonly #options: ReflectorOptions<T>
  readonly #timings: ReflectorTimings
  readonly #clock: Clock
  readonly #random: () => number
  readonly #backoff: Backoff
  readonly #handlers: Handlers
  readonly #store = new ObjectStore<T>()
  readonly #sync: Gate
  #run: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined
  /** Where to resume the watch; undefined: list first. */
  #position: Position | undefined
  #openedAt: number | undefined
  #isPaged = true
  /** Since when a list answers 404. */
  #missingSince: number | undefined
  #state: ReflectorState = 'starting'
  #lastEventAt: number | undefined
  #lastError: Error | undefined

  constructor(options: ReflectorOptions<T>) {
    this.#options = options
    this.#handlers = new Handlers(options.onError)
    this.#timings = { ...DEFAULT_TIMINGS, ...options.timings }
    this.#clock = options.clock ?? systemClock
    this.#sync = new Gate(this.#clock)
    this.#random = options.random ?? Math.random
    const { minBackoffMs: minMs, maxBackoffMs: maxMs } = this.#timings
    this.#backoff = new Backoff({ minMs, maxMs, random: this.#random })
  }

  /** By `namespace/name`, or by name when cluster-scoped. */
  get objects(): ReadonlyMap<string, StoredObject<T>> {
    return this.#store.objects
  }

  get state(): ReflectorState {
    return this.#state
  }

  /** True from the first complete list on, also while the server is away. */
  get synced(): boolean {
    return this.#sync.isOpen
  }

  /** By the clock's now(): when the server last said anything about the collection, bookmarks included. */
  get lastEventAt(): number | undefined {
    return this.#lastEventAt
  }

  /** Undefined while all is well. */
  get lastError(): Error | undefined {
    return this.#lastError
  }

  start(): void {
    if (this.#run !== undefined) return
    const abort = new AbortController()
    // A turn of the event loop later, so that a callback may already stop it.
    const ended = Promise.resolve().then(() => this.#loop(abort.signal))
    this.#run = { abort, ended }
  }

  /** Takes effect at once; resolves when nothing runs any more. start() begins anew, with a list. */
  async stop(): Promise<void> {
    const run = this.#run
    if (run === undefined) return
    this.#run = undefined
    this.#setState('stopped', run.abort.signal)
    run.abort.abort()
    this.#sync.fail(new VnodeError('INTERNAL', 'stopped before the first list'))
    await run.ended
  }

  /** Resolves when synced; rejects when the time is over, by the signal's reason, or when stopped. */
  waitForSync(options: WaitOptions = {}): Promise<void> {
    return this.#sync.wait(options, ms => this.#late(ms))
  }

  #late(timeoutMs: number): VnodeError {
    const { path } = this.#options
    const what = typeof path === 'string' ? path : 'a resource'
    const why = this.#lastError === undefined ? '' : `: ${messageOf(this.#lastError)}`
    return new VnodeError('NETWORK', `${what} not loaded within ${timeoutMs / 1000} s${why}`)
  }

  async #loop(signal: AbortSignal): Promise<void> {
    this.#position = undefined
    this.#backoff.reset()
    while (!signal.aborted) {
      const wait = await this.#turn(signal)
      if (wait > 0) await sleep(this.#clock, wait, signal)
    }
  }

  /** One list (where needed) and one watch to its end; how many milliseconds to wait before the next. */
  async #turn(signal: AbortSignal): Promise<number> {
    this.#openedAt = undefined
    try {
      this.#position ??= await this.#list(signal)
      await this.#watch(this.#position, signal)
      return this.#ended(signal)
    } catch (error) {
      return signal.aborted ? 0 : this.#failed(error, signal)
    }
  }

  async #list(signal: AbortSignal): Promise<Position> {
    // 'absent' stays while it is being looked for, or it would flicker.
    if (this.#state !== 'absent') this.#setState('listing', signal)
    const collection = await this.#collection(signal)
    const { pageSize, requestTimeoutMs: timeoutMs } = this.#timings
    const pages = listPages(collection, { pageSize: this.#isPaged ? pageSize : undefined, timeoutMs, signal })
    const next = new Map<string, StoredObject<T>>()
    let resourceVersion = ''
    for await (const page of pages) {
      for (const raw of page.items) this.#collect(next, raw, signal)
      resourceVersion = page.resourceVersion
    }
    signal.throwIfAborted()
    this.#isPaged = true
    this.#missingSince = undefined
    this.#heard()
    this.#tell(this.#store.replace(next), signal)
    this.#markSynced(signal)
    return { collection, resourceVersion }
  }

  async #collection(signal: AbortSignal): Promise<Collection> {
    const { client, path, labelSelector, fieldSelector, metadataOnly = false } = this.#options
    const resolved = typeof path === 'string' ? path : await path(signal)
    if (resolved === undefined) throw new ApiError('the resource type is not installed', { status: 404 })
    return { client, path: resolved, labelSelector, fieldSelector, metadataOnly }
  }

  async #watch(position: Position, signal: AbortSignal): Promise<void> {
    const { watchSeconds, idleMs } = this.#timings
    const events = await openWatch(position.collection, {
      resourceVersion: position.resourceVersion,
      timeoutSeconds: Math.round(watchSeconds * (1 + this.#random() / 4)),
      idleMs,
      clock: this.#clock,
      signal,
    })
    signal.throwIfAborted()
    this.#openedAt = this.#clock.now()
    this.#heard()
    this.#setState('watching', signal)
    for await (const event of events) {
      if (signal.aborted) return
      this.#heard()
      this.#apply(event, position.collection, signal)
    }
  }

  #apply(event: WatchEvent, collection: Collection, signal: AbortSignal): void {
    const { resourceVersion } = event.type === 'BOOKMARK' ? event : event.identity
    // Moves on whatever a handler does with the event: an event that makes it throw is not asked for again.
    if (resourceVersion !== '') this.#position = { collection, resourceVersion }
    if (event.type === 'BOOKMARK') return
    const { key } = event.identity
    const object = event.type === 'DELETED' ? undefined : this.#reduce(event.object, signal)
    if (event.type === 'DELETED') this.#tell(this.#store.remove(key), signal)
    else if (object !== undefined) this.#tell(this.#store.put(key, object), signal)
  }

  /** The watch ended as watches do. */
  #ended(signal: AbortSignal): number {
    if (signal.aborted) return 0
    if (this.#isStable()) {
      this.#backoff.reset()
      return 0
    }
    this.#setState('backoff', signal)
    return this.#backoff.next()
  }

  #failed(error: unknown, signal: AbortSignal): number {
    const during = this.#position === undefined ? 'list' : 'watch'
    if (during === 'list' && this.#isGone(error)) return this.#absent(signal)
    this.#lastError = asError(error)
    this.#handlers.report(error, during, signal)
    if (this.#isStable()) this.#backoff.reset()
    const wait = this.#backoff.next()
    // A snapshot that expired between two pages: the next list is a single page, which cannot expire.
    if (isStatus(error, 410) && during === 'list') this.#isPaged = false
    if (!this.#canResume(error)) this.#position = undefined
    this.#setState('backoff', signal)
    const retryAfter = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) : 0
    return wait + Math.min(retryAfter, MAX_RETRY_AFTER_SECONDS) * 1000
  }

  /**
   * A type that is deleted takes its objects along, one event each. A 404 while we still have some may be a starting
   * apiserver that has not read its CRDs yet, or a CRD between two versions: the objects get some grace.
   */
  #isGone(error: unknown): boolean {
    if (!isStatus(error, 404)) return false
    this.#missingSince ??= this.#clock.now()
    const { absentGraceMs } = this.#timings
    return this.#store.objects.size === 0 || this.#clock.now() - this.#missingSince >= absentGraceMs
  }

  #absent(signal: AbortSignal): number {
    this.#heard()
    this.#backoff.reset()
    this.#tell(this.#store.replace(new Map()), signal)
    this.#setState('absent', signal)
    this.#markSynced(signal)
    return this.#timings.absentRetryMs
  }

  #canResume(error: unknown): boolean {
    if (error instanceof WatchError || this.#backoff.failures % RESUMES === 0) return false
    if (error instanceof ApiError) return error.status === 429 || error.status >= 500
    return error instanceof VnodeError && error.code === 'NETWORK'
  }

  #isStable(): boolean {
    return this.#openedAt !== undefined && this.#clock.now() - this.#openedAt >= this.#timings.stableMs
  }

  #collect(next: Map<string, StoredObject<T>>, raw: unknown, signal: AbortSignal): void {
    const identity = identify(raw)
    if (identity === undefined) return
    const { key, uid, resourceVersion } = identity
    const old = this.#store.objects.get(key)
    const isSame = old?.uid === uid && old.resourceVersion === resourceVersion
    const object = isSame ? old : this.#reduce(raw, signal)
    if (object !== undefined) next.set(key, object)
    else if (old?.uid === uid) next.set(key, old)
  }

  #reduce(raw: unknown, signal: AbortSignal): StoredObject<T> | undefined {
    const identity = identify(raw)
    if (identity === undefined) return undefined
    try {
      const value = this.#options.keep(raw)
      return { uid: identity.uid, resourceVersion: identity.resourceVersion, value }
    } catch (error) {
      this.#handlers.report(error, 'handler', signal)
      return undefined
    }
  }

  #heard(): void {
    this.#lastEventAt = this.#clock.now()
    this.#lastError = undefined
  }

  #markSynced(signal: AbortSignal): void {
    if (this.#sync.isOpen || signal.aborted) return
    this.#sync.open()
    this.#handlers.call(() => this.#options.onSynced?.(), signal)
  }

  #setState(state: ReflectorState, signal: AbortSignal): void {
    if (signal.aborted || this.#state === state) return
    this.#state = state
    this.#handlers.call(() => this.#options.onState?.(state), signal)
  }

  #tell(changes: readonly Change<T>[], signal: AbortSignal): void {
    for (const change of changes) this.#handlers.call(() => this.#options.onChange?.(change), signal)
  }
}
