/** Tells the world what became of edits of the rules: log, metrics and, for rules in a cluster, Events. */
import { type Problem, renderProblem } from '../core/selector/problem.ts'
import type { EventWriter } from '../kube/event.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { refusalText } from './refusal-text.ts'
import type { RulesReport, RulesSummary } from './rules-state.ts'

export interface ReporterOptions {
  readonly log: Logger
  /** Where refused edits are counted. */
  readonly metrics?: Pick<Metrics, 'refusedEdits'>
  /** Absent where rules come from files, or where another program tells. */
  readonly events?: Pick<EventWriter, 'emit'> | undefined
}

/** What is in force in place of a refused edit. */
export const STAYS = {
  'last-good': 'the last good rules stay in force',
  'valid-part': 'there are no older rules to keep, so the valid ones of these are in force',
  'without-it': 'all other rules stay in force',
} as const

export function rulesReporter({ log, metrics, events }: ReporterOptions): (report: RulesReport) => void {
  return report => {
    const { origin, problems, kind } = report
    const fields = { rules: origin.label, problems: wordsOf(problems) }
    if (kind === 'refused') {
      metrics?.refusedEdits.inc({ origin: origin.kind })
      log.error(fields, `rules refused; ${STAYS[report.inForce ?? 'last-good']}`)
    } else if (problems.length > 0) log.warn(fields, 'rules accepted, with advice')
    else log.info({ rules: origin.label }, `rules ${kind}`)
    emit(report, events)
  }
}

/** A line of the log with all of a thousand problems in it would be cut somewhere. */
const MOST_LOGGED = 20

function wordsOf(problems: readonly Problem[]): string[] {
  const words = problems.slice(0, MOST_LOGGED).map(problem => renderProblem(problem))
  const rest = problems.length - words.length
  return rest === 0 ? words : [...words, `and ${rest} more: vnode rules check shows them`]
}

function emit(
  { kind, origin, problems, inForce = 'last-good' }: RulesReport,
  events: ReporterOptions['events'],
): void {
  const { involved } = origin
  if (events === undefined || involved === undefined || (kind !== 'refused' && kind !== 'mended')) return
  const what = origin.kind === 'Selector' ? 'the Selector' : undefined
  const subject = { kind: origin.kind, ...involved }
  const key = involved.resourceVersion
  if (kind === 'mended') {
    events.emit({
      involved: subject,
      key,
      type: 'Normal',
      reason: 'RulesApplied',
      message: 'the rules are valid again and in force',
    })
  } else {
    const message = `${refusalText(problems, what)}; ${STAYS[inForce]}`
    events.emit({ involved: subject, key, type: 'Warning', reason: 'RulesRefused', message })
  }
}

/** Keeps the gauges about rules up to date; `now` in milliseconds of Unix time. */
export function rulesGauges(metrics: Metrics, now: () => number): (summary: RulesSummary) => void {
  return summary => {
    metrics.rulesLoaded.set({ origin: 'ConfigMap' }, summary.configMapRules)
    metrics.rulesLoaded.set({ origin: 'Selector' }, summary.selectorRules)
    metrics.rulesRefused.set({ origin: 'ConfigMap' }, summary.refusedConfigMapRules)
    metrics.rulesRefused.set({ origin: 'Selector' }, summary.refusedSelectors)
    metrics.isLastReloadGood.set(Number(summary.isNewest))
    metrics.lastReload.set(now() / 1000)
  }
}
