/** Pods that the webhook did not see: they get what can still be added, and what is lost is told once to their owner. */
import { messageOf } from '../../core/errors.ts'
import { ANNOTATION_RULES, MISSED_MANAGER } from '../../core/names.ts'
import { type Missed, missedOf } from '../../core/spill/missed.ts'
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
}

const TICK_MS = 1_000
/** Told owners that are remembered; forgetting one writes the same Event once more. */
const MOST_TOLD = 2_000

export class MissedPods {
  readonly #options: MissedPodsOptions
  /** By uid, in the order in which they were seen. */
  readonly #queue = new Map<string, PendingPod>()
  /** Uids of unbound Pods that were looked at. */
  readonly #seen = new Set<string>()
  readonly #counted = new WeakSet<PendingPod>()
  readonly #told = new Set<string>()
  readonly #wake: Wake

  constructor(options: MissedPodsOptions) {
    this.#options = options
    this.#wake = new Wake(options.clock)
  }

  /** A Pod without a node. One that gets its node while it waits here is looked at all the same. */
  add(pod: PendingPod): void {
    if (pod.facts.annotations.has(ANNOTATION_RULES) || this.#seen.has(pod.uid)) return
    this.#seen.add(pod.uid)
    this.#queue.set(pod.uid, pod)
    this.#wake.now()
  }

  /** The Pod has a node, or is gone. */
  forget(uid: string): void {
    this.#seen.delete(uid)
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ minMs: 200, maxMs: 10_000, random: Math.random })
    while (!signal.aborted) {
      const [pod] = this.#options.world.isLoaded ? this.#queue.values() : []
      if (pod === undefined) {
        await this.#wake.wait(TICK_MS, signal)
        continue
      }
      this.#queue.delete(pod.uid)
      const written = await this.#look(pod)
      if (signal.aborted) return
      if (written?.kind !== 'failed') backoff.reset()
      else {
        this.#queue.set(pod.uid, pod)
        await sleep(this.#options.clock, Math.max(backoff.next(), written.retryAfterMs), signal)
      }
    }
  }

  async #look(given: PendingPod): Promise<Written | undefined> {
    const { metrics } = this.#options
    const first = this.#missed(given)
    if (first === undefined) return undefined
    if (!this.#counted.has(given)) metrics.missed.inc({ rule: first.rule })
    this.#counted.add(given)
    const { written, missed } = await this.#mend(given, first)
    if (missed.lost !== undefined && written?.kind !== 'gone' && written?.kind !== 'failed')
      await this.#tell(given, missed)
    return written
  }

  /** Adds what can still be added, to the Pod as it is by now. */
  async #mend(
    given: PendingPod,
    first: Missed,
  ): Promise<{ readonly written?: Written; readonly missed: Missed }> {
    const { client, metrics, reports } = this.#options
    let [pod, missed] = [given, first]
    while (missed.patch !== undefined) {
      const written = await writePod(client, pod, missed.patch, MISSED_MANAGER)
      metrics.patches.inc({ purpose: 'missed', outcome: written.kind })
      if (written.kind === 'refused') reports.refused(pod, missed.rule, written.reason)
      if (written.kind !== 'changed') return { written, missed }
      pod = pendingPod(written.pod)
      const { nodeName } = pod.facts
      const next = this.#missed(pod)
      if (next === undefined) return { missed: { rule: missed.rule, ...this.#lostTo(nodeName, missed) } }
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

  #missed(pod: PendingPod): Missed | undefined {
    const { world, log } = this.#options
    try {
      return missedOf(pod, world.namespaceOf(pod.namespace), world.environment)
    } catch (error) {
      log.warn(
        { pod: `${pod.namespace}/${pod.name}`, error: messageOf(error) },
        'a missed Pod cannot be mended',
      )
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
