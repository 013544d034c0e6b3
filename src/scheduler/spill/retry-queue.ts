/** What is to be looked at, first come first served; whatever came to nothing waits by itself, longer each time, and keeps nobody else. */
import type { Clock } from '../../kube/clock.ts'

export interface Waiting<T> {
  readonly key: string
  readonly value: T
  /** By the clock. */
  readonly notBefore: number
  /** Attempts in a row that came to nothing. */
  readonly tries: number
}

const LEAST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 60_000

export class RetryQueue<T> {
  readonly #clock: Clock
  readonly #waiting = new Map<string, Waiting<T>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What is known anew of one that waits already changes neither its place nor its pause. */
  add(key: string, value: T): void {
    const { notBefore = Number.NEGATIVE_INFINITY, tries = 0 } = this.#waiting.get(key) ?? {}
    this.#waiting.set(key, { key, value, notBefore, tries })
  }

  delete(key: string): void {
    this.#waiting.delete(key)
  }

  /** Takes out the first one that has its turn. */
  take(): Waiting<T> | undefined {
    const now = this.#clock.now()
    for (const one of this.#waiting.values()) {
      if (one.notBefore > now) continue
      this.#waiting.delete(one.key)
      return one
    }
    return undefined
  }

  /** It came to nothing. What was said of it while it was taken out is newer than `value`. */
  retry({ key, tries }: Waiting<T>, value: T): void {
    const wait = Math.min(LONGEST_RETRY_MS, LEAST_RETRY_MS * 2 ** Math.min(tries, 10))
    const current = this.#waiting.get(key)?.value ?? value
    this.#waiting.set(key, { key, value: current, notBefore: this.#clock.now() + wait, tries: tries + 1 })
  }
}
