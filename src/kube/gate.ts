import type { Clock } from './clock.ts'

export interface WaitOptions {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/** Something that comes true once, and that others wait for. */
export class Gate {
  readonly #clock: Clock
  readonly #waiters = new Set<Waiter>()
  #isOpen = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  open(): void {
    this.#isOpen = true
    for (const waiter of this.#waiters) waiter.resolve()
  }

  /** Those who wait now get the error; the gate may still open. */
  fail(error: Error): void {
    for (const waiter of this.#waiters) waiter.reject(error)
  }

  /** Rejects with `late()` when the time is over, or with the signal's reason. */
  async wait({ signal, timeoutMs }: WaitOptions, late: (ms: number) => Error): Promise<void> {
    signal?.throwIfAborted()
    if (this.#isOpen) return
    const waiter = Promise.withResolvers<void>()
    const abort = () => waiter.reject(signal?.reason)
    const cancel =
      timeoutMs === undefined ? undefined : this.#clock.after(timeoutMs, () => waiter.reject(late(timeoutMs)))
    this.#waiters.add(waiter)
    signal?.addEventListener('abort', abort)
    try {
      await waiter.promise
    } finally {
      cancel?.()
      this.#waiters.delete(waiter)
      signal?.removeEventListener('abort', abort)
    }
  }
}
