import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { Child } from '../test/helpers/child-process.ts'

export const ROOT = join(import.meta.dirname, '..')
const NODE = process.execPath

/** Server and load on cores of their own, or neither would be measured. */
export const SERVER_CORE = 0
export const LOAD_CORE = 1

/** Whether programs can be pinned to cores: Linux with taskset, and a core for each of the two. */
export const CAN_PIN =
  availableParallelism() > 1 &&
  (process.env.PATH ?? '').split(delimiter).some(folder => existsSync(join(folder, 'taskset')))

/** The command line that runs Node on that core. */
export function onCore(core: number, args: readonly string[]): [string, string[]] {
  return CAN_PIN ? ['taskset', ['-c', String(core), NODE, ...args]] : [NODE, [...args]]
}

/** A server as a process of its own: what it prints goes to /dev/null, what it complains about to the file. */
export function startServer(args: readonly string[], complaints: string): Child {
  const [program, rest] = onCore(SERVER_CORE, args)
  return new Child('sh', ['-c', 'exec "$@" >/dev/null', 'sh', program, ...rest], complaints)
}

/** Runs a program of the benchmark to its end and reads the JSON that it prints. */
export async function runForJson<T>(args: readonly string[]): Promise<T> {
  const [program, rest] = onCore(SERVER_CORE, args)
  const { stdout } = await promisify(execFile)(program, rest, { maxBuffer: 64 * 2 ** 20 })
  return JSON.parse(stdout) as T
}

/** Seconds of CPU that all threads of a process have had, to the nanosecond; NaN where the system does not tell (not Linux). */
export function cpuSeconds(pid: number | undefined): number {
  try {
    const folder = `/proc/${pid}/task`
    const threads = readdirSync(folder).map(thread => readFileSync(`${folder}/${thread}/schedstat`, 'utf8'))
    return threads.reduce((sum, text) => sum + Number(text.split(' ')[0]), 0) / 1e9
  } catch {
    return Number.NaN
  }
}
