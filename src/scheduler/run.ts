/** The program `vnode helper`: one of several leads, the others stand by. */
import type { AddressInfo } from 'node:net'
import { messageOf } from '../core/errors.ts'
import type { KubeClient } from '../kube/api.ts'
import { systemClock } from '../kube/clock.ts'
import { LeaderElector, leaseIdentity, type Term } from '../kube/lease.ts'
import { type Listening, openPort } from '../serving/listening.ts'
import { buildOps } from '../serving/ops.ts'
import type { Readiness } from '../serving/readiness.ts'
import { createHelperMetrics, type HelperMetrics } from '../telemetry/helper-metrics.ts'
import type { Logger } from '../telemetry/logger.ts'
import { lead } from './lead.ts'
import type { HelperSettings } from './settings.ts'

export interface HelperOptions {
  readonly settings: HelperSettings
  readonly connect: () => Promise<KubeClient>
  /** Says to people, in the Lease, where the leader is. */
  readonly hostname: string
  readonly election: ElectionTimes
  readonly host?: string
  readonly opsPort: number
  readonly log: Logger
}

export interface ElectionTimes {
  readonly leaseDurationMs: number
  readonly renewDeadlineMs: number
  readonly retryPeriodMs: number
}

export interface RunningHelper {
  readonly opsAddress: AddressInfo
  readonly metrics: HelperMetrics
  readonly isLeader: boolean
  /** Ends all work, gives the Lease back, and closes the port. */
  stop(): Promise<void>
}

/** Resolves once the port is open and the election has begun. */
export async function startHelper(options: HelperOptions): Promise<RunningHelper> {
  const metrics = createHelperMetrics()
  const client = await options.connect()
  const state = new HelperState()
  const elector = electorOf(client, options, { metrics, state })
  try {
    const ops = await openOps(options, { metrics, elector, state })
    elector.start()
    options.log.info({ opsPort: ops.address.port }, 'standing for election')
    const stop = async () => {
      options.log.info({}, 'told to stop; giving the Lease back')
      await elector.stop()
      await client.close()
      await ops.drain({ delayMs: 0, limitMs: 0 })
      options.log.info({}, 'stopped')
    }
    return {
      opsAddress: ops.address,
      metrics,
      get isLeader() {
        return elector.isLeader
      },
      stop,
    }
  } catch (error) {
    await client.close()
    throw error
  }
}

/** What readiness tells. */
class HelperState {
  /** Who leads, as far as is known. */
  leader: string | undefined
  /** What the last round of this leader met. */
  trouble: string | undefined
  /** What keeps this leader from its work on Pods. */
  spillTrouble: string | undefined

  readiness(isLeader: boolean): Readiness {
    const { leader, trouble, spillTrouble } = this
    const isKnown = leader !== undefined
    const checks = [
      {
        name: 'election',
        isOk: isKnown,
        reason: isKnown ? `${leader} leads` : 'it is not known yet who leads',
      },
      {
        name: 'duties',
        isOk: !isLeader || trouble === undefined,
        reason: isLeader ? (trouble ?? 'the last round went well') : 'standing by',
      },
      {
        name: 'pods',
        isOk: !isLeader || spillTrouble === undefined,
        reason: isLeader ? (spillTrouble ?? 'followed, where spilling is on') : 'standing by',
      },
    ]
    return { isReady: checks.every(check => check.isOk), checks }
  }
}

interface Parts {
  readonly metrics: HelperMetrics
  readonly state: HelperState
}

function electorOf(client: KubeClient, options: HelperOptions, { metrics, state }: Parts): LeaderElector {
  const { settings, hostname, election, log } = options
  let work: Promise<void> = Promise.resolve()
  return new LeaderElector({
    client,
    namespace: settings.registration.installNamespace,
    name: settings.lease,
    identity: leaseIdentity(hostname),
    ...election,
    onStarted: (term: Term) => {
      log.info({ term: term.number }, 'leading')
      metrics.isLeader.set(1)
      state.trouble = undefined
      state.spillTrouble = undefined
      const onRound = (problem: string | undefined) => {
        state.trouble = problem
      }
      const onSpill = (problem: string | undefined) => {
        state.spillTrouble = problem
      }
      work = lead(term, { client, settings, log, metrics, clock: systemClock, onRound, onSpill })
      return work
    },
    onStopped: reason => {
      metrics.isLeader.set(0)
      log.warn({ reason }, 'not leading any more')
      // Another term begins, and the Lease is given back, only when nothing of this one runs.
      return work.catch(() => undefined)
    },
    onNewLeader: leader => {
      state.leader = leader
      log.info({ leader }, 'who leads has changed')
    },
    onError: error => log.warn({ error: messageOf(error) }, 'the election had a fault'),
  })
}

async function openOps(
  { host, opsPort }: HelperOptions,
  { metrics, state, elector }: Parts & { readonly elector: LeaderElector },
): Promise<Listening> {
  const measure = () => metrics.isLeader.set(Number(elector.isLeader))
  const readiness = async () => state.readiness(elector.isLeader)
  const app = buildOps({ registry: metrics.registry, readiness, measure })
  await app.ready()
  return openPort(app.server, { host, port: opsPort, flag: 'ops-port' })
}
