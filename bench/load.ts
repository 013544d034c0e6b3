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

  async run(order: LoadOrder): Promise<LoadResult> {
    this.#child.send(order)
    const [message] = (await once(this.#child, 'message')) as [{ result?: LoadResult; error?: string }]
    if (message.result === undefined) throw new Error(`load on port ${order.port}: ${message.error}`)
    return message.result
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    this.#child.disconnect()
    await once(this.#child, 'exit')
  }
}
