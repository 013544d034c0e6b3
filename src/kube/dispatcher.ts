import { createHash } from 'node:crypto'
import { Agent, type Dispatcher, ProxyAgent } from 'undici'
import { VnodeError } from '../core/errors.ts'

export type TlsMaterial = string | Buffer | undefined

/** Where to connect and as whom; the whole identity of a connection. */
export interface Endpoint {
  readonly ca: TlsMaterial
  readonly cert: TlsMaterial
  readonly key: TlsMaterial
  readonly servername: string | undefined
  readonly rejectUnauthorized: boolean | undefined
  /** http, https or socks5 proxy of the kubeconfig's cluster. */
  readonly proxyUrl: string | undefined
}

const CONNECT_TIMEOUT_MS = 10_000
/** TCP probes start below the 60 s after which some load balancers forget an idle connection. */
const TCP_KEEPALIVE_MS = 30_000
/** An idle connection is dropped before the apiserver does it (90 s), or a request could meet a closing one. */
const IDLE_CONNECTION_MS = 30_000

/** The same for the same connection, and no other. */
export function identity(endpoint: Endpoint): string {
  const hash = createHash('sha256')
  for (const part of Object.values(endpoint)) hash.update(`${String(part ?? '')}\0`)
  return hash.digest('hex')
}

/**
 * HTTP/1.1 on purpose. All requests of an HTTP/2 client share one connection, and ending a request leaves the connection
 * be: once the peer is gone without a word, every new watch would be put on the same dead connection. Here a watch
 * has a connection of its own, which goes with it.
 */
export async function createDispatcher(server: string, endpoint: Endpoint): Promise<Dispatcher> {
  const { proxyUrl, ...tls } = endpoint
  const given = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined))
  const socket = { timeout: CONNECT_TIMEOUT_MS, keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS }
  // Limits of time are the Deadline's; a watch has none.
  const limits = { allowH2: false, keepAliveTimeout: IDLE_CONNECTION_MS, headersTimeout: 0, bodyTimeout: 0 }
  if (proxyUrl === undefined) return new Agent({ ...limits, connect: { ...socket, ...given } })
  const uri = proxyUrl.replace(/^socks5h:/, 'socks5:')
  if (!/^(https?|socks5?):\/\//.test(uri)) {
    throw new VnodeError('KUBECONFIG', `the proxy-url of ${server} is neither http, https nor socks5`)
  }
  return new ProxyAgent({
    ...limits,
    uri,
    requestTls: { ...socket, ...given },
    connectTimeout: CONNECT_TIMEOUT_MS,
  })
}
