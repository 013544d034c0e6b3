import { randomBytes, X509Certificate } from 'node:crypto'
import { parseBundle } from '../../src/core/certificate/bundle.ts'
import { planRotation, type RotationAction } from '../../src/core/certificate/rotation.ts'
import { type Lives, settleMs } from '../../src/core/certificate/rotation-state.ts'
import type { CertificateData } from '../../src/core/certificate/secret-data.ts'
import { makeKeys } from './certificates.ts'
import type { Random } from './random.ts'

const HOSTS = ['webhook.vnode-system.svc']
const EPOCH = Date.parse('2026-01-01T00:00:00Z')
/** Of the settle time: API servers are a little faster than what is waited for, replicas may be much slower, as they are looked at. */
const LAG = { apiserver: 0.9, replica: 3 }

export interface WorldOptions {
  readonly random: Random
  readonly lives: Lives
  /** How likely the leader dies between any two of its steps. */
  readonly crashes?: number
}

/** Whoever follows something by a watch: late, but never back. */
interface Follower<T> {
  readonly name: string
  version: number
  holds: T
}

/**
 * A cluster as far as certificates go, with a simulated clock: API servers that hear late of the registration, replicas that hear late of
 * the Secret, and a leader that may die between any two steps. It notes each moment at which a replica might serve, to an API server that
 * calls it, what that one does not trust.
 */
export class RotationWorld {
  readonly faults: string[] = []
  readonly actions: RotationAction[] = []
  readonly settleMs: number
  secret: CertificateData = {}
  /** What the configurations say; undefined: there are none. */
  registered: string | undefined
  now = 0
  calls = 0
  crashes = 0
  readonly #options: WorldOptions
  readonly #apiservers = followers<string>()
  readonly #replicas = followers<X509Certificate>()
  readonly #issuers = new Map<string, X509Certificate | undefined>()
  #pending: readonly { readonly at: number; readonly run: () => void }[] = []
  #version = 0
  #publishedSince: { text: string; at: number } | undefined
  #servedSince: { text: string; at: number } | undefined

  constructor(options: WorldOptions) {
    this.#options = options
    this.settleMs = settleMs(options.lives)
  }

  /** One round of the leader: looks, plans and writes until all is as it should be, registers; it may die before each of them. */
  lead(): void {
    for (let next = this.#plan(); next !== undefined; next = this.#plan()) {
      if (this.#dies()) return
      this.putSecret(next)
    }
    if (this.#dies()) return
    const { bundle } = this.secret
    if (bundle !== undefined && bundle !== this.registered && this.#mayRegister(bundle)) this.register(bundle)
    this.#dies()
  }

  #plan(): CertificateData | undefined {
    const { action, next } = planRotation({
      data: this.secret,
      now: new Date(EPOCH + this.now),
      hosts: HOSTS,
      lives: this.#options.lives,
      published: this.#published(),
      served: this.#served(),
      material: () => ({ keys: makeKeys(), random: randomBytes(16) }),
    })
    if (next !== undefined) this.actions.push(action)
    return next
  }

  /** At first only what every replica that serves is trusted by. */
  #mayRegister(bundle: string): boolean {
    const served = this.#replicas.flatMap(({ holds }) => holds ?? [])
    const isFirst = this.registered === undefined
    return (
      served.length > 0 && (!isFirst || served.every(certificate => this.#isTrusted(certificate, bundle)))
    )
  }

  /** Replicas hear of it each in its own time. */
  putSecret(data: CertificateData): void {
    this.secret = data
    this.#tell(this.#replicas, LAG.replica, held => this.#load(data) ?? held)
  }

  register(bundle: string | undefined): void {
    this.registered = bundle
    this.#tell(this.#apiservers, LAG.apiserver, () => bundle)
  }

  restart(index: number): void {
    const replica = this.#replicas[index % this.#replicas.length]
    if (replica !== undefined) replica.holds = this.#load(this.secret)
  }

  /** Lets the time pass, with whatever is due in it, one event after the other. */
  pass(ms: number): void {
    const until = this.now + ms
    for (const { at, run } of this.#pending.toSorted((one, other) => one.at - other.at)) {
      if (at > until) break
      this.now = at
      run()
      this.check()
    }
    this.#pending = this.#pending.filter(({ at }) => at > until)
    this.now = until
    this.check()
  }

  check(): void {
    const bundles = new Set(this.#apiservers.flatMap(({ holds }) => holds ?? []))
    for (const { name, holds } of this.#replicas) {
      for (const bundle of holds === undefined ? [] : bundles) {
        this.calls += 1
        if (holds === undefined || this.#isTrusted(holds, bundle)) continue
        this.faults.push(`${this.now / 1000} s: ${name} is not trusted; ${this.actions.slice(-5).join(' ')}`)
      }
    }
  }

  #isTrusted(certificate: X509Certificate, bundle: string): boolean {
    const key = `${certificate.fingerprint256} ${bundle}`
    if (!this.#issuers.has(key)) this.#issuers.set(key, issuerOf(certificate, bundle))
    const issuer = this.#issuers.get(key)
    const time = EPOCH + this.now
    return (
      issuer !== undefined && [issuer, certificate].every(({ validToDate }) => validToDate.getTime() > time)
    )
  }

  /** As the webhook does: what it cannot serve, or what the bundle beside it does not trust, leaves the last good one. */
  #load({ cert, key, bundle = '' }: CertificateData): X509Certificate | undefined {
    const served = key === undefined ? undefined : readCertificate(cert)
    return served !== undefined && issuerOf(served, bundle) !== undefined ? served : undefined
  }

  #tell<T>(
    all: readonly Follower<T | undefined>[],
    lag: number,
    change: (held: T | undefined) => T | undefined,
  ): void {
    this.#version += 1
    const version = this.#version
    const events = all.map(one => ({
      at: this.now + this.#options.random.fraction() * lag * this.settleMs,
      run: () => {
        if (one.version > version) return
        one.version = version
        one.holds = change(one.holds)
      },
    }))
    this.#pending = [...this.#pending, ...events]
  }

  #dies(): boolean {
    const { random, crashes = 0 } = this.#options
    if (!random.chance(crashes)) return false
    this.crashes += 1
    this.#publishedSince = undefined
    this.#servedSince = undefined
    return true
  }

  #published(): { bundles: string[]; forMs: number } {
    const text = this.registered ?? ''
    if (this.#publishedSince?.text !== text) this.#publishedSince = { text, at: this.now }
    return {
      bundles: this.registered === undefined ? [] : [this.registered],
      forMs: this.now - this.#publishedSince.at,
    }
  }

  #served() {
    const replicas = this.#replicas.map(({ name, holds }) => ({
      address: name,
      isReady: holds !== undefined,
      fingerprint: holds?.fingerprint256,
    }))
    const text = JSON.stringify(replicas)
    if (this.#servedSince?.text !== text) this.#servedSince = { text, at: this.now }
    return { replicas, forMs: this.now - this.#servedSince.at }
  }
}

function followers<T>(): readonly Follower<T | undefined>[] {
  return ['a', 'b', 'c'].map(name => ({ name, version: 0, holds: undefined }))
}

function readCertificate(pem = ''): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

function issuerOf(certificate: X509Certificate, bundle: string): X509Certificate | undefined {
  return parseBundle(bundle).certificates.find(
    ca => certificate.checkIssued(ca) && certificate.verify(ca.publicKey),
  )
}
