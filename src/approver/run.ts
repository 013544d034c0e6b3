/** The program `vnode approver`: approves the certificates by which VNodes show the API server who they are. */
import type { AddressInfo } from 'node:net'
import { type DecisionSettings, type SigningRequest, signingRequestOf } from '../core/csr/decision.ts'
import { messageOf } from '../core/errors.ts'
import type { KubeClient } from '../kube/api.ts'
import { systemClock } from '../kube/clock.ts'
import { EventWriter } from '../kube/event.ts'
import { resourcePath } from '../kube/path.ts'
import { Reflector } from '../kube/reflector.ts'
import { type Listening, openPort } from '../serving/listening.ts'
import { buildOps } from '../serving/ops.ts'
import type { Readiness } from '../serving/readiness.ts'
import { type ApproverMetrics, createApproverMetrics } from '../telemetry/approver-metrics.ts'
import type { Logger } from '../telemetry/logger.ts'
import { Approvals, CSR_GROUP, CSR_PLURAL } from './approvals.ts'

export interface ApproverOptions {
  readonly settings: DecisionSettings
  readonly connect: () => Promise<KubeClient>
  readonly host?: string
  readonly opsPort: number
  readonly log: Logger
  /** Default: a minute. */
  readonly recheckMs?: number
}

export interface RunningApprover {
  readonly opsAddress: AddressInfo
  stop(): Promise<void>
}

const RECHECK_MS = 60_000

/** Resolves once the port is open; several may run, as an approval carries the version that was judged. */
export async function startApprover(options: ApproverOptions): Promise<RunningApprover> {
  const { log, settings } = options
  const metrics = createApproverMetrics()
  const client = await options.connect()
  const events = new EventWriter({
    client,
    onLost: ({ reason, message }, error) =>
      log.warn({ reason, message, error: String(error) }, 'an Event was lost'),
  })
  const recheckMs = options.recheckMs ?? RECHECK_MS
  const approvals = new Approvals({ client, settings, log, metrics, events, clock: systemClock, recheckMs })
  const watched = watch(client, approvals, log)
  try {
    const ops = await openOps(options, metrics, watched)
    watched.start()
    log.info({ opsPort: ops.address.port }, 'watching certificate signing requests')
    const stop = async () => {
      await watched.stop()
      await approvals.stop()
      await events.stop()
      await client.close()
      await ops.drain({ delayMs: 0, limitMs: 0 })
      log.info({}, 'stopped')
    }
    return { opsAddress: ops.address, stop }
  } catch (error) {
    await client.close()
    throw error
  }
}

function watch(client: KubeClient, approvals: Approvals, log: Logger): Reflector<SigningRequest> {
  return new Reflector<SigningRequest>({
    client,
    path: resourcePath({ group: CSR_GROUP, version: 'v1', plural: CSR_PLURAL }),
    keep: signingRequestOf,
    onChange: ({ type, value }) => {
      if (type === 'deleted') approvals.drop(value.uid)
      else approvals.see(value)
    },
    onError: (error, during) =>
      log.warn({ during, error: messageOf(error) }, 'watching certificate signing requests had a fault'),
  })
}

async function openOps(
  { host, opsPort }: ApproverOptions,
  metrics: ApproverMetrics,
  watched: Reflector<SigningRequest>,
): Promise<Listening> {
  const isLoaded = () => watched.synced && watched.state !== 'absent'
  const app = buildOps({
    registry: metrics.registry,
    readiness: async () => readinessOf(watched, isLoaded()),
    measure: () => metrics.isSynced.set(Number(isLoaded())),
  })
  await app.ready()
  return openPort(app.server, { host, port: opsPort, flag: 'ops-port' })
}

function readinessOf({ state }: Reflector<SigningRequest>, isReady: boolean): Readiness {
  const why =
    state === 'absent' ? 'this API server does not serve certificates.k8s.io/v1 (1.19 and newer do)' : state
  const check = { name: 'requests', isOk: isReady, reason: isReady ? 'loaded and watched' : why }
  return { isReady, checks: [check] }
}
