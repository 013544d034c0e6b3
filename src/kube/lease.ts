import { randomUUID } from 'node:crypto'
import { Candidacy } from './candidacy.ts'
import { type ElectionSettings, type LeaderElectorOptions, resolveSettings } from './election-settings.ts'

export type { LeaderElectorOptions } from './election-settings.ts'
export type { Term } from './term.ts'

/**
 * Elects one leader among the processes that name the same Lease (coordination.k8s.io/v1).
 *
 * Promised, while monotonic clocks run at speeds that differ by less than leaseDuration / renewDeadline (a half, by default):
 * of all candidates at most one holds a {@link Term} at any time. Who leads knows it until renewDeadline after a renewal was
 * *sent*; who waits takes over leaseDuration after it *saw* the last one, by a write that fails if the Lease has changed
 * since. Wall clocks play no part. A paused process learns of its loss from its clock, before any answer or timer.
 *
 * Not promised: that a write of a former leader cannot arrive late. A process may be paused, or a request delayed, between
 * `term.assertHeld()` and the apiserver; a Lease does not fence. Hence every write of a leader carries a precondition
 * (resourceVersion). Nor does a monotonic clock see a suspend of the whole machine; again the precondition does. Whoever
 * empties, replaces or deletes the Lease by hand may cause two leaders until the first tries to renew.
 *
 * An identity of our own in the Lease is ours only if this very object wrote it (same uid, transitions and acquireTime): after
 * a crash and restart under the same identity, the predecessor's Lease runs out like anybody else's.
 *
 * Rights, on `leases` of `coordination.k8s.io` in the namespace, all with `resourceNames: [name]`:
 * - `get`: to look; `patch`: to take, renew and give back;
 * - `create`: only where the Lease does not exist yet. Server-side apply names what it creates, so that resourceNames limit it.
 */
export class LeaderElector {
  readonly #settings: ElectionSettings
  #candidacy: Candidacy | undefined
  #ended: Promise<void> | undefined

  constructor(options: LeaderElectorOptions) {
    this.#settings = resolveSettings(options)
  }

  /** By the clock, at the moment of asking; see {@link Term.isHeld}. */
  get isLeader(): boolean {
    return this.#candidacy?.isLeader ?? false
  }

  /** Does nothing while it runs. */
  start(): void {
    if (this.#candidacy !== undefined) return
    this.#candidacy = new Candidacy(this.#settings)
    this.#candidacy.start()
  }

  /**
   * Ends the term at once and gives the Lease back, so that another leads as soon as it looks. Resolves when no callback will
   * be called any more, after stopTimeout at the latest: then the Lease runs out by itself.
   */
  async stop(): Promise<void> {
    if (this.#candidacy !== undefined) this.#ended = this.#candidacy.stop()
    this.#candidacy = undefined
    await this.#ended
  }
}

/** `<host>_<random>`: says to people where the leader is, and is no other process's, nor this one's after a restart. */
export function leaseIdentity(hostname: string): string {
  return `${hostname}_${randomUUID()}`
}
