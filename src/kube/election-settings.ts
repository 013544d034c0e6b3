import { VnodeError } from '../core/errors.ts'
import type { KubeClient } from './api.ts'
import { type Clock, systemClock } from './clock.ts'
import type { Term } from './term.ts'

export interface LeaderElectorOptions {
  readonly client: Pick<KubeClient, 'request' | 'apply'>
  readonly namespace: string
  readonly name: string
  /** This process's own, as leaseIdentity() makes one. */
  readonly identity: string
  /** Others leave a Lease alone for this long after they last saw it change; whole seconds on the wire, rounded up. Default 15 s. */
  readonly leaseDurationMs?: number
  /**
   * The leader stops this long after it sent its last successful renewal. The rest of the duration is for clocks that run at
   * different speeds and for writes under way. Default 10 s.
   */
  readonly renewDeadlineMs?: number
  /** Between two renewals, or two looks; up to a fifth longer by chance. Default 2 s. */
  readonly retryPeriodMs?: number
  /** For what is under way, and for giving the Lease back, when stopped. Default: half of the deadline. */
  readonly stopTimeoutMs?: number
  /** Monotonic. */
  readonly clock?: Clock
  /** For the times in the Lease, which people read; nothing is decided by them. */
  readonly today?: () => Date
  /** 0 <= random() < 1; spreads many candidates. */
  readonly random?: () => number
  /** Begins the leader's work. If it throws, or its promise rejects, the term ends and the Lease runs out. */
  readonly onStarted: (term: Term) => unknown
  /** Right after the term's signal. A promise that it gives is waited for before another term begins here or the Lease is given back. */
  readonly onStopped: (reason: string) => unknown
  /** Every failure, whoever leads: requests refused or unanswered, and what callbacks throw. None of them ends the elector. */
  readonly onError?: (error: Error) => void
  /** Somebody leads who did not when it was last told: perhaps we. */
  readonly onNewLeader?: (identity: string) => void
}

/** All settings, with their defaults. */
export type ElectionSettings = Required<LeaderElectorOptions>

/** @throws VnodeError BAD_SETTINGS for times with which there could be two leaders, or none */
export function resolveSettings(options: LeaderElectorOptions): ElectionSettings {
  const renewDeadlineMs = options.renewDeadlineMs ?? 10_000
  const settings: ElectionSettings = {
    ...options,
    leaseDurationMs: options.leaseDurationMs ?? 15_000,
    renewDeadlineMs,
    retryPeriodMs: options.retryPeriodMs ?? 2_000,
    stopTimeoutMs: options.stopTimeoutMs ?? renewDeadlineMs / 2,
    clock: options.clock ?? systemClock,
    today: options.today ?? (() => new Date()),
    random: options.random ?? Math.random,
    onError: options.onError ?? (() => {}),
    onNewLeader: options.onNewLeader ?? (() => {}),
  }
  checkSettings(settings)
  return settings
}

/** The longest wait between two renewals, which chance draws out. */
export const JITTER = 1.2

function checkSettings({ identity, ...settings }: ElectionSettings): void {
  const { retryPeriodMs, renewDeadlineMs, leaseDurationMs } = settings
  const isOrdered =
    0 < retryPeriodMs && retryPeriodMs * JITTER < renewDeadlineMs && renewDeadlineMs < leaseDurationMs
  if (!isOrdered || !Number.isFinite(leaseDurationMs)) {
    throw new VnodeError(
      'BAD_SETTINGS',
      'leader election: the retry period (and a fifth) must be below the renew deadline, and that below the lease duration',
    )
  }
  if (identity === '') throw new VnodeError('BAD_SETTINGS', 'leader election: the identity is empty')
}
