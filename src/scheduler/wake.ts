import type { Clock } from '../kube/clock.ts'
import { sleep } from '../kube/clock.ts'

/** So many changes come in bursts, and one round sees them all. */
const GATHER_MS = 50

/** Waits for a time, or until there is news. */
export class Wake {
  readonly #clock: Clock
  #hasNews = false
  #ring: () => void = () => {}

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** There is news; it is not lost when nobody waits. */
  readonly now = (): void => {
    this.#hasNews = true
    this.#ring()
  }

  async wait(ms: number, signal: AbortSignal): Promise<void> {
    const rung = new AbortController()
    this.#ring = () => rung.abort()
    if (!this.#hasNews) await sleep(this.#clock, ms, AbortSignal.any([signal, rung.signal]))
    if (this.#hasNews) await sleep(this.#clock, Math.min(GATHER_MS, ms), signal)
    this.#hasNews = false
  }
}
