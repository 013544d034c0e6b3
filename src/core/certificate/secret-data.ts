/** What the one Secret holds: the CA, the next one while it is being made known, what clients must trust, and what is served. */
import { asRecord, asString, own } from '../kubernetes/objects.ts'

/** PEM texts; what is missing or empty is undefined. */
export interface CertificateData {
  readonly caCert?: string | undefined
  readonly caKey?: string | undefined
  readonly nextCaCert?: string | undefined
  readonly nextCaKey?: string | undefined
  /** Every CA that a served certificate may be signed by: the caBundle of the webhook configurations. */
  readonly bundle?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** Their keys in the Secret. The last two and `ca.crt` are those of cert-manager's Secrets. */
export const SECRET_KEYS = {
  caCert: 'ca.crt',
  caKey: 'ca.key',
  nextCaCert: 'next-ca.crt',
  nextCaKey: 'next-ca.key',
  bundle: 'bundle',
  cert: 'tls.crt',
  key: 'tls.key',
} as const satisfies Record<keyof CertificateData, string>

/** Reads an object of the API, whatever is in it. Bytes that are no text are read as some text that is no PEM. */
export function parseCertificateData(secret: unknown): CertificateData {
  const data = asRecord(own(asRecord(secret), 'data'))
  const read = (name: string): string | undefined => {
    const text = Buffer.from(asString(own(data, name)) ?? '', 'base64').toString('utf8')
    return text.trim() === '' ? undefined : text
  }
  return {
    caCert: read(SECRET_KEYS.caCert),
    caKey: read(SECRET_KEYS.caKey),
    nextCaCert: read(SECRET_KEYS.nextCaCert),
    nextCaKey: read(SECRET_KEYS.nextCaKey),
    bundle: read(SECRET_KEYS.bundle),
    cert: read(SECRET_KEYS.cert),
    key: read(SECRET_KEYS.key),
  }
}

/**
 * The Secret's `data`. What is undefined is there too, and empty: an apply that does not name a key leaves what somebody else has put
 * there (observed).
 */
export function renderCertificateData(data: CertificateData): Readonly<Record<string, string>> {
  const entries = [
    [SECRET_KEYS.caCert, data.caCert],
    [SECRET_KEYS.caKey, data.caKey],
    [SECRET_KEYS.nextCaCert, data.nextCaCert],
    [SECRET_KEYS.nextCaKey, data.nextCaKey],
    [SECRET_KEYS.bundle, data.bundle],
    [SECRET_KEYS.cert, data.cert],
    [SECRET_KEYS.key, data.key],
  ] as const
  return Object.fromEntries(
    entries.map(([name, text = '']) => [name, Buffer.from(text, 'utf8').toString('base64')]),
  )
}
