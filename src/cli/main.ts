/** The process: argv, environment, standard streams and signals, handed to the command line as values. */
import { buffer } from 'node:stream/consumers'
import { decodeText } from '../core/decode-text.ts'
import type { Io } from './io.ts'
import { EXIT, runCli } from './program.ts'

export async function main(): Promise<void> {
  const stop = new AbortController()
  surviveClosedPipes(stop)
  const status = await runCli(process.argv.slice(2), processIo(stop))
  await Promise.all([flushed(process.stdout), flushed(process.stderr)])
  // Not exitCode: a pooled connection or a timer must not keep a finished command alive.
  process.exit(status)
}

function processIo(stop: AbortController): Io {
  const { stdout, stderr, stdin, env } = process
  let hasListeners = false
  return {
    stdout: text => {
      if (stdout.writable) stdout.write(text)
    },
    stderr: text => {
      if (stderr.writable) stderr.write(text)
    },
    readStdin: async () => decodeText(await buffer(stdin), 'stdin'),
    env,
    isTerminal: stdout.isTTY === true,
    hasColor: wantsColor(stdout, env),
    columns: stdout.columns ?? DEFAULT_COLUMNS,
    cwd: process.cwd(),
    stopSignal: () => {
      if (!hasListeners) listenForSignals(stop)
      hasListeners = true
      return stop.signal
    },
  }
}

const DEFAULT_COLUMNS = 100

/** As https://no-color.org and https://force-color.org have it. */
function wantsColor(stdout: NodeJS.WriteStream, env: NodeJS.ProcessEnv): boolean {
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0'
  return stdout.isTTY === true && env.TERM !== 'dumb'
}

/**
 * A reader that has seen enough (`vnode explain | head`) is no error: the command finishes unheard, so that its status still counts,
 * and one that runs for long is told to stop.
 */
function surviveClosedPipes(stop: AbortController): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') stop.abort()
      else process.exit(EXIT.fault)
    })
  }
}

function listenForSignals(stop: AbortController): void {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(KILLED)
      stop.abort()
    })
  }
}

/** What a shell reports of a program that SIGINT ended: 128 + 2. */
const KILLED = 130

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => {
    if (stream.writable) stream.write('', () => resolve())
    else resolve()
  })
}
