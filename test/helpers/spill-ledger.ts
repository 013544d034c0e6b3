/** Who let which Pod go to a VNode, and in which order, as the API server tells it. */
import type { ControlPlane } from './control-plane.ts'
import type { KubeObject, WatchEvent } from './kube-http.ts'
import type { StoredPod } from './placed-pods.ts'
import { vnodeTolerations } from './pod-story.ts'

export interface LedgerOptions {
  readonly namespace: string
  /** Path of the Lease by which the helpers elect their leader. */
  readonly lease?: string
}

export interface LedgerSpill {
  readonly pod: string
  readonly createdAt: string
  readonly version: number
}

interface Term {
  readonly holder: string
  readonly version: number
}

interface SchedulablePod extends StoredPod {
  metadata: StoredPod['metadata'] & { creationTimestamp?: string }
  status: StoredPod['status'] & { conditions?: { type: string; reason?: string }[] }
}

/**
 * Follows a namespace's Pods and the Lease by watch, from before there are any. Versions of all objects of an API server come from one
 * counter, etcd's, so that they tell under whose Lease a Pod was written; no clock is needed.
 */
export class SpillLedger {
  /** Each time that a Pod has got the toleration of the VNodes' taint. */
  readonly spills: LedgerSpill[] = []
  /** By the Pods' names, when a change was first seen, in milliseconds of performance.now(). */
  readonly unschedulableAt = new Map<string, number>()
  readonly spilledAt = new Map<string, number>()
  readonly boundAt = new Map<string, number>()
  readonly runningAt = new Map<string, number>()
  readonly terms: Term[] = []
  readonly #tolerations = new Map<string, number>()
  readonly #ends: (() => void)[] = []

  static async follow(controlPlane: ControlPlane, { namespace, lease }: LedgerOptions): Promise<SpillLedger> {
    const ledger = new SpillLedger()
    const pods = `/api/v1/namespaces/${namespace}/pods`
    ledger.#ends.push(await controlPlane.watch<SchedulablePod>(pods, event => ledger.#notePod(event)))
    if (lease === undefined) return ledger
    const [collection, name] = [
      lease.slice(0, lease.lastIndexOf('/')),
      lease.slice(lease.lastIndexOf('/') + 1),
    ]
    const selector = encodeURIComponent(`metadata.name=${name}`)
    const path = `${collection}?fieldSelector=${selector}`
    ledger.#ends.push(await controlPlane.watch(path, event => ledger.#noteLease(event)))
    return ledger
  }

  stop(): void {
    for (const end of this.#ends.splice(0)) end()
  }

  /** The spills of each term that had any, in the order of the terms. */
  get byTerm(): LedgerSpill[][] {
    const groups = new Map<Term | undefined, LedgerSpill[]>()
    for (const spill of this.spills) {
      const term = this.terms.findLast(({ version }) => version < spill.version)
      groups.set(term, [...(groups.get(term) ?? []), spill])
    }
    return [...groups.values()]
  }

  #notePod({ type, object }: WatchEvent<SchedulablePod>): void {
    if (type !== 'ADDED' && type !== 'MODIFIED') return
    const { metadata, spec, status } = object
    const { name, creationTimestamp: createdAt = '', resourceVersion } = metadata
    const now = performance.now()
    if (spec.nodeName !== undefined) note(this.boundAt, name, now)
    if (status.phase === 'Running') note(this.runningAt, name, now)
    if (status.conditions?.some(isUnschedulable)) note(this.unschedulableAt, name, now)
    const count = vnodeTolerations(object)
    const before = this.#tolerations.get(name) ?? 0
    this.#tolerations.set(name, count)
    if (count > before) note(this.spilledAt, name, now)
    for (let more = before; more < count; more += 1)
      this.spills.push({ pod: name, createdAt, version: Number(resourceVersion) })
  }

  #noteLease({ type, object }: WatchEvent<KubeObject>): void {
    if (type !== 'ADDED' && type !== 'MODIFIED') return
    const { holderIdentity = '', leaseTransitions = 0 } = object.spec ?? {}
    const holder = `${holderIdentity} ${leaseTransitions}`
    if (this.terms.at(-1)?.holder !== holder)
      this.terms.push({ holder, version: Number(object.metadata.resourceVersion) })
  }
}

function note(times: Map<string, number>, name: string, now: number): void {
  if (!times.has(name)) times.set(name, now)
}

function isUnschedulable({ type, reason }: { type: string; reason?: string }): boolean {
  return type === 'PodScheduled' && reason === 'Unschedulable'
}
