import type { KubeClient } from './api.ts'
import type { Clock } from './clock.ts'
import type { Change } from './store.ts'

export type ReflectorState = 'starting' | 'listing' | 'watching' | 'backoff' | 'absent' | 'stopped'

/** Where an error came from. */
export type Phase = 'list' | 'watch' | 'handler'

export interface ReflectorOptions<T> {
  readonly client: Pick<KubeClient, 'request' | 'stream'>
  /**
   * The collection, such as `/api/v1/namespaces`. A function is asked before each list; what it answers may change, and
   * `undefined` means that the type is not installed.
   */
  readonly path: string | ((signal: AbortSignal) => Promise<string | undefined>)
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  /** Asks for `metadata` alone, which spares the wire a Node's images or a Pod's spec. */
  readonly metadataOnly?: boolean
  /** Of each object keeps what memory shall hold. Items of a list have no apiVersion and kind. */
  readonly keep: (raw: unknown) => T
  readonly onChange?: (change: Change<T>) => void
  /** Once, when the first list (or the first answer that the type is absent) has been told to onChange. */
  readonly onSynced?: () => void
  readonly onState?: (state: ReflectorState) => void
  /** Each failure, and whatever `keep` or a callback throws (`handler`). None of them ends the reflector. */
  readonly onError?: (error: Error, during: Phase) => void
  readonly clock?: Clock
  /** 0 <= random() < 1; spreads the waits of many clients. */
  readonly random?: () => number
  readonly timings?: Partial<ReflectorTimings>
}

export interface ReflectorTimings {
  /** Silence after which a watch counts as dead. Bookmarks come about each minute. */
  readonly idleMs: number
  /** Between two looks for a type that is not installed. */
  readonly absentRetryMs: number
  /** For how long a type may be missing before objects that we still have are given up. */
  readonly absentGraceMs: number
  readonly minBackoffMs: number
  readonly maxBackoffMs: number
  /** A watch that lived this long resets the back-off. Not below maxBackoffMs, so that one that is always cut is never a tight loop. */
  readonly stableMs: number
  /** The server ends a watch after one to one and a quarter of it. */
  readonly watchSeconds: number
  readonly pageSize: number
  readonly requestTimeoutMs: number
}

export const DEFAULT_TIMINGS: ReflectorTimings = {
  idleMs: 90_000,
  absentRetryMs: 5_000,
  absentGraceMs: 3_000,
  minBackoffMs: 200,
  maxBackoffMs: 10_000,
  stableMs: 10_000,
  watchSeconds: 240,
  pageSize: 500,
  requestTimeoutMs: 60_000,
}
