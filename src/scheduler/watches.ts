/** What wakes the leader: changes of its objects, and where the webhook answers. Decisions are made on what is read afresh. */
import { messageOf } from '../core/errors.ts'
import { pluralOf, REGISTRATION_GROUP, type Target } from '../core/registration/configuration.ts'
import {
  type Endpoint,
  endpointsOf,
  endpointsOfEndpoints,
  LABEL_SERVICE_NAME,
} from '../core/registration/endpoints.ts'
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
  /** Else Endpoints tell where the webhook answers. */
  readonly hasSlices: boolean
  readonly onNews: () => void
}

type ServiceTarget = Extract<Target, { kind: 'service' }>

const SLICES = { group: 'discovery.k8s.io', plural: 'endpointslices' }

export class Watches {
  readonly #options: WatchesOptions
  readonly #endpoints: Reflector<readonly Endpoint[]> | undefined
  readonly #others: readonly Reflector<true>[]

  constructor(options: WatchesOptions) {
    this.#options = options
    const { registration, certSource, secret } = options.settings
    const { target, name, installNamespace: namespace } = registration
    const watchService = options.hasSlices ? this.#watchSlices : this.#watchEndpoints
    this.#endpoints = target.kind === 'service' ? watchService.call(this, target) : undefined
    const validating = { group: REGISTRATION_GROUP, version: 'v1', plural: pluralOf('validating') }
    const secrets = { version: 'v1', plural: 'secrets', namespace }
    this.#others = [
      this.#watchOne(resourcePath(validating), name),
      ...(certSource === 'helper' ? [this.#watchOne(resourcePath(secrets), secret)] : []),
    ]
  }

  start(): void {
    this.#endpoints?.start()
    for (const watched of this.#others) watched.start()
  }

  async stop(): Promise<void> {
    await Promise.all([this.#endpoints, ...this.#others].map(watched => watched?.stop()))
  }

  /** Where the webhook answers; undefined while that is not known. */
  endpoints(): readonly Endpoint[] | undefined {
    const { target } = this.#options.settings.registration
    if (target.kind === 'url') return [endpointOfUrl(target.url)]
    if (this.#endpoints?.synced !== true) return undefined
    // An address may be in two slices while one takes over from the other.
    const found = [...this.#endpoints.objects.values()].flatMap(({ value }) => value)
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

  #watchEndpoints({ namespace, name }: ServiceTarget): Reflector<readonly Endpoint[]> {
    const { onNews } = this.#options
    return this.#reflect<readonly Endpoint[]>('endpoints', {
      path: resourcePath({ version: 'v1', plural: 'endpoints', namespace }),
      fieldSelector: `metadata.name=${name}`,
      keep: endpointsOfEndpoints,
      onChange: onNews,
      onSynced: onNews,
    })
  }

  #watchSlices({ namespace, name }: ServiceTarget): Reflector<readonly Endpoint[]> {
    const { client, log, onNews } = this.#options
    let isTold = false
    return this.#reflect<readonly Endpoint[]>('endpointslices', {
      path: async signal => {
        const served = await servedResource(client, SLICES, signal)
        if (served === undefined && !isTold) {
          isTold = true
          log.warn(
            {},
            'this API server serves no EndpointSlices (discovery.k8s.io): it is not known where the webhook answers, and it is not registered',
          )
        }
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
