import type { ElectionSettings } from './election-settings.ts'
import { type Claim, type LeaseRecord, microTime } from './lease-record.ts'

/**
 * Which Lease is ours: what this very process wrote, or may have written, for the answer to an attempt may be lost. Our
 * identity alone proves nothing: it may be another process's, or a predecessor's that still runs.
 */
export class Claims {
  readonly #settings: Pick<ElectionSettings, 'identity' | 'leaseDurationMs' | 'today'>
  /** The newest last, and the one before: its Lease is still there if the newest never arrived. */
  #claims: readonly Claim[] = []
  /** A Lease that is deleted and made again knows none. */
  #transitions = 0

  constructor(settings: Pick<ElectionSettings, 'identity' | 'leaseDurationMs' | 'today'>) {
    this.#settings = settings
  }

  get isEmpty(): boolean {
    return this.#claims.length === 0
  }

  /** Also false if the others would wait for less than we count on. */
  isOurs(lease: LeaseRecord): boolean {
    const { identity, leaseDurationMs } = this.#settings
    if (lease.holder !== identity || (lease.durationMs ?? 0) < leaseDurationMs) return false
    return this.#claims.some(claim => isSame(claim, lease))
  }

  /** What to write into a Lease that is free. The same for another attempt after one whose answer was lost. */
  make({ uid, acquireTime }: LeaseRecord): Claim {
    const transitions = this.#transitions + 1
    const last = this.#claims.at(-1)
    if (last?.uid === uid && last.transitions === transitions) return last
    const claim = { uid, transitions, acquireTime: microTime(this.#settings.today(), acquireTime) }
    this.#claims = [...this.#claims.slice(-1), claim]
    return claim
  }

  /** Numbers go on from the highest seen. */
  see({ transitions }: Claim): void {
    this.#transitions = Math.max(this.#transitions, transitions)
  }

  drop(claim: Claim): void {
    this.#claims = this.#claims.filter(other => other !== claim)
  }

  dropAll(): void {
    this.#claims = []
  }
}

function isSame(a: Claim, b: Claim): boolean {
  return a.uid === b.uid && a.transitions === b.transitions && a.acquireTime === b.acquireTime
}
