/**
 * The last good text of the ConfigMap's rules, kept in a ConfigMap of our own, so that a replica that starts while an edit is
 * refused answers like the ones that saw the text before it.
 */
import { messageOf } from '../core/errors.ts'
import { asRecord, asString } from '../core/kubernetes/objects.ts'
import { LAST_GOOD_CONFIGMAP, OWN_PREFIX, RULES_KEY } from '../core/names.ts'
import type { KubeClient } from '../kube/api.ts'
import { type Clock, sleep, systemClock } from '../kube/clock.ts'
import { resourcePath } from '../kube/path.ts'
import type { Logger } from '../telemetry/logger.ts'

/** Which ConfigMap the text was taken from: another one's last good text is no use. */
const ANNOTATION_SOURCE = `${OWN_PREFIX}source`
const RETRY_MS = 5_000

export interface LastGoodOptions {
  readonly client: Pick<KubeClient, 'apply'>
  readonly namespace: string
  /** `namespace/name` of the rules' ConfigMap. */
  readonly source: string
  /** False: another program keeps it, and nothing is written from here. */
  readonly isKeeper: boolean
  readonly log: Logger
  readonly clock?: Clock
}

export class LastGoodStore {
  readonly #options: LastGoodOptions
  readonly #stopped = new AbortController()
  /** What the cluster is known to hold. */
  #stored: string | undefined
  /** What it shall hold. */
  #wanted: string | undefined
  #writing: Promise<void> | undefined

  constructor(options: LastGoodOptions) {
    this.#options = options
  }

  /** The text in an object of the API; undefined if it is another ConfigMap's. */
  read(raw: unknown): string | undefined {
    const annotations = asRecord(asRecord(asRecord(raw)?.metadata)?.annotations)
    if (annotations?.[ANNOTATION_SOURCE] !== this.#options.source) return undefined
    this.#stored = asString(asRecord(asRecord(raw)?.data)?.[RULES_KEY])
    return this.#stored
  }

  /** Somebody deleted what was kept: it is written anew, or a replica that starts now would know less than the others. */
  lost(): void {
    const text = this.#stored
    this.#stored = undefined
    if (text !== undefined && this.#writing === undefined) this.keep(text)
  }

  /** Keeps the text; never throws, and tries until it is written or another text is to be. */
  keep(text: string): void {
    if (!this.#options.isKeeper) return
    this.#wanted = text
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#writing
  }

  async #write(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted && this.#wanted !== undefined && this.#wanted !== this.#stored) {
      const text = this.#wanted
      try {
        await this.#apply(text, signal)
        this.#stored = text
      } catch (error) {
        if (signal.aborted) return
        this.#options.log.warn(
          { error: messageOf(error) },
          'the last good rules could not be kept; trying again',
        )
        await sleep(this.#options.clock ?? systemClock, RETRY_MS, signal)
      }
    }
  }

  async #apply(text: string, signal: AbortSignal): Promise<void> {
    const { client, namespace, source } = this.#options
    const name = LAST_GOOD_CONFIGMAP
    await client.apply(
      resourcePath({ version: 'v1', plural: 'configmaps', namespace, name }),
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace, annotations: { [ANNOTATION_SOURCE]: source } },
        data: { [RULES_KEY]: text },
      },
      { force: true, signal },
    )
  }
}
