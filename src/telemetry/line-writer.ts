/**
 * Writes lines to a file descriptor, many at a time and without waiting. Whatever becomes of the reader (gone, stuck, disk full), it
 * neither ends nor holds up the program, nor fills its memory.
 */
import { write, writeSync } from 'node:fs'

/** A line a request must not cost a system call each; what is waiting is written after so many milliseconds at most. */
const FLUSH_MS = 200
const BATCH_CHARACTERS = 64 * 1024
/** What may wait for a reader that is stuck; beyond this, lines are dropped. */
const MOST_CHARACTERS = 4 * 1024 * 1024
/** Between two tries to write to a full pipe. */
const RETRY_MS = 20
/** So long the last lines may take to be written, in milliseconds. */
const LAST_WORDS_MS = 1_000

export class LineWriter {
  readonly #fd: number
  #waiting = ''
  #isWriting = false
  #timer: NodeJS.Timeout | undefined
  #isGone = false
  #onIdle: (() => void) | undefined
  readonly #onExit = () => this.#writeLastWords()

  constructor(fd: number) {
    this.#fd = fd
    process.once('exit', this.#onExit)
  }

  /** The line comes with its line break. */
  write(line: string): void {
    if (this.#isGone || this.#waiting.length > MOST_CHARACTERS) return
    this.#waiting += line
    if (this.#waiting.length >= BATCH_CHARACTERS) this.#flush()
    else this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS).unref()
  }

  /** Resolves when everything is written, or cannot be within a second. Nothing may be written afterwards. */
  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, LAST_WORDS_MS)
    this.#onIdle = resolve
    this.#flush()
    await promise
    clearTimeout(timer)
    this.#isGone = true
    process.off('exit', this.#onExit)
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#isWriting) return
    if (this.#waiting === '') {
      this.#onIdle?.()
      return
    }
    const batch = Buffer.from(this.#waiting)
    this.#waiting = ''
    this.#isWriting = true
    this.#writeBatch(batch)
  }

  #writeBatch(batch: Buffer): void {
    write(this.#fd, batch, (error, written) => {
      if (error?.code === 'EAGAIN' && !this.#isGone) {
        setTimeout(() => this.#writeBatch(batch), RETRY_MS).unref()
      } else if (error === null && written < batch.length) this.#writeBatch(batch.subarray(written))
      else this.#finishBatch(error)
    })
  }

  #finishBatch(error: NodeJS.ErrnoException | null): void {
    this.#isWriting = false
    // A reader that is gone does not come back; a full disk may have room for the next batch.
    if (error?.code === 'EPIPE') this.#giveUp()
    // Without a timer nothing else would write what came meanwhile.
    const isDue = this.#timer === undefined || this.#waiting.length >= BATCH_CHARACTERS
    if (isDue || this.#onIdle !== undefined) this.#flush()
  }

  #giveUp(): void {
    this.#isGone = true
    this.#waiting = ''
  }

  /** The program ends all of a sudden: no time is left to wait for anything. */
  #writeLastWords(): void {
    try {
      for (let rest = Buffer.from(this.#waiting); rest.length > 0; ) {
        rest = rest.subarray(writeSync(this.#fd, rest))
      }
    } catch {
      // Nobody reads it.
    }
  }
}
