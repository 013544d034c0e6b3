/** The webhook's Prometheus metrics: made once, passed in. Times are in seconds. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** How a review ended: each is counted once, under exactly one of these. */
export const OUTCOMES = [
  'patched',
  'unchanged',
  'skipped',
  'unmatched',
  'real-nodes',
  'conflict',
  'allowed',
  'refused',
  'error',
] as const
export type AdmissionOutcome = (typeof OUTCOMES)[number]

export interface Metrics {
  readonly registry: Registry
  /** Reviews by resource and outcome; `error` is a fault of ours that let the object through untouched. */
  readonly admissions: Counter<'resource' | 'outcome'>
  readonly duration: Histogram<'resource'>
  /** Requests that were no review at all, by the status they got. */
  readonly badRequests: Counter<'status'>
  readonly rulesLoaded: Gauge<'origin'>
  /** ConfigMap: rules of the refused edit that have an error; Selector: those left out now. */
  readonly rulesRefused: Gauge<'origin'>
  readonly refusedEdits: Counter<'origin'>
  readonly lastReload: Gauge
  readonly isLastReloadGood: Gauge
  readonly certificateExpiry: Gauge
  readonly watchSynced: Gauge<'resource'>
  readonly watchAge: Gauge<'resource'>
}

const PREFIX = 'vnode_profile_'
/** From a tenth of a millisecond, which is ordinary, to the timeout that the registration sets. */
const BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 3]

/** Counters of what is rare begin at 0: the first increment of one that was not there is none to `rate()`. */
function zeroed(counter: Counter<'origin'>): Counter<'origin'> {
  for (const origin of ['ConfigMap', 'Selector']) counter.inc({ origin }, 0)
  return counter
}

export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge({ name: PREFIX + name, help, labelNames, registers })
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name: PREFIX + name, help, labelNames, registers })
  return {
    registry,
    admissions: counter('admissions_total', 'Admission reviews by resource and outcome', [
      'resource',
      'outcome',
    ]),
    duration: new Histogram({
      name: `${PREFIX}admission_duration_seconds`,
      help: 'Time from the parsed request to the answer',
      labelNames: ['resource'],
      buckets: BUCKETS,
      registers,
    }),
    badRequests: counter('bad_requests_total', 'Requests that are not a review, by HTTP status', ['status']),
    rulesLoaded: gauge('rules_loaded', 'Rules in force, by origin', ['origin']),
    rulesRefused: gauge('rules_refused', 'Rules with an error, by origin', ['origin']),
    refusedEdits: zeroed(counter('refused_edits_total', 'Edits of rules that were not applied', ['origin'])),
    lastReload: gauge('rules_last_reload_timestamp_seconds', 'When rules last changed, Unix time'),
    isLastReloadGood: gauge(
      'rules_last_reload_success',
      '1 if the newest rules are in force, 0 if older ones are',
    ),
    certificateExpiry: gauge(
      'certificate_expiry_timestamp_seconds',
      'When the serving certificate ends, Unix time',
    ),
    watchSynced: gauge('watch_synced', '1 while the list of this resource is loaded and watched', [
      'resource',
    ]),
    watchAge: gauge('watch_last_event_age_seconds', 'Time since the API server was last heard about it', [
      'resource',
    ]),
  }
}
