/** Pods that the webhook did not see: they get what can still be added, and what is lost is told once to their owner. */
import { messageOf } from '../../core/errors.ts'
import { ANNOTATION_RULES, MISSED_MANAGER } from '../../core/names.ts'
import { type Conflicted, conflictedOf, type Missed, missedOf } from '../../core/spill/missed.ts'
import { type PendingPod, pendingPod } from '../../core/spill/pending-pod.ts'
import { lostOnNode } from '../../core/spill/words.ts'
import type { KubeClient } from '../../kube/api.ts'
import { Backoff } from '../../kube/backoff.ts'
import { type Clock, sleep } from '../../kube/clock.ts'
import type { SpillMetrics } from '../../telemetry/helper-metrics.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { Wake } from '../wake.ts'
import type { Owners } from './owners.ts'
import type { PodEvents } from './pod-events.ts'
import { type Written, writePod } from './pod-writer.ts'
import { RetryQueue, type Waiting } from './retry-queue.ts'
import type { SpillWorld } from './world.ts'

export interface MissedPodsOptions {
  /** The leader's: it writes nothing once the term is over. */
  readonly client: Pick<KubeClient, 'request'>
  readonly world: Pick<SpillWorld, 'isLoaded' | 'environment' | 'namespaceOf'>
  readonly owners: Pick<Owners, 'of'>
  readonly reports: PodEvents
  readonly metrics: SpillMetrics
  readonly log: Logger
  readonly clock: Clock
  /** A rule is about the Pod, which itself rules VNodes out. Called over and over as long as that is so. */
  readonly onConflict?: (pod: PendingPod, conflicted: Conflicted) => void
}

/** A Pod without a node and without a mark of ours. */
interface Unmarked {
  /** As it was last seen. */
  pod: PendingPod
  isCounted: boolean
  /** What has been done and said of it, so that only another answer is worth another look. */
  settled: string
}

const TICK_MS = 1_000
/** What nobody tells (a namespace's labels) is looked at in these times. */
const LOOK_MS = 10_000
/** Conflicts in a row after which a Pod that somebody keeps on changing has to wait. */
const MOST_CONFLICTS = 5
/** Told owners that are remembered; forgetting one writes the same Event once more. */
const MOST_TOLD = 2_000

export class MissedPods {
  readonly #options: MissedPodsOptions
  /** By uid. */
  readonly #queue: RetryQueue<Unmarked>
  /** By uid, all that there are. */
  readonly #unmarked = new Map<string, Unmarked>()
  readonly #told = new Set<string>()
  readonly #wake: Wake
  #environment: unknown
  #lookedAt = Number.NEGATIVE_INFINITY

  constructor(options: MissedPodsOptions) {
    this.#options = options
    this.#queue = new RetryQueue(options.clock)
    this.#wake = new Wake(options.clock)
  }

  /** A Pod without a node. One that gets its node while it waits here is looked at all the same. */
  add(pod: PendingPod): void {
    const isMarked = pod.facts.annotations.has(ANNOTATION_RULES)
    const known = this.#unmarked.get(pod.uid)
    if (known !== undefined) known.pod = pod
    if (isMarked) this.forget(pod.uid)
    if (isMarked || known !== undefined) return
    const unmarked = { pod, isCounted: false, settled: '' }
    this.#unmarked.set(pod.uid, unmarked)
    this.#queue.add(pod.uid, unmarked)
    this.#wake.now()
  }

