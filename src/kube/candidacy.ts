import { messageOf, VnodeError } from '../core/errors.ts'
import { ApiError, isStatus } from './api.ts'
import { Backoff } from './backoff.ts'
import { Claims } from './claims.ts'
import { sleep } from './clock.ts'
import { type ElectionSettings, JITTER } from './election-settings.ts'
import { asError } from './handlers.ts'
import { LeaseObject, type LeaseRecord, type LeaseSpec, type Limit, microTime } from './lease-record.ts'
import { Sightings } from './sightings.ts'
import { HeldTerm } from './term.ts'

const RELEASE_ATTEMPTS = 3

/** One run of the elector, from start to stop. */
export class Candidacy {
  readonly #settings: ElectionSettings
  readonly #lease: LeaseObject
  readonly #sightings: Sightings
  readonly #claims: Claims
  readonly #backoff: Backoff
  /** Ends waiting and reading. A write goes on: cut off, it might still be made, and the Lease be held by nobody alive. */
  readonly #stopping = new AbortController()
  /** Ends everything. */
  readonly #killed = new AbortController()
  #ended: Promise<void> = Promise.resolve()
  #isOver = false
  #term: HeldTerm | undefined
  /** The Lease as we last knew it to be ours. */
  #mine: LeaseRecord | undefined
  /** What onStopped began and has not ended. */
  #winding: Promise<void> | undefined
  #leader = ''

  constructor(settings: ElectionSettings) {
    this.#settings = settings
    this.#lease = new LeaseObject(settings)
    this.#sightings = new Sightings(settings.clock, settings.leaseDurationMs)
    this.#claims = new Claims(settings)
    const { retryPeriodMs, leaseDurationMs: maxMs, random } = settings
    this.#backoff = new Backoff({ minMs: retryPeriodMs / 10, maxMs, random })
  }

  get isLeader(): boolean {
    return this.#term?.isHeld ?? false
  }

