import type { Phase } from './reflector-options.ts'

type OnError = ((error: Error, during: Phase) => void) | undefined

/** Calls foreign code: not after the signal, and whatever it throws is reported and otherwise of no effect. */
export class Handlers {
  readonly #onError: OnError

  constructor(onError: OnError) {
    this.#onError = onError
  }

  call(callback: () => unknown, signal: AbortSignal): void {
    if (signal.aborted) return
    try {
      const result = callback()
      if (result instanceof Promise) result.catch(error => this.report(error, 'handler', signal))
    } catch (error) {
      this.report(error, 'handler', signal)
    }
  }

  report(error: unknown, during: Phase, signal: AbortSignal): void {
    if (signal.aborted) return
    try {
      this.#onError?.(asError(error), during)
    } catch {
      // An error handler that throws leaves nobody to tell.
    }
  }
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
