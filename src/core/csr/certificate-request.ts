/** Reads a PKCS #10 certificate request, as far as it decides whom a certificate would speak for. */
import forge from 'node-forge'

const { asn1 } = forge
type Node = forge.asn1.Asn1

/** What a certificate made from the request would say. */
export interface RequestedSubject {
  readonly commonNames: readonly string[]
  readonly organizations: readonly string[]
  /** Object identifiers of everything else in the subject. */
  readonly others: readonly string[]
  readonly hasAlternativeNames: boolean
}

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectAltName: '2.5.29.17',
  extensionRequest: '1.2.840.113549.1.9.14',
} as const

const BLOCK =
  /^\s*-----BEGIN CERTIFICATE REQUEST-----\s*([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----\s*$/

/**
 * Undefined for whatever is not exactly one request in PEM, or is written in a way that two readers could take for two things. The
 * signature is the API server's business: it takes no request without a valid one.
 */
export function parseCertificateRequest(pem: string): RequestedSubject | undefined {
  const [, base64] = BLOCK.exec(pem) ?? []
  if (base64 === undefined) return undefined
  try {
    return readRequest(asn1.fromDer(Buffer.from(base64, 'base64').toString('latin1'), true))
  } catch {
    return undefined
  }
}

/** RFC 2986: a sequence of what is asked for, an algorithm and a signature; of the first: version, subject, key, attributes. */
function readRequest(request: Node): RequestedSubject {
  const [, subject, , ...rest] = childrenOf(childrenOf(request)[0])
  const fields = childrenOf(subject).flatMap(set => childrenOf(set).map(readAttribute))
  const valuesOf = (id: string) => fields.flatMap(field => (field.id === id ? [field.value()] : []))
  return {
    commonNames: valuesOf(OID.commonName),
    organizations: valuesOf(OID.organization),
    others: fields.flatMap(({ id }) => (id === OID.commonName || id === OID.organization ? [] : [id])),
    hasAlternativeNames: extensionsOf(rest).includes(OID.subjectAltName),
  }
}

function readAttribute(attribute: Node): { readonly id: string; readonly value: () => string } {
  const [id, value] = childrenOf(attribute)
  return { id: oidOf(id), value: () => textOf(value) }
}

/** Attributes are the optional fourth part, tagged 0; a request asks for extensions in one of them, or in several. */
function extensionsOf(rest: readonly Node[]): readonly string[] {
  return rest
    .flatMap(childrenOf)
    .filter(attribute => oidOf(childrenOf(attribute)[0]) === OID.extensionRequest)
    .flatMap(attribute => childrenOf(childrenOf(attribute)[1]))
    .flatMap(extensions => childrenOf(extensions).map(extension => oidOf(childrenOf(extension)[0])))
}

/** UTF-8 and the characters that ASCII and it share; of the other kinds of text there are several readings. */
function textOf(node: Node | undefined): string {
  const isText = node?.type === asn1.Type.UTF8 || node?.type === asn1.Type.PRINTABLESTRING
  if (!isText || typeof node.value !== 'string') throw new Error('not a text')
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(node.value, 'latin1'))
}

function oidOf(node: Node | undefined): string {
  if (node?.type !== asn1.Type.OID || typeof node.value !== 'string') throw new Error('not an identifier')
  return asn1.derToOid(node.value)
}

function childrenOf(node: Node | undefined): readonly Node[] {
  if (node === undefined || typeof node.value === 'string') throw new Error('not a sequence')
  return node.value
}
