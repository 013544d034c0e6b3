/** The program `vnode webhook`: puts sources, certificate and servers together, and takes them apart in the right order. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DAEMONSETS_PATH, PODS_PATH, PROBE_PATH, RULES_PATH } from '../core/names.ts'
import type { Settings } from '../core/settings.ts'
import type { KubeClient } from '../kube/api.ts'
import { EventWriter } from '../kube/event.ts'
import type { ReflectorTimings } from '../kube/reflector-options.ts'
import { ClusterRules } from '../rules/cluster-rules.ts'
import { rulesGauges, rulesReporter } from '../rules/reporter.ts'
import { RulesState } from '../rules/rules-state.ts'
import type { RuleSource } from '../rules/source.ts'
import { type Listening, openPort } from '../serving/listening.ts'
import { buildOps } from '../serving/ops.ts'
import type { Logger } from '../telemetry/logger.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import { type AppOptions, buildApp } from './app.ts'
import type { CertificateSource } from './certificate.ts'
import { daemonSetReviewer } from './daemonsets-route.ts'
import { FileSource } from './file-source.ts'
import { awaitNamespaces, type PatientReviewer } from './namespace-wait.ts'
import { type CertificatePlace, openCertificate } from './open-certificate.ts'
import { type Mutate, podReviewer } from './pods-route.ts'
import { probeReviewer } from './probe-route.ts'
import { checkReadiness } from './readiness.ts'
import { rulesReviewer } from './rules-route.ts'
import { followCertificate, secureContextOptions } from './tls.ts'

export interface WebhookOptions extends CertificatePlace {
  readonly settings: Settings
  /** Rules from these files, or from the cluster when there are none. */
  readonly files: readonly string[]
  /** Opens the cluster; called only when rules or the certificate come from there. */
  readonly connect: () => Promise<KubeClient>
  readonly rulesNamespace: string
  readonly rulesName: string
  /** Of the ConfigMap with the last good rules, in the installation's namespace. */
  readonly lastGoodName: string
  /** Nothing is written to the cluster: the helper tells of the rules by Events, and keeps the last good ones. */
  readonly isReadOnly?: boolean
  readonly host?: string
  readonly port: number
  readonly opsPort: number
  readonly shutdownDelayMs: number
  readonly drainLimitMs: number
  readonly log: Logger
  readonly isVerbose?: boolean
  /** Of list and watch in the cluster; a test's are shorter. */
  readonly timings?: Partial<ReflectorTimings>
  /** A test's stand-in with a planted fault. */
  readonly mutate?: Mutate
}

export interface RunningWebhook {
  readonly address: AddressInfo
  readonly opsAddress: AddressInfo
  readonly metrics: Metrics
  readonly state: RulesState
  /** Not ready from now on; resolves when every request has been answered. */
  stop(): Promise<void>
}

/** Starts everything; resolves once both ports are open. That does not mean ready: `/readyz` says when rules are loaded. */
export async function startWebhook(options: WebhookOptions): Promise<RunningWebhook> {
  const begun: Begun = []
  try {
    return await start(options, begun)
  } catch (error) {
    // A port is taken, say: nothing may go on to follow files or the cluster for a server that is not there.
    for (const end of begun.toReversed()) await end()
    throw error
  }
}

/** How to end what has been started so far. */
type Begun = (() => unknown)[]

async function start(options: WebhookOptions, begun: Begun): Promise<RunningWebhook> {
  const { log } = options
  const metrics = createMetrics()
  if (options.settings.selectorScope === 'cluster')
    log.warn({}, 'every Selector acts on all namespaces, whoever may write it: selectorScope is cluster')
  const { source: certificate, stop: stopCertificate } = await openCertificate(options)
  begun.push(stopCertificate)
  const rules = await openRules(options, metrics)
  begun.push(() => rules.stop())
  const phase: Phase = { isDraining: false }
  const app = await buildApp({
    tls: secureContextOptions(certificate.current()),
    reviewers: reviewersOf(options, rules),
    metrics,
    log,
    isDraining: () => phase.isDraining,
  })
  begun.push(followCertificate(app.server as never, certificate, log))
  const ops = await openOps(options, { metrics, certificate, source: rules.source, phase })
  begun.push(() => ops.drain({ delayMs: 0, limitMs: 0 }))
  const { host, port } = options
  const reviews = await openPort(app.server as Server, { host, port, flag: 'port' })
  phase.address = reviews.address
  log.info({ port: reviews.address.port, opsPort: ops.address.port }, 'serving')
  const stop = async () => {
    phase.isDraining = true
    log.info({}, 'told to stop; no longer ready, finishing what is under way')
    await reviews.drain({ delayMs: options.shutdownDelayMs, limitMs: options.drainLimitMs })
    for (const end of begun) await end()
    log.info({}, 'stopped')
  }
  return { address: reviews.address, opsAddress: ops.address, metrics, state: rules.state, stop }
}

