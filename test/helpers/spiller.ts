import type { Test } from 'tap'
import { helperNames } from '../../src/core/rbac.ts'
import { DEFAULT_SETTINGS, type Settings } from '../../src/core/settings.ts'
import type { ApiRequest, KubeClient } from '../../src/kube/api.ts'
import { ClusterRules } from '../../src/rules/cluster-rules.ts'
import { keepSpilling } from '../../src/scheduler/spill/run.ts'
import { DEFAULT_SPILL, type SpillProgramSettings } from '../../src/scheduler/spill/settings.ts'
import { createHelperMetrics, type HelperMetrics } from '../../src/telemetry/helper-metrics.ts'
import { createLogger } from '../../src/telemetry/json-log.ts'
import type { ControlPlane } from './control-plane.ts'
import { JumpClock } from './fake-clock.ts'
import { prepareHelper } from './helper.ts'
import type { KubeObject } from './kube-http.ts'
import { holds, type LogLine } from './webhook.ts'

export interface SpillerOptions {
  readonly controlPlane: ControlPlane
  /** Whose rights it has. */
  readonly name: string
  readonly settings?: Partial<SpillProgramSettings>
  readonly decisions?: Partial<Settings>
  /** Called before each patch of a Pod is sent. */
  readonly onPatch?: (request: ApiRequest) => Promise<void>
}

/** What a leader does about Pods, without an election, by a clock that the test can put forward. With the helper's rights alone. */
export class TestSpiller {
  readonly clock = new JumpClock()
  readonly log: LogLine[] = []
  readonly metrics: HelperMetrics = createHelperMetrics()
  trouble: string | undefined = 'not started'
  readonly #controlPlane: ControlPlane
  readonly #over = new AbortController()
  #work: Promise<void> = Promise.resolve()

  private constructor(controlPlane: ControlPlane) {
    this.#controlPlane = controlPlane
  }

  static async start(t: Test, options: SpillerOptions): Promise<TestSpiller> {
    const spiller = new TestSpiller(options.controlPlane)
    await spiller.#start(options)
    t.teardown(() => spiller.stop())
    return spiller
  }

  async stop(): Promise<void> {
    this.#over.abort()
    await this.#work
  }

  async metric(name: string, labels: Readonly<Record<string, string>>, least: number): Promise<void> {
    const read = async () => {
      const found = (await this.metrics.registry.getMetricsAsJSON()).find(
        metric => metric.name === `vnode_profile_helper_${name}`,
      )
      const values = found?.values ?? []
      const isWanted = (of: object) =>
        Object.entries(labels).every(([key, value]) => (of as Record<string, unknown>)[key] === value)
      return values.filter(one => isWanted(one.labels)).reduce((sum, { value }) => sum + value, 0)
    }
    await holds(async () => (await read()) >= least, 15_000).catch(async () => {
      throw new Error(`${name} ${JSON.stringify(labels)} is ${await read()}, not ${least}`)
    })
  }

  /** The message of an Event about a Pod, once there is one. */
  async event(namespace: string, pod: string, reason: string, text: RegExp = /./): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.name=${pod},reason=${reason}`
    const messages = (events: readonly KubeObject[]) =>
      events.flatMap(({ message }) => (typeof message === 'string' && text.test(message) ? [message] : []))
    const found = await this.#controlPlane.waitForAll(path, events => messages(events).length > 0, {
      timeout: 15_000,
    })
    return messages(found)[0] ?? ''
  }

  async #start({ controlPlane, name, settings, decisions, onPatch }: SpillerOptions): Promise<void> {
    const { connect } = await import('../../src/kube/client.ts')
    const kubeconfig = await prepareHelper({ controlPlane, name, spill: {} })
    const connected = await connect({ kubeconfig, userAgent: 'vnode-profile/0 (integration test)' })
    const client = onPatch === undefined ? connected : intercepted(connected, onPatch)
    const log = createLogger('debug', { write: text => void this.log.push(JSON.parse(text)) })
    const rules = new ClusterRules({
      client,
      settings: { ...DEFAULT_SETTINGS, installNamespace: name, ...decisions },
      rulesNamespace: 'kube-system',
      rulesName: 'eci-profile',
      lastGoodName: helperNames(name).lastGood,
      isKeeper: false,
      log,
    })
    await rules.start()
    const options = { client, rules, log, metrics: this.metrics, clock: this.clock }
    const onTrouble = (problem: string | undefined) => {
      this.trouble = problem
    }
    const { signal } = this.#over
    const own = { ...DEFAULT_SPILL, ...settings }
    this.#work = keepSpilling({ ...options, settings: own, onTrouble }, signal)
      .then(() => rules.stop())
      .then(() => connected.close())
  }
}

function intercepted(client: KubeClient, onPatch: (request: ApiRequest) => Promise<void>): KubeClient {
  return {
    server: client.server,
    namespace: client.namespace,
    request: async <T>(request: ApiRequest) => {
      if (request.method === 'PATCH' && request.path.includes('/pods/')) await onPatch(request)
      return await client.request<T>(request)
    },
    stream: request => client.stream(request),
    apply: (path, object, options) => client.apply(path, object, options),
    close: () => client.close(),
  }
}
