/** The rules of a cluster, with its namespaces and VNodes, followed for whoever decides by them: the webhook, and the helper that leads. */
import type { Settings } from '../core/settings.ts'
import type { KubeClient } from '../kube/api.ts'
import type { ReflectorTimings } from '../kube/reflector-options.ts'
import type { Logger } from '../telemetry/logger.ts'
import { ClusterSource } from './cluster-source.ts'
import { LastGoodStore } from './last-good.ts'
import { RulesState, type RulesStateOptions } from './rules-state.ts'

export interface ClusterRulesOptions extends Pick<RulesStateOptions, 'onReport' | 'onExchange'> {
  readonly client: KubeClient
  readonly settings: Settings
  /** Of the ConfigMap. */
  readonly rulesNamespace: string
  readonly rulesName: string
  /** Of the ConfigMap with the last good text, in the installation's namespace. */
  readonly lastGoodName: string
  /** Whether the last good text is kept from here, or only read: one program of an installation keeps it. */
  readonly isKeeper: boolean
  readonly log: Logger
  readonly timings?: Partial<ReflectorTimings> | undefined
}

export class ClusterRules {
  /** Its `environment` is what decisions are made with; it is replaced as a whole, so take it anew for each. */
  readonly state: RulesState
  readonly source: ClusterSource
  readonly #lastGood: LastGoodStore

  constructor(options: ClusterRulesOptions) {
    const { client, settings, log, rulesNamespace, rulesName, lastGoodName, isKeeper } = options
    const { onReport, onExchange, timings } = options
    const { installNamespace } = settings
    const source = `${rulesNamespace}/${rulesName}`
    this.#lastGood = new LastGoodStore({
      client,
      log,
      namespace: installNamespace,
      name: lastGoodName,
      source,
      isKeeper,
    })
    this.state = new RulesState({
      settings,
      ...(onReport === undefined ? {} : { onReport }),
      ...(onExchange === undefined ? {} : { onExchange }),
      onGoodText: text => this.#lastGood.keep(text),
    })
    this.source = new ClusterSource({
      client,
      state: this.state,
      log,
      lastGood: this.#lastGood,
      rulesNamespace,
      rulesName,
      installNamespace,
      lastGoodName,
      ...(timings === undefined ? {} : { timings }),
    })
  }

  /** True from when all has been listed once; before, what is missing looks as if it did not exist. */
  get isLoaded(): boolean {
    return this.source.health().every(({ isSynced }) => isSynced)
  }

  async start(): Promise<void> {
    await this.source.start()
  }

  async stop(): Promise<void> {
    await this.source.stop()
    this.state.stop()
    await this.#lastGood.stop()
  }
}
