import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { Transport } from '../../src/kube/transport.ts'

export interface FakeApiOptions {
  /** PEM texts; without them the server speaks plain HTTP. */
  readonly tls?: ServerOptions
}

/**
 * An API server whose every answer is given by the test: requests queue up until `next()` takes them. It listens on
 * loopback and ends with the test.
 */
export class FakeApi {
  readonly url: string
  /** All requests so far, as `GET /path?query`. */
  readonly seen: string[] = []
  connections = 0
  readonly #sockets: Set<Socket>
  readonly #queue: Exchange[] = []
  readonly #takers: ((exchange: Exchange) => void)[] = []
  #automatic: ((exchange: Exchange) => void) | undefined

  private constructor(url: string, sockets: Set<Socket>) {
    this.url = url
    this.#sockets = sockets
  }

  static async start(t: Test, { tls }: FakeApiOptions = {}): Promise<FakeApi> {
    const sockets = new Set<Socket>()
    const accept: RequestListener = (request, response) => void api.#accept(request, response)
    const server = tls === undefined ? createServer(accept) : createTlsServer(tls, accept)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const api = new FakeApi(`${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, sockets)
    server.on('connection', socket => {
      api.connections += 1
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => {})
    })
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    return api
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#sockets.size
  }

  /** The oldest request that nobody has taken, within five seconds. */
  next(): Promise<Exchange> {
    const waiting = this.#queue.shift()
    if (waiting !== undefined) return Promise.resolve(waiting)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no request; seen: ${this.seen.join(', ')}`)), 5000)
      this.#takers.push(exchange => {
        clearTimeout(timer)
        resolve(exchange)
      })
    })
  }

  /** From now on every request is answered by this. */
  answer(automatic: (exchange: Exchange) => void): void {
    this.#automatic = automatic
    for (const exchange of this.#queue.splice(0)) automatic(exchange)
  }

  async #accept(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request).catch(() => undefined)
    // The caller has gone, or the test is over.
    if (body === undefined) return
    const exchange = new Exchange(request, response, body)
    this.seen.push(`${exchange.method} ${request.url}`)
    if (this.#automatic !== undefined) return this.#automatic(exchange)
    const taker = this.#takers.shift()
    if (taker === undefined) this.#queue.push(exchange)
    else taker(exchange)
  }
}

/** One request, and the ways to answer it. */
export class Exchange {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** Resolves when the connection of the request is gone. */
  readonly closed: Promise<unknown>
  readonly #response: ServerResponse

  constructor(request: IncomingMessage, response: ServerResponse, body: string) {
    const url = new URL(request.url ?? '/', 'http://fake')
    this.method = request.method ?? ''
    this.path = url.pathname
    this.query = Object.fromEntries(url.searchParams)
    this.headers = request.headers
    this.body = body
    this.#response = response
    this.closed = new Promise(resolve => response.on('close', resolve))
  }

  get isWatch(): boolean {
    return this.query.watch === 'true'
  }

  json(body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): void {
    this.#response.writeHead(status, { 'content-type': 'application/json', ...headers })
    this.#response.end(JSON.stringify(body))
  }

  /** A Status object, as the apiserver refuses. */
  refuse(code: number, reason = '', headers: Readonly<Record<string, string>> = {}): void {
    this.json({ kind: 'Status', status: 'Failure', message: `said ${code}`, reason, code }, code, headers)
  }

  list(items: readonly unknown[], resourceVersion = '1', continueToken?: string): void {
    this.json({ metadata: { resourceVersion, continue: continueToken }, items })
  }

  /** The head of a watch. */
  open(): void {
    this.#response.writeHead(200, { 'content-type': 'application/json' })
    this.#response.flushHeaders()
  }

  send(type: string, object: unknown): void {
    this.raw(`${JSON.stringify({ type, object })}\n`)
  }

  bookmark(resourceVersion: string): void {
    this.send('BOOKMARK', { metadata: { resourceVersion } })
  }

  raw(bytes: string | Uint8Array): void {
    this.#response.write(bytes)
  }

  end(): void {
    this.#response.end()
  }

  /** A TCP reset, in the middle of whatever was sent. */
  reset(): void {
    this.#response.socket?.resetAndDestroy()
  }
}

/** Our client without a kubeconfig and without credentials. */
export function makeClient(t: Test, api: FakeApi): Transport {
  const endpoint = {
    ca: undefined,
    cert: undefined,
    key: undefined,
    servername: undefined,
    rejectUnauthorized: undefined,
    proxyUrl: undefined,
  }
  const credentials = { headers: {}, endpoint }
  const access = {
    server: api.url,
    namespace: undefined,
    credentials: async () => credentials,
    renew: async () => credentials,
  }
  const client = new Transport(access, 'test/0')
  t.teardown(() => client.close())
  return client
}

/** An object of the API with the fields that a reflector looks at. */
export function makeObject(name: string, resourceVersion = '1', more: object = {}) {
  return { metadata: { name, uid: `uid-${name}`, resourceVersion, ...more } }
}
