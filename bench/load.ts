import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { LOAD_CORE, onCore } from './programs.ts'

export interface LoadOrder {
  readonly port: number
  readonly ca: string
  readonly path: string
  readonly body: string
  readonly connections: number
  readonly milliseconds: number
}

export interface LoadResult {
  readonly milliseconds: number
  /** Of each request, in milliseconds. */
  readonly latencies: readonly number[]
  /** CPU that the load itself took, of one core. Near 1 it is the load that was measured. */
  readonly cpuShare: number
  /** The body of one of the answers. */
  readonly sample: string
}

/** To the load generator: connect, and say so; then go. */
export type LoadMessage =
  | { readonly connect: LoadOrder }
  | { readonly connect?: undefined; readonly go: true }

export interface LoadAnswer {
  readonly isConnected?: true
  readonly result?: LoadResult
  readonly error?: string
}

/** The load generator: one process, pinned to its core, which stays warm over all rounds. */
export class Load {
  readonly #child: ChildProcess

  constructor() {
    const [program, args] = onCore(LOAD_CORE, [join(import.meta.dirname, 'load-client.ts')])
    this.#child = spawn(program, args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    })
  }

  /** `onConnected` is called between the handshakes, which are no part of what is measured, and the first request. */
  async run(order: LoadOrder, onConnected: () => void = () => {}): Promise<LoadResult> {
    await this.#ask({ connect: order }, order)
    onConnected()
    const { result } = await this.#ask({ go: true }, order)
    if (result === undefined) throw new Error(`load on port ${order.port} gave no result`)
    return result
  }

  async #ask(message: LoadMessage, { port }: LoadOrder): Promise<LoadAnswer> {
    this.#child.send(message)
    const [answer] = (await once(this.#child, 'message')) as [LoadAnswer]
    if (answer.error !== undefined) throw new Error(`load on port ${port}: ${answer.error}`)
    return answer
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    this.#child.disconnect()
    await once(this.#child, 'exit')
  }
}
