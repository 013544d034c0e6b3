import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A TCP way to a server that the test can cut and close. New connections wait at a closed gate. */
export class TcpGate {
  readonly port: number
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  readonly #waiting: Socket[] = []
  readonly #target: number
  #isOpen = true

  private constructor(port: number, target: number) {
    this.port = port
    this.#target = target
  }

  static async start(t: Test, target: number): Promise<TcpGate> {
    const server = createServer(socket => gate.#arrive(socket))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const gate = new TcpGate((server.address() as AddressInfo).port, target)
    t.teardown(() => {
      gate.close()
      for (const socket of gate.#waiting) socket.destroy()
      server.close()
    })
    return gate
  }

  /** Resets all connections and lets none through. */
  close(): void {
    this.#isOpen = false
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy()
    this.#pairs.clear()
  }

  open(): void {
    this.#isOpen = true
    for (const socket of this.#waiting.splice(0)) this.#forward(socket)
  }

  #arrive(socket: Socket): void {
    socket.on('error', () => {})
    if (this.#isOpen) this.#forward(socket)
    else this.#waiting.push(socket)
  }

  #forward(socket: Socket): void {
    const upstream = connect(this.#target, '127.0.0.1')
    const pair = [socket, upstream] as const
    this.#pairs.add(pair)
    upstream.on('error', () => socket.destroy())
    upstream.on('close', () => this.#pairs.delete(pair))
    socket.pipe(upstream).pipe(socket)
  }
}
