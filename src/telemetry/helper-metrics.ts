/** The helper's Prometheus metrics: made once, passed in. Times are in seconds. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'

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
  /** 1 for each object of the vendor's that was found. */
  readonly vendorObjects: Gauge<'kind' | 'name'>
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
    vendorObjects: gauge('vendor_objects', '1 for each object of the vendor that does the same as we do', [
      'kind',
      'name',
    ]),
  }
}
