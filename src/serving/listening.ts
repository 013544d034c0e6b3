/** Opens a port, and ends a server without losing a request: Node closes idle connections at once, and a request may be on its way on one of them. */

import type { Server } from 'node:http'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { VnodeError } from '../core/errors.ts'

export interface DrainOptions {
  /**
   * For so long new connections are still taken, in milliseconds: endpoints, kube-proxy and load balancers take that long to
   * learn that this replica is going. Every answer meanwhile ends its connection.
   */
  readonly delayMs: number
  /** What is still under way after this many more milliseconds is cut off. */
  readonly limitMs: number
}

export interface Listening {
  readonly address: AddressInfo
  /** Resolves when the last connection has ended. The answers' `connection: close` is the routes' business. */
  drain(options: DrainOptions): Promise<void>
}

/** A connection that came in just before listening ended gets so long to send its request. */
const LAST_CALL_MS = 250
const LOOK_MS = 20

export interface Port {
  /** Absent: on all addresses. */
  readonly host: string | undefined
  readonly port: number
  /** By which the user chose it, for the message when it cannot be had. */
  readonly flag: string
}

/** {@link listen}, or a VnodeError USAGE that says what to choose instead. */
export async function openPort(server: Server, { host, port, flag }: Port): Promise<Listening> {
  try {
    return await listen(server, port, host)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    const isPortWrong = code === 'EADDRINUSE' || code === 'EACCES'
    throw new VnodeError(
      'USAGE',
      `cannot listen on ${host ?? 'all addresses'}, port ${port} (${String(code)})`,
      { cause: error, next: `Choose another one with --${isPortWrong ? flag : 'host'}.` },
    )
  }
}

/** Listens, and says where. Without a host on all addresses, IPv6 included where the machine has it. */
function listen(server: Server, port: number, host: string | undefined): Promise<Listening> {
  const connections = trackConnections(server)
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
      server.off('error', reject)
      const address = server.address() as AddressInfo
      resolve({ address, drain: options => drain(server, connections, options) })
    })
  })
}

interface Connections {
  /** All that are open, among them those that still shake hands: of these http's own list knows nothing. */
  readonly sockets: ReadonlySet<Socket>
  /** What runs inside of those that have shaken hands; empty without TLS. */
  readonly secured: ReadonlySet<Socket>
}

function trackConnections(server: Server): Connections {
  const [sockets, secured] = [new Set<Socket>(), new Set<Socket>()]
  const track = (set: Set<Socket>) => (socket: Socket) => {
    set.add(socket)
    socket.once('close', () => set.delete(socket))
  }
  server.on('connection', track(sockets))
  server.on('secureConnection', track(secured))
  return { sockets, secured }
}

async function drain(
  server: Server,
  { sockets, secured }: Connections,
  { delayMs, limitMs }: DrainOptions,
): Promise<void> {
  await sleep(delayMs)
  const closed = new Promise<void>(resolve => {
    // http.Server.close() would destroy idle connections, and with them a request that has arrived but was not read yet.
    NetServer.prototype.close.call(server, () => resolve())
  })
  await sleep(LAST_CALL_MS)
  const deadline = performance.now() + limitMs
  while (sockets.size > 0 && performance.now() < deadline) {
    // To http a connection is idle once its answer is written, whether or not it has been sent.
    if (![...sockets, ...secured].some(socket => socket.writableLength > 0)) server.closeIdleConnections()
    // To http these are not idle, but about to send their first request: a client that means to has done so by now.
    for (const socket of [...sockets, ...secured]) if (socket.bytesRead === 0) socket.destroy()
    await sleep(LOOK_MS)
  }
  for (const socket of sockets) socket.destroy()
  await closed
}
