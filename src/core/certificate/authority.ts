import { type KeyPair, serialFrom, wholeSeconds, writeCertificate } from './x509.ts'

export const DAY_MS = 86_400_000
/** How far a certificate starts in the past, so that a verifier whose clock is slow takes it at once. */
const CLOCK_SKEW_MS = 5 * 60_000

/** A short life starts less early: two thirds of it must not be over from the beginning. */
export function clockSkewMs(days: number): number {
  return Math.min(CLOCK_SKEW_MS, (days * DAY_MS) / 10)
}

export interface AuthorityRequest {
  /** What the subject begins with; the serial's first digits follow, so that two generations have two names. */
  readonly name: string
  readonly keys: KeyPair
  /** 8 to 20 random bytes for the serial number. */
  readonly random: Uint8Array
  readonly now: Date
  readonly days: number
}

/** A certificate with its private key, both PEM. */
export interface CertifiedKey {
  readonly certPem: string
  readonly keyPem: string
}

/** Makes a self-signed CA that may sign serving certificates and no further CA. The keys are P-256. */
export function makeAuthority(request: AuthorityRequest): CertifiedKey {
  const { keys, now, days } = request
  const serial = serialFrom(request.random)
  const certPem = writeCertificate({
    commonName: `${request.name} ${Buffer.from(serial).toString('hex').slice(0, 8)}`,
    serial,
    notBefore: wholeSeconds(now.getTime() - clockSkewMs(days)),
    notAfter: wholeSeconds(now.getTime() + days * DAY_MS),
    publicKey: keys.publicKey,
    use: { kind: 'authority' },
    signingKey: keys.privateKey,
  })
  return { certPem, keyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}
