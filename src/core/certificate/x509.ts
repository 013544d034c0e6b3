import { createHash, type KeyObject, sign, X509Certificate } from 'node:crypto'
import forge from 'node-forge'
import { VnodeError } from '../errors.ts'
import type { AlternativeName } from './alternative-name.ts'

const { asn1 } = forge
type Node = forge.asn1.Asn1

export interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export interface CertificateSpec {
  readonly commonName: string
  readonly serial: Uint8Array
  readonly notBefore: Date
  readonly notAfter: Date
  readonly publicKey: KeyObject
  /** An authority signs itself; a serving certificate carries the names it is for. */
  readonly use: { readonly kind: 'authority' } | Serving
  readonly signingKey: KeyObject
}

interface Serving {
  readonly kind: 'serving'
  readonly names: readonly AlternativeName[]
  readonly issuer: X509Certificate
}

const OID = {
  commonName: '2.5.4.3',
  ecPublicKey: '1.2.840.10045.2.1',
  p256: '1.2.840.10045.3.1.7',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const

/** RFC 5280's tag numbers inside a GeneralName. */
const GENERAL_NAME = { dns: 2, ip: 7 } as const
/** KeyUsage bit strings: how many of the last bits do not count, then the bits. */
const DIGITAL_SIGNATURE = [0x07, 0x80]
const KEY_CERT_SIGN_AND_CRL_SIGN = [0x01, 0x06]

/** Writes and signs a v3 certificate (ECDSA P-256, SHA-256) and returns it as PEM. */
export function writeCertificate(spec: CertificateSpec): string {
  assertP256(spec.publicKey)
  assertP256(spec.signingKey)
  const tbs = certificateBody(spec)
  const signature = sign('sha256', Buffer.from(derOf(tbs), 'latin1'), spec.signingKey)
  const whole = sequence(tbs, sequence(oid(OID.ecdsaWithSha256)), bits([0, ...signature]))
  // Reading it back proves that OpenSSL accepts the encoding, and it wraps the PEM right.
  return new X509Certificate(Buffer.from(derOf(whole), 'latin1')).toString()
}

/**
 * A serial number from random bytes: positive, without a leading zero byte (OpenSSL calls that illegal padding),
 * and never longer than RFC 5280's 20 bytes.
 */
export function serialFrom(random: Uint8Array): Uint8Array {
  if (random.length < 8 || random.length > 20) {
    throw new VnodeError('INTERNAL', `a serial number is made of 8 to 20 random bytes, not ${random.length}`)
  }
  const serial = Uint8Array.from(random)
  serial[0] = 0x40 | ((random[0] ?? 0) & 0x3f)
  return serial
}

/** X.509 counts in seconds: what is written is what is compared. */
export function wholeSeconds(milliseconds: number): Date {
  return new Date(Math.floor(milliseconds / 1000) * 1000)
}

function certificateBody(spec: CertificateSpec): Node {
  const subject = nameOf(spec.commonName)
  const issuer = spec.use.kind === 'serving' ? subjectOf(spec.use.issuer) : subject
  return sequence(
    tagged(0, [primitive(asn1.Type.INTEGER, '\x02')]),
    primitive(asn1.Type.INTEGER, binary(spec.serial)),
    sequence(oid(OID.ecdsaWithSha256)),
    issuer,
    sequence(timeOf(spec.notBefore), timeOf(spec.notAfter)),
    subject,
    publicKeyInfo(spec.publicKey),
    tagged(3, [sequence(...extensionsOf(spec))]),
  )
}

function extensionsOf({ use, publicKey }: CertificateSpec): Node[] {
  const subjectKey = extension(OID.subjectKeyIdentifier, octets(keyIdentifier(publicKey)))
  if (use.kind === 'authority') {
    const constraints = sequence(primitive(asn1.Type.BOOLEAN, '\xff'), primitive(asn1.Type.INTEGER, '\x00'))
    return [
      criticalExtension(OID.basicConstraints, constraints),
      criticalExtension(OID.keyUsage, bits(KEY_CERT_SIGN_AND_CRL_SIGN)),
      subjectKey,
    ]
  }
  const issuerKey = subjectKeyIdentifierOf(use.issuer) ?? keyIdentifier(use.issuer.publicKey)
  return [
    criticalExtension(OID.basicConstraints, sequence()),
    criticalExtension(OID.keyUsage, bits(DIGITAL_SIGNATURE)),
    extension(OID.extendedKeyUsage, sequence(oid(OID.serverAuth))),
    subjectKey,
    extension(OID.authorityKeyIdentifier, sequence(taggedBytes(0, issuerKey))),
    extension(OID.subjectAltName, sequence(...use.names.map(generalName))),
  ]
}

function generalName(name: AlternativeName): Node {
  return taggedBytes(GENERAL_NAME[name.kind], binary(name.bytes))
}

/** RFC 7093, method 1: the first 160 bits of SHA-256 over the public point. */
function keyIdentifier(publicKey: KeyObject): string {
  return createHash('sha256').update(pointOf(publicKey)).digest().subarray(0, 20).toString('latin1')
}

/** The issuer's name as its own certificate spells it: verifiers compare bytes. */
function subjectOf(certificate: X509Certificate): Node {
  const subject = bodyFields(certificate)[5]
  if (subject === undefined) throw new VnodeError('BAD_CERTIFICATE', 'the CA certificate has no subject')
  return subject
}

function subjectKeyIdentifierOf(certificate: X509Certificate): string | undefined {
  const wanted = asn1.oidToDer(OID.subjectKeyIdentifier).getBytes()
  const extensions = bodyFields(certificate).find(
    field => field.tagClass === asn1.Class.CONTEXT_SPECIFIC && Number(field.type) === 3,
  )
  const list = extensions === undefined ? [] : childrenOf(childrenOf(extensions)[0])
  const found = list
    .map(childrenOf)
    .find(([id]) => id?.value === wanted)
    ?.at(-1)?.value
  if (typeof found !== 'string') return undefined
  const { value } = asn1.fromDer(found)
  return typeof value === 'string' ? value : undefined
}

function bodyFields(certificate: X509Certificate): readonly Node[] {
  return childrenOf(childrenOf(asn1.fromDer(certificate.raw.toString('latin1')))[0])
}

function childrenOf(node: Node | undefined): readonly Node[] {
  return node === undefined || typeof node.value === 'string' ? [] : node.value
}

function assertP256(key: KeyObject): void {
  if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return
  throw new VnodeError('BAD_CERTIFICATE', 'certificates are made with P-256 keys only', {
    next: 'Remove the CA that has another kind of key; a new one is made.',
  })
}

function publicKeyInfo(publicKey: KeyObject): Node {
  return sequence(sequence(oid(OID.ecPublicKey), oid(OID.p256)), bits([0, ...pointOf(publicKey)]))
}

/** The uncompressed point that ends a P-256 key's encoding. */
function pointOf(publicKey: KeyObject): Uint8Array {
  return publicKey.export({ type: 'spki', format: 'der' }).subarray(-65)
}

function nameOf(commonName: string): Node {
  const text = primitive(asn1.Type.UTF8, Buffer.from(commonName, 'utf8').toString('latin1'))
  const attribute = sequence(oid(OID.commonName), text)
  return sequence(asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SET, true, [attribute]))
}

