/** CA and certificate in the one Secret: what planRotation decides is done, one write a step. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { planRotation, type RotationPlan } from '../core/certificate/rotation.ts'
import {
  endOf,
  type Lives,
  type Material,
  type Published,
  type Served,
} from '../core/certificate/rotation-state.ts'
import {
  type CertificateData,
  parseCertificateData,
  renderCertificateData,
} from '../core/certificate/secret-data.ts'
import { asRecord, asString, own } from '../core/kubernetes/objects.ts'
import { CERTIFICATES_MANAGER } from '../core/names.ts'
import { type Owner, ownerReference } from '../core/registration/configuration.ts'
import { isStatus, type KubeClient } from '../kube/api.ts'
import type { EventWriter } from '../kube/event.ts'
import { resourcePath } from '../kube/path.ts'
import type { HelperMetrics } from '../telemetry/helper-metrics.ts'
import type { Logger } from '../telemetry/logger.ts'

export interface CertificatesOptions {
  /** The leader's. */
  readonly client: Pick<KubeClient, 'request' | 'apply'>
  readonly namespace: string
  readonly name: string
  /** What API servers dial. */
  readonly hosts: readonly string[]
  readonly lives: Lives
  readonly log: Logger
  readonly metrics: HelperMetrics
  readonly events: Pick<EventWriter, 'emit'>
  readonly today?: () => Date
}

/** The Secret as it is; `version` is undefined while there is none. */
export interface CertificateSecret {
  readonly data: CertificateData
  readonly version: { readonly uid: string; readonly resourceVersion: string } | undefined
}

export interface Surroundings {
  readonly published: Published
  readonly served: Served | undefined
  /** The Secret vanishes with it. */
  readonly owner: Owner
}

export interface Ensured {
  readonly data: CertificateData
  readonly action: RotationPlan['action']
  readonly isChanged: boolean
}

/** More steps than follow from one another at once are a loop. */
const MOST_STEPS = 5

export class Certificates {
  readonly #options: CertificatesOptions
  readonly #today: () => Date
  readonly #path: string
  /** What was last said of waiting; it is said once. */
  #waiting = ''

  constructor(options: CertificatesOptions) {
    this.#options = options
    this.#today = options.today ?? (() => new Date())
    const { namespace, name } = options
    this.#path = resourcePath({ version: 'v1', plural: 'secrets', namespace, name })
  }

  async read(): Promise<CertificateSecret> {
    try {
      return readSecret(await this.#options.client.request<unknown>({ method: 'GET', path: this.#path }))
    } catch (error) {
      if (isStatus(error, 404)) return { data: {}, version: undefined }
      throw error
    }
  }

  /** Does what is to be done now; throws what the API server says to it. */
  async ensure(secret: CertificateSecret, around: Surroundings): Promise<Ensured> {
    let current = secret
    for (let step = 0; step < MOST_STEPS; step += 1) {
      const plan = this.#plan(current.data, around)
      if (plan.next === undefined) {
        this.#tellWaiting(plan)
        this.#measure(current.data)
        return { data: current.data, action: plan.action, isChanged: step > 0 }
      }
      const written = await this.#write(plan.next, current, around.owner)
      this.#tell(plan, written)
      current = written
    }
    return { data: current.data, action: 'wait', isChanged: true }
  }

  #plan(data: CertificateData, { published, served }: Surroundings): RotationPlan {
    const { hosts, lives } = this.#options
    return planRotation({ data, now: this.#today(), hosts, lives, published, served, material })
  }

  async #write(
    data: CertificateData,
    { version }: CertificateSecret,
    owner: Owner,
  ): Promise<CertificateSecret> {
    const { client, namespace, name } = this.#options
    const metadata = { name, namespace, ownerReferences: [ownerReference(owner)], ...version }
    const object = { apiVersion: 'v1', kind: 'Secret', metadata, data: renderCertificateData(data) }
    try {
      const options = { force: true, fieldManager: CERTIFICATES_MANAGER }
      return readSecret(await client.apply<unknown>(this.#path, object, options))
    } catch (error) {
      // Somebody made it immutable, or of a type that demands other keys: only another one can be written.
      if (version === undefined || !isStatus(error, 422)) throw error
      await client.request({ method: 'DELETE', path: this.#path, body: { preconditions: version } })
      return this.#write(data, { data: {}, version: undefined }, owner)
    }
  }

  #tell({ action, reason, isRepair = false }: RotationPlan, { data, version }: CertificateSecret): void {
    const { log, metrics, events, namespace, name } = this.#options
    this.#waiting = ''
    metrics.certificateWrites.inc({ action, repair: String(isRepair) })
    const fields = {
      secret: `${namespace}/${name}`,
      action,
      reason,
      servingUntil: new Date(endOf(data.cert)),
    }
    if (isRepair) log.warn(fields, 'certificates repaired')
    else log.info(fields, 'certificates changed')
    events.emit({
      involved: { apiVersion: 'v1', kind: 'Secret', namespace, name, uid: version?.uid ?? '' },
      type: isRepair ? 'Warning' : 'Normal',
      reason: isRepair ? 'CertificatesRepaired' : 'CertificatesChanged',
      message: `${action}: ${reason}`,
      key: `${action} ${version?.resourceVersion}`,
    })
  }

  #tellWaiting({ action, reason }: RotationPlan): void {
    if (action !== 'wait' || reason === this.#waiting) return
    this.#waiting = reason
    this.#options.log.info({ reason }, 'certificates wait')
  }

  #measure({ cert, caCert }: CertificateData): void {
    const { certificateExpiry } = this.#options.metrics
    const [serving, authority] = [endOf(cert), endOf(caCert)]
    if (serving > 0) certificateExpiry.set({ certificate: 'serving' }, serving / 1000)
    if (authority > 0) certificateExpiry.set({ certificate: 'authority' }, authority / 1000)
  }
}

function material(): Material {
  return { keys: generateKeyPairSync('ec', { namedCurve: 'P-256' }), random: randomBytes(16) }
}

function readSecret(secret: unknown): CertificateSecret {
  const metadata = asRecord(own(asRecord(secret), 'metadata'))
  const uid = asString(own(metadata, 'uid')) ?? ''
  const resourceVersion = asString(own(metadata, 'resourceVersion')) ?? ''
  return { data: parseCertificateData(secret), version: { uid, resourceVersion } }
}
