import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import forge from 'node-forge'

const { asn1 } = forge
type Node = forge.asn1.Asn1

export interface RequestOptions {
  readonly commonName?: string
  readonly organizations?: readonly string[]
  /** More fields of the subject: object identifier and text. */
  readonly others?: readonly (readonly [oid: string, value: string])[]
  readonly dnsNames?: readonly string[]
  /** Asks for the extensions in two attributes, of which the second has the alternative names. */
  readonly hasTwoAttributes?: boolean
  /** ASN.1 type of the subject's texts; UTF8String unless said otherwise. */
  readonly textType?: forge.asn1.Type
  /** PEM, of P-256; a new one unless given. */
  readonly keyPem?: string
}

/** As a VNode's would be. */
export const SOUND: RequestOptions = {
  commonName: 'system:vnode:cn-hangzhou.vnd-1',
  organizations: ['system:vnodes'],
}

export const SOUND_USAGES = ['digital signature', 'key encipherment', 'client auth']

/** A P-256 key in PEM. */
export function makeKeyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** Writes and signs a PKCS #10 request, in PEM. It shares no code with what reads it. */
export function makeCertificateRequest(options: RequestOptions = SOUND): string {
  const key = createPrivateKey(options.keyPem ?? makeKeyPem())
  const body = sequence(
    primitive(asn1.Type.INTEGER, '\0'),
    subjectOf(options),
    publicKeyOf(key),
    asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, true, attributesOf(options)),
  )
  const signature = sign('sha256', Buffer.from(derOf(body), 'latin1'), key).toString('latin1')
  const whole = sequence(
    body,
    sequence(oid('1.2.840.10045.4.3.2')),
    primitive(asn1.Type.BITSTRING, `\0${signature}`),
  )
  const base64 = Buffer.from(derOf(whole), 'latin1').toString('base64')
  const lines = base64.match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`
}

function subjectOf({
  commonName,
  organizations = [],
  others = [],
  textType = asn1.Type.UTF8,
}: RequestOptions) {
  const fields = [
    ...organizations.map(name => ['2.5.4.10', name] as const),
    ...(commonName === undefined ? [] : [['2.5.4.3', commonName] as const]),
    ...others,
  ]
  return sequence(
    ...fields.map(([id, value]) => {
      const text = primitive(textType, Buffer.from(value, 'utf8').toString('latin1'))
      return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SET, true, [sequence(oid(id), text)])
    }),
  )
}

function attributesOf({ dnsNames = [], hasTwoAttributes = false }: RequestOptions): Node[] {
  const names = dnsNames.map(name => asn1.create(asn1.Class.CONTEXT_SPECIFIC, 2, false, name))
  const alternative = sequence(oid('2.5.29.17'), octets(sequence(...names)))
  // Digital signature and key encipherment, which any client may ask for.
  const usage = sequence(oid('2.5.29.15'), octets(primitive(asn1.Type.BITSTRING, '\x05\xa0')))
  if (hasTwoAttributes) return [extensionRequest(usage), extensionRequest(alternative)]
  return dnsNames.length === 0 ? [] : [extensionRequest(usage, alternative)]
}

function extensionRequest(...extensions: Node[]): Node {
  const values = asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SET, true, [sequence(...extensions)])
  return sequence(oid('1.2.840.113549.1.9.14'), values)
}

function publicKeyOf(key: KeyObject): Node {
  const { d: _d, ...jwk } = key.export({ format: 'jwk' })
  const point = ['x', 'y'].map(axis =>
    Buffer.from(`${jwk[axis as 'x' | 'y']}`, 'base64url').toString('latin1'),
  )
  return sequence(
    sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7')),
    primitive(asn1.Type.BITSTRING, `\0\x04${point.join('')}`),
  )
}

function octets(node: Node): Node {
  return primitive(asn1.Type.OCTETSTRING, derOf(node))
}

function oid(id: string): Node {
  return primitive(asn1.Type.OID, asn1.oidToDer(id).getBytes())
}

function primitive(type: forge.asn1.Type, value: string): Node {
  return asn1.create(asn1.Class.UNIVERSAL, type, false, value)
}

function sequence(...children: Node[]): Node {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, children)
}

function derOf(node: Node): string {
  return asn1.toDer(node).getBytes()
}
