import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Test } from 'tap'
import { type Pki, writePki } from './certificates.ts'
import { withParent } from './child-process.ts'
import { holds, type LogLine } from './webhook.ts'

const VNODE = join(import.meta.dirname, '../../src/vnode.js')

export interface ProcessOptions {
  /** In place of `webhook`. */
  readonly command?: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** In place of the sources. */
  readonly program?: string
  /** Of Node, before the program's name. */
  readonly nodeArgs?: readonly string[]
  /** Where stdout goes, in place of a pipe that is read: `pipe` leaves the reading to the test. */
  readonly stdout?: 'pipe' | number
}

export interface Exit {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
}

/** `vnode webhook`, or another command, as a process of its own, that has ended or is ended with the test. */
export class VnodeProcess {
  /** The lines of its log so far; it grows. */
  readonly log: LogLine[] = []
  readonly exited: Promise<Exit>
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''

  constructor(t: Test, options: ProcessOptions) {
    const { command = 'webhook', args = [], env = {}, cwd, nodeArgs = [], program = VNODE, stdout } = options
    this.#child = spawn(...withParent(process.execPath, [...nodeArgs, program, command, ...args]), {
      env: { ...withoutOurs(process.env), ...env },
      stdio: ['ignore', stdout ?? 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    if (stdout === undefined) this.#readLog()
    this.exited = once(this.#child, 'close').then(([status, signal]) => ({ status, signal }))
    t.teardown(async () => {
      this.#child.kill('SIGKILL')
      await this.exited
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get stdout(): Readable {
    if (this.#child.stdout === null) throw new Error('stdout is no pipe')
    return this.#child.stdout
  }

  get stdoutText(): string {
    return this.#stdout
  }

  get stderrText(): string {
    return this.#stderr
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Waits for a line with this message. */
  async logged(msg: string, timeout = 20_000): Promise<LogLine> {
    const find = () => this.log.find(line => line.msg === msg)
    await holds(() => find() !== undefined || this.#child.exitCode !== null, timeout).catch(() => undefined)
    const line = find()
    if (line === undefined) throw new Error(`not logged: ${msg}, but ${this.#stdout}\n${this.#stderr}`)
    return line
  }

  #readLog(): void {
    let rest = ''
    this.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      this.log.push(...lines.map(line => JSON.parse(line)))
    })
  }
}

function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('VNODE_')))
}

/** A process that serves. */
export interface ServingProcess {
  readonly process: VnodeProcess
  readonly port: number
  readonly opsPort: number
  readonly url: string
  readonly opsUrl: string
  readonly caPem: string
  readonly certDir: string
  readonly rulesFile: string
}

export interface ServingOptions extends ProcessOptions {
  /** A text of a rules file. */
  readonly rules?: string
  /** In place of development certificates. */
  readonly pki?: Pki
  /** For a log that does not tell which ones were taken: of reviews, and of operators. */
  readonly ports?: readonly [port: number, opsPort: number]
}

const RULES = `- name: to-eci
  objectSelector: { matchLabels: { eci: "true" } }
`

/** Starts it on free ports of the loopback and waits until both are open. */
export async function startProcess(t: Test, options: ServingOptions = {}): Promise<ServingProcess> {
  const folder = t.testdir({ 'rules.yaml': options.rules ?? RULES })
  const certDir = join(folder, 'certs')
  if (options.pki !== undefined) await writePki(certDir, options.pki)
  const dev = options.pki === undefined ? ['--dev-certs'] : []
  const place = ['--rules', join(folder, 'rules.yaml'), '--cert-dir', certDir, ...dev]
  const [port = 0, opsPort = 0] = options.ports ?? []
  const address = ['--host', '127.0.0.1', '--port', String(port), '--ops-port', String(opsPort)]
  const child = new VnodeProcess(t, { ...options, args: [...place, ...address, ...(options.args ?? [])] })
  const taken =
    options.ports === undefined ? await child.logged('serving') : await awaitPorts({ port, opsPort })
  return {
    process: child,
    port: Number(taken.port),
    opsPort: Number(taken.opsPort),
    url: `https://127.0.0.1:${taken.port}`,
    opsUrl: `http://127.0.0.1:${taken.opsPort}`,
    caPem: readFileSync(join(certDir, 'ca.crt'), 'utf8'),
    certDir,
    rulesFile: join(folder, 'rules.yaml'),
  }
}

async function awaitPorts(ports: {
  port: number
  opsPort: number
}): Promise<{ port: number; opsPort: number }> {
  const isReady = () => fetch(`http://127.0.0.1:${ports.opsPort}/readyz`).then(({ status }) => status === 200)
  await holds(() => isReady().catch(() => false), 20_000)
  return ports
}

/** Runs one that is to end by itself. */
export async function runProcess(
  t: Test,
  options: ProcessOptions,
): Promise<Exit & { stdout: string; stderr: string }> {
  const child = new VnodeProcess(t, options)
  const exit = await child.exited
  return { ...exit, stdout: child.stdoutText, stderr: child.stderrText }
}

/** The status of /readyz. */
export async function readiness({ opsUrl }: ServingProcess): Promise<number> {
  return (await fetch(`${opsUrl}/readyz`)).status
}
