/**
 * A child of {@link Load}: sends one request over and over on some kept-alive TLS connections, each of which waits for its answer.
 * Raw sockets, a request built once, and answers of which only the status and the length are read, so that it is the server that is busy.
 */
import { connect, type TLSSocket } from 'node:tls'
import type { LoadAnswer, LoadMessage, LoadOrder, LoadResult } from './load.ts'

/** The sockets of the order that came last, connected and not in use yet. */
let connected: { readonly order: LoadOrder; readonly sockets: readonly TLSSocket[] } | undefined

process.on('message', (message: LoadMessage) => {
  take(message).then(
    answer => process.send?.(answer),
    (error: unknown) => process.send?.({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit())

async function take(message: LoadMessage): Promise<LoadAnswer> {
  if (message.connect !== undefined) {
    const order = message.connect
    const opening = Array.from({ length: order.connections }, () => open(order))
    connected = { order, sockets: await Promise.all(opening) }
    return { isConnected: true }
  }
  if (connected === undefined) throw new Error('told to go before it was told to connect')
  const { order, sockets } = connected
  connected = undefined
  return { result: await runLoad(order, sockets) }
}

async function runLoad(order: LoadOrder, sockets: readonly TLSSocket[]): Promise<LoadResult> {
  const request = requestOf(order)
  const cpu = process.cpuUsage()
  const started = performance.now()
  const lanes = sockets.map(socket => new Lane(socket, request, started + order.milliseconds))
  await Promise.all(lanes.map(lane => lane.run()))
  const milliseconds = performance.now() - started
  const { user, system } = process.cpuUsage(cpu)
  for (const socket of sockets) socket.destroy()
  return {
    milliseconds,
    latencies: lanes.flatMap(lane => lane.latencies),
    cpuShare: (user + system) / 1000 / milliseconds,
    sample: lanes[0]?.lastBody ?? '',
  }
}

function requestOf({ path, body }: LoadOrder): Buffer {
  const head = [
    `POST ${path}?timeout=10s HTTP/1.1`,
    'Host: vnode-profile-webhook.vnode-profile.svc:443',
    'User-Agent: kube-apiserver-admission',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Accept: application/json, */*',
    'Content-Type: application/json',
    'Accept-Encoding: gzip',
  ]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
}

function open({ port, ca }: LoadOrder): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca })
    socket.setNoDelay(true)
    socket.once('error', reject)
    socket.once('secureConnect', () => resolve(socket))
  })
}

const HEAD_END = '\r\n\r\n'

/** One connection: the next request goes out when the answer to the last is complete. */
class Lane {
  readonly latencies: number[] = []
  lastBody = ''
  readonly #socket: TLSSocket
  readonly #request: Buffer
  readonly #deadline: number
  readonly #done = Promise.withResolvers<void>()
  #received: Buffer | undefined
  #sentAt = 0

  constructor(socket: TLSSocket, request: Buffer, deadline: number) {
    this.#socket = socket
    this.#request = request
    this.#deadline = deadline
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.once('error', this.#done.reject)
    socket.once('close', () => this.#done.reject(new Error('the server closed a connection')))
  }

  run(): Promise<void> {
    this.#send()
    return this.#done.promise
  }

  #send(): void {
    this.#sentAt = performance.now()
    this.#socket.write(this.#request)
  }

  #take(chunk: Buffer): void {
    const received = this.#received === undefined ? chunk : Buffer.concat([this.#received, chunk])
    this.#received = received
    const headEnd = received.indexOf(HEAD_END)
    if (headEnd < 0) return
    const head = received.toString('latin1', 0, headEnd)
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1])
    if (!head.startsWith('HTTP/1.1 200 ') || Number.isNaN(length)) {
      this.#done.reject(new Error(`an answer that was not expected: ${head.split('\r\n')[0]}`))
      return
    }
    const start = headEnd + HEAD_END.length
    if (received.length < start + length) return
    this.#received = undefined
    this.#finish(received.subarray(start))
  }

  #finish(body: Buffer): void {
    const now = performance.now()
    this.latencies.push(now - this.#sentAt)
    if (now < this.#deadline) {
      this.#send()
      return
    }
    this.lastBody = body.toString()
    this.#done.resolve()
  }
}
