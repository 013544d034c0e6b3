/** Whether a certificate signing request is a VNode's, and may be approved. */

import { dns1123SubdomainProblem } from '../kubernetes/names.ts'
import { asArray, asRecord, asString, asStrings, own } from '../kubernetes/objects.ts'
import { parseCertificateRequest, type RequestedSubject } from './certificate-request.ts'

/** Signs certificates by which clients show the API server who they are. */
export const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client'
export const VNODE_GROUP = 'system:vnodes'

/** Who asked, as the API server wrote it down: nobody can claim to be somebody else here. */
export interface Requester {
  readonly username: string
  readonly uid: string
  readonly groups: readonly string[]
  readonly extra: ReadonlyMap<string, readonly string[]>
}

export interface SigningRequest {
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  readonly signerName: string
  readonly requester: Requester
  readonly usages: readonly string[]
  /** PEM. */
  readonly request: string
  /** Somebody has approved or denied it, or it was signed. */
  readonly isSettled: boolean
}

/** A right on `certificatesigningrequests.certificates.k8s.io` that the requester must have, named as for kubelets. */
export type Permission = 'nodeclient' | 'selfnodeclient'

export type RefusalCode =
  | 'signer'
  | 'unreadable'
  | 'common-name'
  | 'organization'
  | 'subject'
  | 'alternative-names'
  | 'usages'
  | 'other-vnode'
  | 'unauthorised'

export interface Refusal {
  readonly code: RefusalCode
  /** A sentence for people. */
  readonly reason: string
}

export type Verdict =
  | { readonly kind: 'settled' }
  /** It neither asks for a VNode's name nor for its group: none of our business, and of no interest to anybody. */
  | { readonly kind: 'foreign'; readonly refusal: Refusal }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** To be approved if the requester has this right. */
  | { readonly kind: 'sound'; readonly commonName: string; readonly permission: Permission }

export interface DecisionSettings {
  /** `system:vnode:`, or the vendor's looser `system:vnode`. */
  readonly commonNamePrefix: string
}

/** What a client needs to show who it is, and what VNodes ask for. */
const USAGES = ['client auth', 'digital signature', 'key encipherment']

/** An object of `certificates.k8s.io/v1`, as far as we decide on it. */
export function signingRequestOf(raw: unknown): SigningRequest {
  const [metadata, spec, status] = ['metadata', 'spec', 'status'].map(key =>
    asRecord(own(asRecord(raw), key)),
  )
  const text = (record: typeof spec, key: string) => asString(own(record, key)) ?? ''
  const extra = Object.entries(asRecord(own(spec, 'extra')) ?? {})
  return {
    name: text(metadata, 'name'),
    uid: text(metadata, 'uid'),
    resourceVersion: text(metadata, 'resourceVersion'),
    signerName: text(spec, 'signerName'),
    requester: {
      username: text(spec, 'username'),
      uid: text(spec, 'uid'),
      groups: asStrings(own(spec, 'groups')),
      extra: new Map(extra.map(([key, values]) => [key, asStrings(values)])),
    },
    usages: asStrings(own(spec, 'usages')),
    request: Buffer.from(text(spec, 'request'), 'base64').toString('utf8'),
    isSettled: asArray(own(status, 'conditions')).length > 0 || text(status, 'certificate') !== '',
  }
}

/** All that can be said without asking for the requester's rights. */
export function decide(csr: SigningRequest, settings: DecisionSettings): Verdict {
  if (csr.isSettled) return { kind: 'settled' }
  const subject = parseCertificateRequest(csr.request)
  const refusal = firstRefusal(csr, subject, settings)
  if (refusal !== undefined) return { kind: isForeign(csr, subject) ? 'foreign' : 'refused', refusal }
  const [commonName = ''] = subject?.commonNames ?? []
  const isRenewal = csr.requester.username === commonName
  return { kind: 'sound', commonName, permission: isRenewal ? 'selfnodeclient' : 'nodeclient' }
}

