import { createPrivateKey, X509Certificate } from 'node:crypto'
import { messageOf } from '../errors.ts'
import { parseAlternativeNames } from './alternative-name.ts'
import { parseBundle } from './bundle.ts'

export interface Renewal {
  readonly needed: boolean
  /** One sentence, for a log, an Event and `vnode doctor`. */
  readonly reason: string
  /** When two thirds of the certificate's life are over; undefined for one that cannot be read. */
  readonly due: Date | undefined
}

export interface AuthorityState {
  readonly certPem: string | undefined
  readonly keyPem: string | undefined
  readonly now: Date
}

export interface LeafState extends AuthorityState {
  /** The CA that should have signed; a bundle counts if one of its members did. */
  readonly caPem: string | undefined
  /** DNS names and IP addresses that the certificate has to cover; it may cover more. */
  readonly hosts: readonly string[]
}

/** Whether a CA has to be replaced: it is unusable, its key is another's, or two thirds of its life are over. */
export function decideAuthorityRenewal(state: AuthorityState): Renewal {
  return decide(state, certificate => (certificate.ca ? undefined : 'it is not the certificate of a CA'))
}

/** Whether a serving certificate has to be replaced: as for a CA, or for other names, or signed by another CA. */
export function decideLeafRenewal(state: LeafState): Renewal {
  return decide(
    state,
    certificate => missingNames(certificate, state.hosts) ?? issuerProblem(certificate, state),
  )
}

function decide(
  state: AuthorityState,
  problemOf: (certificate: X509Certificate) => string | undefined,
): Renewal {
  const { certPem, keyPem, now } = state
  if (!certPem) return { needed: true, reason: 'there is no certificate', due: undefined }
  const certificate = parse(() => new X509Certificate(certPem))
  if (typeof certificate === 'string') {
    return { needed: true, reason: `the certificate cannot be read: ${certificate}`, due: undefined }
  }
  const due = renewalDue(certificate)
  const problem =
    keyProblem(certificate, keyPem) ?? timeProblem({ certificate, due, now }) ?? problemOf(certificate)
  if (problem !== undefined) return { needed: true, reason: problem, due }
  return { needed: false, reason: `the certificate is good; it is renewed from ${due.toISOString()} on`, due }
}

function renewalDue(certificate: X509Certificate): Date {
  const from = certificate.validFromDate.getTime()
  return new Date(from + ((certificate.validToDate.getTime() - from) * 2) / 3)
}

function keyProblem(certificate: X509Certificate, keyPem: string | undefined): string | undefined {
  if (!keyPem) return 'the certificate has no key'
  const key = parse(() => createPrivateKey(keyPem))
  if (typeof key === 'string') return `the key cannot be read: ${key}`
  return certificate.checkPrivateKey(key) ? undefined : 'the key does not belong to the certificate'
}

function timeProblem(times: { certificate: X509Certificate; due: Date; now: Date }): string | undefined {
  const { certificate, due, now } = times
  if (certificate.validFromDate > now)
    return `the certificate is not valid before ${certificate.validFromDate.toISOString()}`
  if (certificate.validToDate <= now)
    return `the certificate expired at ${certificate.validToDate.toISOString()}`
  return due <= now ? `two thirds of the certificate's life were over at ${due.toISOString()}` : undefined
}

function missingNames(certificate: X509Certificate, hosts: readonly string[]): string | undefined {
  const missing = parseAlternativeNames(hosts).filter(({ kind, text }) =>
    kind === 'ip'
      ? certificate.checkIP(text) === undefined
      : certificate.checkHost(text, { subject: 'never' }) === undefined,
  )
  return missing.length === 0
    ? undefined
    : `the certificate is not for ${missing.map(name => name.text).join(', ')}`
}

function issuerProblem(certificate: X509Certificate, { caPem, now }: LeafState): string | undefined {
  if (!caPem) return 'there is no CA'
  const signers = parseBundle(caPem).certificates.filter(
    ca => certificate.checkIssued(ca) && certificate.verify(ca.publicKey),
  )
  if (signers.length === 0) return 'the certificate was signed by another CA'
  return signers.some(ca => ca.validFromDate <= now && ca.validToDate > now)
    ? undefined
    : 'the CA that signed the certificate is not valid now'
}

function parse<T extends object>(read: () => T): T | string {
  try {
    return read()
  } catch (error) {
    return messageOf(error)
  }
}
