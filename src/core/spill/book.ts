/** The Pods without a node that are followed, what was last decided about each, and whose turn it is to spill. */
import { isSameToSpill, type PendingPod } from './pending-pod.ts'
import type { SpillVerdict } from './verdict.ts'

export interface Tracked {
  /** `namespace/name`. */
  readonly key: string
  /** As it was last seen. */
  pod: PendingPod
  /** In which order they were first seen: creation times are whole seconds. */
  readonly sequence: number
  /** By the clock, since when it has been seen as unschedulable. The scheduler's own time does not change when a gate goes. */
  seenAt: number | undefined
  verdict: SpillVerdict | undefined
  /** By the clock, when time alone may have changed the verdict. */
  dueAt: number | undefined
  /** By the clock, until when it has no turn, whatever the verdict: set by {@link SpillBook.postpone} alone. */
  notBefore: number
  /** It stands in the queue, whether it still may spill or not. */
  isQueued: boolean
  /** It has been patched, or given up: never again. */
  isDone: boolean
  /** Attempts in a row that came to nothing. */
  tries: number
  /** An attempt failed for a reason of its own: those that had none yet go first. */
  isDenied: boolean
  /** The rule of an attempt that had no answer: it may have been the one that counts. */
  unanswered: string | undefined
  /** Codes that its Events have told. */
  readonly told: Set<string>
}

export type Judge = (pod: PendingPod, waitedMs: number) => SpillVerdict

export class SpillBook {
  readonly #tracked = new Map<string, Tracked>()
  readonly #dirty = new Set<string>()
  readonly #queue: Tracked[] = []
  #isSorted = true
  #sequence = 0
  /** The earliest `dueAt`, or earlier. */
  #nextDue = Number.POSITIVE_INFINITY

  get size(): number {
    return this.#tracked.size
  }

  get all(): Iterable<Tracked> {
    return this.#tracked.values()
  }

  get(key: string): Tracked | undefined {
    return this.#tracked.get(key)
  }

  /** A Pod as it is now. What is said of it anew changes nothing, and costs next to nothing. */
  set(key: string, pod: PendingPod, now: number): void {
    const known = this.#tracked.get(key)
    const tracked = known?.pod.uid === pod.uid ? known : this.#begin(key, pod)
    if (tracked.verdict === undefined || !isSameToSpill(tracked.pod, pod)) this.#dirty.add(key)
    tracked.pod = pod
    if (pod.unschedulable !== undefined) tracked.seenAt ??= now
  }

  delete(key: string): void {
    this.#tracked.delete(key)
    this.#dirty.delete(key)
  }

  /** Something that the verdicts of these Pods depend on has changed. */
  touch(isTouched: (tracked: Tracked) => boolean = () => true): void {
    for (const tracked of this.#tracked.values()) if (isTouched(tracked)) this.#dirty.add(tracked.key)
  }

  /** Decides anew about those for which that may give another answer; gives these. */
  review(judge: Judge, now: number): Tracked[] {
    this.#collectDue(now)
    const reviewed = [...this.#dirty].flatMap(key => this.#tracked.get(key) ?? [])
    this.#dirty.clear()
    for (const tracked of reviewed) this.judge(tracked, judge, now)
    return reviewed
  }

  /** Decides anew about one. */
  judge(tracked: Tracked, judge: Judge, now: number): SpillVerdict {
    const waitedMs = tracked.seenAt === undefined ? 0 : now - tracked.seenAt
    const verdict = judge(tracked.pod, waitedMs)
    tracked.verdict = verdict
    const { forMs } = verdict.outcome === 'held' ? verdict : {}
    const dueAt = forMs === undefined ? undefined : now + forMs
    this.#setDue(tracked, tracked.notBefore > now ? Math.max(tracked.notBefore, dueAt ?? 0) : dueAt)
    if (!tracked.isQueued && isReady(tracked, now)) {
      tracked.isQueued = true
      this.#queue.push(tracked)
      this.#isSorted = false
    }
    return verdict
  }

  /** Not before so many milliseconds are over. */
  postpone(tracked: Tracked, ms: number, now: number): void {
    tracked.verdict = undefined
    tracked.notBefore = now + ms
    this.#setDue(tracked, tracked.notBefore)
  }

  /** The oldest Pod that may spill; one that was denied comes after all that were not. */
  next(now: number): Tracked | undefined {
    if (!this.#isSorted) {
      this.#queue.sort(byTurn)
      this.#isSorted = true
    }
    const first = this.#queue.findIndex(one => isReady(one, now) && this.#tracked.get(one.key) === one)
    // Those before it have had their turn, or have lost it: whoever may spill again comes to the queue again.
    const passed = this.#queue.splice(0, first < 0 ? this.#queue.length : first)
    for (const one of passed) one.isQueued = false
    return this.#queue[0]
  }

  /** An attempt failed for a reason of its own: it comes to the queue again, behind those that had none. */
  deny(tracked: Tracked): void {
    tracked.isDenied = true
    tracked.isQueued = false
    const at = this.#queue.indexOf(tracked)
    if (at >= 0) this.#queue.splice(at, 1)
  }

  /** How many may spill and wait for their turn. */
  ready(now: number): number {
    let count = 0
    for (const tracked of this.#tracked.values()) if (isReady(tracked, now)) count += 1
    return count
  }

  /** Milliseconds until time alone may change a verdict; infinite if nothing waits for time. */
  dueIn(now: number): number {
    return Math.max(0, this.#nextDue - now)
  }

  #begin(key: string, pod: PendingPod): Tracked {
    this.#sequence += 1
    const tracked: Tracked = {
      key,
      pod,
      sequence: this.#sequence,
      seenAt: undefined,
      verdict: undefined,
      dueAt: undefined,
      notBefore: Number.NEGATIVE_INFINITY,
      isQueued: false,
      isDone: false,
      tries: 0,
      isDenied: false,
      unanswered: undefined,
      told: new Set(),
    }
    this.#tracked.set(key, tracked)
    return tracked
  }

  #setDue(tracked: Tracked, at: number | undefined): void {
    tracked.dueAt = at
    if (at !== undefined) this.#nextDue = Math.min(this.#nextDue, at)
  }

  #collectDue(now: number): void {
    if (now < this.#nextDue) return
    this.#nextDue = Number.POSITIVE_INFINITY
    for (const tracked of this.#tracked.values()) {
      if (tracked.dueAt === undefined) continue
      if (tracked.dueAt <= now) this.#dirty.add(tracked.key)
      else this.#nextDue = Math.min(this.#nextDue, tracked.dueAt)
    }
  }
}

function isReady({ verdict, isDone, notBefore }: Tracked, now: number): boolean {
  return !isDone && verdict?.outcome === 'spill' && notBefore <= now
}

function byTurn(a: Tracked, b: Tracked): number {
  if (a.isDenied !== b.isDenied) return a.isDenied ? 1 : -1
  return byCreation(a, b)
}

function byCreation(a: Tracked, b: Tracked): number {
  if (a.pod.createdAt === b.pod.createdAt) return a.sequence - b.sequence
  return a.pod.createdAt < b.pod.createdAt ? -1 : 1
}