/** RFC 5280: UTCTime until 2049, GeneralizedTime after; anything else is refused by strict verifiers. */
function timeOf(date: Date): Node {
  return date.getUTCFullYear() < 2050
    ? primitive(asn1.Type.UTCTIME, asn1.dateToUtcTime(date))
    : primitive(asn1.Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date))
}

function extension(id: string, value: Node): Node {
  return sequence(oid(id), octets(derOf(value)))
}

function criticalExtension(id: string, value: Node): Node {
  return sequence(oid(id), primitive(asn1.Type.BOOLEAN, '\xff'), octets(derOf(value)))
}

function sequence(...children: Node[]): Node {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, children)
}

function tagged(tag: number, children: Node[]): Node {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, true, children)
}

function taggedBytes(tag: number, value: string): Node {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, false, value)
}

function primitive(type: forge.asn1.Type, value: string): Node {
  return asn1.create(asn1.Class.UNIVERSAL, type, false, value)
}

function octets(value: string): Node {
  return primitive(asn1.Type.OCTETSTRING, value)
}

function bits(value: readonly number[]): Node {
  return primitive(asn1.Type.BITSTRING, binary(Uint8Array.from(value)))
}

function oid(id: string): Node {
  return primitive(asn1.Type.OID, asn1.oidToDer(id).getBytes())
}

function derOf(node: Node): string {
  return asn1.toDer(node).getBytes()
}

/** forge's bytes are strings of one character per byte. */
function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}
