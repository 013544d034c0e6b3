export interface BackoffOptions {
  readonly minMs: number
  readonly maxMs: number
  /** 0 <= random() < 1 */
  readonly random: () => number
}

/** Growing waits with full jitter: between `minMs` and a ceiling that doubles with each failure, so that many clients spread. */
export class Backoff {
  readonly #options: BackoffOptions
  #failures = 0

  constructor(options: BackoffOptions) {
    this.#options = options
  }

  /** Consecutive failures so far. */
  get failures(): number {
    return this.#failures
  }

  next(): number {
    const { minMs, maxMs, random } = this.#options
    this.#failures += 1
    // 2 ** 30 ms is beyond any ceiling; more would end at Infinity.
    const ceiling = Math.min(maxMs, minMs * 2 ** Math.min(this.#failures, 30))
    return minMs + random() * Math.max(0, ceiling - minMs)
  }

  reset(): void {
    this.#failures = 0
  }
}
