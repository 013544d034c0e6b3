/** Helm, if it is on this machine. */
import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { VnodeError } from '../../core/errors.ts'
import type { Io } from '../io.ts'

/** The first program of that name on the PATH; undefined if there is none. */
export async function findHelm(env: Io['env']): Promise<string | undefined> {
  for (const folder of (env.PATH ?? '').split(delimiter).filter(one => one !== '')) {
    const program = join(folder, 'helm')
    if (await isThere(program, constants.X_OK)) return program
  }
  return undefined
}

/** The chart that came with this program: in its package, or in its repository. */
export async function findChart(): Promise<string | undefined> {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const chart = join(folder, 'charts', 'vnode-profile')
    if (await isThere(join(chart, 'Chart.yaml'), constants.R_OK)) return chart
  }
  return undefined
}

function isThere(file: string, mode: number): Promise<boolean> {
  return access(file, mode).then(
    () => true,
    () => false,
  )
}

/** Runs it, its output going where ours does; throws where it fails. */
export async function runHelm(program: string, args: readonly string[], io: Io): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  // It gets the environment of this process as it was handed in, HOME and proxies among it.
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...io.env }, cwd: io.cwd })
  child.stdout.setEncoding('utf8').on('data', (text: string) => io.stdout(text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => io.stderr(text))
  child.on('error', reject)
  child.on('close', code => resolve(code ?? 1))
  const code = await promise.catch(error => {
    throw new VnodeError('INTERNAL', `${program}: ${String(error)}`)
  })
  if (code !== 0) throw new VnodeError('API', `helm has failed with status ${code}`)
}

/** As it would be typed. */
export function renderCommand(args: readonly string[]): string {
  return `helm ${args.map(word => (/^[\w./=,:@~-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`)).join(' ')}\n`
}
