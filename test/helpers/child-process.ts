import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs'
import { basename, delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** What must not outlive this process, whatever ends it: children, and folders that they write to. */
const children = new Set<ChildProcess>()
const folders = new Set<string>()
let isGuarded = false

function guard(): void {
  if (isGuarded) return
  isGuarded = true
  process.once('exit', () => {
    for (const child of children) child.kill('SIGKILL')
    for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  })
}

/** Removes the folder when this process exits. The function that it gives back does so at once. */
export function removeOnExit(folder: string): () => void {
  guard()
  folders.add(folder)
  return () => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    folders.delete(folder)
  }
}

/**
 * A killed process has no exit handlers, so where there is setpriv (Linux) the kernel ends the child with it.
 * setpriv turns into the program: the process id is the program's own.
 */
export function withParent(program: string, args: readonly string[]): [string, readonly string[]] {
  const setpriv = (process.env.PATH ?? '')
    .split(delimiter)
    .map(folder => join(folder, 'setpriv'))
    .find(existsSync)
  return setpriv === undefined ? [program, args] : [setpriv, ['--pdeathsig', 'KILL', '--', program, ...args]]
}

/** A running program whose output goes to a file. It neither outlives this process nor keeps it alive. */
export class Child {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #logFile: string
  readonly #ended: Promise<unknown>

  constructor(program: string, args: readonly string[], logFile: string) {
    guard()
    this.#name = basename(program)
    this.#logFile = logFile
    const log = openSync(logFile, 'a')
    this.#child = spawn(...withParent(program, args), { stdio: ['ignore', log, log] })
    closeSync(log)
    children.add(this.#child)
    this.#ended = once(this.#child, 'exit').finally(() => children.delete(this.#child))
    // A program that cannot be started has no exit: `until` reports it as ended.
    this.#ended.catch(() => undefined)
    this.#child.unref()
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get isRunning(): boolean {
    return children.has(this.#child) && this.#child.exitCode === null && this.#child.signalCode === null
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async stop(): Promise<void> {
    if (!this.isRunning) return
    this.#child.ref()
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  /** Asks until the answer is yes. Only for a program's start, of which nobody sends an event. */
  async until(isReady: () => Promise<boolean>, timeout = 60_000): Promise<void> {
    const end = performance.now() + timeout
    for (;;) {
      const isYes = await isReady().catch(() => false)
      if (!this.isRunning) throw new Error(`${this.#name} ended while it started: ${this.logEnd()}`)
      if (isYes) return
      if (performance.now() > end)
        throw new Error(`${this.#name} is not ready after ${timeout / 1000} s: ${this.logEnd()}`)
      await delay(25)
    }
  }

  /** The last lines of what it wrote. */
  logEnd(lines = 15): string {
    return readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  }
}

/** Whether there is such a process, other than as a zombie that nobody has asked about. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
