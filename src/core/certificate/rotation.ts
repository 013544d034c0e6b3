/**
 * What to do next with the certificates in the one Secret. The promise: whatever leaf a replica may serve is signed by a CA that is in
 * whatever caBundle an API server may hold. So a CA is made known first (`stage`), then signs (`promote`), and the one before it leaves
 * last (`retire`); each is one write, and whoever comes after a crash finds in the Secret where it was.
 *
 *   stage: ca=A next=B bundle=A+B leaf of A  →  promote: ca=B bundle=A+B leaf of B  →  retire: ca=B bundle=B leaf of B
 */
import { X509Certificate } from 'node:crypto'
import { type CertifiedKey, DAY_MS, makeAuthority } from './authority.ts'
import { mergeBundles, parseBundle } from './bundle.ts'
import { makeLeaf } from './leaf.ts'
import type { Renewal } from './renewal.ts'
import {
  acknowledge,
  adopted,
  assessAuthority,
  canSign,
  endOf,
  examine,
  isIn,
  isIssuedBy,
  lingeringReason,
  type RotationInput,
  type State,
} from './rotation-state.ts'
import type { CertificateData } from './secret-data.ts'

export type RotationAction =
  /** Nothing to do, or nothing yet. */
  | 'keep'
  | 'wait'
  /** A CA and a leaf at once, as nobody relies on others. */
  | 'start'
  | 'stage'
  | 'promote'
  /** Another leaf of the same CA. */
  | 'renew'
  | 'retire'
  /** Puts the bundle right or drops rubbish, without touching what is served. */
  | 'mend'

export interface RotationPlan {
  readonly action: RotationAction
  /** One sentence, for a log and an Event. */
  readonly reason: string
  /** What the Secret shall hold; undefined where it stays as it is. */
  readonly next: CertificateData | undefined
  /** Not by the calendar: something was lost or damaged. */
  readonly isRepair?: boolean
}

const AUTHORITY_NAME = 'vnode-profile CA'

/** Never throws, whatever is in the Secret. */
export function planRotation(input: RotationInput): RotationPlan {
  const state = examine(input)
  return (
    planBundle(state) ??
    planNextAuthority(state) ??
    planAuthority(state) ??
    planLeaf(state) ??
    planRetirement(state) ?? { action: 'keep', reason: state.leaf.reason, next: undefined }
  )
}

function planNextAuthority(state: State): RotationPlan | undefined {
  const { data, now, authority } = state
  const { nextCaCert, nextCaKey, ...rest } = data
  if (nextCaCert === undefined && nextCaKey === undefined) return undefined
  const renewal = assessAuthority({ certPem: nextCaCert, keyPem: nextCaKey, now })
  if (nextCaCert === undefined || nextCaKey === undefined || renewal.needed) {
    // Where one is needed, another takes its place.
    const reason = `the next CA is of no use: ${renewal.reason}`
    return authority.needed ? undefined : { action: 'mend', reason, next: rest, isRepair: true }
  }
  const known = acknowledge(state, nextCaCert)
  const waiting = `the next CA waits: ${known.reason}`
  if (!known.isDone) return planLeafMeanwhile(state) ?? { action: 'wait', reason: waiting, next: undefined }
  const next = { caCert: nextCaCert, caKey: nextCaKey, bundle: data.bundle }
  return {
    action: 'promote',
    reason: `the next CA signs from now on: ${known.reason}`,
    next: { ...next, ...issue(state, { certPem: nextCaCert, keyPem: nextCaKey }) },
  }
}

function planAuthority(state: State): RotationPlan | undefined {
  const { authority, isIdle, data, now, lives, material } = state
  if (!authority.needed) return undefined
  const days = lives.authorityMs / DAY_MS
  const made = makeAuthority({ ...material(), name: AUTHORITY_NAME, now, days })
  const others = [data.bundle ?? '', data.caCert ?? '', ...adopted(state)]
  const bundle = mergeBundles([...others, made.certPem], now).pem
  const isRepair = !isDue(authority, now) && !isFirst(state)
  if (isIdle) {
    const next = { caCert: made.certPem, caKey: made.keyPem, bundle, ...issue(state, made) }
    return { action: 'start', reason: `a new CA, which signs at once: ${authority.reason}`, next, isRepair }
  }
  const next = { ...data, bundle, nextCaCert: made.certPem, nextCaKey: made.keyPem }
  return { action: 'stage', reason: `a next CA is made known: ${authority.reason}`, next, isRepair }
}

