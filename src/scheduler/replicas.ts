/** What the replicas of the webhook serve, seen as an API server would see it. */
import type { Replica } from '../core/certificate/rotation-state.ts'
import { messageOf } from '../core/errors.ts'
import type { Target } from '../core/registration/configuration.ts'
import { addressOf, type Endpoint } from '../core/registration/endpoints.ts'
import { handshake } from '../serving/handshake.ts'

export interface SeenReplica extends Replica {
  /** An API server that has the bundle would believe it. */
  readonly isTrusted: boolean
  /** Why not, where it is not. */
  readonly problem: string | undefined
}

/** API servers wait for the webhook for about as long. */
const TIMEOUT_MS = 2_000

/** The name that API servers ask for, and check. */
export function servernameOf(target: Target): string {
  return target.kind === 'url'
    ? new URL(target.url).hostname.replace(/^\[(.*)\]$/, '$1')
    : `${target.name}.${target.namespace}.svc`
}

/** Where a webhook answers that has no Service. Whether it is ready shows when it is looked at. */
export function endpointOfUrl(url: string): Endpoint {
  const { hostname, port } = new URL(url)
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? 443 : Number(port), isReady: true }
}

export interface Looking {
  readonly target: Target
  /** PEM; undefined where it is not known what API servers trust: then whatever answers is believed. */
  readonly bundle: string | undefined
}

export function lookAt(endpoints: readonly Endpoint[], looking: Looking): Promise<readonly SeenReplica[]> {
  return Promise.all(endpoints.map(endpoint => look(endpoint, looking)))
}

async function look(endpoint: Endpoint, { target, bundle }: Looking): Promise<SeenReplica> {
  const { host, port } = endpoint
  const address = addressOf(endpoint)
  const dialled = { host, port, timeoutMs: TIMEOUT_MS }
  try {
    const { fingerprint } = await handshake({ ...dialled, caPem: bundle, servername: servernameOf(target) })
    return { address, isReady: endpoint.isReady, fingerprint, isTrusted: true, problem: undefined }
  } catch (error) {
    // Distrusted, it shows its certificate all the same.
    const seen = await handshake(dialled).catch(() => undefined)
    const isReady = endpoint.isReady && (target.kind === 'service' || seen !== undefined)
    return { address, isReady, fingerprint: seen?.fingerprint, isTrusted: false, problem: messageOf(error) }
  }
}

export type ReplicaState = 'serving' | 'distrusted' | 'unreachable' | 'unready'
export const REPLICA_STATES = ['serving', 'distrusted', 'unreachable', 'unready'] as const

export function stateOf({ isReady, isTrusted, fingerprint }: SeenReplica): ReplicaState {
  if (!isReady) return 'unready'
  if (isTrusted) return 'serving'
  return fingerprint === undefined ? 'unreachable' : 'distrusted'
}
