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

/** A Pod on a VNode; undefined once there is nothing more to be done about it. */
type OnVnode = VnodePod | undefined

const TICK_MS = 1_000

export class VnodePods {
  readonly #options: VnodePodsOptions
  readonly #reflectors = new Map<string, Reflector<OnVnode>>()
  /** By `namespace/name`, those that are to be looked at, first come first served. */
  readonly #queue = new Map<string, VnodePod>()
  /** Uids of Pods that need no second look. */
  readonly #finished = new Set<string>()
  readonly #wake: Wake

  constructor(options: VnodePodsOptions) {
    this.#options = options
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
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#reflectors.values()].map(reflector => reflector.stop()))
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ minMs: 200, maxMs: 10_000, random: Math.random })
    while (!signal.aborted) {
      const [first] = this.#options.world.isLoaded ? this.#queue : []
      if (first === undefined) {
        await this.#wake.wait(TICK_MS, signal)
        continue
      }
      const [key, pod] = first
      this.#queue.delete(key)
      const written = await this.#finish(pod)
      if (signal.aborted) return
      if (written?.kind !== 'failed') backoff.reset()
      else {
        if (!this.#queue.has(key)) this.#queue.set(key, pod)
        await sleep(this.#options.clock, Math.max(backoff.next(), written.retryAfterMs), signal)
      }
    }
  }

  #keep(raw: unknown): OnVnode {
    if (hasManager(raw, BINDING_MANAGER)) return undefined
    const pod = vnodePod(raw)
    return this.#finished.has(pod.uid) ? undefined : pod
  }

  #changed({ type, key, value, previous }: Change<OnVnode>, isNew: boolean): void {
    if (type === 'deleted') {
      this.#queue.delete(key)
      if (value !== undefined) this.#finished.delete(value.uid)
      return
    }
    if (value === undefined) {
      if (previous !== undefined) this.#finished.add(previous.uid)
      return
    }
    if (this.#finished.has(value.uid) || value.isTerminating) return
    if (type === 'added' && isNew) this.#arrived(value)
    this.#queue.set(key, value)
    this.#wake.now()
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
    for (;;) {
      const patch = this.#patch(pod)
      if (patch === undefined) {
        this.#finished.add(pod.uid)
        return undefined
      }
      const written = await writePod(client, pod, patch, BINDING_MANAGER)
      metrics.patches.inc({ purpose: 'binding', outcome: written.kind })
      if (written.kind === 'changed') {
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
    else this.#finished.add(pod.uid)
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
