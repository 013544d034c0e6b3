import type { Clock } from '../kube/clock.ts'

/** So many at once, and then so many a second. */
export class TokenBucket {
  readonly #clock: Clock
  readonly #rate: number
  readonly #burst: number
  #tokens: number
  #at: number

  /** @param rate a second, greater than 0 */
  constructor(clock: Clock, rate: number, burst: number) {
    this.#clock = clock
    this.#rate = rate
    this.#burst = burst
    this.#tokens = burst
    this.#at = clock.now()
  }

  /** Takes one, if there is one. */
  take(): boolean {
    this.#fill()
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** What was taken was not used. */
  giveBack(): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + 1)
  }

  /** Milliseconds until there is one. */
  get waitMs(): number {
    this.#fill()
    return this.#tokens >= 1 ? 0 : ((1 - this.#tokens) / this.#rate) * 1000
  }

  #fill(): void {
    const now = this.#clock.now()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#rate)
    this.#at = now
  }
}
