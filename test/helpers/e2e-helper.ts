/** What the helper of an installation says of itself: by its Lease, its metrics and its Events. */
import { OPS_PORT } from '../../src/core/names.ts'
import { helperNames } from '../../src/core/rbac.ts'
import { type E2e, RELEASE, SYSTEM } from './e2e.ts'
import type { KubeObject } from './kube-http.ts'
import { Samples } from './prometheus.ts'

export const NAMES = helperNames(RELEASE)
export const SECRET = `/api/v1/namespaces/${SYSTEM}/secrets/${NAMES.secret}`
const LEASE = `/apis/coordination.k8s.io/v1/namespaces/${SYSTEM}/leases/${NAMES.lease}`
const PREFIX = 'vnode_profile_helper_'

interface Lease {
  readonly spec: {
    readonly holderIdentity?: string
    readonly acquireTime: string
    readonly leaseDurationSeconds: number
    readonly leaseTransitions: number
  }
}

/** A term, by who leads in it. */
export interface Leader {
  readonly podName: string
  /** Another for each process. */
  readonly identity: string
  readonly acquireTime: string
  readonly leaseSeconds: number
}

/** Waits for one that is other than `before`. */
export function waitForLeader(e2e: E2e, before?: Leader): Promise<Leader> {
  return e2e.waitFor('a helper leads', async () => {
    const { spec } = (await e2e.find<Lease>(LEASE)) ?? {}
    const { holderIdentity: identity = '', acquireTime = '', leaseDurationSeconds = 0 } = spec ?? {}
    if (identity === '' || identity === before?.identity) return undefined
    const podName = identity.slice(0, identity.lastIndexOf('_'))
    return { podName, identity, acquireTime, leaseSeconds: leaseDurationSeconds }
  })
}

/** Of a Pod of the release. */
export async function samplesOf(e2e: E2e, podName: string): Promise<Samples> {
  const pod = `/api/v1/namespaces/${SYSTEM}/pods/${podName}:${OPS_PORT}/proxy/metrics`
  return new Samples(await e2e.kubectl('get', '--raw', pod))
}

export interface HelperMetrics {
  /** Of a metric, by its name without the prefix; zero while there is none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number
}

/** Of one helper. */
export async function metricsOf(e2e: E2e, podName: string): Promise<HelperMetrics> {
  const samples = await samplesOf(e2e, podName)
  return { sum: (name, labels) => samples.sum(PREFIX + name, labels) ?? 0 }
}

/** Of all helpers, so that it does not matter whether another has come to lead meanwhile. */
export async function helperMetrics(e2e: E2e): Promise<HelperMetrics> {
  const pods = await e2e.podsOf('helper')
  const all = await Promise.all(pods.map(({ metadata }) => metricsOf(e2e, metadata.name)))
  return { sum: (name, labels) => all.reduce((sum, one) => sum + one.sum(name, labels), 0) }
}

interface Event extends KubeObject {
  readonly reason: string
  readonly message: string
  readonly involvedObject: { readonly kind: string; readonly name: string }
}

export interface EventQuery {
  readonly namespace: string
  readonly kind: string
  readonly reason: string
}

/** The Events about an object of the release. */
export async function eventsAbout(e2e: E2e, { namespace, kind, reason }: EventQuery): Promise<Event[]> {
  const events = await e2e.list<Event>(`/api/v1/namespaces/${namespace}/events`)
  return events.filter(
    event =>
      event.reason === reason &&
      event.involvedObject.kind === kind &&
      [RELEASE, NAMES.secret].includes(event.involvedObject.name),
  )
}
