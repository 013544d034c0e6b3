/** Finds the vendor's eci-profile, and says so: two that change the same Pods. */
import { messageOf } from '../core/errors.ts'
import { asRecord, asString, own } from '../core/kubernetes/objects.ts'
import { SELECTOR_GROUP, SELECTOR_PLURAL } from '../core/names.ts'
import { pluralOf, REGISTRATION_GROUP } from '../core/registration/configuration.ts'
import { isVendor, type MutatingFacts, mutatingFactsOf } from '../core/registration/vendor.ts'
import type { KubeClient } from '../kube/api.ts'
import { type Clock, sleep } from '../kube/clock.ts'
import { servedResource } from '../kube/discovery.ts'
import type { EventSubject, EventWriter } from '../kube/event.ts'
import { resourcePath } from '../kube/path.ts'
import { Reflector } from '../kube/reflector.ts'
import type { HelperMetrics } from '../telemetry/helper-metrics.ts'
import type { Logger } from '../telemetry/logger.ts'

export interface VendorOptions {
  /** The leader's. */
  readonly client: KubeClient
  readonly log: Logger
  readonly metrics: HelperMetrics
  readonly events: Pick<EventWriter, 'emit'>
  readonly clock: Clock
  /** Told of every change of any MutatingWebhookConfiguration, by name: they are watched here. */
  readonly onMutating: (name: string) => void
}

interface Found extends MutatingFacts {
  readonly uid: string
}

/** Between two looks for the Selector CRD: it can be served for hours before anybody uses it. */
const CRD_MS = 10 * 60_000
const NEXT = 'remove it, or take this one out: both change the same Pods, and neither knows of the other'

export class VendorWatch {
  readonly #options: VendorOptions
  readonly #watched: Reflector<Found>
  #hasClusterCrd = false

  constructor(options: VendorOptions) {
    this.#options = options
    const { client, log, onMutating } = options
    this.#watched = new Reflector<Found>({
      client,
      path: resourcePath({ group: REGISTRATION_GROUP, version: 'v1', plural: pluralOf('mutating') }),
      keep: raw => ({ ...mutatingFactsOf(raw), uid: uidOf(raw) }),
      onChange: ({ type, value }) => {
        onMutating(value.name)
        if (type === 'deleted') this.#gone('MutatingWebhookConfiguration', value.name)
        else if (isVendor(value)) this.#foundConfiguration(value)
      },
      onError: (error, during) =>
        log.warn({ during, error: messageOf(error) }, 'watching webhook configurations had a fault'),
    })
  }

  /** Resolves when the signal has aborted and nothing is called any more. */
  async run(signal: AbortSignal): Promise<void> {
    this.#watched.start()
    while (!signal.aborted) {
      await this.#lookForCrd(signal)
      await sleep(this.#options.clock, CRD_MS, signal)
    }
    await this.#watched.stop()
    this.#options.metrics.vendorObjects.reset()
  }

  async #lookForCrd(signal: AbortSignal): Promise<void> {
    const { client, log } = this.#options
    const name = `${SELECTOR_PLURAL}.${SELECTOR_GROUP}`
    try {
      const served = await servedResource(client, { group: SELECTOR_GROUP, plural: SELECTOR_PLURAL }, signal)
      const isFound = served?.scope === 'Cluster'
      if (isFound && !this.#hasClusterCrd) {
        const subject = {
          apiVersion: 'apiextensions.k8s.io/v1',
          kind: 'CustomResourceDefinition',
          name,
          uid: '',
        }
        this.#found(
          subject,
          `the vendor's Selector CRD is cluster-scoped; it is used as it is: each Selector acts on all namespaces`,
        )
      } else if (!isFound) this.#gone('CustomResourceDefinition', name)
      this.#hasClusterCrd = isFound
    } catch (error) {
      if (!signal.aborted) log.warn({ error: messageOf(error) }, 'the Selector CRD could not be looked for')
    }
  }

  #foundConfiguration({ name, uid }: Found): void {
    const subject = {
      apiVersion: `${REGISTRATION_GROUP}/v1`,
      kind: 'MutatingWebhookConfiguration',
      name,
      uid,
    }
    this.#found(subject, `the vendor's eci-profile is registered as ${name}; ${NEXT}`)
  }

  #found(involved: EventSubject, message: string): void {
    const { log, metrics, events } = this.#options
    metrics.vendorObjects.set({ kind: involved.kind, name: involved.name }, 1)
    log.warn({ kind: involved.kind, name: involved.name }, message)
    events.emit({ involved, type: 'Warning', reason: 'VendorFound', message, key: 'found' })
  }

  #gone(kind: string, name: string): void {
    this.#options.metrics.vendorObjects.remove({ kind, name })
  }
}

function uidOf(raw: unknown): string {
  return asString(own(asRecord(own(asRecord(raw), 'metadata')), 'uid')) ?? ''
}
