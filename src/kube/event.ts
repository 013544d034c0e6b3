import { createHash } from 'node:crypto'
import { VnodeError } from '../core/errors.ts'
import { ApiError, type KubeClient } from './api.ts'
import { Backoff } from './backoff.ts'
import { type Clock, sleep, systemClock } from './clock.ts'
import { type EventObject, EventStore } from './event-store.ts'

export interface EventSubject {
  readonly apiVersion: string
  readonly kind: string
  readonly namespace?: string | undefined
  readonly name: string
  readonly uid: string
  readonly resourceVersion?: string | undefined
}

export interface EventRecord {
  readonly involved: EventSubject
  readonly type: 'Normal' | 'Warning'
  /** CamelCase, as `kubectl get events` shows it. */
  readonly reason: string
  readonly message: string
  /** What makes this event another than the last of the same reason: a rule's name, an hour. The same key is the same Event. */
  readonly key: string
}

export interface EventWriterOptions {
  readonly client: Pick<KubeClient, 'apply' | 'request'>
  /** An event that was given up: not written after some attempts, or pushed out of a full queue (`error` undefined). */
  readonly onLost?: (event: EventRecord, error: unknown) => void
  /** Events that wait; the oldest makes room. Default 256. */
  readonly capacity?: number
  readonly clock?: Clock
  readonly random?: () => number
  /** For the timestamps. */
  readonly today?: () => Date
}

const COMPONENT = 'vnode-profile'
/** The apiserver refuses more. */
const MAX_MESSAGE_BYTES = 1024
const MAX_REASON_CHARACTERS = 128
const MAX_NAME_CHARACTERS = 253
const ATTEMPTS = 5
/** How many events' counts are remembered; forgetting one starts its count anew. */
const MAX_SERIES = 1024

interface Series {
  readonly first: string
  count: number
}

/**
 * Writes Events one by one, under a name that follows from the event: replicas that say the same write one object.
 * Events are courtesy: emit() never throws and never waits.
 */
export class EventWriter {
  readonly #options: EventWriterOptions
  readonly #store: EventStore
  readonly #clock: Clock
  readonly #random: () => number
  readonly #queue = new Map<string, EventRecord>()
  readonly #series = new Map<string, Series>()
  readonly #stopped = new AbortController()
  #sending: Promise<void> | undefined
  #lost = 0

  constructor(options: EventWriterOptions) {
    this.#options = options
    this.#store = new EventStore(options.client)
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? Math.random
  }

  /** Events given up so far. */
  get lost(): number {
    return this.#lost
  }

  emit(event: EventRecord): void {
    if (this.#stopped.signal.aborted) return
    const id = `${namespaceOf(event)}/${eventName(event)}`
    this.#count(id)
    // The same event that still waits is written once, with its latest message and count, in its old place.
    this.#queue.set(id, event)
    if (this.#queue.size > (this.#options.capacity ?? 256)) this.#dropOldest()
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined
    })
  }

  /** Resolves when nothing waits; bounded by the attempts of each event. */
  async idle(): Promise<void> {
    while (this.#sending !== undefined) await this.#sending
  }

  /** Forgets what waits. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#queue.clear()
    await this.idle()
  }

  #dropOldest(): void {
    for (const [id, event] of this.#queue) {
      this.#queue.delete(id)
      this.#lose(event, undefined)
      return
    }
  }

  #lose(event: EventRecord, error: unknown): void {
    this.#lost += 1
    try {
      this.#options.onLost?.(event, error)
    } catch {
      // An event is courtesy, its loss too.
    }
  }

  async #send(): Promise<void> {
    // emit() returns first, and a burst of the same event is one.
    await Promise.resolve()
    for (const [id, event] of this.#queue) {
      this.#queue.delete(id)
      await this.#write(id, event)
    }
  }

  async #write(id: string, event: EventRecord): Promise<void> {
    const backoff = new Backoff({ minMs: 200, maxMs: 10_000, random: this.#random })
    const { signal } = this.#stopped
    while (!signal.aborted) {
      try {
        await this.#store.put(this.#render(id, event), signal)
        return
      } catch (error) {
        if (signal.aborted) return
        const wait = backoff.next()
        if (!isWorthRetrying(error) || backoff.failures >= ATTEMPTS) {
          this.#lose(event, error)
          return
        }
        await sleep(this.#clock, wait, signal)
      }
    }
  }

  #count(id: string): void {
    const series = this.#series.get(id) ?? { first: this.#timestamp(), count: 0 }
    series.count += 1
    this.#series.delete(id)
    this.#series.set(id, series)
    if (this.#series.size <= MAX_SERIES) return
    for (const oldest of this.#series.keys()) {
      this.#series.delete(oldest)
      return
    }
  }

  #render(id: string, event: EventRecord): EventObject {
    const now = this.#timestamp()
    const series = this.#series.get(id) ?? { first: now, count: 1 }
    const { apiVersion, kind, namespace, name, uid, resourceVersion } = event.involved
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: eventName(event), namespace: namespaceOf(event) },
      involvedObject: { apiVersion, kind, namespace, name, uid, resourceVersion },
      type: event.type,
      reason: event.reason.slice(0, MAX_REASON_CHARACTERS),
      message: cutUtf8(event.message, MAX_MESSAGE_BYTES),
      source: { component: COMPONENT },
      reportingComponent: COMPONENT,
      reportingInstance: COMPONENT,
      firstTimestamp: series.first,
      lastTimestamp: now,
      count: series.count,
    }
  }

  #timestamp(): string {
    const now = this.#options.today?.() ?? new Date()
    return now.toISOString().replace(/\.\d+Z$/, 'Z')
  }
}

/** Cluster-scoped objects have their Events in `default`, as the apiserver demands. */
function namespaceOf({ involved }: EventRecord): string {
  return involved.namespace || 'default'
}

/** `<object's name>.<hash>`: the same for the same event wherever it is written. */
export function eventName({ involved, reason, key }: EventRecord): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([involved.uid, reason, key]))
    .digest('hex')
    .slice(0, 16)
  // Names of RBAC objects hold colons and capitals, which an Event's name may not.
  const stem = involved.name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]/g, '-')
    .replaceAll(/-*\.[-.]*/g, '.')
    .slice(0, MAX_NAME_CHARACTERS - hash.length - 1)
    .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, '')
  return stem === '' ? `event.${hash}` : `${stem}.${hash}`
}

function isWorthRetrying(error: unknown): boolean {
  if (error instanceof ApiError) return error.status === 429 || error.status >= 500
  return error instanceof VnodeError && error.code === 'NETWORK'
}

/** At most so many bytes, never half a character. */
export function cutUtf8(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text, 'utf8')
  if (bytes.length <= maxBytes) return text
  const ellipsis = '…'
  let end = maxBytes - Buffer.byteLength(ellipsis)
  // Bytes 10xxxxxx continue a character.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return bytes.subarray(0, end).toString('utf8') + ellipsis
}
