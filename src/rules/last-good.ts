/**
 * The last good text of the ConfigMap's rules, kept in a ConfigMap of our own, so that a replica that starts while an edit is
 * refused answers like the ones that saw the text before it.
 */
import { messageOf } from '../core/errors.ts'
import { asRecord, asString } from '../core/kubernetes/objects.ts'
import { LAST_GOOD_LABELS, OWN_PREFIX, RULES_KEY } from '../core/names.ts'
import { isStatus, type KubeClient } from '../kube/api.ts'
import { type Clock, sleep, systemClock } from '../kube/clock.ts'
import { resourcePath } from '../kube/path.ts'
import type { Logger } from '../telemetry/logger.ts'

/** Which ConfigMap the text was taken from: another one's last good text is no use. */
const ANNOTATION_SOURCE = `${OWN_PREFIX}source`
/** After a fault. */
const RETRY_MS = 5_000
/** After another's write came first: the watch tells what it was within moments. */
const CONFLICT_MS = 250

export interface LastGoodOptions {
  readonly client: Pick<KubeClient, 'apply'>
  readonly namespace: string
  readonly name: string
  /** `namespace/name` of the rules' ConfigMap. */
  readonly source: string
  /** False: another program keeps it, and nothing is written from here. */
  readonly isKeeper: boolean
  readonly log: Logger
  readonly clock?: Clock
}

/** What the cluster is known to hold. */
interface Stored {
  /** Undefined where it is another ConfigMap's. */
  readonly text: string | undefined
  readonly version: string | undefined
}

/** The text in an object of the API; undefined if it is another ConfigMap's than the one called `source` (`namespace/name`). */
export function lastGoodText(raw: unknown, source: string): string | undefined {
  const { annotations } = asRecord(asRecord(raw)?.metadata) ?? {}
  const isOurs = asRecord(annotations)?.[ANNOTATION_SOURCE] === source
  return isOurs ? asString(asRecord(asRecord(raw)?.data)?.[RULES_KEY]) : undefined
}

export class LastGoodStore {
  readonly #options: LastGoodOptions
  readonly #stopped = new AbortController()
  #stored: Stored | undefined
  /** What it shall hold. */
  #wanted: string | undefined
  #writing: Promise<void> | undefined
  #isImpossible = false

  constructor(options: LastGoodOptions) {
    this.#options = options
  }

  /** {@link lastGoodText}, and what the cluster is known to hold from then on. */
  read(raw: unknown): string | undefined {
    const text = lastGoodText(raw, this.#options.source)
    this.#stored = { text, version: asString(asRecord(asRecord(raw)?.metadata)?.resourceVersion) }
    return text
  }

  /** Somebody deleted what was kept: it is written anew, or a replica that starts now would know less than the others. */
  lost(): void {
    const text = this.#stored?.text
    this.#stored = undefined
    if (text !== undefined && this.#writing === undefined) this.keep(text)
  }

  /** Keeps the text; never throws, and tries until it is written or another text is to be. */
  keep(text: string): void {
    if (!this.#options.isKeeper || this.#isImpossible) return
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
    while (!signal.aborted && this.#wanted !== undefined && this.#wanted !== this.#stored?.text) {
      const text = this.#wanted
      const before = this.#stored
      try {
        const version = await this.#apply(text, signal)
        // The watch has the last word: if this answer is older, nothing would ever put it right.
        if (this.#stored === before) this.#stored = { text, version }
      } catch (error) {
        const wait = signal.aborted ? undefined : this.#failed(error)
        if (wait === undefined) return
        await sleep(this.#options.clock ?? systemClock, wait, signal)
      }
    }
  }

  /** How long to wait before the next attempt, in milliseconds; undefined where there is to be none. */
  #failed(error: unknown): number | undefined {
    const { log } = this.#options
    // Whoever wrote meanwhile may know more: a leader that was replaced must not have the last word.
    if (isStatus(error, 409)) return CONFLICT_MS
    if (isStatus(error, 415)) {
      this.#isImpossible = true
      log.warn(
        {},
        'this API server has no server-side apply (Kubernetes 1.16 and newer have): the last good rules are not kept, and a webhook that starts while an edit is refused takes the valid part of it',
      )
      return undefined
    }
    log.warn({ error: messageOf(error) }, 'the last good rules could not be kept; trying again')
    return RETRY_MS
  }

  /** The version that the object has then. */
  async #apply(text: string, signal: AbortSignal): Promise<string | undefined> {
    const { client, namespace, name, source } = this.#options
    const version = this.#stored?.version
    const written = await client.apply<unknown>(
      resourcePath({ version: 'v1', plural: 'configmaps', namespace, name }),
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: {
          name,
          namespace,
          labels: LAST_GOOD_LABELS,
          annotations: { [ANNOTATION_SOURCE]: source },
          // A precondition: what has changed since it was read is not overwritten.
          ...(version === undefined ? {} : { resourceVersion: version }),
        },
        data: { [RULES_KEY]: text },
      },
      { force: true, signal },
    )
    return asString(asRecord(asRecord(written)?.metadata)?.resourceVersion)
  }
}
