import { type Problem, renderProblem } from '../../src/core/selector/problem.ts'
import type { MarkedText } from './marked-text.ts'

/** Problems as lines that a case can spell out in full. */
export function linesOf(problems: readonly Problem[]): string[] {
  return problems.map(problem => `${problem.severity} ${renderProblem(problem)}`)
}

/** The same without their places, in the order in which these stand in the text. */
export function linesInOrder(problems: readonly Problem[]): string[] {
  return linesOf(inOrder(problems).map(({ line: _, column: __, ...rest }) => rest))
}

/** Where problems are, in the order in which they stand in the text. */
export function placesOf(problems: readonly Problem[]): Partial<MarkedText['places'][number]>[] {
  return inOrder(problems).map(({ line, column }) => ({
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column }),
  }))
}

function inOrder(problems: readonly Problem[]): Problem[] {
  const at = ({ line = 0, column = 0 }: Problem) => line * 1e6 + column
  return problems.toSorted((a, b) => at(a) - at(b))
}
