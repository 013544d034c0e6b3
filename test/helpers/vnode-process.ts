import { execFile } from 'node:child_process'
import { join } from 'node:path'
import type { CliResult } from './cli.ts'

const PROGRAM = join(import.meta.dirname, '../../src/vnode.js')

export interface VnodeProcessOptions {
  readonly env: Readonly<Record<string, string>>
  readonly input?: string
  /** Ends it with SIGKILL. */
  readonly signal?: AbortSignal
  /** Asks it to end, with SIGTERM. */
  readonly stop?: AbortSignal
}

/** Runs the executable as a process of its own, with just this environment. Any status is a result; killed, it is -1. */
export function runVnodeProcess(
  argv: readonly string[],
  { env, input = '', signal, stop }: VnodeProcessOptions,
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...env }, timeout: 240_000 }
    const child = execFile(process.execPath, [PROGRAM, ...argv], options, (error, stdout, stderr) => {
      if (error === null) resolve({ status: 0, stdout, stderr })
      else if (typeof error.code === 'number') resolve({ status: error.code, stdout, stderr })
      else if (signal?.aborted) resolve({ status: -1, stdout, stderr })
      else reject(error)
    })
    signal?.addEventListener('abort', () => child.kill('SIGKILL'), { once: true })
    stop?.addEventListener('abort', () => child.kill('SIGTERM'), { once: true })
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}
