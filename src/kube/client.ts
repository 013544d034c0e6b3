import { readFile } from 'node:fs/promises'
import type { RequestOptions } from 'node:https'
import { dirname, join, resolve } from 'node:path'
import { type Cluster, type Context, KubeConfig, type User } from '@kubernetes/client-node'
import { parse } from 'yaml'
import { messageOf, VnodeError } from '../core/errors.ts'
import { asArray, asRecord, asString, own } from '../core/kubernetes/objects.ts'
import type { KubeClient } from './api.ts'
import type { TlsMaterial } from './dispatcher.ts'
import { type ConfigSource, type Environment, findConfig, SERVICE_ACCOUNT_DIR } from './kubeconfig.ts'
import { type Access, type Credentials, Transport } from './transport.ts'

export interface ConnectOptions {
  readonly kubeconfig?: string | undefined
  /** Instead of the kubeconfig's current context. */
  readonly context?: string | undefined
  readonly userAgent: string
  /** For KUBECONFIG, HOME and KUBERNETES_SERVICE_HOST and _PORT; without it only `kubeconfig` is found. */
  readonly env?: Environment | undefined
  /** Where a Pod finds its token and CA; only tests change it. */
  readonly serviceAccountDir?: string
  /** How long credentials are used before their files are looked at again; default 10 s. */
  readonly credentialsTtlMs?: number
}

/**
 * A client of the cluster that the kubeconfig names, or of the one that the process runs in. Nothing is sent yet.
 * Import this module where a cluster is spoken to, and only then: client-node costs 80 MB, 25 in the bundle.
 */
export async function connect(options: ConnectOptions): Promise<KubeClient> {
  const source = await findConfig({
    kubeconfig: options.kubeconfig,
    env: options.env ?? {},
    serviceAccountDir: options.serviceAccountDir ?? SERVICE_ACCOUNT_DIR,
  })
  const load = () => loadConfig(source, options.context)
  return new Transport(
    new ConfigAccess(await load(), load, options.credentialsTtlMs ?? 10_000),
    options.userAgent,
  )
}

/** A KubeConfig with a current context that is known to have a cluster. */
interface LoadedConfig {
  readonly config: KubeConfig
  readonly cluster: Cluster
  readonly namespace: string | undefined
}

/**
 * Credentials from client-node: bearer tokens and their files, exec plugins, OIDC, client certificates. It reads the CA and
 * key files anew on each call, hence the few seconds for which an answer is kept.
 */
class ConfigAccess implements Access {
  readonly server: string
  readonly namespace: string | undefined
  readonly #load: () => Promise<LoadedConfig>
  readonly #ttlMs: number
  #loaded: LoadedConfig
  #cached: { readonly until: number; readonly credentials: Promise<Credentials> } | undefined
  #renewal: Promise<Credentials> | undefined

  constructor(loaded: LoadedConfig, load: () => Promise<LoadedConfig>, ttlMs: number) {
    this.server = loaded.cluster.server
    this.namespace = loaded.namespace
    this.#loaded = loaded
    this.#load = load
    this.#ttlMs = ttlMs
  }

