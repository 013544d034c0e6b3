import type { Test } from 'tap'
import { type CertificateData, parseCertificateData } from '../../src/core/certificate/secret-data.ts'
import { RULES_CONFIGMAP, RULES_NAMESPACE } from '../../src/core/names.ts'
import { helperAccess, helperNames } from '../../src/core/rbac.ts'
import type { FailurePolicy, Target } from '../../src/core/registration/configuration.ts'
import { DEFAULT_SETTINGS, type Settings } from '../../src/core/settings.ts'
import type { ApiRequest, KubeClient } from '../../src/kube/api.ts'
import { type RunningHelper, startHelper } from '../../src/scheduler/run.ts'
import type { HelperSettings } from '../../src/scheduler/settings.ts'
import { DEFAULT_SPILL, type SpillProgramSettings } from '../../src/scheduler/spill/settings.ts'
import { createLogger } from '../../src/telemetry/json-log.ts'
import type { ControlPlane } from './control-plane.ts'
import { freePorts } from './free-ports.ts'
import type { KubeObject } from './kube-http.ts'
import { Samples } from './prometheus.ts'
import {
  holds,
  type LogLine,
  startTestWebhook,
  type TestWebhook,
  type TestWebhookOptions,
} from './webhook.ts'
import { applyObject, ensureNamespace, grantAccess } from './webhook-rights.ts'

export interface TestHelperOptions {
  readonly controlPlane: ControlPlane
  /** By which its objects are named; also the installation's namespace, unless that is given. */
  readonly name: string
  readonly installNamespace?: string
  /** Of the webhook; or its Service. */
  readonly url?: string
  readonly target?: Target
  readonly failurePolicy?: FailurePolicy
  /** Besides kube-system and its own. */
  readonly excludedNamespaces?: readonly string[]
  /** Over the defaults, of what decides. */
  readonly decisions?: Partial<Settings>
  readonly rulesNamespace?: string
  readonly rulesName?: string
  /** Over the defaults; Pods that exist are left alone without it. */
  readonly spill?: Partial<SpillProgramSettings>
  readonly certSource?: HelperSettings['certSource']
  /** In seconds. */
  readonly caLife?: number
  readonly certLife?: number
  readonly graceMs?: number
  readonly probeIntervalMs?: number
  readonly periodMs?: number
  readonly leaseDurationMs?: number
  /** In place of an identity of its own, which has the documented rights and none besides. */
  readonly kubeconfig?: string
  /** What the API server claims to be, such as `17` for 1.17. Before 1.18 the helper's rights are others. */
  readonly minor?: number
}

export const REGISTRATIONS = '/apis/admissionregistration.k8s.io/v1'
const CLUSTER_ROLES = '/apis/rbac.authorization.k8s.io/v1/clusterroles'

/** A webhook configuration as far as tests read it. */
export interface WebhookConfiguration extends KubeObject {
  webhooks: ConfiguredWebhook[]
}

export interface ConfiguredWebhook {
  readonly name: string
  readonly clientConfig: { readonly caBundle?: string; readonly url?: string; readonly service?: object }
  readonly failurePolicy: string
  readonly namespaceSelector: object
  readonly [field: string]: unknown
}

/** What a helper of this name finds: its namespace, the ClusterRole that owns its registration, and an identity with its rights. */
export async function prepareHelper(options: TestHelperOptions): Promise<string> {
  const { controlPlane, name, installNamespace = name, certSource = 'helper', spill } = options
  const { rulesNamespace = RULES_NAMESPACE, rulesName = RULES_CONFIGMAP } = options
  const { owner } = helperNames(name)
  await ensureNamespace(controlPlane, installNamespace)
  await applyObject(controlPlane, `${CLUSTER_ROLES}/${owner}`, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: owner },
    rules: [],
  })
  const user = `${name}-helper-user`
  const hasSlices = options.minor === undefined || options.minor >= 18
  const place = {
    installNamespace,
    rulesNamespace,
    rulesName,
    name,
    owner,
    certSource,
    hasSlices,
    spills: spill !== undefined,
  }
  await grantAccess(controlPlane, user, helperAccess(place))
  return await controlPlane.kubeconfig({ user })
}

