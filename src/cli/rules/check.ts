/** `vnode rules check`: every problem of files of rules, and what these rules do if there is none. */
import { absenceOfRules } from '../../core/selector/found-rules.ts'
import type { Problem } from '../../core/selector/problem.ts'
import type { ResourceScope } from '../../core/selector/resource-rules.ts'
import { shadowedRules } from '../../core/selector/shadowed-rules.ts'
import { readInputs } from '../input.ts'
import { ExitStatus, type Io } from '../io.ts'
import { painter } from '../paint.ts'
import { plainLines, plainText } from '../plain-text.ts'
import { counted, isError, problemJson, renderFileProblem } from '../problem-text.ts'
import {
  type CompiledFiles,
  compileRuleFiles,
  type FileProblem,
  fileOfRule,
  type RuleFile,
  readRuleFiles,
} from '../rule-files.ts'

export interface CheckOptions {
  readonly output: 'text' | 'json'
  readonly warningsAsErrors?: boolean
  readonly rulesName: string
  readonly color: boolean
  readonly scope: ResourceScope
}

/** Throws an ExitStatus of 1 if there is a problem. */
export async function runCheck(paths: readonly string[], options: CheckOptions, io: Io): Promise<void> {
  const files = readRuleFiles(await readInputs(paths, io), options.rulesName)
  const compiled = compileRuleFiles(files, options.scope)
  const problems = [
    ...compiled.problems,
    ...shadowedRules(compiled.rules).map(problem => ({ file: fileOfRule(compiled, problem), problem })),
    ...withoutRules(files, compiled, options.rulesName),
  ]
  const report: Report = { compiled, problems: sortProblems(problems, files) }
  io.stdout(options.output === 'json' ? reportJson(report) : reportText(report, io.hasColor && options.color))
  const { errors, warnings } = countsOf(report)
  if (errors > 0 || (options.warningsAsErrors === true && warnings > 0)) throw new ExitStatus(1)
}

interface Report {
  readonly compiled: CompiledFiles
  readonly problems: readonly FileProblem[]
}

/** What was named on the command line and holds no rule is probably the wrong file; in a folder other files may lie about. */
function withoutRules(
  files: readonly RuleFile[],
  { rules, problems }: CompiledFiles,
  rulesName: string,
): FileProblem[] {
  const byArgument = [...Map.groupBy(files, file => file.argument)]
  const hasErrors = problems.some(isError)
  const empty = byArgument.flatMap(([argument, group]): FileProblem[] => {
    const message = absenceOfRules(
      group.map(file => file.documents),
      rulesName,
    )
    return message === undefined
      ? []
      : [{ file: argument, problem: { severity: 'error', path: '', message } }]
  })
  if (rules.length > 0 || hasErrors || empty.length > 0) return empty
  const message = 'there is no rule in it'
  return [
    {
      file: byArgument.map(([argument]) => argument).join(', '),
      problem: { severity: 'error', path: '', message },
    },
  ]
}

/** By file in the order given, then by place, as an editor would list them. */
function sortProblems(problems: readonly FileProblem[], files: readonly RuleFile[]): readonly FileProblem[] {
  const order = new Map(files.map(({ path }, index) => [path, index]))
  const orderOf = ({ file }: FileProblem) => order.get(file) ?? files.length
  const lineOf = ({ line }: Problem) => line ?? Number.POSITIVE_INFINITY
  return problems.toSorted(
    (a, b) =>
      orderOf(a) - orderOf(b) ||
      // Infinity less Infinity is not a number, and as good as equal.
      lineOf(a.problem) - lineOf(b.problem) ||
      (a.problem.column ?? 0) - (b.problem.column ?? 0),
  )
}

function countsOf({ compiled: { rules, configMapRules }, problems }: Report) {
  const errors = problems.filter(isError).length
  const effectsOnly = rules.filter(rule => rule.policy === undefined).map(rule => rule.name)
  return {
    rules: rules.length,
    selectors: rules.length - configMapRules.length,
    configMapRules: configMapRules.length,
    scheduling: rules.length - effectsOnly.length,
    effectsOnly,
    errors,
    warnings: problems.length - errors,
  }
}

function reportJson(report: Report): string {
  const json = { ...countsOf(report), problems: report.problems.map(problemJson) }
  return plainLines(`${JSON.stringify(json, null, 2)}\n`)
}

function reportText(report: Report, hasColor: boolean): string {
  const paint = painter(hasColor)
  const lines = report.problems.map(problem => renderFileProblem(problem, paint))
  const { rules, selectors, configMapRules, scheduling, effectsOnly, errors, warnings } = countsOf(report)
  const trouble = [
    ...(errors > 0 ? [paint('red', counted(errors, 'error'))] : []),
    ...(warnings > 0 ? [paint('yellow', counted(warnings, 'warning'))] : []),
  ]
  const verdict = trouble.length === 0 ? paint('green', 'no problems') : trouble.join(', ')
  const sources = [
    ...(selectors > 0 ? [`${selectors} from Selectors`] : []),
    ...(configMapRules > 0 ? [`${configMapRules} from the ConfigMap`] : []),
  ]
  const valid = errors > 0 ? 'valid ' : ''
  if (rules === 0) return `${lines.join('')}No valid rules; ${verdict}.\n`
  const what = `${counted(rules, `${valid}rule`)}${sources.length === 0 ? '' : ` (${sources.join(', ')})`}`
  return `${lines.join('')}${what}: ${actionsText(scheduling, effectsOnly)}; ${verdict}.\n`
}

const NAMES_SHOWN = 5

function actionsText(scheduling: number, effectsOnly: readonly string[]): string {
  const schedules = `${scheduling} ${scheduling === 1 ? 'schedules' : 'schedule'} Pods`
  if (effectsOnly.length === 0) return schedules
  const more = effectsOnly.length - NAMES_SHOWN
  const names = `${plainText(effectsOnly.slice(0, NAMES_SHOWN).join(', '))}${more > 0 ? ` and ${more} more` : ''}`
  return `${schedules}, ${effectsOnly.length} only ${effectsOnly.length === 1 ? 'adds' : 'add'} to them (${names})`
}
