/** Problems of files, one line each, in the form that editors and terminals make a link of: `file:line:column: severity: …`. */
import { type Problem, renderProblem } from '../core/selector/problem.ts'
import type { Paint } from './paint.ts'
import { plainText } from './plain-text.ts'
import type { FileProblem } from './rule-files.ts'

export function renderFileProblem({ file, problem }: FileProblem, paint: Paint): string {
  const { line, column, ...rest } = problem
  const name = plainText(file)
  const place = line === undefined || column === undefined ? name : `${name}:${line}:${column}`
  const severity = paint(problem.severity === 'error' ? 'red' : 'yellow', problem.severity)
  return `${paint('bold', place)}: ${severity}: ${plainText(renderProblem(rest))}\n`
}

export function isError({ problem }: FileProblem): boolean {
  return problem.severity === 'error'
}

/** For `-o json`. */
export function problemJson({ file, problem }: FileProblem): Problem & { readonly file: string } {
  return { file, ...problem }
}

/** `1 rule`, `2 rules`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
