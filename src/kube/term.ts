import { VnodeError } from '../core/errors.ts'
import type { Clock } from './clock.ts'

/** One time of being the leader. Once over it is over for good; being elected again is another term. */
export interface Term {
  /** The Lease's leaseTransitions: greater with each term, whoever's it is, unless the Lease was deleted between them. */
  readonly number: number
  /** Ends running work when the term ends. Only {@link assertHeld} tells for sure: see there. */
  readonly signal: AbortSignal
  /**
   * By the clock, at the moment of asking. A process that was paused or blocked may run anything before the timer that aborts
   * the signal; the first who asks here ends the term.
   */
  readonly isHeld: boolean
  /** Before each write. Throws a VnodeError NOT_LEADER unless {@link isHeld}. */
  assertHeld(): void
}

export interface TermOptions {
  readonly number: number
  readonly clock: Clock
  /** For how long one renewal proves that nobody else leads. */
  readonly holdMs: number
  /** When the request was sent that began the term. */
  readonly sentAt: number
  readonly onEnd: (reason: string) => void
}

/** A term as its keeper sees it. */
export class HeldTerm implements Term {
  readonly number: number
  readonly #options: TermOptions
  readonly #over = new AbortController()
  #heldUntil: number
  #cancel: () => void = () => {}

  constructor(options: TermOptions) {
    this.number = options.number
    this.#options = options
    this.#heldUntil = options.sentAt + options.holdMs
    this.#arm()
  }

  get signal(): AbortSignal {
    return this.#over.signal
  }

  /** Zero or less: over. */
  get remainingMs(): number {
    return this.#heldUntil - this.#options.clock.now()
  }

  get isHeld(): boolean {
    if (this.remainingMs <= 0) this.end(`not renewed within ${this.#options.holdMs / 1000} s`)
    return !this.#over.signal.aborted
  }

  assertHeld(): void {
    if (!this.isHeld) throw this.#over.signal.reason
  }

  /**
   * Goes on from when the renewal was sent: when it was answered says nothing about when it was made. An answer after the end
   * revives nothing.
   */
  renewed(sentAt: number): void {
    if (!this.isHeld) return
    this.#heldUntil = sentAt + this.#options.holdMs
    this.#arm()
  }

  end(reason: string): void {
    if (this.#over.signal.aborted) return
    this.#cancel()
    this.#over.abort(new VnodeError('NOT_LEADER', `no longer the leader: ${reason}`))
    this.#options.onEnd(reason)
  }

  #arm(): void {
    this.#cancel()
    this.#cancel = this.#options.clock.after(Math.max(1, this.remainingMs), () => {
      // A timer may fire a fraction of a millisecond early.
      if (this.isHeld) this.#arm()
    })
  }
}
