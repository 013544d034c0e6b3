/** What wakes the leader: changes of its objects, and where the webhook answers. Decisions are made on what is read afresh. */
import { messageOf } from '../core/errors.ts'
import { pluralOf, REGISTRATION_GROUP, type Target } from '../core/registration/configuration.ts'
import { type Endpoint, endpointsOf, LABEL_SERVICE_NAME } from '../core/registration/endpoints.ts'
import type { KubeClient } from '../kube/api.ts'
import { servedResource } from '../kube/discovery.ts'
import { resourcePath } from '../kube/path.ts'
import { Reflector } from '../kube/reflector.ts'
import type { ReflectorOptions } from '../kube/reflector-options.ts'
import type { Logger } from '../telemetry/logger.ts'
import { endpointOfUrl } from './replicas.ts'
import type { HelperSettings } from './settings.ts'

export interface WatchesOptions {
  readonly client: KubeClient
  readonly settings: HelperSettings
  readonly log: Logger
  readonly onNews: () => void
}

const SLICES = { group: 'discovery.k8s.io', plural: 'endpointslices' }

export class Watches {
  readonly #options: WatchesOptions
  readonly #slices: Reflector<readonly Endpoint[]> | undefined
  readonly #others: readonly Reflector<true>[]

  constructor(options: WatchesOptions) {
    this.#options = options
    const { registration, certSource, secret } = options.settings
    const { target, name, installNamespace: namespace } = registration
    this.#slices = target.kind === 'service' ? this.#watchSlices(target) : undefined
    const validating = { group: REGISTRATION_GROUP, version: 'v1', plural: pluralOf('validating') }
    const secrets = { version: 'v1', plural: 'secrets', namespace }
    this.#others = [
      this.#watchOne(resourcePath(validating), name),
      ...(certSource === 'helper' ? [this.#watchOne(resourcePath(secrets), secret)] : []),
    ]
  }

  start(): void {
    this.#slices?.start()
    for (const watched of this.#others) watched.start()
  }

  async stop(): Promise<void> {
    await Promise.all([this.#slices, ...this.#others].map(watched => watched?.stop()))
  }

  /** Where the webhook answers; undefined while that is not known. */
  endpoints(): readonly Endpoint[] | undefined {
    const { target } = this.#options.settings.registration
    if (target.kind === 'url') return [endpointOfUrl(target.url)]
    if (this.#slices?.synced !== true) return undefined
    // An address may be in two slices while one takes over from the other.
    const found = [...this.#slices.objects.values()].flatMap(({ value }) => value)
    return [...new Map(found.map(endpoint => [`${endpoint.host} ${endpoint.port}`, endpoint])).values()]
  }

  #watchOne(path: string, name: string): Reflector<true> {
    const { onNews } = this.#options
    return this.#reflect<true>(path, {
      path,
      fieldSelector: `metadata.name=${name}`,
      metadataOnly: true,
      keep: () => true,
      onChange: onNews,
    })
  }

  #watchSlices({ namespace, name }: Extract<Target, { kind: 'service' }>): Reflector<readonly Endpoint[]> {
    const { client, onNews } = this.#options
    return this.#reflect<readonly Endpoint[]>('endpointslices', {
      path: async signal => {
        const served = await servedResource(client, SLICES, signal)
        return served === undefined
          ? undefined
          : resourcePath({ ...SLICES, version: served.version, namespace })
      },
      labelSelector: `${LABEL_SERVICE_NAME}=${name}`,
      keep: endpointsOf,
      onChange: onNews,
      onSynced: onNews,
    })
  }

  #reflect<T>(what: string, options: Omit<ReflectorOptions<T>, 'client' | 'onError'>): Reflector<T> {
    const { client, log } = this.#options
    return new Reflector<T>({
      client,
      ...options,
      onError: (error, during) => log.warn({ what, during, error: messageOf(error) }, 'watching had a fault'),
    })
  }
}
