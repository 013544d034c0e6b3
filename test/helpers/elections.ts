import type { Test } from 'tap'
import type { Clock } from '../../src/kube/clock.ts'
import { LeaderElector, type LeaderElectorOptions, type Term } from '../../src/kube/lease.ts'
import { type Exchange, FakeApi, makeClient } from './fake-api.ts'
import { FakeClock } from './fake-clock.ts'
import { Diary } from './reflectors.ts'

export interface FakeLease {
  readonly metadata: { readonly uid: string; readonly resourceVersion: string; readonly labels?: object }
  readonly spec: Readonly<Record<string, unknown>>
}

export type Kind = 'get' | 'apply' | 'patch'

/** The API of one Lease, as the apiserver keeps it: a write with another version is refused, one that changes nothing is none. */
export class LeaseServer {
  /** Undefined: there is none. */
  lease: FakeLease | undefined
  readonly diary: Diary
  /** The bodies of all patches that were made. */
  readonly patches: { metadata: Record<string, unknown>; spec: Record<string, unknown> }[] = []
  #version = 100
  readonly #scripts: { readonly kind: Kind; readonly run: (exchange: Exchange) => void }[] = []

  constructor(api: FakeApi, diary: Diary) {
    this.diary = diary
    api.answer(exchange => this.#accept(exchange))
  }

  /** Whoever else writes the Lease. */
  set(spec: object, metadata: object = {}): void {
    this.#version += 1
    const resourceVersion = String(this.#version)
    this.lease = {
      metadata: { uid: 'uid-1', ...this.lease?.metadata, ...metadata, resourceVersion },
      spec: { ...this.lease?.spec, ...spec },
    }
  }

  /** The next request of the kind that has no script yet is answered by this one. */
  script(kind: Kind, run: (exchange: Exchange) => void): void {
    this.#scripts.push({ kind, run })
  }

  /** As the apiserver would. */
  handle(exchange: Exchange): void {
    const kind = kindOf(exchange)
    if (kind === 'apply' && this.lease === undefined) this.#create()
    if (this.lease === undefined) exchange.refuse(404, 'NotFound')
    else if (kind === 'patch') this.#patch(exchange, this.lease)
    else exchange.json(this.lease)
  }

  #accept(exchange: Exchange): void {
    const kind = kindOf(exchange)
    const found = this.#scripts.findIndex(script => script.kind === kind)
    const [script] = found < 0 ? [] : this.#scripts.splice(found, 1)
    if (script === undefined) this.handle(exchange)
    else script.run(exchange)
    this.diary.add(kind)
  }

  #create(): void {
    this.#version += 1
    const resourceVersion = String(this.#version)
    this.lease = { metadata: { uid: `uid-${resourceVersion}`, resourceVersion }, spec: {} }
  }

  #patch(exchange: Exchange, lease: FakeLease): void {
    const body = JSON.parse(exchange.body)
    const { uid, resourceVersion } = body.metadata
    if (resourceVersion !== lease.metadata.resourceVersion) exchange.refuse(409, 'Conflict')
    else if (uid !== lease.metadata.uid) exchange.refuse(422, 'Invalid')
    else {
      this.patches.push(body)
      const isChange = Object.entries(body.spec).some(([field, value]) => lease.spec[field] !== value)
      if (isChange) this.set(body.spec)
      exchange.json(this.lease)
    }
  }
}

function kindOf({ method, headers }: Exchange): Kind {
  if (method === 'GET') return 'get'
  return headers['content-type'] === 'application/apply-patch+yaml' ? 'apply' : 'patch'
}

/** A clock that the test moves on, or lets jump as it does for a process that was paused: no timer fires meanwhile. */
export class ElectionClock implements Clock {
  readonly #base = new FakeClock()
  readonly #diary: Diary
  #paused = 0

  constructor(diary: Diary) {
    this.#diary = diary
  }

  now(): number {
    return this.#base.now() + this.#paused
  }

  after(ms: number, run: () => void): () => void {
    this.#diary.add(`timer ${ms}`)
    return this.#base.after(ms, run)
  }

  advance(ms: number): void {
    this.#base.advance(ms)
  }

  pause(ms: number): void {
    this.#paused += ms
  }
}

/** Lines of the diary that tell how the election went, and not how it was done. */
const STORY = /^(leads|stopped|error|new leader)/

/** One elector called `a` against a fake API, its clock and chance in the test's hands. */
export class Election {
  readonly diary: Diary
  readonly clock: ElectionClock
  readonly server: LeaseServer
  readonly elector: LeaderElector
  readonly terms: Term[] = []

  constructor(t: Test, api: FakeApi, options: Partial<LeaderElectorOptions>) {
    this.diary = new Diary()
    this.clock = new ElectionClock(this.diary)
    this.server = new LeaseServer(api, this.diary)
    this.elector = new LeaderElector({
      client: makeClient(t, api),
      namespace: 'vnode-system',
      name: 'helper',
      identity: 'a',
      clock: this.clock,
      today: () => new Date('2026-05-06T07:08:09.123Z'),
      random: () => 0,
      onStarted: term => {
        this.terms.push(term)
        this.diary.add(`leads ${term.number}`)
      },
      onStopped: reason => this.diary.add(`stopped: ${reason}`),
      onError: error => this.diary.add(`error: ${error.message.replace(/\S+ \S+helper: /, '')}`),
      onNewLeader: identity => this.diary.add(`new leader: ${identity}`),
      ...options,
    })
    t.teardown(() => this.end())
  }

  /** The newest term. */
  get term(): Term {
    const term = this.terms.at(-1)
    if (term === undefined) throw new Error('never led')
    return term
  }

  /** What the callbacks were told since this was last asked. */
  story(): string[] {
    return this.diary.take().filter(line => STORY.test(line))
  }

  /** The elector waits for its next turn: `ms`, or a whole period. */
  async rest(ms = 2000): Promise<void> {
    await this.diary.until(`timer ${ms}`)
  }

  /** From a rest to the next; `ms` is how long the next one will be. */
  async turn(ms = 2000): Promise<void> {
    this.forget()
    this.clock.advance(2000)
    await this.rest(ms)
  }

  /** Lines that were waited for are not found again. */
  forget(): void {
    const story = this.story()
    this.diary.lines.push(...story)
  }

  async lead(): Promise<Term> {
    this.elector.start()
    await this.diary.until('leads 1')
    await this.rest()
    return this.term
  }

  /** So many renewals that the server refuses, from a rest to the wait after the last. */
  async fail(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      this.server.script('patch', exchange => exchange.refuse(503))
      this.forget()
      this.clock.advance(i === 0 ? 2000 : 200)
      await this.rest(200)
    }
  }

  async end(): Promise<void> {
    const stopped = this.elector.stop()
    this.clock.advance(60_000)
    await stopped
  }
}

export async function startElection(t: Test, options: Partial<LeaderElectorOptions> = {}): Promise<Election> {
  return new Election(t, await FakeApi.start(t), options)
}

/** Of another candidate, who renewed it a moment ago by its own clock. */
export function heldByOther(given: object = {}): object {
  return {
    holderIdentity: 'b',
    leaseDurationSeconds: 15,
    acquireTime: '2026-05-06T07:00:00.000000Z',
    renewTime: '2026-05-06T07:08:08.000000Z',
    leaseTransitions: 4,
    ...given,
  }
}