  /** Concurrent callers share one answer, or an exec plugin would run once for each. */
  credentials(): Promise<Credentials> {
    const now = performance.now()
    if (this.#cached !== undefined && now < this.#cached.until) return this.#cached.credentials
    const credentials = readCredentials(this.#loaded)
    const entry = { until: now + this.#ttlMs, credentials }
    this.#cached = entry
    credentials.catch(() => {
      if (this.#cached === entry) this.#cached = undefined
    })
    return credentials
  }

  /** Loads the configuration anew: client-node keeps tokens until they expire, and one may be revoked before. */
  async renew(used: Credentials): Promise<Credentials> {
    const current = await this.credentials()
    const fresh = isSame(current, used) ? await this.#renewOnce() : current
    return isSame(fresh, used) ? used : fresh
  }

  #renewOnce(): Promise<Credentials> {
    this.#renewal ??= this.#load()
      .then(loaded => {
        this.#loaded = loaded
        this.#cached = undefined
        return this.credentials()
      })
      .finally(() => {
        this.#renewal = undefined
      })
    return this.#renewal
  }
}

function isSame(a: Credentials, b: Credentials): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

async function readCredentials({ config, cluster }: LoadedConfig): Promise<Credentials> {
  const options: RequestOptions = {}
  await config.applyToHTTPSOptions(options).catch(error => {
    throw new VnodeError(
      'KUBECONFIG',
      `no credentials for ${new URL(cluster.server).origin}: ${withoutSecrets(error)}`,
      {
        next: 'Check the user of the kubeconfig; kubectl should work with the same file.',
      },
    )
  })
  const basic: Record<string, string> =
    typeof options.auth === 'string'
      ? { authorization: `Basic ${Buffer.from(options.auth).toString('base64')}` }
      : {}
  const headers = Object.entries(options.headers ?? {}).map(([name, value]) => [
    name.toLowerCase(),
    `${value}`.trim(),
  ])
  return {
    headers: { ...basic, ...Object.fromEntries(headers) },
    endpoint: {
      ca: material(options.ca),
      cert: material(options.cert),
      key: material(options.key),
      servername: options.servername,
      rejectUnauthorized: options.rejectUnauthorized,
      proxyUrl: cluster.proxyUrl,
    },
  }
}

function material(value: unknown): TlsMaterial {
  return typeof value === 'string' || Buffer.isBuffer(value) ? value : undefined
}

/** A plugin's or parser's message may quote what it read. */
function withoutSecrets(error: unknown): string {
  if (error instanceof SyntaxError) return 'the credential plugin printed something that is not JSON'
  return messageOf(error)
    .replaceAll(/[\w.+=-]{24,}/g, '…')
    .slice(0, 300)
}

async function loadConfig(source: ConfigSource, context: string | undefined): Promise<LoadedConfig> {
  const config = new KubeConfig()
  if (source.kind === 'cluster') {
    config.loadFromOptions(await inClusterConfig(source.server, source.directory))
    return resolveContext(config, undefined)
  }
  const merged: MergedConfig = {
    clusters: new Map(),
    users: new Map(),
    contexts: new Map(),
    current: undefined,
  }
  for (const file of source.files) await mergeFile(merged, file, new KubeConfig())
  config.loadFromOptions({
    clusters: [...merged.clusters.values()],
    users: [...merged.users.values()],
    contexts: [...merged.contexts.values()],
    currentContext: merged.current,
  })
  return resolveContext(config, context)
}

/** As client-node's loadFromCluster, but from the given environment and folder. */
async function inClusterConfig(server: string, directory: string): Promise<object> {
  const namespace = await readFile(join(directory, 'namespace'), 'utf8').catch(() => '')
  const tokenFile = join(directory, 'token')
  return {
    clusters: [{ name: 'in-cluster', server, caFile: join(directory, 'ca.crt'), skipTLSVerify: false }],
    users: [{ name: 'in-cluster', authProvider: { name: 'tokenFile', config: { tokenFile } } }],
    contexts: [
      {
        name: 'in-cluster',
        cluster: 'in-cluster',
        user: 'in-cluster',
        namespace: namespace.trim() || undefined,
      },
    ],
    currentContext: 'in-cluster',
  }
}

interface MergedConfig {
  readonly clusters: Map<string, Cluster>
  readonly users: Map<string, User>
  readonly contexts: Map<string, Context>
  current: string | undefined
}

/** As kubectl merges KUBECONFIG's files: the first that defines a name wins; client-node's own merge throws. */
async function mergeFile(merged: MergedConfig, file: string, config: KubeConfig): Promise<void> {
  const text = await readFile(file, 'utf8')
  let tokenFiles: ReadonlyMap<string, string>
  try {
    config.loadFromString(text)
    config.makePathsAbsolute(dirname(resolve(file)))
    tokenFiles = tokenFilesOf(text, dirname(resolve(file)))
  } catch (error) {
    // A YAML parser's message quotes lines of the file below its first line.
    const [first = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    throw new VnodeError('KUBECONFIG', `${file} is not a kubeconfig: ${withoutSecrets(first)}`)
  }
  addMissing(merged.clusters, config.clusters)
  addMissing(
    merged.users,
    config.users.map(user => withExecInfo(withTokenFile(user, tokenFiles.get(user.name)))),
  )
  addMissing(merged.contexts, config.contexts)
  merged.current ||= config.currentContext
}

function addMissing<T extends { readonly name: string }>(known: Map<string, T>, more: readonly T[]): void {
  for (const item of more) if (!known.has(item.name)) known.set(item.name, item)
}

/** The users' `tokenFile`, a field that client-node does not know: it would go on without credentials. */
function tokenFilesOf(text: string, directory: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>()
  for (const entry of asArray(own(asRecord(parse(text)), 'users'))) {
    const name = asString(own(asRecord(entry), 'name'))
    const file = asString(own(asRecord(own(asRecord(entry), 'user')), 'tokenFile'))
    if (name !== undefined && file !== undefined) files.set(name, resolve(directory, file))
  }
  return files
}

function withTokenFile(user: User, tokenFile: string | undefined): User {
  if (tokenFile === undefined) return user
  // The file wins over a token beside it, as in kubectl.
  const { token: _token, ...rest } = user
  return { ...rest, authProvider: { name: 'tokenFile', config: { tokenFile } } }
}

/** Credential plugins of kubectl are promised this variable; client-node does not set it. */
function withExecInfo(user: User): User {
  const exec = asRecord(user.exec)
  if (exec === undefined) return user
  const info = { kind: 'ExecCredential', apiVersion: own(exec, 'apiVersion'), spec: { interactive: false } }
  const env = [...asArray(own(exec, 'env')), { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }]
  return { ...user, exec: { ...exec, env } }
}

function resolveContext(config: KubeConfig, wanted: string | undefined): LoadedConfig {
  const name = wanted ?? config.currentContext ?? ''
  const context = config.contexts.find(candidate => candidate.name === name)
  if (context === undefined) throw unknownContext(config, name)
  const cluster = config.clusters.find(candidate => candidate.name === context.cluster)
  if (cluster === undefined)
    throw broken(`context "${name}" names cluster "${context.cluster}", which is not there`)
  if (!URL.canParse(cluster.server) || !/^https?:/.test(cluster.server)) {
    throw broken(`the server of cluster "${cluster.name}" is not a URL`)
  }
  config.setCurrentContext(name)
  ensureUser(config, context)
  return { config, cluster, namespace: context.namespace || undefined }
}

/** Without a user client-node leaves out even the CA. */
function ensureUser(config: KubeConfig, context: Context): void {
  if (config.getCurrentUser() !== null) return
  if (context.user) throw broken(`context "${context.name}" names user "${context.user}", which is not there`)
  config.users = [...config.users, { name: 'anonymous' }]
  config.contexts = [{ ...context, user: 'anonymous' }]
}

function unknownContext(config: KubeConfig, name: string): VnodeError {
  const known = config.contexts.map(context => context.name).join(', ') || 'none'
  const what = name === '' ? 'there is no current-context' : `there is no context "${name}"`
  return broken(`${what}; contexts: ${known}`, 'Name one with --context NAME.')
}

function broken(message: string, next?: string): VnodeError {
  return new VnodeError('KUBECONFIG', `kubeconfig: ${message}`, next === undefined ? {} : { next })
}
