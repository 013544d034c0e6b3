/** The helper's Prometheus metrics: made once, passed in. Times are in seconds. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export interface HelperMetrics {
  readonly registry: Registry
  readonly isLeader: Gauge
  /** What the leader does over and over, by how it ended: `ok` or `error`. */
  readonly rounds: Counter<'outcome'>
  /** `authority` or `serving`. */
  readonly certificateExpiry: Gauge<'certificate'>
  /** Writes of the Secret by what was done: see RotationAction; `repair` says that somebody had damaged it. */
  readonly certificateWrites: Counter<'action' | 'repair'>
  readonly isRegistered: Gauge<'configuration'>
  /** Writes of a webhook configuration by their cause: see RegistrationCause. */
  readonly registrationWrites: Counter<'configuration' | 'cause'>
  /** Replicas of the webhook by what a handshake shows. */
  readonly replicas: Gauge<'state'>
  readonly probes: Counter<'outcome'>
  readonly probeSuccess: Gauge
  readonly spill: SpillMetrics
  /** 1 for each object of the vendor's that was found. */
  readonly vendorObjects: Gauge<'kind' | 'name'>
}

/** What rules do to Pods that exist. */
export interface SpillMetrics {
  /** Pods that were seen to be bound to a VNode. */
  readonly placed: Counter<'rule' | 'policy'>
  readonly spilled: Counter<'rule'>
  /** Each Pod once for each reason. */
  readonly heldBack: Counter<'rule' | 'reason'>
  /** Those that are held back now. */
  readonly heldBackNow: Gauge<'rule' | 'reason'>
  /** Those that may spill, and wait for their turn. */
  readonly queue: Gauge
  /** Pods that the API server does not want to be changed as their rule says. */
  readonly refused: Counter<'rule'>
  /** Pods that match, and that the webhook did not see. */
  readonly missed: Counter<'rule'>
  /** Patches of Pods: `spill`, `binding` or `missed`, by how they ended. */
  readonly patches: Counter<'purpose' | 'outcome'>
  /** From when a Pod was seen as unschedulable until it was patched. */
  readonly delay: Histogram
}

const PREFIX = 'vnode_profile_helper_'

export function createHelperMetrics(): HelperMetrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge({ name: PREFIX + name, help, labelNames, registers })
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name: PREFIX + name, help, labelNames, registers })
  return {
    registry,
    isLeader: gauge('leader', '1 while this process leads'),
    rounds: counter('rounds_total', 'Rounds of the leader, by how they ended', ['outcome']),
    certificateExpiry: gauge('certificate_expiry_timestamp_seconds', 'When it ends, Unix time', [
      'certificate',
    ]),
    certificateWrites: counter('certificate_writes_total', 'Writes of the Secret, by what was done', [
      'action',
      'repair',
    ]),
    isRegistered: gauge('registered', '1 while the webhook configuration is there', ['configuration']),
    registrationWrites: counter(
      'registration_writes_total',
      'Writes of webhook configurations, by their cause',
      ['configuration', 'cause'],
    ),
    replicas: gauge('webhook_replicas', 'Replicas of the webhook, by what a handshake shows', ['state']),
    probes: counter('probes_total', 'Probes of the whole chain, by outcome', ['outcome']),
    probeSuccess: gauge('probe_last_success_timestamp_seconds', 'When a probe last succeeded, Unix time'),
    spill: createSpillMetrics(registry),
    vendorObjects: gauge('vendor_objects', '1 for each object of the vendor that does the same as we do', [
      'kind',
      'name',
    ]),
  }
}

/** Seconds: a batch of thousands takes minutes, and a rule may wait for an hour. */
const DELAYS = [0.1, 0.5, 1, 5, 15, 60, 300, 1200, 3600]

function createSpillMetrics(registry: Registry): SpillMetrics {
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name: PREFIX + name, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge({ name: PREFIX + name, help, labelNames, registers })
  return {
    placed: counter('placed_pods_total', 'Pods that were seen to be bound to a VNode', ['rule', 'policy']),
    spilled: counter('spilled_pods_total', 'Pods that a VNode was opened to', ['rule']),
    heldBack: counter('held_back_pods_total', 'Pods whose spill was held back, once for each reason', [
      'rule',
      'reason',
    ]),
    heldBackNow: gauge('held_back_pods', 'Pods whose spill is held back now', ['rule', 'reason']),
    queue: gauge('spill_queue_pods', 'Pods that may spill and wait for their turn'),
    refused: counter('refused_pods_total', 'Pods that the API server does not want to be changed', ['rule']),
    missed: counter('missed_pods_total', 'Pods that match, and that the webhook did not see', ['rule']),
    patches: counter('pod_patches_total', 'Patches of Pods, by how they ended', ['purpose', 'outcome']),
    delay: new Histogram({
      name: `${PREFIX}spill_delay_seconds`,
      help: 'From when a Pod was seen as unschedulable until it was patched',
      buckets: DELAYS,
      registers,
    }),
  }
}
