import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

export interface LeaderSettings {
  readonly kubeconfig: string
  readonly namespace: string
  readonly name: string
  readonly identity: string
  readonly leaseDurationMs: number
  readonly renewDeadlineMs: number
  readonly retryPeriodMs: number
  readonly tickMs: number
  /** What the leader writes. */
  readonly configMap: string
}

export interface LeaderLine {
  readonly event:
    | 'started'
    | 'follows'
    | 'leads'
    | 'writes'
    | 'refused'
    | 'freezes'
    | 'stopped'
    | 'error'
    | 'ended'
  /** Milliseconds of the clock of {@link now}. */
  readonly at: number
  /** Of the term. */
  readonly number?: number
  readonly reason?: string
  readonly leader?: string
  readonly message?: string
  readonly conflict?: boolean
}

type Wanted = (line: LeaderLine) => boolean

const PROGRAM = fileURLToPath(new URL('../fixtures/leader.ts', import.meta.url))

/** CLOCK_MONOTONIC, the same for all processes of the machine. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** A process of its own that stands for election, and what it printed. It ends with the test, stopped or not. */
export class LeaderProcess {
  readonly identity: string
  readonly lines: LeaderLine[] = []
  readonly #child: ChildProcess
  readonly #waiting = new Set<{ readonly isWanted: Wanted; readonly resolve: (line: LeaderLine) => void }>()

  private constructor(identity: string, child: ChildProcess) {
    this.identity = identity
    this.#child = child
    // One that has been killed no longer listens.
    child.stdin?.on('error', () => undefined)
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', text => this.#hear(JSON.parse(text)))
    }
  }

  static async start(t: Test, settings: LeaderSettings): Promise<LeaderProcess> {
    const child = spawn(process.execPath, [PROGRAM, JSON.stringify(settings)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const kill = () => child.kill('SIGKILL')
    process.once('exit', kill)
    t.teardown(async () => {
      process.removeListener('exit', kill)
      await leader.kill()
    })
    const leader = new LeaderProcess(settings.identity, child)
    await leader.until('started')
    return leader
  }

  send(command: 'freeze' | 'stop'): void {
    this.#child.stdin?.write(`${command}\n`)
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }

  /** The first such line not before `since`, printed already or within 20 seconds. */
  async until(event: LeaderLine['event'], since = 0): Promise<LeaderLine> {
    const isWanted: Wanted = line => line.event === event && line.at >= since
    const found = this.lines.find(isWanted)
    if (found !== undefined) return found
    const { promise, resolve, reject } = Promise.withResolvers<LeaderLine>()
    const waiting = { isWanted, resolve }
    const late = () =>
      reject(new Error(`${this.identity} says no ${event}: ${JSON.stringify(this.lines.slice(-5))}`))
    // Of several that are waited for, the test may need the first alone.
    const timer = setTimeout(late, 20_000).unref()
    this.#waiting.add(waiting)
    return await promise.finally(() => {
      clearTimeout(timer)
      this.#waiting.delete(waiting)
    })
  }

  #hear(line: LeaderLine): void {
    this.lines.push(line)
    for (const { isWanted, resolve } of this.#waiting) if (isWanted(line)) resolve(line)
  }
}

/** For one term: when its leader first and last knew that it led. */
export interface Reign {
  readonly number: number
  readonly by: Set<string>
  first: number
  last: number
}

/** All terms of these processes, by number. */
export function reignsOf(leaders: readonly LeaderProcess[]): Reign[] {
  const reigns = new Map<number, Reign>()
  for (const { identity, lines } of leaders) {
    for (const { event, at, number } of lines) {
      if (number === undefined || (event !== 'leads' && event !== 'writes')) continue
      const reign = reigns.get(number) ?? { number, by: new Set(), first: at, last: at }
      reign.by.add(identity)
      reign.first = Math.min(reign.first, at)
      reign.last = Math.max(reign.last, at)
      reigns.set(number, reign)
    }
  }
  return [...reigns.values()].sort((a, b) => a.number - b.number)
}

/** Where two led at once; nothing, if all is well. */
export function overlapsOf(reigns: readonly Reign[]): string[] {
  return reigns.flatMap((reign, i) => {
    const next = reigns[i + 1]
    const wrong = []
    if (reign.by.size > 1) wrong.push(`term ${reign.number} of ${[...reign.by].join(' and ')}`)
    if (next !== undefined && reign.last >= next.first) wrong.push(`term ${reign.number} and ${next.number}`)
    return wrong
  })
}
