/** Where a rotation stands: what is published, what is served, and whether one may rely on the other. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { parseBundle } from './bundle.ts'
import { type AuthorityState, decideAuthorityRenewal, decideLeafRenewal, type Renewal } from './renewal.ts'
import type { CertificateData } from './secret-data.ts'
import type { KeyPair } from './x509.ts'

export interface Lives {
  readonly authorityMs: number
  readonly servingMs: number
}

export interface Published {
  /** The caBundle, PEM, of every entry that is registered; empty when none is. */
  readonly bundles: readonly string[]
  /** For how long it has been seen to be so, in milliseconds. */
  readonly forMs: number
}

export interface Served {
  readonly replicas: readonly Replica[]
  readonly forMs: number
}

export interface Replica {
  readonly address: string
  /** Whether the API server may call it. */
  readonly isReady: boolean
  /** Of the certificate that it shows; undefined where that could not be seen. */
  readonly fingerprint: string | undefined
}

/** What new certificates are made of. */
export interface Material {
  readonly keys: KeyPair
  readonly random: Uint8Array
}

export interface RotationInput {
  readonly data: CertificateData
  readonly now: Date
  /** DNS names and addresses that the API server dials. */
  readonly hosts: readonly string[]
  readonly lives: Lives
  readonly published: Published
  /** Undefined while it is not known. */
  readonly served: Served | undefined
  readonly material: () => Material
}

export interface State extends RotationInput {
  readonly authority: Renewal
  readonly leaf: Renewal
  readonly settleMs: number
  /** Nobody is called and answers with a certificate that is trusted: there is nothing to keep up, so nothing to wait for. */
  readonly isIdle: boolean
}

const LONGEST_SETTLE_MS = 30_000
const SHORTEST_SETTLE_MS = 1_000

/**
 * How long a change has to stand before it counts as known everywhere: API servers follow by watches, within a second as a rule, and one
 * that is cut off from etcd for longer creates no Pods either. For short lives less of it, so that the third of a life that is left after a renewal is due holds it several times.
 */
export function settleMs({ authorityMs, servingMs }: Lives): number {
  const share = Math.min(authorityMs, servingMs) / 30
  return Math.min(LONGEST_SETTLE_MS, Math.max(SHORTEST_SETTLE_MS, share))
}

export function examine(input: RotationInput): State {
  const { data, now, hosts, lives, published, served } = input
  const { caCert, caKey, cert, key } = data
  const hasLeaf = isServable(data, now)
  const isCalled =
    published.bundles.length > 0 && served?.replicas.every(replica => !replica.isReady) !== true
  return {
    ...input,
    authority: assessAuthority({ certPem: caCert, keyPem: caKey, now }),
    leaf: decideLeafRenewal({ certPem: cert, keyPem: key, caPem: caCert, hosts, now }),
    settleMs: settleMs(lives),
    isIdle: hasExpired(cert, now) || (!hasLeaf && !isCalled),
  }
}

/** As {@link decideAuthorityRenewal}; a CA with a key of another kind may be good, but nothing is signed with it here. */
export function assessAuthority(state: AuthorityState): Renewal {
  const renewal = decideAuthorityRenewal(state)
  if (renewal.needed || isP256(state.keyPem)) return renewal
  return { ...renewal, needed: true, reason: 'the key of the CA is not a P-256 key' }
}

/** Whether the CA still signs, although another may be due. */
export function canSign({ data, now }: RotationInput): boolean {
  const certificate = readCertificate(data.caCert)
  if (certificate === undefined || certificate.validToDate <= now || certificate.validFromDate > now)
    return false
  return !assessAuthority({ certPem: data.caCert, keyPem: data.caKey, now: certificate.validFromDate }).needed
}

function isP256(keyPem: string | undefined): boolean {
  return createPrivateKey(keyPem ?? '').asymmetricKeyDetails?.namedCurve === 'prime256v1'
}

/** Why some replica may still serve a leaf of another CA; undefined when none does. */
export function lingeringReason(
  { served, settleMs: settle }: State,
  fingerprint: string,
): string | undefined {
  if (served === undefined) return 'it is not known what the replicas serve'
  const other = served.replicas.find(replica => replica.fingerprint !== fingerprint)
  if (other?.fingerprint === undefined && other !== undefined)
    return `what ${other.address} serves could not be seen`
  if (other !== undefined) return `${other.address} serves another certificate still`
  return served.forMs >= settle ? undefined : 'every replica serves the new certificate since a moment ago'
}

export interface Acknowledgement {
  readonly isDone: boolean
  readonly reason: string
}

/** A leaf that ends before so many settle times are over is worse than one that some API server may not know yet. */
const HURRY = 4

/** Whether every API server that calls us trusts this CA. */
export function acknowledge(state: State, authorityPem: string): Acknowledgement {
  const { published, settleMs: settle, isIdle, data, now } = state
  const { bundles, forMs } = published
  if (isIdle) return { isDone: true, reason: 'nobody relies on the certificate before' }
  if (!bundles.every(bundle => isIn(bundle, authorityPem)))
    return { isDone: false, reason: 'it is not in the caBundle of every registered webhook' }
  const where = bundles.length === 0 ? 'no webhook is registered' : 'it is in every registered caBundle'
  const rest = `for ${settle / 1000} s`
  if (forMs >= settle) return { isDone: true, reason: `${where}, ${rest} at least` }
  const isLate = endOf(data.cert) > 0 && endOf(data.cert) - now.getTime() < HURRY * settle
  return isLate
    ? { isDone: true, reason: `${where}, and the certificate before is about to end` }
    : { isDone: false, reason: `${where}, but not yet ${rest}` }
}

/**
 * What is registered, where the Secret has no CA that its bundle tells of: both were lost, and replicas go on serving what is trusted by
 * what is registered. A bundle that is whole has dropped on purpose what it does not tell of.
 */
export function adopted({ data, published }: State): readonly string[] {
  return isIn(data.bundle, data.caCert ?? '') ? [] : published.bundles
}

export function isIn(bundle: string | undefined, certPem: string): boolean {
  const certificate = readCertificate(certPem)
  if (certificate === undefined) return false
  return parseBundle(bundle ?? '').certificates.some(
    ({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256,
  )
}

export function isIssuedBy(certPem: string | undefined, authorityPem: string): boolean {
  const certificate = readCertificate(certPem)
  const authority = readCertificate(authorityPem)
  if (certificate === undefined || authority === undefined) return false
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey)
}

/** When a certificate ends, in milliseconds of Unix time; 0 for what is none. */
export function endOf(certPem: string | undefined): number {
  return readCertificate(certPem)?.validToDate.getTime() ?? 0
}

function hasExpired(certPem: string | undefined, now: Date): boolean {
  const certificate = readCertificate(certPem)
  return certificate !== undefined && certificate.validToDate <= now
}

/** Whether a replica that reads the Secret now can serve it, and be trusted by the bundle. */
function isServable({ cert, key, caCert, bundle }: CertificateData, now: Date): boolean {
  const { needed, due } = decideLeafRenewal({
    certPem: cert,
    keyPem: key,
    caPem: `${caCert ?? ''}\n${bundle ?? ''}`,
    hosts: [],
    now,
  })
  // Due for renewal is still good.
  return !needed || (due !== undefined && due <= now && !hasExpired(cert, now))
}

function readCertificate(pem: string | undefined): X509Certificate | undefined {
  try {
    return new X509Certificate(pem ?? '')
  } catch {
    return undefined
  }
}
