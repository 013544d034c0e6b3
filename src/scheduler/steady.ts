import type { Clock } from '../kube/clock.ts'

/** For how long something has been seen to be as it is. What happened before the first look is not counted. */
export class Steady {
  readonly #clock: Clock
  #seen: { readonly value: string; readonly at: number } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Milliseconds since it was first seen to be so without a break. */
  note(value: string): number {
    const now = this.#clock.now()
    if (this.#seen?.value !== value) this.#seen = { value, at: now }
    return now - this.#seen.at
  }
}

/** Over which repairs are counted. */
const WINDOW_MS = 60_000
/** So many in that time are accidents; more are a fight. */
const ACCIDENTS = 10
const STEP_MS = 250
const LONGEST_MS = 10_000

/** Slows down repairs that somebody undoes over and over: two programs that fight would keep the API server busy. */
export class Restraint {
  readonly #clock: Clock
  #repairs: readonly number[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(): void {
    const now = this.#clock.now()
    this.#repairs = [...this.#repairs.filter(at => now - at < WINDOW_MS), now]
  }

  /** How long to do nothing now, in milliseconds. */
  get waitMs(): number {
    const now = this.#clock.now()
    const recent = this.#repairs.filter(at => now - at < WINDOW_MS).length
    return Math.min(LONGEST_MS, Math.max(0, recent - ACCIDENTS) * STEP_MS)
  }
}