/** Starts the real program in this process; it ends with the test. */
export async function startTestHelper(t: Test, options: TestHelperOptions): Promise<TestHelper> {
  const kubeconfig = options.kubeconfig ?? (await prepareHelper(options))
  const { leaseDurationMs = 3000 } = options
  const log: LogLine[] = []
  const running = await startHelper({
    settings: settingsOf(options),
    connect: async () => {
      const { connect } = await import('../../src/kube/client.ts')
      const client = await connect({ kubeconfig, userAgent: 'vnode-profile/0 (integration test)' })
      return options.minor === undefined ? client : claiming(client, String(options.minor))
    },
    hostname: 'test',
    election: {
      leaseDurationMs,
      renewDeadlineMs: leaseDurationMs * 0.7,
      retryPeriodMs: leaseDurationMs / 10,
    },
    host: '127.0.0.1',
    opsPort: 0,
    log: createLogger('debug', { write: text => void log.push(JSON.parse(text)) }),
  })
  const helper = new TestHelper(running, options, log)
  t.teardown(() => helper.stop())
  return helper
}

/** The same API server, but for what it says of its age. */
function claiming(client: KubeClient, minor: string): KubeClient {
  return {
    server: client.server,
    namespace: client.namespace,
    request: async <T>(request: ApiRequest) =>
      request.path === '/version' ? ({ major: '1', minor } as T) : await client.request<T>(request),
    stream: request => client.stream(request),
    apply: (path, object, options) => client.apply(path, object, options),
    close: () => client.close(),
  }
}

export interface Installed {
  readonly helper: TestHelper
  readonly port: number
  /** Starts the webhook that the helper registers, on the port that it expects. */
  readonly startWebhook: (more?: TestWebhookOptions) => Promise<TestWebhook>
}

/** A helper, and a webhook that is yet to be started, on a port that is known. */
export async function install(t: Test, options: TestHelperOptions): Promise<Installed> {
  const { controlPlane, name, installNamespace = name } = options
  const [port = 0] = await freePorts(1)
  const helper = await startTestHelper(t, { url: `https://127.0.0.1:${port}`, ...options })
  const { secret: certSecret } = helperNames(name)
  const own = { controlPlane, name, port, certSecret, settings: { installNamespace } }
  return { helper, port, startWebhook: more => startTestWebhook(t, { ...own, ...more }) }
}

function settingsOf(options: TestHelperOptions): HelperSettings {
  const {
    name,
    installNamespace = name,
    url,
    target,
    failurePolicy = 'Ignore',
    certSource = 'helper',
  } = options
  const names = helperNames(name)
  const service = { kind: 'service', namespace: installNamespace, name: names.service, port: 443 } as const
  return {
    registration: {
      name: names.registration,
      target: target ?? (url === undefined ? service : { kind: 'url', url }),
      installNamespace,
      excludedNamespaces: options.excludedNamespaces ?? [],
      failurePolicy,
      timeoutSeconds: 2,
      rulesNamespace: options.rulesNamespace ?? RULES_NAMESPACE,
      rulesName: options.rulesName ?? RULES_CONFIGMAP,
      injectFrom: certSource === 'cert-manager' ? `${installNamespace}/${names.certificate}` : undefined,
    },
    decisions: { ...DEFAULT_SETTINGS, installNamespace, ...options.decisions },
    spill: options.spill === undefined ? undefined : { ...DEFAULT_SPILL, ...options.spill },
    owner: names.owner,
    certSource,
    secret: names.secret,
    probe: names.probe,
    lease: names.lease,
    lastGood: names.lastGood,
    lives: { authorityMs: (options.caLife ?? 86_400) * 1000, servingMs: (options.certLife ?? 43_200) * 1000 },
    graceMs: options.graceMs ?? 2000,
    probeIntervalMs: options.probeIntervalMs ?? 300_000,
    periodMs: options.periodMs ?? 1000,
  }
}

