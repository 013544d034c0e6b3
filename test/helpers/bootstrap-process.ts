import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'
import type { IdentityKind } from '../../src/core/vnode/identity.ts'
import { removeOnExit, withParent } from './child-process.ts'
import type { ControlPlane } from './control-plane.ts'
import { type FakeEci, TEST_ACCOUNT } from './fake-eci/server.ts'

export interface ProcessSettings {
  readonly name: string
  readonly identity: IdentityKind
  readonly cluster: {
    readonly server: string
    readonly caPem: string
    readonly certificatePem: string
    readonly keyPem: string
  }
  readonly eci: {
    readonly endpoint: string
    readonly extraCa: string
    readonly accessKeyId: string
    readonly accessKeySecret: string
  }
  /** After so many notices it kills itself. */
  readonly killAt?: number
}

export interface ProcessLine {
  readonly event: 'waits' | 'notice' | 'done' | 'error'
  readonly reason?: string
  readonly message?: string
  readonly how?: string
  readonly virtualNodeId?: string
}

/** The program as one file, which starts in a fraction of the time that its sources take. */
export async function bundleBootstrap(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bootstrap-'))
  removeOnExit(folder)
  const outfile = join(folder, 'bootstrap.mjs')
  const require =
    "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"
  await build({
    entryPoints: [join(import.meta.dirname, '../fixtures/bootstrap.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    banner: { js: require },
    logLevel: 'error',
  })
  return outfile
}

export interface ProcessOptions {
  /** Of {@link bundleBootstrap}. */
  readonly program: string
  readonly controlPlane: ControlPlane
  readonly fake: FakeEci
  readonly name: string
  readonly identity: IdentityKind
  /** JSON, of a client certificate. */
  readonly kubeconfig: string
  readonly killAt?: number
}

/** A run in a process of its own, which has started and waits for the word to begin. */
export class BootstrapProcess {
  readonly lines: ProcessLine[] = []
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  private constructor(child: ChildProcess) {
    this.#child = child
    // One that has been killed no longer listens.
    child.stdin?.on('error', () => undefined)
    this.#ended = once(child, 'close')
  }

  static async start({ program, ...options }: ProcessOptions): Promise<BootstrapProcess> {
    const settings = JSON.stringify(await settingsOf(options))
    const [command, args] = withParent(process.execPath, [program, settings])
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const started = new BootstrapProcess(child)
    const { promise, resolve } = Promise.withResolvers<void>()
    createInterface({ input: child.stdout }).on('line', text => {
      const line = JSON.parse(text) as ProcessLine
      if (line.event === 'waits') resolve()
      else started.lines.push(line)
    })
    await Promise.race([promise, started.#ended])
    return started
  }

  begin(): void {
    this.#child.stdin?.write('\n')
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** True if it was killed, false if it came to an end of its own before. */
  async ended(): Promise<boolean> {
    await this.#ended
    return this.#child.signalCode === 'SIGKILL'
  }
}

async function settingsOf({
  controlPlane,
  fake,
  kubeconfig,
  ...rest
}: Omit<ProcessOptions, 'program'>): Promise<ProcessSettings> {
  const { users } = JSON.parse(await readFile(kubeconfig, 'utf8')) as {
    users: { user: Record<'client-certificate-data' | 'client-key-data', string> }[]
  }
  const decoded = (key: 'client-certificate-data' | 'client-key-data') =>
    Buffer.from(users[0]?.user[key] ?? '', 'base64').toString('utf8')
  return {
    ...rest,
    cluster: {
      server: controlPlane.url,
      caPem: controlPlane.caPem,
      certificatePem: decoded('client-certificate-data'),
      keyPem: decoded('client-key-data'),
    },
    eci: { endpoint: fake.url, extraCa: fake.caPem, ...TEST_ACCOUNT },
  }
}