/** What readiness asks for, as it changes. */
interface Phase {
  isDraining: boolean
  /** Where reviews are answered, once they are. */
  address?: AddressInfo
}

interface OpsParts {
  readonly metrics: Metrics
  readonly certificate: CertificateSource
  readonly source: RuleSource
  readonly phase: Phase
}

async function openOps(
  options: WebhookOptions,
  { metrics, certificate, source, phase }: OpsParts,
): Promise<Listening> {
  const readiness = () =>
    checkReadiness({
      source,
      certificate,
      isDraining: () => phase.isDraining,
      address: () => (phase.address === undefined ? undefined : loopbackOf(phase.address)),
    })
  const measure = () => measureSources(metrics, source, certificate)
  const app = buildOps({ registry: metrics.registry, readiness, measure })
  await app.ready()
  return openPort(app.server, { host: options.host, port: options.opsPort, flag: 'ops-port' })
}

function measureSources(metrics: Metrics, source: RuleSource, certificate: CertificateSource): void {
  for (const { resource, isSynced, isWatched = true, ageSeconds } of source.health()) {
    metrics.watchSynced.set({ resource }, Number(isSynced && isWatched))
    if (ageSeconds !== undefined) metrics.watchAge.set({ resource }, ageSeconds)
  }
  const notAfter = certificate.current()?.notAfter
  if (notAfter !== undefined) metrics.certificateExpiry.set(notAfter.getTime() / 1000)
}

interface OpenRules {
  readonly state: RulesState
  readonly source: RuleSource
  stop(): Promise<void>
}

async function openRules(options: WebhookOptions, metrics: Metrics): Promise<OpenRules> {
  return options.files.length > 0 ? openFiles(options, metrics) : openCluster(options, metrics)
}

async function openFiles(
  { settings, files, log, rulesNamespace, rulesName }: WebhookOptions,
  metrics: Metrics,
): Promise<OpenRules> {
  const state = new RulesState({
    settings,
    onReport: rulesReporter({ log, metrics }),
    onExchange: rulesGauges(metrics, Date.now),
  })
  const source = new FileSource({ files, state, log, rulesNamespace, rulesName })
  await source.start()
  const stop = async () => {
    await source.stop()
    state.stop()
  }
  return { state, source, stop }
}

async function openCluster(options: WebhookOptions, metrics: Metrics): Promise<OpenRules> {
  const { settings, log, rulesNamespace, rulesName, lastGoodName, timings, isReadOnly = false } = options
  const client = await options.connect()
  const events = isReadOnly ? undefined : eventsOf(client, log)
  const rules = new ClusterRules({
    client,
    settings,
    log,
    rulesNamespace,
    rulesName,
    lastGoodName,
    isKeeper: !isReadOnly,
    timings,
    onReport: rulesReporter({ log, metrics, events }),
    onExchange: rulesGauges(metrics, Date.now),
  })
  await rules.start()
  const stop = async () => {
    await rules.stop()
    await events?.stop()
    await client.close()
  }
  return { state: rules.state, source: rules.source, stop }
}

function eventsOf(client: KubeClient, log: Logger): EventWriter {
  return new EventWriter({
    client,
    onLost: ({ reason, message }, error) =>
      log.warn({ reason, message, error: String(error) }, 'an Event was lost'),
  })
}

function reviewersOf(options: WebhookOptions, { state, source }: OpenRules): AppOptions['reviewers'] {
  const { settings, rulesNamespace, rulesName, log, isVerbose = false, mutate } = options
  const pods = podReviewer({ state, log, isVerbose, ...(mutate === undefined ? {} : { mutate }) })
  return new Map<string, PatientReviewer>([
    [PODS_PATH, awaitNamespaces(pods, source)],
    [DAEMONSETS_PATH, daemonSetReviewer({ state, log, isVerbose })],
    [PROBE_PATH, probeReviewer],
    [RULES_PATH, rulesReviewer({ settings, rulesNamespace, rulesName, log })],
  ])
}

/** Where the server reaches itself. Many containers listen on :: but have no ::1; 127.0.0.1 always is there. */
function loopbackOf({ address, port }: AddressInfo): { host: string; port: number } {
  return { host: address === '::' || address === '0.0.0.0' ? '127.0.0.1' : address, port }
}
