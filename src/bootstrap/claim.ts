/**
 * Who registers a VNode of a name now. Each release and each `vnode create` writes down its own request, at places of their own; what they
 * have in common are Leases of kube-system. One is held from before a request is sent until its VNode is listed, where all others see it.
 */
import { asRecord, asString, own } from '../core/kubernetes/objects.ts'
import { FIELD_MANAGER } from '../core/names.ts'
import { CLAIM_NAMESPACE, claimLease, claimNames } from '../core/vnode/identity.ts'
import type { Wish } from '../core/vnode/registration.ts'
import { isStatus, type KubeClient } from '../kube/api.ts'
import { resourcePath } from '../kube/path.ts'

export interface Claims {
  /** Undefined where they are ours from now on; else what is held by somebody else. */
  take(): Promise<HeldClaim | undefined>
  /** Those that are ours, if any. */
  release(): Promise<void>
}

export interface HeldClaim {
  /** `namespace/name` of the Lease. */
  readonly lease: string
  /** Of the Secret that has the holder's request. */
  readonly holder: string
}

export interface LeaseClaimsOptions {
  readonly client: Pick<KubeClient, 'request' | 'apply'>
  readonly wish: Pick<Wish, 'name' | 'isAdditional'>
  /** `namespace/name` of the Secret that has our request. */
  readonly holder: string
  /** Of this run, and of no other: what one manager has written it may change without being refused. */
  readonly attempt: string
}

interface Found {
  readonly holder: string
  readonly uid: string
  readonly resourceVersion: string
}

/** A Lease that is made or removed by somebody just then. */
const MOST_TRIES = 5

export class LeaseClaims implements Claims {
  readonly #options: LeaseClaimsOptions

  constructor(options: LeaseClaimsOptions) {
    this.#options = options
  }

  async take(): Promise<HeldClaim | undefined> {
    const { wish } = this.#options
    for (const name of claimNames(wish.name, wish)) {
      const holder = await this.#takeOne(name)
      if (holder !== this.#options.holder) return { lease: `${CLAIM_NAMESPACE}/${name}`, holder }
    }
    return undefined
  }

  async release(): Promise<void> {
    const { wish } = this.#options
    // Whether it was an additional one may have changed since they were taken.
    for (const name of claimNames(wish.name, { isAdditional: false })) {
      const found = await this.#read(name)
      if (found?.holder !== this.#options.holder) continue
      const { uid, resourceVersion } = found
      const body = { preconditions: { uid, resourceVersion } }
      await this.#options.client.request({ method: 'DELETE', path: pathOf(name), body }).catch(error => {
        // Gone; or another run of ours has taken it once more, and releases it itself.
        if (!isStatus(error, 404) && !isStatus(error, 409)) throw error
      })
    }
  }

  /** Who has it then. */
  async #takeOne(name: string): Promise<string> {
    const { client, holder, attempt } = this.#options
    for (let attempts = 1; ; attempts += 1) {
      try {
        const fieldManager = `${FIELD_MANAGER}-claim-${attempt}`
        await client.apply(pathOf(name), claimLease(name, holder), { fieldManager })
        return holder
      } catch (error) {
        if (!isStatus(error, 409)) throw error
        const found = await this.#read(name)
        if (found !== undefined) return found.holder
        if (attempts >= MOST_TRIES) throw error
      }
    }
  }

  async #read(name: string): Promise<Found | undefined> {
    const { client } = this.#options
    const lease = await client.request<unknown>({ method: 'GET', path: pathOf(name) }).catch(error => {
      if (isStatus(error, 404)) return undefined
      throw error
    })
    if (lease === undefined) return undefined
    const metadata = asRecord(own(asRecord(lease), 'metadata'))
    return {
      holder: asString(own(asRecord(own(asRecord(lease), 'spec')), 'holderIdentity')) ?? '',
      uid: asString(own(metadata, 'uid')) ?? '',
      resourceVersion: asString(own(metadata, 'resourceVersion')) ?? '',
    }
  }
}

function pathOf(name: string): string {
  return resourcePath({
    group: 'coordination.k8s.io',
    version: 'v1',
    plural: 'leases',
    namespace: CLAIM_NAMESPACE,
    name,
  })
}
