/** Pods on VNodes: each gets, once, what was kept from it until it was bound there. */
import { messageOf } from '../../core/errors.ts'
import { asRecord, asRecords } from '../../core/kubernetes/objects.ts'
import { BINDING_MANAGER, MISSED_MANAGER } from '../../core/names.ts'
import { decide } from '../../core/policy/decide.ts'
import { type PendingPod, pendingPod } from '../../core/spill/pending-pod.ts'
import { type PodPatch, patchOnVnode } from '../../core/spill/spill-patch.ts'
import type { KubeClient } from '../../kube/api.ts'
import { Backoff } from '../../kube/backoff.ts'
import { type Clock, sleep } from '../../kube/clock.ts'
import { resourcePath } from '../../kube/path.ts'
import type { Change, Reflector } from '../../kube/reflector.ts'
import type { SpillMetrics } from '../../telemetry/helper-metrics.ts'
import { Wake } from '../wake.ts'
import type { PodEvents } from './pod-events.ts'
import { type Written, writePod } from './pod-writer.ts'
import { RetryQueue, type Waiting } from './retry-queue.ts'
import type { SpillWorld } from './world.ts'

export interface VnodePodsOptions {
  /** The leader's: it writes nothing once the term is over. */
  readonly client: Pick<KubeClient, 'request'>
  readonly world: Pick<SpillWorld, 'isLoaded' | 'environment' | 'namespaceOf' | 'reflect'>
  readonly reports: PodEvents
  readonly metrics: SpillMetrics
  readonly clock: Clock
  /** A Pod has come to a VNode. */
  readonly onArrival?: (pod: PendingPod) => void
}

interface VnodePod extends PendingPod {
  readonly isMended: boolean
}

/** A Pod on a VNode; without the Pod itself once there is nothing more to be done about it. */
interface OnVnode {
  readonly uid: string
  readonly pod?: VnodePod
}

/** Conflicts in a row after which a Pod that somebody keeps on changing has to wait. */
const MOST_CONFLICTS = 5
const TICK_MS = 1_000

export class VnodePods {
  readonly #options: VnodePodsOptions
  readonly #reflectors = new Map<string, Reflector<OnVnode>>()
  /** By `namespace/name`. */
  readonly #queue: RetryQueue<VnodePod>
  /** Uids of the Pods that are on a VNode. */
  readonly #there = new Set<string>()
  /** Uids of those of them that need no second look. */
  readonly #finished = new Set<string>()
  readonly #wake: Wake

  constructor(options: VnodePodsOptions) {
    this.#options = options
    this.#queue = new RetryQueue(options.clock)
    this.#wake = new Wake(options.clock)
  }