/** A running helper; {@link startTestHelper} makes it. */
export class TestHelper {
  readonly opsUrl: string
  readonly log: readonly LogLine[]
  readonly #running: RunningHelper
  readonly #options: TestHelperOptions
  #stopped: Promise<void> | undefined

  constructor(running: RunningHelper, options: TestHelperOptions, log: readonly LogLine[]) {
    this.#running = running
    this.#options = options
    this.log = log
    this.opsUrl = `http://127.0.0.1:${running.opsAddress.port}`
  }

  get isLeader(): boolean {
    return this.#running.isLeader
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#running.stop()
    return this.#stopped
  }

  /** Path of one of the two configurations. */
  path(kind: 'mutating' | 'validating'): string {
    return `${REGISTRATIONS}/${kind}webhookconfigurations/${this.#options.name}`
  }

  get secretPath(): string {
    const { name, installNamespace = name } = this.#options
    return `/api/v1/namespaces/${installNamespace}/secrets/${helperNames(name).secret}`
  }

  /** One of the configurations, once it is as wanted. */
  registered(
    kind: 'mutating' | 'validating',
    isWanted: (configuration: WebhookConfiguration) => boolean = () => true,
    timeout = 20_000,
  ): Promise<WebhookConfiguration> {
    return this.#options.controlPlane.waitFor<WebhookConfiguration>(this.path(kind), isWanted, { timeout })
  }

  async metrics(): Promise<Samples> {
    return new Samples(await (await fetch(`${this.opsUrl}/metrics`)).text())
  }

  /** Waits until a metric is at least so much. */
  async metric(
    name: string,
    labels: Readonly<Record<string, string>>,
    least: number,
    timeout = 15_000,
  ): Promise<void> {
    const read = async () => (await this.metrics()).sum(`vnode_profile_helper_${name}`, labels) ?? 0
    await holds(async () => (await read()) >= least, timeout).catch(async () => {
      throw new Error(`${name} ${JSON.stringify(labels)} is ${await read()}, not ${least}; ${this.logEnd()}`)
    })
  }

  /** Waits for a line with this message and, among others, these fields. */
  async logged(msg: string, timeout = 15_000): Promise<LogLine> {
    const find = () => this.log.find(line => line.msg === msg)
    await holds(() => find() !== undefined, timeout).catch(() => undefined)
    const line = find()
    if (line === undefined) throw new Error(`not logged: ${msg}; but ${this.logEnd()}`)
    return line
  }

  /** An Event with this reason and, in its message, this text; waits for it. Of the Secret, or else of the registration. */
  async event(
    reason: string,
    text: RegExp,
    of: 'registration' | 'secret' = 'registration',
    timeout = 20_000,
  ): Promise<string> {
    const { controlPlane, name, installNamespace = name } = this.#options
    const namespace = of === 'secret' ? installNamespace : 'default'
    const involved = of === 'secret' ? helperNames(name).secret : name
    const path = `/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.name=${involved},reason=${reason}`
    const messages = (events: readonly KubeObject[]) =>
      events.flatMap(({ message }) => (typeof message === 'string' && text.test(message) ? [message] : []))
    const found = await controlPlane.waitForAll(path, events => messages(events).length > 0, { timeout })
    return messages(found)[0] ?? ''
  }

  /** The Secret's data, decoded, once they are as wanted. */
  async secret(isWanted: (data: CertificateData) => boolean = () => true): Promise<CertificateData> {
    const { controlPlane } = this.#options
    const found = await controlPlane.waitFor(this.secretPath, secret =>
      isWanted(parseCertificateData(secret)),
    )
    return parseCertificateData(found)
  }

  logEnd(): string {
    return this.log
      .slice(-25)
      .map(line => JSON.stringify(line))
      .join('\n')
  }
}
