import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { messageOf, VnodeError } from '../errors.ts'
import { parseAlternativeNames } from './alternative-name.ts'
import { type CertifiedKey, clockSkewMs, DAY_MS } from './authority.ts'
import { type KeyPair, serialFrom, wholeSeconds, writeCertificate } from './x509.ts'

export interface LeafRequest {
  readonly authority: CertifiedKey
  /** DNS names and IP addresses that clients dial. At least one. */
  readonly hosts: readonly string[]
  readonly keys: KeyPair
  /** 8 to 20 random bytes for the serial number. */
  readonly random: Uint8Array
  readonly now: Date
  readonly days: number
}

/** Nobody reads it: names are in subjectAltName, and a Service's name can exceed the 64 characters of a common name. */
const COMMON_NAME = 'vnode-profile webhook'

/**
 * Makes a serving certificate for `hosts`, signed by the authority. It lives for `days` or as long as the authority,
 * whichever ends first. Throws BAD_CERTIFICATE when the authority cannot sign.
 */
export function makeLeaf(request: LeafRequest): CertifiedKey {
  const { keys, now, days } = request
  const names = parseAlternativeNames(request.hosts)
  if (names.length === 0) throw new VnodeError('BAD_CERTIFICATE', 'a serving certificate needs a name')
  const issuer = parseAuthority(request.authority, now)
  const notBefore = Math.max(now.getTime() - clockSkewMs(days), issuer.certificate.validFromDate.getTime())
  const notAfter = Math.min(now.getTime() + days * DAY_MS, issuer.certificate.validToDate.getTime())
  const certPem = writeCertificate({
    commonName: COMMON_NAME,
    serial: serialFrom(request.random),
    notBefore: wholeSeconds(notBefore),
    notAfter: wholeSeconds(notAfter),
    publicKey: keys.publicKey,
    use: { kind: 'serving', names, issuer: issuer.certificate },
    signingKey: issuer.key,
  })
  return { certPem, keyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

function parseAuthority(
  authority: CertifiedKey,
  now: Date,
): { certificate: X509Certificate; key: KeyObject } {
  const certificate = readOrRefuse('the CA certificate', () => new X509Certificate(authority.certPem))
  const key = readOrRefuse('the CA key', () => createPrivateKey(authority.keyPem))
  const problem = problemOf({ certificate, key, now })
  if (problem === undefined) return { certificate, key }
  throw new VnodeError('BAD_CERTIFICATE', problem, { next: 'Make a new CA and publish it before signing.' })
}

function problemOf(authority: {
  certificate: X509Certificate
  key: KeyObject
  now: Date
}): string | undefined {
  const { certificate, key, now } = authority
  if (!certificate.ca) return 'the CA certificate is not one of a CA'
  if (!certificate.checkPrivateKey(key)) return 'the CA key does not belong to the CA certificate'
  if (certificate.validFromDate > now)
    return `the CA is valid from ${certificate.validFromDate.toISOString()} only`
  if (certificate.validToDate <= now) return `the CA expired at ${certificate.validToDate.toISOString()}`
  return undefined
}

function readOrRefuse<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new VnodeError('BAD_CERTIFICATE', `${what} cannot be read: ${messageOf(cause)}`, { cause })
  }
}
