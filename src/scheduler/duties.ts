/**
 * What the leader does over and over: reads what there is, sees what the replicas serve, brings the certificates forward, and keeps the
 * registration right. A round depends on nothing that an earlier one knew, but for how long things have stood as they are.
 */
import { settleMs } from '../core/certificate/rotation-state.ts'
import { asRecord, asString, own } from '../core/kubernetes/objects.ts'
import type { Owner } from '../core/registration/configuration.ts'
import { isTrusting } from '../core/registration/drift.ts'
import type { Endpoint } from '../core/registration/endpoints.ts'
import { isStatus, type KubeClient } from '../kube/api.ts'
import type { Clock } from '../kube/clock.ts'
import type { EventWriter } from '../kube/event.ts'
import { resourcePath } from '../kube/path.ts'
import type { HelperMetrics } from '../telemetry/helper-metrics.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { CertificateSecret, Certificates } from './certificates.ts'
import { bundlesOf, type Registered, type Registration } from './registration.ts'
import { lookAt, REPLICA_STATES, type SeenReplica, stateOf } from './replicas.ts'
import type { HelperSettings } from './settings.ts'
import { Restraint, Steady } from './steady.ts'

export interface DutiesOptions {
  readonly client: Pick<KubeClient, 'request'>
  readonly settings: HelperSettings
  readonly registration: Registration
  /** Undefined where they are cert-manager's. */
  readonly certificates: Certificates | undefined
  /** Undefined while it is not known where the webhook answers. */
  readonly endpoints: () => readonly Endpoint[] | undefined
  readonly log: Logger
  readonly metrics: HelperMetrics
  readonly events: Pick<EventWriter, 'emit'>
  readonly clock: Clock
}

/** The certificates as a round leaves them. */
interface Prepared {
  /** What API servers shall trust; undefined where others say it. */
  readonly bundle: string | undefined
  /** Nothing is under way that somebody has to follow. */
  readonly isSettled: boolean
  /** Written in this very round: replicas have not heard of it. */
  readonly isChanged: boolean
}

/** While the webhook is not registered, or was a moment ago: it may be ready at any moment, and not every way to it is watched. */
const SOON_MS = 1_000
/** Between two looks at whether a change has settled. */
const LEAST_MS = 250
const FOREIGN =
  "is there, and was not made by a helper: nothing is registered. Remove what is in the way, or choose another --name (the chart's fullnameOverride)"
const NOT_INJECTED =
  "API servers trust no certificate of the webhook, and Pods are let through without it, whatever the failurePolicy, until cert-manager's cainjector fills in the CA of Certificate "

export class Duties {
  readonly #options: DutiesOptions
  readonly #published: Steady
  readonly #served: Steady
  /** When the webhook was last seen to serve; at first, when this leader began. */
  #servedAt: number
  /** Since when it serves without a break. */
  #servingSince: number | undefined
  #registered: { readonly since: number; readonly uid: string } | undefined
  readonly #restraint: Restraint
  #trouble: { readonly text: string; readonly since: number; isTold: boolean } | undefined

  constructor(options: DutiesOptions) {
    this.#options = options
    this.#published = new Steady(options.clock)
    this.#served = new Steady(options.clock)
    this.#restraint = new Restraint(options.clock)
    this.#servedAt = options.clock.now()
  }

  /** Since when both configurations are in force as far as this leader knows. */
  get registered(): { readonly since: number; readonly uid: string } | undefined {
    return this.#registered
  }

  /** For how long not even news should begin another round. */
  get restraintMs(): number {
    return this.#restraint.waitMs
  }