  start(): void {
    // A turn of the event loop later, so that a callback may already stop it.
    this.#ended = Promise.resolve().then(() => this.#run())
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#term?.end('stopped')
    const { clock, stopTimeoutMs } = this.#settings
    const late = new VnodeError('NETWORK', `not ended within ${stopTimeoutMs / 1000} s`)
    const cancel = clock.after(stopTimeoutMs, () => this.#killed.abort(late))
    await this.#ended
    cancel()
    this.#isOver = true
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const wait = await this.#turn()
      if (wait > 0) await sleep(this.#settings.clock, wait, signal)
    }
    await this.#wound(this.#killed.signal)
    await this.#release()
  }

  /** One look or one renewal; how many milliseconds to wait before the next. */
  async #turn(): Promise<number> {
    try {
      const term = this.#term
      const mine = this.#mine
      const isLeading = term?.isHeld === true && mine !== undefined
      const wait = await (isLeading ? this.#renew(term, mine) : this.#campaign())
      this.#backoff.reset()
      return wait
    } catch (error) {
      if (this.#stopping.signal.aborted) return 0
      this.#report(error)
      return this.#pause(error)
    }
  }

  /** Looks, and takes the Lease if it may. */
  async #campaign(): Promise<number> {
    const { signal } = this.#stopping
    await this.#wound(signal)
    let lease = await this.#lease.read(this.#limit(signal))
    let wait = this.#judge(lease)
    if (lease === undefined && wait <= 0) {
      lease = await this.#lease.ensure(this.#limit(signal))
      wait = this.#judge(lease)
    }
    // Not later than when it may run out, or a take-over would be a period late.
    if (lease === undefined || wait > 0) return Math.min(wait, this.#period())
    await this.#take(lease)
    return this.#period()
  }

  /** Milliseconds for which the Lease is to be left alone; zero or less: none. */
  #judge(lease: LeaseRecord | undefined): number {
    if (lease !== undefined) {
      this.#claims.see(lease)
      if (this.#claims.isOurs(lease)) return 0
    }
    this.#mine = undefined
    this.#meet(lease?.holder ?? '')
    return this.#sightings.note(lease)
  }

  async #take(free: LeaseRecord): Promise<void> {
    const { identity, clock } = this.#settings
    const claim = this.#claims.make(free)
    const sentAt = clock.now()
    try {
      this.#mine = await this.#write(free, {
        holderIdentity: identity,
        acquireTime: claim.acquireTime,
        leaseTransitions: claim.transitions,
      })
    } catch (error) {
      // Refused, so it is not in the Lease. After any other failure it may be.
      if (error instanceof ApiError && error.status < 500) this.#claims.drop(claim)
      // Somebody was faster.
      if (isStatus(error, 409)) return
      throw error
    }
    this.#claims.see(claim)
    this.#sightings.forget()
    this.#begin(claim.transitions, sentAt)
  }

  #begin(number: number, sentAt: number): void {
    const { clock, renewDeadlineMs: holdMs, identity } = this.#settings
    // Paused since it was sent: the next look finds the Lease ours, or another's.
    if (this.#stopping.signal.aborted || clock.now() - sentAt >= holdMs) return
    const onEnd = (reason: string) => this.#end(reason)
    this.#term = new HeldTerm({ number, clock, holdMs, sentAt, onEnd })
    this.#meet(identity)
    void this.#work(this.#term)
  }

  async #work(term: HeldTerm): Promise<void> {
    try {
      await this.#settings.onStarted(term)
    } catch (error) {
      // The end of the term is no failure of the work that it ended.
      if (!(error instanceof VnodeError && error.code === 'NOT_LEADER')) this.#report(error)
      if (!term.isHeld) return
      // Not ours from now on: it runs out, and all candidates have the same chance to do better.
      this.#claims.dropAll()
      term.end(`its work failed: ${messageOf(error)}`)
    }
  }

  #end(reason: string): void {
    this.#term = undefined
    this.#winding = this.#call(() => this.#settings.onStopped(reason)).then(() => {
      this.#winding = undefined
    })
  }

  async #renew(term: HeldTerm, mine: LeaseRecord): Promise<number> {
    try {
      await this.#extend(term, mine)
    } catch (error) {
      if (!isStatus(error, 409) && !isStatus(error, 404)) throw error
      const found = await this.#look(term)
      if (found === undefined || !term.isHeld) return 0
      await this.#extend(term, found)
    }
    return this.#period()
  }

  async #extend(term: HeldTerm, mine: LeaseRecord): Promise<void> {
    const sentAt = this.#settings.clock.now()
    this.#mine = await this.#write(mine, {}, term.remainingMs)
    term.renewed(sentAt)
  }

  /** After a renewal that met another version: ours still, if only a label was changed or an answer was lost; else the term is over. */
  async #look(term: HeldTerm): Promise<LeaseRecord | undefined> {
    const lease = await this.#lease.read(this.#limit(this.#killed.signal))
    if (lease !== undefined && this.#claims.isOurs(lease)) return lease
    term.end(this.#loss(lease))
    return undefined
  }

  #loss(lease: LeaseRecord | undefined): string {
    if (lease === undefined) return 'the Lease was deleted'
    if (lease.holder === this.#settings.identity) return 'the Lease was changed by somebody else'
    return `the Lease is held by ${lease.holder || 'nobody'}`
  }

  /** Gives back what may be ours. */
  async #release(): Promise<void> {
    this.#backoff.reset()
    for (let attempt = 1; !this.#claims.isEmpty; attempt += 1) {
      const { signal } = this.#killed
      try {
        signal.throwIfAborted()
        const lease = this.#mine ?? (await this.#lease.read(this.#limit(signal)))
        if (lease === undefined || !this.#claims.isOurs(lease)) return
        await this.#write(lease, { holderIdentity: '', leaseDurationSeconds: 1 })
        return
      } catch (error) {
        this.#mine = undefined
        if (signal.aborted || attempt === RELEASE_ATTEMPTS) return this.#report(notReleased(error))
        await sleep(this.#settings.clock, this.#backoff.next(), signal)
      }
    }
  }

  /** Renews whatever else it sets. */
  #write(base: LeaseRecord, spec: LeaseSpec, maxMs?: number): Promise<LeaseRecord> {
    const { today, leaseDurationMs } = this.#settings
    const leaseDurationSeconds = Math.ceil(leaseDurationMs / 1000)
    const renewTime = microTime(today(), base.renewTime)
    const limit = this.#limit(this.#killed.signal, maxMs)
    return this.#lease.write(base, { leaseDurationSeconds, renewTime, ...spec }, limit)
  }

  /** A second attempt must fit below the deadline, hence half of it for each at most. */
  #limit(signal: AbortSignal, maxMs = Number.POSITIVE_INFINITY): Limit {
    return { signal, ms: Math.min(this.#settings.renewDeadlineMs / 2, maxMs) }
  }

  #period(): number {
    const { retryPeriodMs, random } = this.#settings
    return retryPeriodMs * (1 + random() * (JITTER - 1))
  }

  #pause(error: unknown): number {
    const { retryPeriodMs, leaseDurationMs } = this.#settings
    const retryAfter = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) : 0
    const wait = Math.max(this.#backoff.next(), retryAfter * 1000)
    return Math.min(wait, this.#term === undefined ? leaseDurationMs : retryPeriodMs)
  }

  #meet(holder: string): void {
    if (holder === '' || holder === this.#leader || this.#stopping.signal.aborted) return
    this.#leader = holder
    void this.#call(() => this.#settings.onNewLeader(holder))
  }

  /** Resolves when the work of the last term has ended, or with the signal. */
  async #wound(signal: AbortSignal): Promise<void> {
    if (this.#winding === undefined || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const done = () => resolve()
    signal.addEventListener('abort', done)
    await Promise.race([this.#winding, promise])
    signal.removeEventListener('abort', done)
  }

  async #call(callback: () => unknown): Promise<void> {
    try {
      await callback()
    } catch (error) {
      this.#report(error)
    }
  }

  #report(error: unknown): void {
    if (this.#isOver) return
    try {
      this.#settings.onError(asError(error))
    } catch {
      // An error handler that throws leaves nobody to tell.
    }
  }
}

function notReleased(cause: unknown): VnodeError {
  const message = `the Lease was not given back and has to run out: ${messageOf(cause)}`
  return new VnodeError('NETWORK', message, { cause })
}
