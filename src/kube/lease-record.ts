import { VnodeError } from '../core/errors.ts'
import { asRecord, asString, own } from '../core/kubernetes/objects.ts'
import { FIELD_MANAGER } from '../core/names.ts'
import { isStatus, type KubeClient } from './api.ts'
import type { Clock } from './clock.ts'
import { resourcePath } from './path.ts'

/** What leader election reads of a Lease. */
export interface LeaseRecord extends Claim {
  readonly resourceVersion: string
  /** Empty: nobody. */
  readonly holder: string
  /** Undefined where the Lease has none: one that was only just created. */
  readonly durationMs: number | undefined
  readonly renewTime: string
}

/** What tells one taking of a Lease from every other, also from one of a process that uses the same identity. */
export interface Claim {
  readonly uid: string
  readonly transitions: number
  readonly acquireTime: string
}

/** The fields of a Lease's spec that are ours to write. Times are {@link microTime}s. */
export interface LeaseSpec {
  readonly holderIdentity?: string
  readonly leaseDurationSeconds?: number
  readonly acquireTime?: string
  readonly renewTime?: string
  readonly leaseTransitions?: number
}

export interface LeaseAddress {
  readonly client: Pick<KubeClient, 'request' | 'apply'>
  readonly namespace: string
  readonly name: string
  readonly clock: Clock
}

/** The ends of a request: a signal, or an answer that takes too long. */
export interface Limit {
  readonly signal: AbortSignal
  readonly ms: number
}

/**
 * The one Lease, at the wire. Nothing but {@link LeaseObject.write} gives it to anybody, and that names the version it is
 * based on.
 */
export class LeaseObject {
  readonly #address: LeaseAddress
  readonly #path: string

  constructor(address: LeaseAddress) {
    this.#address = address
    this.#path = resourcePath({
      group: 'coordination.k8s.io',
      version: 'v1',
      plural: 'leases',
      namespace: address.namespace,
      name: address.name,
    })
  }

  /** Undefined if there is none. From etcd itself, as every GET without a resourceVersion. */
  async read(limit: Limit): Promise<LeaseRecord | undefined> {
    try {
      const request = { method: 'GET', path: this.#path } as const
      return parseLease(
        await this.#send(limit, signal => this.#address.client.request({ ...request, signal })),
      )
    } catch (error) {
      if (isStatus(error, 404)) return undefined
      throw error
    }
  }

  /**
   * Sees to it that there is a Lease, and gives the one that there is. It names no field of the spec, so that it is the same
   * for whoever does it, first or last: creating gives the Lease to nobody, and a late one takes it from nobody. By
   * server-side apply, as a POST has no name that RBAC could limit `create` to.
   */
  async ensure(limit: Limit): Promise<LeaseRecord> {
    const { client, namespace, name } = this.#address
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace } }
    return parseLease(await this.#send(limit, signal => client.apply(this.#path, lease, { signal })))
  }

  /**
   * Sets these fields and no others, if the Lease is still the given version; else the API's 409. The apiserver tries a patch
   * without a version again on whatever it finds; with one, it gives up.
   */
  async write(base: LeaseRecord, spec: LeaseSpec, limit: Limit): Promise<LeaseRecord> {
    const { uid, resourceVersion } = base
    const request = {
      method: 'PATCH',
      path: this.#path,
      query: { fieldManager: FIELD_MANAGER },
      contentType: 'application/merge-patch+json',
      body: { metadata: { uid, resourceVersion }, spec },
    } as const
    const raw = await this.#send(limit, signal => this.#address.client.request({ ...request, signal }))
    const written = parseLease(raw)
    if (!holds(raw, spec)) throw changedOnTheWay(this.#path)
    return written
  }

  async #send(limit: Limit, request: (signal: AbortSignal) => Promise<unknown>): Promise<unknown> {
    const { clock, namespace, name } = this.#address
    const ended = new AbortController()
    const abort = () => ended.abort(limit.signal.reason)
    const late = `Lease ${namespace}/${name}: no answer within ${Math.round(limit.ms) / 1000} s`
    const cancel = clock.after(limit.ms, () => ended.abort(new VnodeError('NETWORK', late)))
    limit.signal.addEventListener('abort', abort)
    try {
      limit.signal.throwIfAborted()
      return await request(ended.signal)
    } finally {
      cancel()
      limit.signal.removeEventListener('abort', abort)
    }
  }
}

/** An answer without what was written: the others would not see that we renewed. */
function holds(raw: unknown, spec: LeaseSpec): boolean {
  const answered = asRecord(own(asRecord(raw), 'spec'))
  return Object.entries(spec).every(([field, value]) => own(answered, field) === value)
}

function changedOnTheWay(path: string): VnodeError {
  return new VnodeError('API', `PATCH ${path}: accepted, and something else was stored`, {
    next: 'Look for a mutating webhook that changes Leases.',
  })
}

export function parseLease(raw: unknown): LeaseRecord {
  const metadata = asRecord(own(asRecord(raw), 'metadata'))
  const spec = asRecord(own(asRecord(raw), 'spec'))
  const uid = asString(own(metadata, 'uid'))
  const resourceVersion = asString(own(metadata, 'resourceVersion'))
  if (uid === undefined || resourceVersion === undefined) {
    throw new VnodeError('API', 'the API server answered with something else than a Lease')
  }
  const seconds = own(spec, 'leaseDurationSeconds')
  const transitions = own(spec, 'leaseTransitions')
  return {
    uid,
    resourceVersion,
    holder: asString(own(spec, 'holderIdentity')) ?? '',
    durationMs: typeof seconds === 'number' ? seconds * 1000 : undefined,
    transitions: typeof transitions === 'number' ? transitions : 0,
    acquireTime: asString(own(spec, 'acquireTime')) ?? '',
    renewTime: asString(own(spec, 'renewTime')) ?? '',
  }
}

/**
 * A time with exactly six decimals, as the API demands of a MicroTime, and other than `previous`: a write that changes nothing
 * is none, and those who wait would take a leader whose wall clock stands still for a dead one.
 */
export function microTime(date: Date, previous = ''): string {
  const millis = date.toISOString().slice(0, -1)
  const time = `${millis}000Z`
  return time === previous ? `${millis}001Z` : time
}
