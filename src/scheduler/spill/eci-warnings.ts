/**
 * What ECI will refuse of Pods, or bill for, and what keeps Pods from where a rule sends them, told to their owners: who wrote a Deployment
 * never sees the warnings of admission.
 */
import { type Advice, podAdvice } from '../../core/eci/pod-advice.ts'
import { podFacts } from '../../core/pod/facts.ts'
import { decide } from '../../core/policy/decide.ts'
import type { Conflicted } from '../../core/spill/missed.ts'
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

interface Noted {
  readonly pod: PendingPod
  /** Of a Pod without a node. */
  readonly conflicted?: Conflicted
}

export class EciWarnings {
  readonly #options: EciWarningsOptions
  readonly #queue = new Map<string, Noted>()
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
    this.#put({ pod })
  }

  /** A rule is about a Pod that itself rules VNodes out. To be called again as long as that is so. */
  addConflict(pod: PendingPod, conflicted: Conflicted): void {
    this.#put({ pod, conflicted })
  }

  #put(noted: Noted): void {
    if (this.#queue.size >= MOST_WAITING) return
    this.#queue.set(noted.pod.uid, noted)
    this.#wake.now()
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const [noted] = this.#queue.values()
      if (noted === undefined) {
        await this.#wake.wait(TICK_MS, signal)
        continue
      }
      this.#queue.delete(noted.pod.uid)
      try {
        await this.#look(noted)
      } catch {
        // A warning is courtesy; the owner's next Pod brings it.
        await sleep(this.#options.clock, PAUSE_MS, signal)
      }
    }
  }

  async #look({ pod, conflicted }: Noted): Promise<void> {
    const { owners, reports, today = () => new Date() } = this.#options
    const hour = today().toISOString().slice(0, 13)
    if (hour !== this.#hour) this.#looked.clear()
    this.#hour = hour
    const template = `${templateOf(pod)} ${conflicted?.conflict.code ?? ''}`
    if (this.#looked.has(template)) return
    const owner = await owners.of(pod)
    const advice = conflicted === undefined ? await this.#advice(pod) : []
    // One that is gone, or a read that fails, must not silence the others of its kind.
    if (advice === undefined) return
    this.#looked.add(template)
    if (conflicted !== undefined) reports.conflict(owner, pod, { conflicted, hour })
    else if (advice.length > 0) reports.advice(owner, pod, { advice, hour })
  }

  /** Undefined for a Pod that is gone. */
  async #advice(pod: PendingPod): Promise<readonly Advice[] | undefined> {
    const { client, world } = this.#options
    const found = await readPod(client, pod)
    if (found === undefined) return undefined
    const decision = decide(podFacts(found), world.namespaceOf(pod.namespace), world.environment)
    const annotations = decision.outcome === 'placed' ? { annotations: decision.effect.annotations } : {}
    return podAdvice(found, annotations)
  }
}
