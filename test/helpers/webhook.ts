import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { RULES_CONFIGMAP, RULES_NAMESPACE } from '../../src/core/names.ts'
import { DEFAULT_NAME, helperNames, type WebhookPlace } from '../../src/core/rbac.ts'
import { DEFAULT_SETTINGS, type Settings } from '../../src/core/settings.ts'
import type { ReflectorTimings } from '../../src/kube/reflector-options.ts'
import type { RulesState } from '../../src/rules/rules-state.ts'
import { createLogger } from '../../src/telemetry/json-log.ts'
import type { Mutate } from '../../src/webhook/pods-route.ts'
import { type RunningWebhook, startWebhook } from '../../src/webhook/run.ts'
import { removeOnExit } from './child-process.ts'
import type { ControlPlane } from './control-plane.ts'
import { patience } from './patience.ts'
import { Samples } from './prometheus.ts'
import { grantWebhookRights } from './webhook-rights.ts'

export interface TestWebhookOptions {
  /** Takes the rules from there, unless there are `files`. */
  readonly controlPlane?: ControlPlane
  readonly files?: readonly string[]
  /** Over the defaults. */
  readonly settings?: Partial<Settings>
  /** In place of the real one: a planted fault. */
  readonly mutate?: Mutate
  readonly host?: string
  readonly port?: number
  readonly opsPort?: number
  readonly certDir?: string
  /** In place of development certificates: the name of a Secret of the installation's namespace. */
  readonly certSecret?: string
  readonly rulesNamespace?: string
  readonly rulesName?: string
  /** By which the installation's objects are named. */
  readonly name?: string
  /** As beside a helper; its identity then has rights to read alone. */
  readonly isReadOnly?: boolean
  /** In place of an identity of its own, which has the documented rights and none besides. */
  readonly kubeconfig?: string
  readonly shutdownDelayMs?: number
  readonly drainLimitMs?: number
  readonly timings?: Partial<ReflectorTimings>
}

export interface LogLine {
  readonly level: string
  readonly time: string
  readonly msg: string
  readonly [field: string]: unknown
}

let started = 0

/** Starts the real program in this process, on free ports of the loopback, with development certificates; it ends with the test. */
export async function startTestWebhook(t: Test, options: TestWebhookOptions = {}): Promise<TestWebhook> {
  started += 1
  const { rulesNamespace = RULES_NAMESPACE, rulesName = RULES_CONFIGMAP, host = '127.0.0.1' } = options
  const settings = { ...DEFAULT_SETTINGS, ...options.settings }
  const { installNamespace } = settings
  const { mutate, timings, certSecret, isReadOnly = false, name = DEFAULT_NAME } = options
  const secret = certSecret === undefined ? {} : { certSecret }
  const rights = { rulesNamespace, rulesName, installNamespace, name, isReadOnly, ...secret }
  const certDir = options.certDir ?? (await temporaryFolder(t))
  const log: LogLine[] = []
  const running = await startWebhook({
    settings,
    files: options.files ?? [],
    connect: async () => {
      const { connect } = await import('../../src/kube/client.ts')
      const kubeconfig = options.kubeconfig ?? (await ownKubeconfig(options.controlPlane, rights))
      return await connect({ kubeconfig, userAgent: 'vnode-profile/0 (integration test)' })
    },
    rulesNamespace,
    rulesName,
    lastGoodName: helperNames(name).lastGood,
    isReadOnly,
    host,
    port: options.port ?? 0,
    opsPort: options.opsPort ?? 0,
    certDir,
    isDev: certSecret === undefined,
    ...(certSecret === undefined ? {} : { certSecret: { namespace: installNamespace, name: certSecret } }),
    shutdownDelayMs: options.shutdownDelayMs ?? 0,
    drainLimitMs: options.drainLimitMs ?? 5000,
    log: createLogger('debug', { write: text => void log.push(JSON.parse(text)) }),
    isVerbose: true,
    ...(mutate === undefined ? {} : { mutate }),
    ...(timings === undefined ? {} : { timings }),
  })
  const caPem = certSecret === undefined ? await readFile(join(certDir, 'ca.crt'), 'utf8') : ''
  const webhook = new TestWebhook(running, caPem, log)
  t.teardown(() => webhook.stop())
  return webhook
}

async function temporaryFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'webhook-certs-'))
  t.teardown(removeOnExit(folder))
  return folder
}

