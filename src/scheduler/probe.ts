/** Proves from the API server's side that the chain works: a Pod for show, marked by the webhook or not. */
import { PROBE_MANAGER } from '../core/names.ts'
import { judgeProbe, judgeRefusal, type ProbeResult, renderProbe } from '../core/registration/probe.ts'
import { ApiError, type KubeClient } from '../kube/api.ts'
import { type Clock, sleep } from '../kube/clock.ts'
import type { EventSubject, EventWriter } from '../kube/event.ts'
import { resourcePath } from '../kube/path.ts'
import type { HelperMetrics } from '../telemetry/helper-metrics.ts'
import type { Logger } from '../telemetry/logger.ts'

export interface ProbePlace {
  readonly namespace: string
  readonly name: string
}

/** One probe. By an apply, not a POST, so that RBAC can limit the right to the one name. Rejects where there is no answer. */
export async function runProbe(
  client: Pick<KubeClient, 'apply'>,
  { namespace, name }: ProbePlace,
): Promise<ProbeResult> {
  const path = resourcePath({ version: 'v1', plural: 'pods', namespace, name })
  const options = { force: true, dryRun: true, fieldManager: PROBE_MANAGER }
  try {
    return judgeProbe(await client.apply<unknown>(path, renderProbe(namespace, name), options))
  } catch (error) {
    if (error instanceof ApiError) return judgeRefusal(error.message)
    throw error
  }
}

export interface ProbingOptions extends ProbePlace {
  readonly client: Pick<KubeClient, 'apply'>
  readonly intervalMs: number
  /** Undefined while the webhook is not registered: then there is nothing to prove. */
  readonly registration: () => Registration | undefined
  readonly log: Logger
  readonly metrics: HelperMetrics
  readonly events: Pick<EventWriter, 'emit'>
  readonly clock: Clock
  readonly today?: () => Date
}

interface Registration {
  /** Since when, by the clock. */
  readonly since: number
  /** What Events of probes are about. */
  readonly subject: EventSubject
}

/** API servers hear of a registration by a watch. */
const SETTLE_MS = 3_000
const LOOK_MS = 500
/** A failure is looked at again sooner. */
const RETRY_MS = 15_000

/** Probes until the signal aborts. */
export async function keepProbing(options: ProbingOptions, signal: AbortSignal): Promise<void> {
  const { clock, intervalMs, registration } = options
  let last: ProbeResult | undefined
  while (!signal.aborted) {
    const registered = registration()
    if (registered === undefined || clock.now() - registered.since < SETTLE_MS) {
      await sleep(clock, LOOK_MS, signal)
      continue
    }
    const result = await probe(options, signal)
    if (signal.aborted) return
    tell({ result, last, subject: registered.subject }, options)
    last = result
    await sleep(clock, result.outcome === 'ok' ? intervalMs : Math.min(RETRY_MS, intervalMs), signal)
  }
}

async function probe(options: ProbingOptions, signal: AbortSignal): Promise<ProbeResult> {
  try {
    return await runProbe(options.client, options)
  } catch (error) {
    if (signal.aborted) return { outcome: 'refused', reason: 'no longer the leader' }
    return { outcome: 'refused', reason: error instanceof Error ? error.message : String(error) }
  }
}

interface Told {
  readonly result: ProbeResult
  readonly last: ProbeResult | undefined
  readonly subject: EventSubject
}

function tell({ result, last, subject }: Told, options: ProbingOptions): void {
  const { log, metrics, events, today = () => new Date() } = options
  const { outcome, reason } = result
  metrics.probes.inc({ outcome })
  const now = today()
  const key = now.toISOString().slice(0, 13)
  if (outcome === 'ok') {
    metrics.probeSuccess.set(now.getTime() / 1000)
    log.debug({}, 'probe succeeded')
    if (last === undefined || last.outcome === 'ok') return
    log.info({}, 'the probe succeeds again')
    events.emit({ involved: subject, type: 'Normal', reason: 'ProbeSucceeded', message: reason, key })
    return
  }
  log.error({ outcome, reason }, 'the probe failed: Pods may be created without us')
  const message = `the probe failed (${outcome}): ${reason}`
  events.emit({ involved: subject, type: 'Warning', reason: 'ProbeFailed', message, key })
}