  /** One round; how many milliseconds to wait before the next, if nothing happens. */
  async round(): Promise<number> {
    const { registration, certificates, settings } = this.#options
    const [owner, registered, secret] = await Promise.all([
      this.#readOwner(),
      registration.read(),
      certificates?.read(),
    ])
    this.#noteRegistered(registered)
    if (owner === undefined) return this.#abandon(registered)
    const seen = await this.#look(registered, secret)
    const prepared = await this.#prepare({ owner, registered, secret, seen })
    const isAtRest = await this.#register({ owner, registered, seen: seen ?? [], prepared })
    const { periodMs, lives } = settings
    if (!isAtRest || prepared.isChanged) return Math.min(periodMs, SOON_MS)
    return prepared.isSettled ? periodMs : Math.min(periodMs, Math.max(LEAST_MS, settleMs(lives) / 4))
  }

  async #readOwner(): Promise<Owner | undefined> {
    const { client, settings } = this.#options
    const group = 'rbac.authorization.k8s.io'
    const path = resourcePath({ group, version: 'v1', plural: 'clusterroles', name: settings.owner })
    try {
      const role = asRecord(await client.request<unknown>({ method: 'GET', path }))
      const metadata = asRecord(own(role, 'metadata'))
      // What is being deleted owns nothing any more.
      if (own(metadata, 'deletionTimestamp') !== undefined) return undefined
      return { name: settings.owner, uid: asString(own(metadata, 'uid')) ?? '' }
    } catch (error) {
      if (isStatus(error, 404)) return undefined
      throw error
    }
  }

  #noteRegistered({ mutating, validating }: Registered): void {
    const isWhole = mutating !== undefined && validating !== undefined
    const uid = asString(own(asRecord(own(asRecord(mutating), 'metadata')), 'uid')) ?? ''
    if (!isWhole) this.#registered = undefined
    else if (this.#registered?.uid !== uid) this.#registered = { since: this.#options.clock.now(), uid }
  }

  async #look(
    registered: Registered,
    secret: CertificateSecret | undefined,
  ): Promise<readonly SeenReplica[] | undefined> {
    const { settings, endpoints, metrics, clock } = this.#options
    const found = endpoints()
    if (found === undefined) {
      // Not to know where the webhook is does not mean that it does not serve.
      this.#servedAt = clock.now()
      return undefined
    }
    const [injected = ''] = bundlesOf(registered)
    const bundle = (secret === undefined ? injected : secret.data.bundle) || undefined
    const isAwaiting = this.#isAwaitingInjection(registered)
    // A Secret without a bundle, or a registration into which none is injected yet: nobody is to be believed.
    const isBlind = bundle === undefined && (secret !== undefined || isAwaiting)
    const looked = await lookAt(found, { target: settings.registration.target, bundle })
    const seen = looked.map(replica => (isBlind ? distrusted(replica) : replica))
    // Withdrawn, it would have nothing that the CA could be injected into.
    if (isAwaiting && looked.some(replica => stateOf(replica) === 'serving')) this.#servedAt = clock.now()
    for (const state of REPLICA_STATES)
      metrics.replicas.set({ state }, seen.filter(replica => stateOf(replica) === state).length)
    const isServing = seen.some(replica => stateOf(replica) === 'serving')
    if (isServing) this.#servedAt = clock.now()
    this.#servingSince = isServing ? (this.#servingSince ?? clock.now()) : undefined
    return seen
  }

  async #prepare({ owner, registered, secret, seen }: Situation): Promise<Prepared> {
    const { certificates } = this.#options
    if (certificates === undefined || secret === undefined)
      return { bundle: undefined, isSettled: true, isChanged: false }
    const bundles = bundlesOf(registered)
    const published = { bundles, forMs: this.#published.note(JSON.stringify(bundles)) }
    const replicas = seen?.map(({ address, isReady, fingerprint }) => ({ address, isReady, fingerprint }))
    const served =
      replicas === undefined ? undefined : { replicas, forMs: this.#served.note(JSON.stringify(replicas)) }
    const { data, action, isChanged } = await certificates.ensure(secret, { published, served, owner })
    return { bundle: data.bundle, isSettled: action === 'keep' && !isChanged, isChanged }
  }

  /** True if there is nothing to look at again soon. */
  async #register({ owner, registered, seen, prepared }: Registering): Promise<boolean> {
    const { registration, certificates, settings, clock } = this.#options
    const { bundle, isChanged } = prepared
    const isThere = registered.mutating !== undefined || registered.validating !== undefined
    const unserved = clock.now() - this.#servedAt
    if (isThere && unserved > settings.graceMs) {
      const since = `the webhook has not served for ${Math.round(unserved / 1000)} s`
      await registration.withdraw(registered, `${since}; ${problemOf(seen)}`)
      return false
    }
    if (registered.foreign?.length) {
      this.#complain(`${registered.foreign.join(' and ')} ${FOREIGN}`)
      return true
    }
    if (!isThere && (isChanged || !this.#mayBegin(seen))) {
      this.#complain(
        `the webhook is not registered: ${isChanged ? 'its certificate is new' : problemOf(seen)}`,
      )
      return false
    }
    // Where the certificates are ours, nothing is registered that nobody could trust.
    if (certificates !== undefined && bundle === undefined) return false
    if (this.#isAwaitingInjection(registered))
      this.#complain(`${NOT_INJECTED}${settings.registration.injectFrom}`, 'CertificateNotInjected')
    else this.#trouble = undefined
    const causes = await registration.ensure(registered, { owner, bundle })
    if (causes.includes('edited') || causes.includes('deleted')) this.#restraint.note()
    return causes.length === 0
  }

  #isAwaitingInjection({ mutating }: Registered): boolean {
    return this.#options.certificates === undefined && mutating !== undefined && !isTrusting(mutating)
  }

  /** This is being uninstalled: nothing is made that would outlive it. */
  async #abandon(registered: Registered): Promise<number> {
    const { registration, settings } = this.#options
    this.#complain(`ClusterRole ${settings.owner}, which is to own the registration, is not there`)
    if (registered.mutating !== undefined || registered.validating !== undefined)
      await registration.withdraw(registered, 'the ClusterRole that owns it is gone')
    return settings.periodMs
  }

  /** At first every replica that is called has to be trusted; one that is not for long must not keep out the others. */
  #mayBegin(seen: readonly SeenReplica[]): boolean {
    const since = this.#servingSince
    if (since === undefined) return false
    const isPatient = this.#options.clock.now() - since < this.#options.settings.graceMs
    return !isPatient || !seen.some(replica => stateOf(replica) === 'distrusted')
  }

  /** Once for each trouble in the log; by an Event too if it lasts longer than it does while everything starts. */
  #complain(trouble: string, reason = 'WebhookNotRegistered'): void {
    const { log, clock, settings, events } = this.#options
    const now = clock.now()
    if (this.#trouble?.text !== trouble) {
      log.warn({}, trouble)
      this.#trouble = {
        text: trouble,
        since: this.#trouble?.since ?? now,
        isTold: this.#trouble?.isTold ?? false,
      }
    }
    if (this.#trouble.isTold || now - this.#trouble.since < settings.graceMs) return
    this.#trouble.isTold = true
    const involved = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      name: settings.owner,
      uid: '',
    }
    events.emit({
      involved,
      type: 'Warning',
      reason,
      message: trouble,
      key: 'trouble',
    })
  }
}

interface Situation {
  readonly owner: Owner
  readonly registered: Registered
  readonly secret: CertificateSecret | undefined
  readonly seen: readonly SeenReplica[] | undefined
}

interface Registering {
  readonly owner: Owner
  readonly registered: Registered
  readonly seen: readonly SeenReplica[]
  readonly prepared: Prepared
}

function distrusted(replica: SeenReplica): SeenReplica {
  return { ...replica, isTrusted: false, problem: replica.problem ?? 'API servers have no CA to trust it by' }
}

function problemOf(seen: readonly SeenReplica[]): string {
  if (seen.length === 0) return 'no replica is known'
  const problems = seen.flatMap(({ address, isReady, problem }) =>
    problem === undefined && isReady ? [] : [`${address}: ${isReady ? problem : 'not ready'}`],
  )
  return problems.join('; ') || 'its replicas serve'
}
