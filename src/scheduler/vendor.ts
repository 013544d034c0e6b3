/** Finds the vendor's eci-profile, and says so: two that change the same Pods. */
import { messageOf } from '../core/errors.ts'
import { asArray, asRecord, asString, own } from '../core/kubernetes/objects.ts'
import { SELECTOR_GROUP, SELECTOR_PLURAL } from '../core/names.ts'
import { pluralOf, REGISTRATION_GROUP } from '../core/registration/configuration.ts'
import {
  isVendor,
  type MutatingFacts,
  mutatingFactsOf,
  VENDOR_CRD,
  type VendorFinding,
  vendorConfiguration,
} from '../core/registration/vendor.ts'
import type { KubeClient } from '../kube/api.ts'
import { type Clock, sleep } from '../kube/clock.ts'
import { servedResource } from '../kube/discovery.ts'
import type { EventWriter } from '../kube/event.ts'
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
const CONFIGURATIONS = resourcePath({
  group: REGISTRATION_GROUP,
  version: 'v1',
  plural: pluralOf('mutating'),
})
const API_VERSIONS: Readonly<Record<VendorFinding['kind'], string>> = {
  MutatingWebhookConfiguration: `${REGISTRATION_GROUP}/v1`,
  CustomResourceDefinition: 'apiextensions.k8s.io/v1',
}

/** One look, for those who do not watch. */
export async function lookForVendor(client: Pick<KubeClient, 'request'>): Promise<readonly VendorFinding[]> {
  const [list, hasCrd] = await Promise.all([
    client.request<unknown>({ method: 'GET', path: CONFIGURATIONS }),
    hasVendorCrd(client),
  ])
  const registered = asArray(own(asRecord(list), 'items'))
    .map(mutatingFactsOf)
    .filter(isVendor)
    .map(({ name }) => vendorConfiguration(name))
  return hasCrd ? [...registered, VENDOR_CRD] : registered
}

async function hasVendorCrd(client: Pick<KubeClient, 'request'>, signal?: AbortSignal): Promise<boolean> {
  const served = await servedResource(client, { group: SELECTOR_GROUP, plural: SELECTOR_PLURAL }, signal)
  return served?.scope === 'Cluster'
}

export class VendorWatch {
  readonly #options: VendorOptions
  readonly #watched: Reflector<Found>
  #hasClusterCrd = false

  constructor(options: VendorOptions) {
    this.#options = options
    const { client, log, onMutating } = options
    this.#watched = new Reflector<Found>({
      client,
      path: CONFIGURATIONS,
      keep: raw => ({ ...mutatingFactsOf(raw), uid: uidOf(raw) }),
      onChange: ({ type, value }) => {
        onMutating(value.name)
        if (type === 'deleted') this.#gone('MutatingWebhookConfiguration', value.name)
        else if (isVendor(value)) this.#found(vendorConfiguration(value.name), value.uid)
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
    try {
      const isFound = await hasVendorCrd(client, signal)
      if (isFound && !this.#hasClusterCrd) this.#found(VENDOR_CRD, '')
      else if (!isFound) this.#gone(VENDOR_CRD.kind, VENDOR_CRD.name)
      this.#hasClusterCrd = isFound
    } catch (error) {
      if (!signal.aborted) log.warn({ error: messageOf(error) }, 'the Selector CRD could not be looked for')
    }
  }

  #found({ kind, name, message }: VendorFinding, uid: string): void {
    const { log, metrics, events } = this.#options
    const involved = { apiVersion: API_VERSIONS[kind], kind, name, uid }
    metrics.vendorObjects.set({ kind, name }, 1)
    log.warn({ kind, name }, message)
    events.emit({ involved, type: 'Warning', reason: 'VendorFound', message, key: 'found' })
  }

  #gone(kind: string, name: string): void {
    this.#options.metrics.vendorObjects.remove({ kind, name })
  }
}

function uidOf(raw: unknown): string {
  return asString(own(asRecord(own(asRecord(raw), 'metadata')), 'uid')) ?? ''
}
