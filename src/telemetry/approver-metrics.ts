/** The approver's Prometheus metrics: made once, passed in. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'

export interface ApproverMetrics {
  readonly registry: Registry
  /** Each certificate signing request by what became of it: `approved`, `foreign`, or why it was left alone. */
  readonly requests: Counter<'outcome'>
  /** Attempts that ended with a fault; they are repeated. */
  readonly faults: Counter
  readonly isSynced: Gauge
}

const PREFIX = 'vnode_profile_approver_'

export function createApproverMetrics(): ApproverMetrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  return {
    registry,
    requests: new Counter({
      name: `${PREFIX}requests_total`,
      help: 'Certificate signing requests by what became of them: approved, foreign, or why they were left alone',
      labelNames: ['outcome'],
      registers,
    }),
    faults: new Counter({
      name: `${PREFIX}faults_total`,
      help: 'Attempts that ended with a fault, and are repeated',
      registers,
    }),
    isSynced: new Gauge({
      name: `${PREFIX}synced`,
      help: '1 once the certificate signing requests are loaded and watched',
      registers,
    }),
  }
}
