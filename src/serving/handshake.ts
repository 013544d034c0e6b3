import { isIP } from 'node:net'
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { messageOf, VnodeError } from '../core/errors.ts'

export interface HandshakeRequest {
  readonly host: string
  readonly port: number
  /** The only CAs that are trusted. Without them the handshake proves that the server answers, not that clients believe it. */
  readonly caPem?: string | undefined
  /** The DNS name or IP address that the certificate must be for. Without it any name will do. */
  readonly servername?: string | undefined
  readonly timeoutMs?: number
}

/** A healthy server on the same machine answers in a few milliseconds; a probe of Kubernetes waits for one second. */
const HANDSHAKE_TIMEOUT_MS = 900

/**
 * Connects as a client would and returns the SHA-256 of the certificate that the server shows. Rejects with
 * BAD_CERTIFICATE when the chain or the name does not hold, with NETWORK otherwise. The socket is always closed.
 */
export function handshake(request: HandshakeRequest): Promise<{ fingerprint: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ fingerprint: string }>()
  const timeoutMs = request.timeoutMs ?? HANDSHAKE_TIMEOUT_MS
  const socket = dial(request)
  let fingerprint: string | undefined
  let failure: unknown = new Error('the connection was closed')
  const timer = setTimeout(() => socket.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs)
  socket.once('secureConnect', () => {
    fingerprint = socket.getPeerX509Certificate()?.fingerprint256
    // Ending, instead of destroying, spares the server a connection reset that it would log.
    socket.resume().end()
  })
  socket.on('error', error => {
    failure = error
  })
  socket.once('close', () => {
    clearTimeout(timer)
    if (fingerprint !== undefined) resolve({ fingerprint })
    else reject(handshakeError({ request, socket, failure }))
  })
  return promise
}

function dial({ host, port, caPem, servername }: HandshakeRequest): TLSSocket {
  return connect({
    host,
    port,
    secureContext: contextTrusting(caPem),
    rejectUnauthorized: caPem !== undefined,
    // SNI carries DNS names only (RFC 6066); an address is checked below all the same.
    servername: servername === undefined || isIP(servername) !== 0 ? '' : servername,
    checkServerIdentity: (_, certificate) =>
      servername === undefined ? undefined : checkServerIdentity(servername, certificate),
  })
}

let trusting: { readonly caPem: string | undefined; readonly context: SecureContext } | undefined

/**
 * One context for as long as the CA is the same. A context has its CAs in native memory, of which the garbage collector knows
 * nothing: with one for each probe a server grew by hundreds of megabytes.
 */
function contextTrusting(caPem: string | undefined): SecureContext {
  if (trusting === undefined || trusting.caPem !== caPem)
    trusting = { caPem, context: createSecureContext(caPem === undefined ? {} : { ca: caPem }) }
  return trusting.context
}

function handshakeError(attempt: {
  request: HandshakeRequest
  socket: TLSSocket
  failure: unknown
}): VnodeError {
  const { request, socket, failure } = attempt
  const isDistrust = Boolean(socket.authorizationError)
  return new VnodeError(
    isDistrust ? 'BAD_CERTIFICATE' : 'NETWORK',
    `TLS handshake with ${request.host} port ${request.port} failed: ${withoutAdvice(messageOf(failure))}`,
    {
      cause: failure,
      next: isDistrust
        ? 'Publish the CA that signed the serving certificate, or serve a certificate of the published CA.'
        : 'See whether the server listens there and speaks TLS.',
    },
  )
}

/** Node advises flags of its own, which is nothing for whoever looks at a probe. */
function withoutAdvice(message: string): string {
  return message.replace(/; if the root CA is installed locally.*/, '')
}