/** The leaf must not expire because the next CA cannot be made known. */
function planLeafMeanwhile(state: State): RotationPlan | undefined {
  const { data, leaf } = state
  const { caCert, caKey, cert } = data
  if (!leaf.needed || caCert === undefined || caKey === undefined || !canSign(state)) return undefined
  // What little is left of the CA's life may not be worth it.
  const gain = endOf(caCert) - endOf(cert)
  if (!isIssuedBy(cert, caCert) || gain <= state.settleMs) return undefined
  const next = { ...data, ...issue(state, { certPem: caCert, keyPem: caKey }) }
  return { action: 'renew', reason: `a new certificate, still of the CA before: ${leaf.reason}`, next }
}

/** First of all: whatever else is done, the registration may take over the bundle at any moment. */
function planBundle({ data, now, published }: State): RotationPlan | undefined {
  const { bundle = '', caCert = '', nextCaCert = '' } = data
  const wanted = [caCert, nextCaCert].filter(pem => endOf(pem) > now.getTime())
  const isWhole = parseBundle(bundle).unreadable === 0 && wanted.every(pem => isIn(bundle, pem))
  if (isWhole || wanted.length === 0) return undefined
  // A bundle that was lost is known to the registration still, and replicas go on serving what it trusts.
  const merged = mergeBundles([bundle, ...wanted, ...published.bundles], now).pem
  const reason = 'the bundle lacked a CA or could not be read'
  return { action: 'mend', reason, next: { ...data, bundle: merged }, isRepair: true }
}

function planLeaf(state: State): RotationPlan | undefined {
  const { data, leaf } = state
  const { caCert, caKey, cert } = data
  if (!leaf.needed || caCert === undefined || caKey === undefined) return undefined
  // Whoever trusts the leaf before trusts another of the same CA.
  const known = isIssuedBy(cert, caCert) ? DONE : acknowledge(state, caCert)
  if (!known.isDone)
    return { action: 'wait', reason: `a new certificate waits: ${known.reason}`, next: undefined }
  const next = { ...data, ...issue(state, { certPem: caCert, keyPem: caKey }) }
  return {
    action: 'renew',
    reason: `a new certificate: ${leaf.reason}`,
    next,
    isRepair: !isDue(leaf, state.now),
  }
}

const DONE = { isDone: true, reason: '' } as const

/** Here the leaf is good and of the CA that signs. */
function planRetirement(state: State): RotationPlan | undefined {
  const { data, now } = state
  const { caCert = '', bundle = '', cert = '' } = data
  const others = parseBundle(bundle).certificates.filter(
    ({ raw }) => !raw.equals(new X509Certificate(caCert).raw),
  )
  if (others.length === 0) return undefined
  const next = { ...data, bundle: mergeBundles([caCert], now).pem }
  if (others.every(({ validToDate }) => validToDate <= now))
    return { action: 'retire', reason: 'the CA before has expired', next }
  const lingering = lingeringReason(state, new X509Certificate(cert).fingerprint256)
  return lingering === undefined
    ? { action: 'retire', reason: 'every replica serves a certificate of the new CA', next }
    : { action: 'wait', reason: `the CA before stays in the bundle: ${lingering}`, next: undefined }
}

function isDue({ due }: Renewal, now: Date): boolean {
  return due !== undefined && due <= now
}

/** Nothing was ever there. */
function isFirst({ data, published }: State): boolean {
  return published.bundles.length === 0 && Object.values(data).every(text => text === undefined)
}

function issue(
  { hosts, now, lives, material }: State,
  authority: CertifiedKey,
): Pick<CertificateData, 'cert' | 'key'> {
  const days = lives.servingMs / DAY_MS
  const { certPem, keyPem } = makeLeaf({ ...material(), authority, hosts, now, days })
  return { cert: certPem, key: keyPem }
}
