/** What ECI will refuse of Pods, or bill for, told to their owners: who wrote a Deployment never sees the warnings of admission. */
import { podAdvice } from '../../core/eci/pod-advice.ts'
import { podFacts } from '../../core/pod/facts.ts'
import { decide } from '../../core/policy/decide.ts'
import type { PendingPod } from '../../core/spill/pending-pod.ts'
import type { KubeClient } from '../../kube/api.ts'
import { type Clock, sleep } from '../../kube/clock.ts'
import { Wake } from '../wake.ts'
import { type Owners, templateOf } from './owners.ts'
import type { PodEvents } from './pod-events.ts'
import { readPod } from './pod-writer.ts'
import type { SpillWorld } from './world.ts'

export interface EciWarningsOptions {
  readonly client: Pick<KubeClient, 'request'>
  readonly world: Pick<SpillWorld, 'environment' | 'namespaceOf'>
  readonly owners: Pick<Owners, 'of'>
  readonly reports: PodEvents
  readonly clock: Clock
  readonly today?: () => Date
}

const TICK_MS = 60_000
/** Pods that wait to be looked at; of a crowd the first ones will do. */
const MOST_WAITING = 1_000
const PAUSE_MS = 1_000

export class EciWarnings {
  readonly #options: EciWarningsOptions
  readonly #queue = new Map<string, PendingPod>()
  /** By template, what was looked at in {@link EciWarnings.#hour}: an edit of a Deployment brings another one within minutes. */
  readonly #looked = new Set<string>()
  #hour = ''
  readonly #wake: Wake

  constructor(options: EciWarningsOptions) {
    this.#options = options
    this.#wake = new Wake(options.clock)
  }

  /** A Pod has come to a VNode. */
  add(pod: PendingPod): void {
    if (this.#queue.size >= MOST_WAITING) return
    this.#queue.set(pod.uid, pod)
    this.#wake.now()
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const [pod] = this.#queue.values()
      if (pod === undefined) {
        await this.#wake.wait(TICK_MS, signal)
        continue
      }
      this.#queue.delete(pod.uid)
      try {
        await this.#look(pod)
      } catch {
        // A warning is courtesy; the owner's next Pod brings it.
        await sleep(this.#options.clock, PAUSE_MS, signal)
      }
    }
  }

  async #look(pod: PendingPod): Promise<void> {
    const { client, owners, reports, world, today = () => new Date() } = this.#options
    const hour = today().toISOString().slice(0, 13)
    if (hour !== this.#hour) this.#looked.clear()
    this.#hour = hour
    const template = templateOf(pod)
    if (this.#looked.has(template)) return
    const owner = await owners.of(pod)
    const found = await readPod(client, pod)
    // One that is gone, or a read that fails, must not silence the others of its kind.
    if (found === undefined) return
    this.#looked.add(template)
    const decision = decide(podFacts(found), world.namespaceOf(pod.namespace), world.environment)
    const annotations = decision.outcome === 'placed' ? { annotations: decision.effect.annotations } : {}
    const advice = podAdvice(found, annotations)
    if (advice.length > 0) reports.advice(owner, pod, { advice, hour })
  }
}
