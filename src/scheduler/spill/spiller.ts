/**
 * Lets Pods go to a VNode, one after the other in the order of their creation. It looks at conditions over and over; what it knows besides
 * is how long it has seen them. All else is in the cluster, so that the next leader goes on where this one ends.
 */
import { messageOf } from '../../core/errors.ts'
import { SPILL_MANAGER } from '../../core/names.ts'
import { covers } from '../../core/pod/toleration.ts'
import { type Judge, SpillBook, type Tracked } from '../../core/spill/book.ts'
import { pendingPod } from '../../core/spill/pending-pod.ts'
import { type PodPatch, spillPatch } from '../../core/spill/spill-patch.ts'
import type { SpillVerdict } from '../../core/spill/verdict.ts'
import type { KubeClient } from '../../kube/api.ts'
import { Backoff } from '../../kube/backoff.ts'
import type { Clock } from '../../kube/clock.ts'
import type { SpillMetrics } from '../../telemetry/helper-metrics.ts'
import { TokenBucket } from '../token-bucket.ts'
import { Wake } from '../wake.ts'
import type { PodEvents } from './pod-events.ts'
import { readPod, type Written, writePod } from './pod-writer.ts'
import type { SpillProgramSettings } from './settings.ts'
import type { SpillWorld } from './world.ts'

export interface SpillerOptions {
  /** The leader's: it writes nothing once the term is over. */
  readonly client: Pick<KubeClient, 'request'>
  readonly world: Pick<SpillWorld, 'judge' | 'isLoaded' | 'environment'>
  readonly settings: SpillProgramSettings
  readonly reports: PodEvents
  readonly metrics: SpillMetrics
  readonly clock: Clock
}

type Spill = Extract<SpillVerdict, { outcome: 'spill' }>

/** What nobody tells (a namespace's labels), and what changes all the time (requests), is looked at in these times. */
const LOOK_MS = 10_000
const USAGE_MS = 1_000
/** Without any news. */
const TICK_MS = 1_000
/** Conflicts in a row after which a Pod that somebody keeps on changing has to wait. */
const MOST_CONFLICTS = 5
const CONFLICT_MS = 1_000
const LEAST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 60_000
/** Second attempts that fail again, of all Pods together: so many a second, and at once. */
const DENIED_RATE = 2
const DENIED_BURST = 10

export class Spiller {
  readonly book = new SpillBook()
  readonly #options: SpillerOptions
  readonly #wake: Wake
  readonly #bucket: TokenBucket
  readonly #denials: TokenBucket
  readonly #backoff = new Backoff({ minMs: 200, maxMs: 10_000, random: Math.random })
  readonly #judge: Judge
  #environment: unknown
  #hasNews = true
  #isUsageNew = false
  #lookedAt = Number.NEGATIVE_INFINITY
  #usedAt = Number.NEGATIVE_INFINITY
  #measuredAt = Number.NEGATIVE_INFINITY
  /** Those that got a node, or ended, before it was known what had become of an attempt. */
  readonly #leavers = new Set<Tracked>()
  /** After a failure that may be everybody's. */
  #pausedUntil = Number.NEGATIVE_INFINITY

  constructor(options: SpillerOptions) {
    this.#options = options
    const { clock, settings, world } = options
    this.#wake = new Wake(clock)
    this.#bucket = new TokenBucket(clock, settings.rate, settings.burst)
    this.#denials = new TokenBucket(clock, DENIED_RATE, DENIED_BURST)
    this.#judge = (pod, waitedMs) => world.judge(pod, waitedMs)
  }

