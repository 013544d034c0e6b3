/** How much of the real nodes is requested: what ratios are about. Kept up to date by what changes, never counted anew. */
import type { Toleration } from '../kubernetes/objects.ts'
import { asRecord, asString } from '../kubernetes/objects.ts'
import { podRequests } from '../kubernetes/quantity.ts'
import { isOpenRealNode, type NodeState, toleratesAll } from './node-state.ts'

/** Sums over the real nodes that could take a Pod; in nano-units. */
export interface Share {
  readonly nodes: number
  readonly cpu: Amounts
  readonly memory: Amounts
}

export interface Amounts {
  readonly requested: bigint
  readonly allocatable: bigint
}

/** What a bound Pod takes of its node. */
export interface Usage {
  readonly node: string
  readonly cpu: bigint
  readonly memory: bigint
}

/** The field selector of the Pods that {@link Capacity} counts. */
export const BOUND_AND_RUNNING = 'spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed'

/** Reads a bound Pod of the API. */
export function usageOf(raw: unknown): Usage {
  const pod = asRecord(raw)
  const { cpu, memory } = podRequests(pod?.spec, pod?.status)
  return { node: asString(asRecord(pod?.spec)?.nodeName) ?? '', cpu, memory }
}

/** Is at least that per cent requested? Of nothing at all, all is. */
export function isReached({ requested, allocatable }: Amounts, percent: number): boolean {
  return requested * 100n >= allocatable * BigInt(percent)
}

/** Whole per cent, rounded down, for people. */
export function percentOf({ requested, allocatable }: Amounts): number {
  return allocatable === 0n ? 100 : Number((requested * 100n) / allocatable)
}

interface Sum {
  cpu: bigint
  memory: bigint
}

/** Sums by node, so that a Pod or node that changes costs one addition. */
export class Capacity {
  readonly #nodes = new Map<string, NodeState>()
  readonly #requested = new Map<string, Sum>()
  /** Pods with the same tolerations have the same answer until something changes. */
  readonly #shares = new Map<string, Share>()

  setNode(node: NodeState): void {
    this.#shares.clear()
    this.#nodes.set(node.name, node)
  }

  deleteNode(name: string): void {
    this.#shares.clear()
    this.#nodes.delete(name)
  }

  add(usage: Usage): void {
    this.#change(usage, 1n)
  }

  remove(usage: Usage): void {
    this.#change(usage, -1n)
  }

  /** Over the nodes that are Ready, schedulable and real, and whose taints these tolerations cover. */
  share(tolerations: readonly Toleration[]): Share {
    const key = JSON.stringify(tolerations)
    const known = this.#shares.get(key)
    if (known !== undefined) return known
    const share = this.#sum(tolerations)
    this.#shares.set(key, share)
    return share
  }

  #change({ node, cpu, memory }: Usage, sign: bigint): void {
    this.#shares.clear()
    const sum = this.#requested.get(node) ?? { cpu: 0n, memory: 0n }
    sum.cpu += sign * cpu
    sum.memory += sign * memory
    if (sum.cpu === 0n && sum.memory === 0n) this.#requested.delete(node)
    else this.#requested.set(node, sum)
  }

  #sum(tolerations: readonly Toleration[]): Share {
    const total = {
      nodes: 0,
      cpu: { requested: 0n, allocatable: 0n },
      memory: { requested: 0n, allocatable: 0n },
    }
    for (const node of this.#nodes.values()) {
      if (!isOpenRealNode(node) || !toleratesAll(tolerations, node.taints)) continue
      const requested = this.#requested.get(node.name)
      total.nodes += 1
      total.cpu.allocatable += node.cpu
      total.memory.allocatable += node.memory
      total.cpu.requested += requested?.cpu ?? 0n
      total.memory.requested += requested?.memory ?? 0n
    }
    return total
  }
}
