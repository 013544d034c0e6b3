/**
 * The check of a request's signature, written from the documentation of "Request syntax and signature method V3" (ACS3-HMAC-SHA256) and
 * sharing no code with the product or the SDK.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { Refusal } from './refusal.ts'

export interface Account {
  readonly accessKeyId: string
  readonly accessKeySecret: string
  /** Of the account that the key belongs to. */
  readonly accountId?: string
  /** Of temporary credentials: without it, or with another one, they are refused. */
  readonly securityToken?: string
  /** As if their time were over. */
  readonly isExpired?: boolean
  /** `eci:CreateVirtualNode`; all are allowed where this is not given. */
  readonly allowed?: readonly string[]
}

export interface SignedRequest {
  readonly method: string
  /** With the query. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** The documentation gives a request 15 minutes. */
const LONGEST_MS = 15 * 60_000
const ALWAYS_SIGNED = [
  'host',
  'x-acs-action',
  'x-acs-content-sha256',
  'x-acs-date',
  'x-acs-signature-nonce',
  'x-acs-version',
]
const AUTHORIZATION =
  /^ACS3-HMAC-SHA256 Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})$/

/** Remembers nonces, so there is one for the whole life of an endpoint. */
export class SignatureCheck {
  readonly #accounts: ReadonlyMap<string, Account>
  readonly #nonces = new Set<string>()
  /** Moved by tests. */
  now: () => number = Date.now

  constructor(accounts: readonly Account[]) {
    this.#accounts = new Map(accounts.map(account => [account.accessKeyId, account]))
  }

  /** Whose request it is; throws a Refusal with the code of whatever is wrong. */
  check(request: SignedRequest): Account {
    const { accessKeyId, signedHeaders, signature } = readAuthorization(request.headers)
    this.#checkTime(header(request, 'x-acs-date'))
    const account = this.#accounts.get(accessKeyId)
    if (account === undefined)
      throw new Refusal(404, 'InvalidAccessKeyId.NotFound', 'Specified access key is not found.')
    checkToken(account, request)
    checkCoverage(request, signedHeaders)
    const expected = sign(request, signedHeaders, account.accessKeySecret)
    if (!timingSafeEqual(Buffer.from(expected, 'hex'), Buffer.from(signature, 'hex'))) {
      throw new Refusal(
        400,
        'SignatureDoesNotMatch',
        'Specified signature is not matched with our calculation.',
      )
    }
    this.#useNonce(accessKeyId, header(request, 'x-acs-signature-nonce'))
    return account
  }

  #checkTime(date: string): void {
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(date))
      throw new Refusal(
        400,
        'InvalidTimeStamp.Format',
        'Specified time stamp or date value is not well formatted.',
      )
    if (Math.abs(this.now() - Date.parse(date)) > LONGEST_MS)
      throw new Refusal(400, 'InvalidTimeStamp.Expired', 'Specified time stamp or date value is expired.')
  }

  #useNonce(accessKeyId: string, nonce: string): void {
    const key = `${accessKeyId} ${nonce}`
    if (this.#nonces.has(key))
      throw new Refusal(400, 'SignatureNonceUsed', 'Specified signature nonce was used already.')
    this.#nonces.add(key)
  }
}

function readAuthorization(headers: IncomingHttpHeaders) {
  const [, accessKeyId = '', names = '', signature = ''] =
    AUTHORIZATION.exec(headers.authorization ?? '') ?? []
  if (signature === '')
    throw new Refusal(
      400,
      'IncompleteSignature',
      'The request signature does not conform to Aliyun standards.',
    )
  return { accessKeyId, signedHeaders: names.split(';'), signature }
}

function checkToken(account: Account, request: SignedRequest): void {
  const token = request.headers['x-acs-security-token']
  if (account.securityToken === undefined && token === undefined) return
  if (account.securityToken === undefined || token !== account.securityToken)
    throw new Refusal(
      400,
      'InvalidSecurityToken.MismatchWithAccessKey',
      'Specified SecurityToken mismatch with the AccessKey.',
    )
  if (account.isExpired === true)
    throw new Refusal(400, 'InvalidSecurityToken.Expired', 'Specified SecurityToken is expired.')
}

/** Every common header that is there must be signed, and the body by its hash. */
function checkCoverage(request: SignedRequest, signedHeaders: readonly string[]): void {
  const { headers, body } = request
  const present = Object.keys(headers).filter(name => name.startsWith('x-acs-') || name === 'content-type')
  const unsigned = [...ALWAYS_SIGNED, ...present].filter(name => !signedHeaders.includes(name))
  const isSorted = signedHeaders.every((name, at) => at === 0 || (signedHeaders[at - 1] ?? '') < name)
  if (unsigned.length > 0 || !isSorted || header(request, 'x-acs-content-sha256') !== sha256(body)) {
    throw new Refusal(
      400,
      'IncompleteSignature',
      `The request signature does not cover ${unsigned.join(', ') || 'the body'}.`,
    )
  }
}

/** The signature that the request should have. */
export function sign(request: SignedRequest, signedHeaders: readonly string[], secret: string): string {
  const [path = '/', query = ''] = request.url.split('?')
  const canonicalHeaders = signedHeaders.map(name => `${name}:${header(request, name).trim()}\n`).join('')
  const canonicalRequest = [
    request.method,
    path,
    canonicalQuery(query),
    canonicalHeaders,
    signedHeaders.join(';'),
    header(request, 'x-acs-content-sha256'),
  ].join('\n')
  const toSign = `ACS3-HMAC-SHA256\n${sha256(canonicalRequest)}`
  return createHmac('sha256', secret).update(toSign).digest('hex')
}

function canonicalQuery(query: string): string {
  return [...new URLSearchParams(query)]
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

/** RFC 3986: everything but letters, digits and `-_.~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function header({ headers }: SignedRequest, name: string): string {
  const value = headers[name]
  return Array.isArray(value) ? value.join(',') : (value ?? '')
}
