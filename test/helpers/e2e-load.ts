import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../../src/core/errors.ts'

export interface LoadResult {
  readonly created: number
  /** When, of each. */
  readonly unmarked: readonly string[]
  /** When and why, of each. */
  readonly refused: readonly string[]
  readonly seconds: number
}

/** Whether the Pod of that name is marked. Throws if it is refused. */
type CreatePod = (name: string) => Promise<boolean>

/** So that a test that hangs does not burden the cluster for ever. */
const LOAD_LIMIT_MS = 600_000

/** One Pod after the other at a steady rate, however long each takes, so that a webhook that hangs is not spared. */
export class Load implements LoadResult {
  created = 0
  seconds = 0
  readonly unmarked: string[] = []
  readonly refused: string[] = []
  readonly #create: CreatePod
  readonly #limit = AbortSignal.timeout(LOAD_LIMIT_MS)
  readonly #stop = new AbortController()
  readonly #loop: Promise<void>

  constructor(create: CreatePod, perSecond: number) {
    this.#create = create
    this.#loop = this.#run(1000 / perSecond)
  }

  async #run(pause: number): Promise<void> {
    const start = performance.now()
    const running = new Set<Promise<void>>()
    for (let number = 0; !this.#stop.signal.aborted && !this.#limit.aborted; number += 1) {
      const one = this.#one(number).finally(() => running.delete(one))
      running.add(one)
      await delay(Math.max(0, start + (number + 1) * pause - performance.now()))
    }
    await Promise.all(running)
    if (this.#limit.aborted) this.refused.push(`the load ended after ${LOAD_LIMIT_MS / 1000} s`)
    this.seconds = secondsSince(start)
  }

  async #one(number: number): Promise<void> {
    try {
      const isMarked = await this.#create(`load-${number}`)
      this.created += 1
      if (!isMarked) this.unmarked.push(new Date().toISOString())
    } catch (error) {
      this.refused.push(`${new Date().toISOString()} ${messageOf(error)}`)
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#loop
  }
}

export function secondsSince(start: number): number {
  return Math.round((performance.now() - start) / 100) / 10
}