  setVnode(name: string): void {
    if (this.#reflectors.has(name)) return
    const reflector: Reflector<OnVnode> = this.#options.world.reflect<OnVnode>(`pods of ${name}`, {
      path: resourcePath({ version: 'v1', plural: 'pods' }),
      fieldSelector: `spec.nodeName=${name}`,
      keep: raw => this.#keep(raw),
      onChange: change => this.#changed(change, reflector.synced),
    })
    this.#reflectors.set(name, reflector)
    reflector.start()
  }

  deleteVnode(name: string): void {
    const reflector = this.#reflectors.get(name)
    this.#reflectors.delete(name)
    void reflector?.stop()
    for (const [key, { value }] of reflector?.objects ?? []) this.#forget(key, value.uid)
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#reflectors.values()].map(reflector => reflector.stop()))
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ minMs: 200, maxMs: 10_000, random: Math.random })
    while (!signal.aborted) {
      const next = this.#options.world.isLoaded ? this.#queue.take() : undefined
      if (next === undefined) {
        await this.#wake.wait(TICK_MS, signal)
        continue
      }
      const written = await this.#finish(next.value)
      if (signal.aborted) return
      if (written?.kind !== 'failed' && written?.kind !== 'changed') backoff.reset()
      else this.#postpone(next, written)
      if (written?.kind === 'failed' && written.isEverybodys)
        await sleep(this.#options.clock, Math.max(backoff.next(), written.retryAfterMs), signal)
    }
  }

  #postpone(waiting: Waiting<VnodePod>, written: Written): void {
    const again = written.kind === 'changed' ? vnodePod(written.pod) : waiting.value
    // It may have been deleted meanwhile, or be another one by now.
    if (this.#there.has(again.uid)) this.#queue.retry(waiting, again)
  }

  #keep(raw: unknown): OnVnode {
    const pod = vnodePod(raw)
    const isFinished = hasManager(raw, BINDING_MANAGER) || this.#finished.has(pod.uid)
    return isFinished ? { uid: pod.uid } : { uid: pod.uid, pod }
  }

  #changed({ type, key, value: { uid, pod } }: Change<OnVnode>, isNew: boolean): void {
    if (type === 'deleted') {
      this.#forget(key, uid)
      return
    }
    this.#there.add(uid)
    if (pod === undefined || this.#finished.has(uid) || pod.isTerminating) return
    if (type === 'added' && isNew) this.#arrived(pod)
    this.#queue.add(key, pod)
    this.#wake.now()
  }

  #forget(key: string, uid: string): void {
    this.#queue.delete(key)
    this.#there.delete(uid)
    this.#finished.delete(uid)
  }

  /** One that was there before us was told of by whoever led then. */
  #arrived(pod: PendingPod): void {
    const { world, metrics, onArrival } = this.#options
    const decision = decide(pod.facts, world.namespaceOf(pod.namespace), world.environment)
    if (decision.outcome === 'placed' && decision.policy !== undefined)
      metrics.placed.inc({ rule: decision.rule?.name ?? '', policy: decision.policy.kind })
    onArrival?.(pod)
  }

  /** Undefined where there is nothing to write. */
  async #finish(given: VnodePod): Promise<Written | undefined> {
    const { client, metrics } = this.#options
    let pod = given
    for (let conflicts = 1; ; conflicts += 1) {
      const patch = this.#patch(pod)
      if (patch === undefined) {
        this.#noteFinished(pod.uid)
        return undefined
      }
      const written = await writePod(client, pod, patch, BINDING_MANAGER)
      metrics.patches.inc({ purpose: 'binding', outcome: written.kind })
      if (written.kind === 'changed') {
        if (conflicts >= MOST_CONFLICTS) return written
        pod = vnodePod(written.pod)
        continue
      }
      this.#conclude(pod, written)
      return written
    }
  }

  #patch(pod: VnodePod): PodPatch | undefined {
    const { world, reports } = this.#options
    try {
      return patchOnVnode(pod, world.namespaceOf(pod.namespace), world.environment)
    } catch (error) {
      reports.refused(pod, this.#ruleOf(pod), messageOf(error))
      return undefined
    }
  }

  #conclude(pod: PendingPod, written: Written): void {
    const { reports } = this.#options
    if (written.kind === 'refused') reports.refused(pod, this.#ruleOf(pod), written.reason)
    if (written.kind === 'failed') reports.failed(pod, this.#ruleOf(pod), written.reason)
    else this.#noteFinished(pod.uid)
  }

  /** Of one that has gone meanwhile nobody would tell again. */
  #noteFinished(uid: string): void {
    if (this.#there.has(uid)) this.#finished.add(uid)
  }

  #ruleOf(pod: PendingPod): string {
    const { world } = this.#options
    const decision = decide(pod.facts, world.namespaceOf(pod.namespace), world.environment)
    return 'rule' in decision ? (decision.rule?.name ?? '') : ''
  }
}

function vnodePod(raw: unknown): VnodePod {
  return { ...pendingPod(raw), isMended: hasManager(raw, MISSED_MANAGER) }
}

/** What was done to the Pod, the API server remembers. */
function hasManager(raw: unknown, name: string): boolean {
  return asRecords(asRecord(asRecord(raw)?.metadata)?.managedFields).some(({ manager }) => manager === name)
}
