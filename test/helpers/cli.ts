import { join } from 'node:path'
import type { Io } from '../../src/cli/io.ts'
import { runCli } from '../../src/cli/program.ts'

/** Where commands of tests run: paths in their output do not depend on the machine. */
export const CLI_FIXTURES = join(import.meta.dirname, '../fixtures/cli')

export interface CliOptions {
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string>>
  /** Width of a terminal; without it there is none. */
  readonly terminal?: number
  readonly hasColor?: boolean
  readonly cwd?: string
  /** In place of `stdin`. */
  readonly readStdin?: () => Promise<string>
}

export interface CliResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface FakeIo {
  readonly io: Io
  readonly written: () => Pick<CliResult, 'stdout' | 'stderr'>
}

export function fakeIo(options: CliOptions = {}): FakeIo {
  const { stdin, env = {}, terminal, hasColor = false, cwd = CLI_FIXTURES } = options
  let stdout = ''
  let stderr = ''
  const noStdin = () => Promise.reject(new Error('this test gives no stdin'))
  const io: Io = {
    stdout: text => {
      stdout += text
    },
    stderr: text => {
      stderr += text
    },
    readStdin: options.readStdin ?? (stdin === undefined ? noStdin : () => Promise.resolve(stdin)),
    env,
    isTerminal: terminal !== undefined,
    hasColor,
    columns: terminal ?? 100,
    cwd,
    stopSignal: () => new AbortController().signal,
  }
  return { io, written: () => ({ stdout, stderr }) }
}

/** Runs one command line inside this process. */
export async function runVnode(argv: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { io, written } = fakeIo(options)
  const status = await runCli(argv, io)
  return { status, ...written() }
}

/** What a person would see, each stream by itself, with the status where it is not 0. */
export function transcriptOf(argv: readonly string[], { status, stdout, stderr }: CliResult): string {
  const command = `$ ${['vnode', ...argv.map(quoted)].join(' ')}\n`
  const errors = stderr === '' ? '' : `--- stderr\n${stderr}`
  return `${command}${stdout}${errors}${status === 0 ? '' : `--- exit ${status}\n`}`
}

function quoted(argument: string): string {
  return /^[\w./=,:@-]+$/.test(argument) ? argument : `'${argument}'`
}