async function ownKubeconfig(controlPlane: ControlPlane | undefined, place: WebhookPlace): Promise<string> {
  if (controlPlane === undefined) throw new Error('a webhook without files needs a control plane')
  const user = `vnode-webhook-${started}`
  await grantWebhookRights(controlPlane, { user, ...place })
  return await controlPlane.kubeconfig({ user })
}

/** A running webhook; {@link startTestWebhook} makes it. */
export class TestWebhook {
  /** The admission server's. */
  readonly url: string
  /** Of /healthz, /readyz and /metrics. */
  readonly opsUrl: string
  /** Empty where the certificate is a Secret's. */
  readonly caPem: string
  /** What was logged so far, debug level included; it grows. */
  readonly log: readonly LogLine[]
  readonly #running: RunningWebhook
  #stopped: Promise<void> | undefined

  constructor(running: RunningWebhook, caPem: string, log: readonly LogLine[]) {
    this.#running = running
    this.url = `https://127.0.0.1:${running.address.port}`
    this.opsUrl = `http://127.0.0.1:${running.opsAddress.port}`
    this.caPem = caPem
    this.log = log
  }

  get state(): RulesState {
    return this.#running.state
  }

  /** Not ready from now on; resolves when every request has been answered. Does nothing the second time. */
  stop(): Promise<void> {
    this.#stopped ??= this.#running.stop()
    return this.#stopped
  }

  async metrics(): Promise<Samples> {
    return new Samples(await (await fetch(`${this.opsUrl}/metrics`)).text())
  }

  /** How many reviews there were of `pods`, or of `rules`; with this outcome or any. */
  async reviews(resource: string, outcome?: string): Promise<number> {
    const { values } = await this.#running.metrics.admissions.get()
    const found = values.filter(
      ({ labels }) => labels.resource === resource && (outcome === undefined || labels.outcome === outcome),
    )
    return found.reduce((sum, { value }) => sum + value, 0)
  }

  /** Waits until /readyz says so. */
  async ready(timeout = 15_000): Promise<void> {
    let last = ''
    const isReady = async (): Promise<boolean> => {
      const response = await fetch(`${this.opsUrl}/readyz`)
      last = await response.text()
      return response.status === 200
    }
    await holds(isReady, timeout).catch(() => {
      throw new Error(`the webhook is not ready after ${patience(timeout) / 1000} s:\n${last}`)
    })
  }

  /** Waits until what it decides by is as wanted. */
  async until(what: string, isWanted: (state: RulesState) => boolean, timeout = 10_000): Promise<void> {
    await holds(() => isWanted(this.state), timeout).catch(() => {
      const rules = this.state.environment.rules.rules.map(rule => rule.name)
      const log = this.log.slice(-10).map(line => JSON.stringify(line))
      throw new Error(
        `not within ${patience(timeout) / 1000} s: ${what}; rules: ${rules.join(', ')}; log:\n${log.join('\n')}`,
      )
    })
  }

  /** Waits until exactly these rules are in force, in this order. */
  async inForce(...names: readonly string[]): Promise<void> {
    await this.until(`rules ${names.join(', ')} in force`, ({ environment }) => {
      const { rules } = environment.rules
      return rules.length === names.length && rules.every((rule, index) => rule.name === names[index])
    })
  }

  /** The first line with this text for message and among others these fields, from the index on; waits for it. */
  async logged(msg: string, fields: Readonly<Record<string, unknown>> = {}, from = 0): Promise<LogLine> {
    const find = () => this.log.slice(from).find(line => line.msg === msg && hasFields(line, fields))
    await holds(() => find() !== undefined, 10_000).catch(() => undefined)
    const line = find()
    if (line === undefined)
      throw new Error(
        `not logged: ${msg} ${JSON.stringify(fields)}; but ${JSON.stringify(this.log.slice(from))}`,
      )
    return line
  }
}

function hasFields(line: LogLine, fields: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(fields).every(([key, value]) => JSON.stringify(line[key]) === JSON.stringify(value))
}

const LOOK_MS = 10

/** Asks until the answer is yes; an error after the time. For what tells nobody when it changes. */
export async function holds(isWanted: () => boolean | Promise<boolean>, timeout: number): Promise<void> {
  const deadline = performance.now() + patience(timeout)
  while (!(await isWanted())) {
    if (performance.now() > deadline) throw new Error(`not within ${patience(timeout) / 1000} s`)
    await delay(LOOK_MS)
  }
}
