import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { kubeVersion, type ProgramName } from '../../scripts/kube-programs.ts'
import { type Authority, type Identity, makeAuthority } from './authority.ts'
import { Child, removeOnExit } from './child-process.ts'
import { freePorts } from './free-ports.ts'
import {
  apiserverFlags,
  controllerManagerFlags,
  etcdFlags,
  FILES,
  type Place,
  schedulerFlags,
} from './kube-flags.ts'
import {
  KubeHttp,
  type KubeObject,
  type KubeResponse,
  type RequestSettings,
  type WatchEvent,
} from './kube-http.ts'
import { findPrograms, type KubectlResult, runKubectl, skipWithout } from './kube-programs.ts'
import { type WaitSettings, waitForObject, waitForObjects } from './kube-wait.ts'
import { base64, type KubeconfigOwner, renderKubeconfig, userEntry } from './kubeconfig.ts'

export interface ControlPlaneOptions {
  /** Kubernetes' version; `KUBE_VERSION` or the default of tests unless said otherwise. */
  readonly version?: string
  readonly scheduler?: boolean
  readonly controllerManager?: boolean
  /** More flags, which win over ours. */
  readonly apiserverFlags?: readonly string[]
  readonly schedulerFlags?: readonly string[]
  readonly controllerManagerFlags?: readonly string[]
}

const ADMIN: Identity = { user: 'admin', groups: ['system:masters'] }

/**
 * A control plane for one test file, ended with it. Undefined, with the test skipped, where there are no programs for
 * it; in CI that is an error.
 */
export async function controlPlaneOrSkip(
  t: Test,
  options: ControlPlaneOptions = {},
): Promise<ControlPlane | undefined> {
  try {
    const controlPlane = await startControlPlane(options)
    t.teardown(() => controlPlane.stop())
    t.comment(`Kubernetes ${controlPlane.version} ready after ${controlPlane.startSeconds.toFixed(1)} s`)
    return controlPlane
  } catch (error) {
    return skipWithout(t, error)
  }
}

/** Starts etcd, an apiserver and what the options add, on ports and in a folder of their own. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const names: ProgramName[] = ['etcd', 'kube-apiserver', 'kubectl']
  if (options.scheduler) names.push('kube-scheduler')
  if (options.controllerManager) names.push('kube-controller-manager')
  const programs = findPrograms(names, kubeVersion(options.version))
  for (let attempt = 1; ; attempt += 1) {
    const started = performance.now()
    const controlPlane = await ControlPlane.prepare(programs, options)
    try {
      await controlPlane.start()
      controlPlane.startSeconds = (performance.now() - started) / 1000
      return controlPlane
    } catch (error) {
      await controlPlane.stop()
      // Another process may have taken a port since it was found free.
      if (attempt === 3 || !String(error).includes('address already in use')) throw error
    }
  }
}

/** A running control plane; {@link startControlPlane} makes it. */
export class ControlPlane {
  readonly url: string
  readonly caPem: string
  /** The administrator's. */
  readonly kubeconfigPath: string
  /** As the apiserver itself says, without the `v`. */
  version = ''
  /** How long it took to start, keys and certificates included. */
  startSeconds = 0
  readonly #programs: string
  readonly #options: ControlPlaneOptions
  readonly #place: Place
  readonly #authority: Authority
  readonly #http: KubeHttp
  readonly #children = new Map<ProgramName, Child>()
  readonly #beforeStop: (() => unknown)[] = []
  readonly #removeFolder: () => void
  #made = 0

  private constructor(programs: string, options: ControlPlaneOptions, place: Place, authority: Authority) {
    this.#programs = programs
    this.#options = options
    this.#place = place
    this.#authority = authority
    this.#removeFolder = removeOnExit(place.folder)
    this.url = `https://127.0.0.1:${place.apiPort}`
    this.caPem = authority.certPem
    this.kubeconfigPath = join(place.folder, FILES.admin)
    const cert = authority.issueClient(ADMIN)
    this.#http = new KubeHttp(this.url, { ca: authority.certPem, cert, key: authority.leafKeyPem })
  }

  static async prepare(programs: string, options: ControlPlaneOptions): Promise<ControlPlane> {
    const [[etcdPort = 0, apiPort = 0], authority, folder] = await Promise.all([
      freePorts(2),
      makeAuthority(),
      mkdtemp(join(tmpdir(), 'control-plane-')),
    ])
    return new ControlPlane(programs, options, { folder, etcdPort, apiPort }, authority)
  }

