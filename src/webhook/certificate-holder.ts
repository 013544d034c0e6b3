import { messageOf } from '../core/errors.ts'
import type { CertificateLog, ServingCertificate } from './certificate.ts'

type Listener = (certificate: ServingCertificate) => void

/** The last good certificate, whoever brings it: who is told of a change, and whether it is valid now. */
export class CertificateHolder {
  readonly #log: CertificateLog
  readonly #now: () => Date
  readonly #listeners = new Set<Listener>()
  #current: ServingCertificate | undefined

  constructor(log: CertificateLog, now: () => Date) {
    this.#log = log
    this.#now = now
  }

  get current(): ServingCertificate | undefined {
    return this.#current
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Nobody is told any more. */
  close(): void {
    this.#listeners.clear()
  }

  take(certificate: ServingCertificate): void {
    if (this.#current !== undefined && isSame(this.#current, certificate)) return
    this.#current = certificate
    const { fingerprint, notAfter } = certificate
    this.#log.info({ fingerprint, notAfter }, 'serving certificate loaded')
    for (const listener of [...this.#listeners]) {
      try {
        listener(certificate)
      } catch (error) {
        this.#log.warn({ error: messageOf(error) }, 'the certificate changed, and a listener failed')
      }
    }
  }

  /** `problem`: what is wrong at `place` now, where something is. */
  healthy(problem: string | undefined, place: string): { ok: boolean; reason: string } {
    const certificate = this.#current
    if (certificate === undefined) return { ok: false, reason: problem ?? 'no certificate was read yet' }
    const { ok, reason } = validityOf(certificate, this.#now())
    return { ok, reason: problem === undefined ? reason : `${reason}; in ${place} now: ${problem}` }
  }
}

function validityOf({ notBefore, notAfter }: ServingCertificate, now: Date): { ok: boolean; reason: string } {
  if (notAfter <= now) return { ok: false, reason: `the certificate expired at ${notAfter.toISOString()}` }
  if (notBefore > now)
    return { ok: false, reason: `the certificate is not valid before ${notBefore.toISOString()}` }
  return { ok: true, reason: `the certificate is valid until ${notAfter.toISOString()}` }
}

function isSame(one: ServingCertificate, other: ServingCertificate): boolean {
  return one.certPem === other.certPem && one.keyPem === other.keyPem && one.caPem === other.caPem
}
