import type { Clock } from './clock.ts'
import type { LeaseRecord } from './lease-record.ts'

interface Sighting {
  /** Tells one version of the Lease from another; empty: there is no Lease any more. */
  readonly version: string
  /** By our clock: when we first saw this version. */
  readonly since: number
  readonly holder: string
  readonly durationMs: number
}

/**
 * For how long somebody else's Lease has stood as it is. The times in it were written by another machine's clock and are
 * compared with nothing.
 */
export class Sightings {
  readonly #clock: Clock
  readonly #defaultMs: number
  #last: Sighting | undefined

  /** @param defaultMs the duration of a Lease that tells none */
  constructor(clock: Clock, defaultMs: number) {
    this.#clock = clock
    this.#defaultMs = defaultMs
  }

  /** Notes the Lease as it is now (undefined: none). Milliseconds until it is nobody's; zero or less: it is. */
  note(lease: LeaseRecord | undefined): number {
    const seen = lease === undefined ? this.#missing() : this.#present(lease)
    this.#last = seen
    if (seen === undefined || seen.holder === '') return 0
    return seen.since + seen.durationMs - this.#clock.now()
  }

  /** What was seen says nothing any more: the Lease is ours. */
  forget(): void {
    this.#last = undefined
  }

  #present({ uid, resourceVersion, ...lease }: LeaseRecord): Sighting {
    const { holder, renewTime, transitions, durationMs = this.#defaultMs } = lease
    const version = JSON.stringify([uid, resourceVersion, holder, renewTime, transitions, durationMs])
    if (this.#last?.version === version) return this.#last
    return { version, since: this.#clock.now(), holder, durationMs }
  }

  /** Whoever deletes a Lease does not end its holder, who may have renewed it just before: its time still has to run out. */
  #missing(): Sighting | undefined {
    if (this.#last === undefined || this.#last.version === '') return this.#last
    return { ...this.#last, version: '', since: this.#clock.now() }
  }
}