  /** The Pod at this key has changed; undefined: it is gone, or has a node. */
  setPod(key: string, pod: Tracked['pod'] | undefined): void {
    const tracked = this.book.get(key)
    if (tracked?.unanswered !== undefined && !tracked.isDone && pod?.uid !== tracked.pod.uid)
      this.#leavers.add(tracked)
    if (pod === undefined) this.book.delete(key)
    else this.book.set(key, pod, this.#options.clock.now())
    this.#wake.now()
  }

  /** Something was said about one Pod. */
  touch(uid: string): void {
    this.book.touch(({ pod }) => pod.uid === uid)
    this.#wake.now()
  }

  /** Something has changed that may be about any Pod. */
  touchAll(): void {
    this.#hasNews = true
    this.#wake.now()
  }

  /** What real nodes are asked for has changed. */
  touchUsage(): void {
    this.#isUsageNew = true
  }

  /** Until the signal aborts. Rejects on a fault of ours. */
  async run(signal: AbortSignal): Promise<void> {
    const { world, metrics } = this.#options
    try {
      while (!signal.aborted) {
        const wait = world.isLoaded ? await this.#turn(signal) : TICK_MS
        if (wait > 0) await this.#wake.wait(wait, signal)
      }
    } finally {
      // Whoever leads next tells them: two that do would be added up.
      metrics.queue.reset()
      metrics.heldBackNow.reset()
    }
  }

  /** Reviews what is to be reviewed, and spills one Pod at most; how many milliseconds to wait before the next turn. */
  async #turn(signal: AbortSignal): Promise<number> {
    const now = this.#options.clock.now()
    this.#collectNews(now)
    for (const tracked of this.book.review(this.#judge, now)) this.#tell(tracked)
    this.#measure(now)
    const pausedMs = this.#pausedUntil - now
    if (pausedMs <= 0) await this.#askAboutLeavers()
    const next = this.book.next(now)
    if (next === undefined) return Math.max(1, Math.min(TICK_MS, this.book.dueIn(now)))
    const pause = Math.max(this.#bucket.waitMs, pausedMs, next.isDenied ? this.#denials.waitMs : 0)
    if (pause > 0) return Math.max(1, Math.min(TICK_MS, pause, this.book.dueIn(now)))
    await this.#spill(next, signal)
    return 0
  }

  #collectNews(now: number): void {
    const { environment } = this.#options.world
    if (this.#hasNews || environment !== this.#environment || now - this.#lookedAt >= LOOK_MS) {
      this.#hasNews = false
      this.#environment = environment
      this.#lookedAt = now
      this.book.touch()
    }
    if (!this.#isUsageNew || now - this.#usedAt < USAGE_MS) return
    this.#isUsageNew = false
    this.#usedAt = now
    this.book.touch(({ verdict }) => verdict?.outcome === 'held' && verdict.code === 'real-nodes-have-room')
  }

  #measure(now: number): void {
    if (now - this.#measuredAt < USAGE_MS) return
    this.#measuredAt = now
    const { queue, heldBackNow } = this.#options.metrics
    queue.set(this.book.ready(now))
    heldBackNow.reset()
    for (const { verdict } of this.book.all)
      if (verdict?.outcome === 'held') heldBackNow.inc({ rule: verdict.rule.name, reason: verdict.code })
  }

  async #spill(tracked: Tracked, signal: AbortSignal): Promise<void> {
    const { client, clock, metrics } = this.#options
    // By what is known now: requests are looked at less often than they change.
    const verdict = this.book.judge(tracked, this.#judge, clock.now())
    if (verdict.outcome !== 'spill') {
      this.#tell(tracked)
      return
    }
    const patch = this.#patch(tracked, verdict)
    if (patch === undefined) return
    this.#bucket.take()
    const written = await writePod(client, tracked.pod, patch, SPILL_MANAGER)
    if (signal.aborted && written.kind !== 'done') return
    // They count what ECI is asked for. What a Pod's namespace refuses over and over is to disturb nobody.
    if (written.kind !== 'done') this.#bucket.giveBack()
    if (tracked.isDenied && written.kind === 'failed') this.#denials.take()
    metrics.patches.inc({ purpose: 'spill', outcome: written.kind })
    this.#conclude(tracked, verdict, written)
  }

  /** Undefined, and told, where a patch of ours would not be accepted. */
  #patch(tracked: Tracked, { placed, rule }: Spill): PodPatch | undefined {
    try {
      return spillPatch(tracked.pod, placed, this.#options.world.environment.settings)
    } catch (error) {
      tracked.isDone = true
      this.#options.reports.refused(tracked.pod, rule.name, messageOf(error))
      return undefined
    }
  }

  #conclude(tracked: Tracked, { rule }: Spill, written: Written): void {
    if (written.kind === 'failed') this.#failed(tracked, rule.name, written)
    else this.#backoff.reset()
    if (written.kind === 'done') this.#done(tracked, rule.name)
    if (written.kind === 'changed') this.#changed(tracked, written.pod)
    if (written.kind === 'gone') tracked.isDone = true
    if (written.kind !== 'refused') return
    tracked.isDone = true
    this.#options.reports.refused(tracked.pod, rule.name, written.reason)
  }

  #done(tracked: Tracked, rule: string): void {
    const now = this.#options.clock.now()
    tracked.isDone = true
    this.#options.reports.spilled(tracked.pod, rule, now - (tracked.seenAt ?? now))
  }

  /** Read again, and decided again, in its old place. */
  #changed(tracked: Tracked, raw: unknown): void {
    // It may have got a node meanwhile, and nobody would tell of its end.
    if (this.book.get(tracked.key) !== tracked) return
    const now = this.#options.clock.now()
    this.book.set(tracked.key, pendingPod(raw), now)
    this.book.judge(tracked, this.#judge, now)
    this.#tell(tracked)
    tracked.tries += 1
    if (tracked.tries % MOST_CONFLICTS === 0) this.book.postpone(tracked, CONFLICT_MS, now)
  }

  /** Nothing is to be done for them; but what was done is to be told. */
  async #askAboutLeavers(): Promise<void> {
    for (const tracked of this.#leavers) {
      this.#leavers.delete(tracked)
      try {
        const found = await readPod(this.#options.client, tracked.pod)
        const { toleration } = this.#options.world.environment.settings
        const isSpilled = found !== undefined && covers(pendingPod(found).facts.tolerations, toleration)
        if (isSpilled && tracked.unanswered !== undefined) this.#done(tracked, tracked.unanswered)
      } catch {
        // It stays untold: the API server is away, and may be for long.
      }
    }
  }

  #tell(tracked: Tracked): void {
    const { verdict, unanswered, isDone } = tracked
    const isOpen = verdict?.outcome === 'idle' && verdict.code === 'open'
    // The attempt that nobody answered was the one that counts.
    if (unanswered !== undefined && isOpen && !isDone) this.#done(tracked, unanswered)
    else this.#options.reports.held(tracked)
  }

  /** The others are not to wait for one whose namespace has a webhook that fails, say. */
  #failed(
    tracked: Tracked,
    rule: string,
    { reason, retryAfterMs, isEverybodys }: Extract<Written, { kind: 'failed' }>,
  ): void {
    const now = this.#options.clock.now()
    tracked.unanswered = rule
    // It has left before this attempt was over.
    if (this.book.get(tracked.key) !== tracked) this.#leavers.add(tracked)
    tracked.tries += 1
    const wait = Math.min(LONGEST_RETRY_MS, LEAST_RETRY_MS * 2 ** Math.min(tracked.tries - 1, 10))
    this.book.postpone(tracked, Math.max(wait, retryAfterMs), now)
    if (isEverybodys) this.#pausedUntil = now + Math.max(this.#backoff.next(), retryAfterMs)
    else this.book.deny(tracked)
    this.#options.reports.failed(tracked.pod, rule, reason)
  }
}
