/** What the leader does about Pods that exist: spills, and what follows once a Pod is bound to a VNode. */
import { messageOf } from '../../core/errors.ts'
import type { KubeClient } from '../../kube/api.ts'
import { Backoff } from '../../kube/backoff.ts'
import { type Clock, sleep } from '../../kube/clock.ts'
import { EventWriter } from '../../kube/event.ts'
import type { ClusterRules } from '../../rules/cluster-rules.ts'
import type { HelperMetrics } from '../../telemetry/helper-metrics.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { EciWarnings } from './eci-warnings.ts'
import { MissedPods } from './missed-pods.ts'
import { Owners } from './owners.ts'
import { PodEvents } from './pod-events.ts'
import type { SpillProgramSettings } from './settings.ts'
import { Spiller } from './spiller.ts'
import { VnodePods } from './vnode-pods.ts'
import { SpillWorld } from './world.ts'

export interface SpillOptions {
  /** The leader's: it writes nothing once the term is over. */
  readonly client: KubeClient
  readonly rules: ClusterRules
  readonly settings: SpillProgramSettings
  readonly log: Logger
  readonly metrics: HelperMetrics
  readonly clock: Clock
  /** What keeps it from its work; undefined if nothing does. */
  readonly onTrouble: (problem: string | undefined) => void
}

/** A burst of Pods brings one Event each: they are written one by one, and those that wait are kept. */
const MOST_EVENTS = 5_000
const LOOK_MS = 1_000

/** Works until the signal aborts, whatever happens. */
export async function keepSpilling(options: SpillOptions, signal: AbortSignal): Promise<void> {
  const { log, clock, onTrouble } = options
  const backoff = new Backoff({ minMs: 1_000, maxMs: 60_000, random: Math.random })
  while (!signal.aborted) {
    try {
      await spill(options, signal)
    } catch (error) {
      if (signal.aborted) return
      log.error({ error: messageOf(error) }, 'a fault of ours about spills; beginning anew')
      onTrouble(messageOf(error))
      await sleep(clock, backoff.next(), signal)
    }
  }
}

async function spill(options: SpillOptions, term: AbortSignal): Promise<void> {
  const { client, log, metrics } = options
  const failed = new AbortController()
  const signal = AbortSignal.any([term, failed.signal])
  const events = new EventWriter({
    client,
    capacity: MOST_EVENTS,
    onLost: ({ reason, message }, error) => {
      if (!signal.aborted) log.warn({ reason, message, error: String(error) }, 'an Event was lost')
    },
  })
  const reports = new PodEvents({ events, metrics: metrics.spill, log })
  const world: SpillWorld = new SpillWorld({
    ...options,
    onPending: ({ type, key, value }) => {
      spiller.setPod(key, type === 'deleted' ? undefined : value)
      if (type === 'deleted') missed.forget(value.uid)
      else missed.add(value)
    },
    onNode: ({ type, value }) => {
      if (value.isVnode && type !== 'deleted') onVnodes.setVnode(value.name)
      else onVnodes.deleteVnode(value.name)
    },
    onScaleUp: uid => spiller.touch(uid),
    onNews: () => spiller.touchAll(),
    onUsage: () => spiller.touchUsage(),
  })
  const parts = { ...options, world, reports, metrics: metrics.spill, owners: new Owners(client) }
  const spiller = new Spiller(parts)
  const warnings = new EciWarnings(parts)
  const missed = new MissedPods({
    ...parts,
    onConflict: (pod, conflicted) => warnings.addConflict(pod, conflicted),
  })
  const onVnodes = new VnodePods({ ...parts, onArrival: pod => warnings.add(pod) })
  world.start()
  try {
    const work = [spiller, missed, onVnodes, warnings].map(one => one.run(signal))
    await allOrNone([...work, watchLoading(world, options, signal)], failed)
  } finally {
    await Promise.all([world.stop(), onVnodes.stop(), events.stop()])
  }
}

/** One that fails ends the others, and nothing runs on when this is over. */
async function allOrNone(work: readonly Promise<void>[], failed: AbortController): Promise<void> {
  const guarded = work.map(one =>
    one.catch(error => {
      failed.abort()
      throw error
    }),
  )
  const ended = await Promise.allSettled(guarded)
  const fault = ended.find(one => one.status === 'rejected')
  if (fault !== undefined) throw fault.reason
}

/** Says what is waited for, as long as something is. */
async function watchLoading(
  world: SpillWorld,
  { clock, onTrouble }: SpillOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const { waitsFor } = world
    onTrouble(waitsFor.length === 0 ? undefined : waitsFor.join('; '))
    await sleep(clock, LOOK_MS, signal)
  }
}