  async start(): Promise<void> {
    const { folder } = this.#place
    const admin = userEntry(this.#authority, ADMIN)
    const etcd = this.#spawn('etcd', etcdFlags(this.#place))
    await Promise.all([
      writeFile(join(folder, FILES.ca), this.#authority.certPem),
      writeFile(join(folder, FILES.caKey), this.#authority.keyPem, { mode: 0o600 }),
      writeFile(join(folder, FILES.key), this.#authority.leafKeyPem, { mode: 0o600 }),
      writeFile(join(folder, FILES.server), this.#authority.issueServer()),
      writeFile(this.kubeconfigPath, renderKubeconfig(this.url, this.caPem, admin), { mode: 0o600 }),
    ])
    await etcd.until(async () => (await fetch(`${this.#etcdUrl}/readyz`)).ok)
    await this.startApiserver()
    const { controllerManager, scheduler, ...options } = this.#options
    if (controllerManager) {
      this.#spawn('kube-controller-manager', [
        ...controllerManagerFlags(this.#place),
        ...(options.controllerManagerFlags ?? []),
      ])
    }
    if (scheduler)
      this.#spawn('kube-scheduler', [...schedulerFlags(this.#place), ...(options.schedulerFlags ?? [])])
    const version = await this.#http.ask<{ gitVersion: string }>('GET', '/version')
    this.version = version.gitVersion.replace(/^v/, '')
    await this.waitFor('/api/v1/namespaces/default', namespace => namespace !== undefined)
    if (controllerManager) await this.#waitForServiceAccount('default')
  }

  /** Ends every program and removes every file. Does nothing the second time. */
  async stop(): Promise<void> {
    for (const end of this.#beforeStop.splice(0).toReversed()) await end()
    await Promise.all([...this.#children.values()].map(child => child.stop()))
    this.#http.disconnect()
    this.#removeFolder()
  }

  /** Has something else ended before the control plane ends: what talks to it, say. */
  beforeStop(end: () => unknown): void {
    this.#beforeStop.push(end)
  }

  /** The ids of the processes that run now. */
  get pids(): number[] {
    const running = [...this.#children.values()].filter(child => child.isRunning)
    return running.map(child => child.pid).filter(pid => pid !== undefined)
  }

  /** Starts the apiserver on the same port and the same data, and waits until it is ready. */
  async startApiserver(): Promise<void> {
    const flags = apiserverFlags(this.#place, this.#options.controllerManager === true)
    const apiserver = this.#spawn('kube-apiserver', [...flags, ...(this.#options.apiserverFlags ?? [])])
    await apiserver.until(
      async () => (await this.#http.request('GET', '/readyz', { timeout: 2000 })).status === 200,
    )
  }

  /** Ends the apiserver at once: asked to end, it would wait a minute for the watches. The data stay. */
  async stopApiserver(): Promise<void> {
    await this.#children.get('kube-apiserver')?.stop()
    this.#http.disconnect()
  }

  /** From now on the apiserver accepts connections, as the kernel does that for it, and is silent. */
  pauseApiserver(): void {
    this.pause('kube-apiserver')
  }

  resumeApiserver(): void {
    this.resume('kube-apiserver')
  }

  /** From now on the program does nothing, and its connections stay open. */
  pause(name: ProgramName): void {
    this.#children.get(name)?.signal('SIGSTOP')
  }

  resume(name: ProgramName): void {
    this.#children.get(name)?.signal('SIGCONT')
  }

  /** The end of what a program wrote. */
  logEnd(program: ProgramName, lines?: number): string {
    return this.#children.get(program)?.logEnd(lines) ?? ''
  }

  /** Any status is an answer; see {@link KubeHttp.request}. */
  request<T = KubeObject>(
    method: string,
    path: string,
    settings?: RequestSettings,
  ): Promise<KubeResponse<T>> {
    return this.#http.request<T>(method, path, settings)
  }

  /** The body of an answer that must not refuse; see {@link KubeHttp.ask}. */
  ask<T = KubeObject>(method: string, path: string, settings?: RequestSettings): Promise<T> {
    return this.#http.ask<T>(method, path, settings)
  }

  /** See {@link KubeHttp.watch}. */
  watch<T = KubeObject>(path: string, onEvent: (event: WatchEvent<T>) => void): Promise<() => void> {
    return this.#http.watch<T>(path, onEvent)
  }

  /** The object at the path, once it is as wanted; see {@link waitForObject}. */
  async waitFor<T extends KubeObject = KubeObject>(
    path: string,
    isWanted: (object: T) => boolean,
    settings?: WaitSettings,
  ): Promise<T> {
    const found = await waitForObject<T>(
      this.#http,
      path,
      object => object !== undefined && isWanted(object),
      settings,
    )
    if (found === undefined) throw new Error(`${path}: found and lost`)
    return found
  }

  async waitForGone(path: string, settings?: WaitSettings): Promise<void> {
    await waitForObject(this.#http, path, object => object === undefined, settings)
  }

  /** The objects of a collection, once all of them are as wanted together; see {@link waitForObjects}. */
  waitForAll<T extends KubeObject = KubeObject>(
    path: string,
    areWanted: (objects: T[]) => boolean,
    settings?: WaitSettings,
  ): Promise<T[]> {
    return waitForObjects<T>(this.#http, path, areWanted, settings)
  }

  /** A namespace of the test's own, with its ServiceAccount, deleted after the test. */
  async namespace(
    t: Test,
    { labels = {} }: { labels?: Readonly<Record<string, string>> } = {},
  ): Promise<string> {
    this.#made += 1
    const slug = t.name
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .slice(0, 40)
    const name = `${slug}-${this.#made}`.replace(/^-/, '')
    await this.ask('POST', '/api/v1/namespaces', { body: { metadata: { name, labels } } })
    // The test may have ended the apiserver or the whole control plane.
    t.teardown(() =>
      this.request('DELETE', `/api/v1/namespaces/${name}`, { timeout: 2000 }).catch(() => undefined),
    )
    if (this.#options.controllerManager) await this.#waitForServiceAccount(name)
    else {
      const body = { metadata: { name: 'default' } }
      await this.ask('POST', `/api/v1/namespaces/${name}/serviceaccounts`, { body })
    }
    return name
  }

  async #waitForServiceAccount(namespace: string): Promise<void> {
    await this.waitFor(`/api/v1/namespaces/${namespace}/serviceaccounts/default`, () => true, {
      timeout: 30_000,
    })
  }

  /** Runs kubectl, as the administrator unless another kubeconfig is named. */
  kubectl(
    args: readonly string[],
    { input = '', kubeconfig = this.kubeconfigPath }: { input?: string; kubeconfig?: string } = {},
  ): Promise<KubectlResult> {
    return runKubectl(join(this.#programs, 'kubectl'), args, { kubeconfig, home: this.#place.folder, input })
  }

  /** Writes the kubeconfig of somebody else and gives its path. What they may do is up to RBAC, by the test. */
  async kubeconfig(owner: KubeconfigOwner): Promise<string> {
    this.#made += 1
    const path = join(this.#place.folder, `${this.#made}.kubeconfig`)
    const user = 'user' in owner ? userEntry(this.#authority, owner) : { token: await this.#tokenOf(owner) }
    await writeFile(path, renderKubeconfig(this.url, this.caPem, user), { mode: 0o600 })
    return path
  }

  /** A token of a ServiceAccount, for an hour. */
  async token(namespace: string, serviceAccount: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`
    const { status } = await this.ask<{ status: { token: string } }>('POST', path, { body: {} })
    return status.token
  }

  async #tokenOf(owner: Exclude<KubeconfigOwner, Identity>): Promise<string> {
    const { namespace, serviceAccount: account, isLasting = false } = owner
    if (!isLasting) return await this.token(namespace, account)
    const name = `${account}-token`
    const annotations = { 'kubernetes.io/service-account.name': account }
    const body = { type: 'kubernetes.io/service-account-token', metadata: { name, annotations } }
    const path = `/api/v1/namespaces/${namespace}/secrets`
    await this.ask('POST', path, { body })
    const dataOf = (secret: KubeObject) => secret.data as Record<string, string> | undefined
    const isFilled = (secret: KubeObject) => dataOf(secret)?.token !== undefined
    const secret = await this.waitFor(`${path}/${name}`, isFilled, { timeout: 30_000 })
    return Buffer.from(dataOf(secret)?.token ?? '', 'base64').toString('utf8')
  }

  /**
   * Has etcd forget all history. The apiserver's watch cache still knows its own part of it: for a 410 Gone on an old
   * resourceVersion, restart the apiserver after this, or start it with `--watch-cache=false`.
   */
  async compactEtcd(): Promise<void> {
    const post = async (path: string, body: object): Promise<unknown> => {
      const response = await fetch(`${this.#etcdUrl}${path}`, { method: 'POST', body: JSON.stringify(body) })
      if (!response.ok) throw new Error(`etcd ${path}: ${response.status} ${await response.text()}`)
      return await response.json()
    }
    const { header } = (await post('/v3/kv/range', { key: base64('/') })) as { header: { revision: string } }
    await post('/v3/kv/compaction', { revision: header.revision, physical: true })
  }

  get #etcdUrl(): string {
    return `http://127.0.0.1:${this.#place.etcdPort}`
  }

  #spawn(name: ProgramName, flags: readonly string[]): Child {
    const child = new Child(join(this.#programs, name), flags, join(this.#place.folder, `${name}.log`))
    this.#children.set(name, child)
    return child
  }
}
