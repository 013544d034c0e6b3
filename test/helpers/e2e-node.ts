/** The cluster's one node, where it is on this machine: its processes, and what its API server notes about writes. */
import { spawn } from 'node:child_process'
import { existsSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import type { KubeObject } from './kube-http.ts'
import { patience } from './patience.ts'

const { VNODE_E2E_AUDIT_LOG } = process.env
const POD_NAME = 'authentication.kubernetes.io/pod-name'

/** What the API server notes of a write of the helper's; see test/fixtures/e2e/audit-policy.yaml. */
export interface AuditEntry {
  readonly verb: string
  readonly user: { readonly username: string; readonly extra?: { readonly [POD_NAME]?: readonly string[] } }
  readonly objectRef: { readonly resource: string; readonly name?: string }
  readonly responseStatus: { readonly code: number }
  readonly stageTimestamp: string
}

/** Undefined, with the test skipped, where the node's processes are not at hand. */
export function nodeOrSkip(t: Test): E2eNode | undefined {
  if (VNODE_E2E_AUDIT_LOG !== undefined) return new E2eNode(VNODE_E2E_AUDIT_LOG)
  t.plan(0, 'needs the processes of the node and the audit log of its API server: run scripts/e2e')
  return undefined
}

export class E2eNode {
  readonly #auditLog: string

  constructor(auditLog: string) {
    this.#auditLog = auditLog
  }

  /** Every process of the Pod, those of its sandbox included. */
  processesOf({ metadata }: KubeObject): number[] {
    // Some drivers of cgroups write a uid with underscores.
    return pids().filter(pid => read(pid, 'cgroup').replaceAll('_', '-').includes(`pod${metadata.uid}`))
  }

  /** The process of a container that runs our program. */
  programOf(pod: KubeObject, command: string): number {
    const found = this.processesOf(pod).filter(pid => argumentsOf(pid).includes(command))
    const [pid] = found
    if (pid === undefined || found.length > 1)
      throw new Error(`${found.length} processes of ${pod.metadata.name} run ${command}`)
    return pid
  }

  /** One of Kubernetes' own programs. */
  program(name: string): NodeProgram {
    const pid = pids().find(pid => argumentsOf(pid)[0]?.split('/').at(-1) === name)
    if (pid === undefined) throw new Error(`no ${name} runs`)
    return new NodeProgram(pid)
  }

  /** Of every process, as whoever is on the node can read them. */
  commandLines(): string[] {
    return pids().map(pid => argumentsOf(pid).join(' '))
  }

  /** In their order. */
  writesOf(podName: string): AuditEntry[] {
    return readFileSync(this.#auditLog, 'utf8')
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as AuditEntry)
      .filter(({ user }) => user.extra?.[POD_NAME]?.includes(podName))
  }
}

/** A program that can be killed and started again as it was. */
export class NodeProgram {
  readonly pid: number
  readonly #arguments: readonly string[]
  readonly #cwd: string
  readonly #env: Readonly<Record<string, string>>
  readonly #log: string

  constructor(pid: number) {
    this.pid = pid
    this.#arguments = argumentsOf(pid)
    this.#cwd = readlinkSync(`/proc/${pid}/cwd`)
    this.#log = readlinkSync(`/proc/${pid}/fd/1`)
    this.#env = Object.fromEntries(
      listOf(pid, 'environ').map(line => [
        line.slice(0, line.indexOf('=')),
        line.slice(line.indexOf('=') + 1),
      ]),
    )
  }

  async kill(): Promise<void> {
    await kill([this.pid])
  }

  /** It outlives the test, as the cluster does. Flags that are given, each with its value, have that value in place of the one they had. */
  start(flags: Readonly<Record<string, string>> = {}): void {
    const [program = '', ...rest] = this.#arguments.map(
      (one, index, all) => flags[all[index - 1] ?? ''] ?? one,
    )
    const log = openSync(this.#log, 'a')
    const options = { cwd: this.#cwd, env: this.#env, detached: true }
    spawn(program, rest, { ...options, stdio: ['ignore', log, log] }).unref()
  }
}

/** Kills them, and waits until they are gone. */
export async function kill(pids: readonly number[]): Promise<void> {
  for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  const end = performance.now() + patience(15_000)
  while (pids.some(isAlive)) {
    if (performance.now() > end) throw new Error(`${pids.filter(isAlive)} do not end`)
    await delay(50)
  }
}

/** Until whoever started it has heard of its end: one that is killed keeps its ports for a moment. */
function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`)
}

function pids(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger)
}

function argumentsOf(pid: number): string[] {
  return listOf(pid, 'cmdline')
}

function listOf(pid: number, file: string): string[] {
  return read(pid, file).split('\0').slice(0, -1)
}

/** Empty for a process that has ended. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
