/** What the helper does about Pods, told to whoever looks at them: Events and metrics. */
import type { Advice } from '../../core/eci/pod-advice.ts'
import type { Tracked } from '../../core/spill/book.ts'
import type { Conflicted } from '../../core/spill/missed.ts'
import type { PendingPod } from '../../core/spill/pending-pod.ts'
import type { HeldCode } from '../../core/spill/verdict.ts'
import { conflictWords, heldWords, missedWords, spilledWords } from '../../core/spill/words.ts'
import type { EventRecord, EventSubject, EventWriter } from '../../kube/event.ts'
import type { SpillMetrics } from '../../telemetry/helper-metrics.ts'
import type { Logger } from '../../telemetry/logger.ts'

export interface PodEventsOptions {
  readonly events: Pick<EventWriter, 'emit'>
  readonly metrics: SpillMetrics
  readonly log: Logger
}

/** They pass by themselves; the others are for somebody to look at. */
const HARMLESS: readonly HeldCode[] = ['preempting', 'waiting', 'scale-up']

export class PodEvents {
  readonly #options: PodEventsOptions

  constructor(options: PodEventsOptions) {
    this.#options = options
  }

  /** Once for each Pod and reason. */
  held({ verdict, told, pod }: Tracked): void {
    if (verdict?.outcome !== 'held' || verdict.code === 'not-loaded' || told.has(verdict.code)) return
    const { code, reason, rule } = verdict
    told.add(code)
    this.#options.metrics.heldBack.inc({ rule: rule.name, reason: code })
    this.#options.log.debug({ ...nameOf(pod), rule: rule.name, code, reason }, 'spill held back')
    this.#emit(pod, {
      type: HARMLESS.includes(code) ? 'Normal' : 'Warning',
      reason: 'SpillHeldBack',
      message: heldWords(verdict),
      key: code,
    })
  }

  spilled(pod: PendingPod, rule: string, delayMs: number): void {
    this.#options.metrics.spilled.inc({ rule })
    this.#options.metrics.delay.observe(delayMs / 1000)
    this.#options.log.info({ ...nameOf(pod), rule, delayMs: Math.round(delayMs) }, 'Pod spilled')
    this.#emit(pod, {
      type: 'Normal',
      reason: 'Spilled',
      message: spilledWords(rule),
      key: 'spilled',
    })
  }

  /** The API server does not want the Pod to be so, and never will. */
  refused(pod: PendingPod, rule: string, why: string): void {
    this.#options.metrics.refused.inc({ rule })
    this.#options.log.warn({ ...nameOf(pod), rule, error: why }, 'the API server refuses a change of a Pod')
    this.#emit(pod, {
      type: 'Warning',
      reason: 'SpillRefused',
      message: `rule ${rule} would change it, and it stays as it is: ${why}`,
      key: 'refused',
    })
  }

  /** It is tried again. */
  failed(pod: PendingPod, rule: string, why: string): void {
    this.#options.log.warn({ ...nameOf(pod), rule, error: why }, 'a change of a Pod failed; trying again')
    this.#emit(pod, {
      type: 'Warning',
      reason: 'SpillFailed',
      message: `rule ${rule} is to change it, which failed and is tried again: ${why}`,
      key: 'failed',
    })
  }

  /** The webhook did not see the Pod, and something cannot be added any more. */
  missed(owner: EventSubject, pod: PendingPod, { rule, lost }: { rule: string; lost: string }): void {
    this.#options.log.warn({ ...nameOf(pod), rule, lost }, 'the webhook did not see a Pod')
    this.#options.events.emit({
      involved: owner,
      type: 'Warning',
      reason: 'WebhookMissed',
      message: missedWords({ rule, lost }, pod.name),
      key: 'missed',
    })
  }

  /** Once for each owner and hour. */
  advice(
    owner: EventSubject,
    pod: PendingPod,
    { advice, hour }: { advice: readonly Advice[]; hour: string },
  ): void {
    const words = advice.map(({ code, message }) => `${message} (${code})`)
    this.#options.events.emit({
      involved: owner,
      type: 'Warning',
      reason: 'EciWarnings',
      message: `Pod ${pod.name} is on a VNode: ${words.join('; ')}`,
      key: hour,
    })
  }

  /** Once for each owner and hour: the Pod itself is left exactly as it is, without a mark. */
  conflict(
    owner: EventSubject,
    pod: PendingPod,
    { conflicted, hour }: { conflicted: Conflicted; hour: string },
  ): void {
    this.#options.events.emit({
      involved: owner,
      type: 'Warning',
      reason: 'RuleConflict',
      message: `${conflictWords(conflicted, `Pod ${pod.name}`)} (${conflicted.conflict.code})`,
      key: hour,
    })
  }

  #emit(pod: PendingPod, event: Omit<EventRecord, 'involved'>): void {
    this.#options.events.emit({ involved: podSubject(pod), ...event })
  }
}

export function podSubject({ namespace, name, uid }: PendingPod): EventSubject {
  return { apiVersion: 'v1', kind: 'Pod', namespace, name, uid }
}

function nameOf({ namespace, name }: PendingPod): object {
  return { pod: `${namespace}/${name}` }
}
