import { execFile } from 'node:child_process'
import { join } from 'node:path'
import type { CliResult } from './cli.ts'

const PROGRAM = join(import.meta.dirname, '../../src/vnode.js')

/** Runs the executable as a process of its own, with just this environment. Any status is a result. */
export function runVnodeProcess(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  input = '',
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...env }, timeout: 120_000 }
    const child = execFile(process.execPath, [PROGRAM, ...argv], options, (error, stdout, stderr) => {
      if (error === null) resolve({ status: 0, stdout, stderr })
      else if (typeof error.code === 'number') resolve({ status: error.code, stdout, stderr })
      else reject(error)
    })
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}