  /** The Pod has a node, or is gone. */
  forget(uid: string): void {
    this.#unmarked.delete(uid)
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ minMs: 200, maxMs: 10_000, random: Math.random })
    while (!signal.aborted) {
      const next = this.#options.world.isLoaded ? this.#next() : undefined
      if (next === undefined) {
        await this.#wake.wait(TICK_MS, signal)
        continue
      }
      const written = await this.#look(next.value)
      if (signal.aborted) return
      if (written?.kind !== 'failed' && written?.kind !== 'changed') backoff.reset()
      else this.#queue.retry(next, next.value)
      if (written?.kind === 'failed' && written.isEverybodys)
        await sleep(this.#options.clock, Math.max(backoff.next(), written.retryAfterMs), signal)
    }
  }

  #next(): Waiting<Unmarked> | undefined {
    const now = this.#options.clock.now()
    const { environment } = this.#options.world
    if (environment !== this.#environment || now - this.#lookedAt >= LOOK_MS) {
      this.#environment = environment
      this.#lookedAt = now
      this.#lookAgain()
    }
    return this.#queue.take()
  }

  /** Rules, VNodes, and labels of namespaces may have become others since a Pod was looked at. */
  #lookAgain(): void {
    for (const [uid, unmarked] of this.#unmarked) {
      const missed = this.#missed(unmarked)
      if (missed === undefined) this.#noteConflict(unmarked)
      else if (essenceOf(missed) !== unmarked.settled) this.#queue.add(uid, unmarked)
    }
  }

  /** Undefined where there is nothing more to do. */
  async #look(unmarked: Unmarked): Promise<Written | undefined> {
    const { pod } = unmarked
    const first = this.#missed(unmarked)
    if (first === undefined) {
      this.#noteConflict(unmarked)
      return undefined
    }
    if (!unmarked.isCounted) this.#options.metrics.missed.inc({ rule: first.rule })
    unmarked.isCounted = true
    const { written, missed } = await this.#mend(unmarked, first)
    if (written?.kind === 'failed' || written?.kind === 'changed') return written
    unmarked.settled = essenceOf(missed)
    if (missed.lost !== undefined && written?.kind !== 'gone') await this.#tell(pod, missed)
    return written
  }

  /** Adds what can still be added, to the Pod as it is by now. */
  async #mend(
    unmarked: Unmarked,
    first: Missed,
  ): Promise<{ readonly written?: Written; readonly missed: Missed }> {
    const { client, metrics, reports } = this.#options
    let missed = first
    for (let conflicts = 1; missed.patch !== undefined; conflicts += 1) {
      const { pod } = unmarked
      const written = await writePod(client, pod, missed.patch, MISSED_MANAGER)
      metrics.patches.inc({ purpose: 'missed', outcome: written.kind })
      if (written.kind === 'refused') reports.refused(pod, missed.rule, written.reason)
      if (written.kind === 'failed') reports.failed(pod, missed.rule, written.reason)
      if (written.kind !== 'changed') return { written, missed }
      unmarked.pod = pendingPod(written.pod)
      const next = this.#missed(unmarked)
      if (next === undefined) {
        const lost = this.#lostTo(unmarked.pod.facts.nodeName, missed)
        return { missed: { rule: missed.rule, ...lost } }
      }
      if (conflicts >= MOST_CONFLICTS) return { written, missed: next }
      missed = next
    }
    return { missed }
  }

  /** What is lost to a Pod that got its node before anything could be added. */
  #lostTo(nodeName: string | undefined, { lost }: Missed): Pick<Missed, 'lost'> {
    const { vnodes } = this.#options.world.environment
    // On a VNode it gets the rest; without a node it was somebody else who changed it.
    if (lost === undefined || nodeName === undefined || vnodes.hasName(nodeName)) return {}
    return { lost: lostOnNode(nodeName) }
  }

  #noteConflict({ pod }: Unmarked): void {
    const { world, onConflict } = this.#options
    const conflicted = conflictedOf(pod, world.namespaceOf(pod.namespace), world.environment)
    if (conflicted !== undefined) onConflict?.(pod, conflicted)
  }

  #missed(unmarked: Unmarked): Missed | undefined {
    const { world, log } = this.#options
    const { pod } = unmarked
    try {
      return missedOf(pod, world.namespaceOf(pod.namespace), world.environment)
    } catch (error) {
      const why = messageOf(error)
      if (unmarked.settled !== why)
        log.warn({ pod: `${pod.namespace}/${pod.name}`, error: why }, 'a missed Pod cannot be mended')
      unmarked.settled = why
      return undefined
    }
  }

  async #tell(pod: PendingPod, { rule, lost = '' }: Missed): Promise<void> {
    const owner = await this.#options.owners.of(pod)
    if (this.#told.has(owner.uid)) return
    if (this.#told.size >= MOST_TOLD) this.#told.clear()
    this.#told.add(owner.uid)
    this.#options.reports.missed(owner, pod, { rule, lost })
  }
}

/** Without the version that the patch is made on. */
function essenceOf({ rule, patch, lost }: Missed): string {
  return JSON.stringify([rule, patch?.slice(1), lost])
}
