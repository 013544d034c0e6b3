/** The words of a refused edit: what admission says up front, and what an Event says afterwards. */
import { RULES_KEY } from '../core/names.ts'
import { type Problem, renderProblem } from '../core/selector/problem.ts'
import { cutUtf8 } from '../kube/event.ts'

/** An Event holds 1,024 bytes, and what stays in force is told as well; faults that do not fit are counted. */
const LONGEST_REFUSAL_BYTES = 900

/** Every error with its place, as far as there is room, the first in any case. */
export function refusalText(problems: readonly Problem[], what = `data.${RULES_KEY}`): string {
  const [first = '', ...others] = problems
    .filter(problem => problem.severity === 'error')
    .map(problem => renderProblem(problem))
  let text = cutUtf8(`${what} is not applied: ${first}`, LONGEST_REFUSAL_BYTES)
  for (const [index, error] of others.entries()) {
    const next = `${text}; ${error}`
    if (Buffer.byteLength(next) > LONGEST_REFUSAL_BYTES)
      return `${text}; and ${others.length - index} more: vnode rules check shows all`
    text = next
  }
  return text
}