/** The refusal of what is sound, but asked for by somebody who has not the right to. */
export function unauthorised({ requester }: SigningRequest, permission: Permission): Refusal {
  return {
    code: 'unauthorised',
    reason: `${requester.username} may not create certificatesigningrequests/${permission} of certificates.k8s.io named ${VNODE_GROUP}`,
  }
}

function isForeign({ requester }: SigningRequest, subject: RequestedSubject | undefined): boolean {
  if (requester.groups.includes(VNODE_GROUP)) return false
  if (subject === undefined) return true
  const names = [...subject.commonNames, ...subject.organizations]
  return !names.some(name => name.startsWith('system:vnode'))
}

type Check = (
  csr: SigningRequest,
  subject: RequestedSubject,
  settings: DecisionSettings,
) => Refusal | undefined

function firstRefusal(
  csr: SigningRequest,
  subject: RequestedSubject | undefined,
  settings: DecisionSettings,
): Refusal | undefined {
  if (subject === undefined)
    return { code: 'unreadable', reason: 'what it asks for is not one certificate request in PEM' }
  for (const check of CHECKS) {
    const refusal = check(csr, subject, settings)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

const checkSigner: Check = ({ signerName }) =>
  signerName === CLIENT_SIGNER
    ? undefined
    : { code: 'signer', reason: `its signer is ${signerName}; VNodes ask ${CLIENT_SIGNER}` }

const checkOrganization: Check = (_, { organizations }) =>
  organizations.length === 1 && organizations[0] === VNODE_GROUP
    ? undefined
    : {
        code: 'organization',
        reason: `its organizations are ${listOf(organizations)}; a VNode has ${VNODE_GROUP} and no other`,
      }

const checkCommonName: Check = (_, { commonNames }, { commonNamePrefix }) => {
  const [name = ''] = commonNames
  const node = name.startsWith(commonNamePrefix) ? name.slice(commonNamePrefix.length) : ''
  // The vendor's prefix ends before the colon.
  const isNode = dns1123SubdomainProblem(node.replace(/^:/, '')) === undefined
  if (commonNames.length === 1 && isNode) return undefined
  return {
    code: 'common-name',
    reason: `its common name is ${listOf(commonNames)}; a VNode's is ${commonNamePrefix} and the name of its Node`,
  }
}

const checkSubject: Check = (_, { others }) =>
  others.length === 0
    ? undefined
    : {
        code: 'subject',
        reason: `its subject has more than a common name and an organization: ${listOf(others)}`,
      }

const checkAlternativeNames: Check = (_, { hasAlternativeNames }) =>
  hasAlternativeNames
    ? { code: 'alternative-names', reason: 'it asks for alternative names; a client has none' }
    : undefined

const checkUsages: Check = ({ usages }) => {
  const given = [...new Set(usages)].sort()
  if (given.join() === USAGES.join()) return undefined
  return {
    code: 'usages',
    reason: `its usages are ${listOf(given)}; a VNode's are exactly ${USAGES.join(', ')}`,
  }
}

/** A VNode renews its own certificate and no other's, whatever rights it was given. */
const checkOtherVnode: Check = ({ requester }, { commonNames }) => {
  const { username, groups } = requester
  const isVnode = username.startsWith('system:vnode') || groups.includes(VNODE_GROUP)
  if (!isVnode || username === commonNames[0]) return undefined
  return { code: 'other-vnode', reason: `${username} asks for the certificate of ${listOf(commonNames)}` }
}

const CHECKS: readonly Check[] = [
  checkSigner,
  checkOrganization,
  checkCommonName,
  checkSubject,
  checkAlternativeNames,
  checkUsages,
  checkOtherVnode,
]

/** What others chose, cut so that it cannot fill a log. */
function listOf(names: readonly string[]): string {
  return names.length === 0 ? 'none' : JSON.stringify(names.join(', ').slice(0, 200))
}
