import type { Clock } from '../../src/kube/clock.ts'

/** A clock that stands still but for `advance`. */
export class FakeClock implements Clock {
  #now = 1000
  #timers = new Set<{ readonly at: number; readonly run: () => void }>()

  now(): number {
    return this.#now
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** How long the timers that are set have to run, shortest first. */
  get pending(): number[] {
    return [...this.#timers].map(({ at }) => at - this.#now).sort((a, b) => a - b)
  }

  advance(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#now = next.at
      next.run()
    }
    this.#now = until
  }
}

/** A clock that is at once where a wait ends, and notes the waits. Timers above the limit never fire. */
export class HastyClock implements Clock {
  readonly waits: number[] = []
  readonly #limit: number
  #now = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  now(): number {
    return this.#now
  }

  after(ms: number, run: () => void): () => void {
    if (ms > this.#limit) return () => {}
    this.waits.push(ms)
    const timer = setImmediate(() => {
      this.#now += ms
      run()
    })
    return () => clearImmediate(timer)
  }
}

/** The machine's clock, which the test can put forward: whatever is due by then happens at once. */
export class JumpClock implements Clock {
  #offset = 0
  readonly #timers = new Set<{ readonly at: number; readonly fire: () => void }>()

  now(): number {
    return performance.now() + this.#offset
  }

  after(ms: number, run: () => void): () => void {
    const cancel = () => {
      clearTimeout(timeout)
      this.#timers.delete(timer)
    }
    const fire = () => {
      cancel()
      run()
    }
    const timer = { at: this.now() + ms, fire }
    const timeout = setTimeout(fire, ms)
    this.#timers.add(timer)
    return cancel
  }

  jump(ms: number): void {
    this.#offset += ms
    for (const { at, fire } of [...this.#timers]) if (at <= this.now()) fire()
  }
}
