/** Line by line, what changed between two texts, with some lines around each change. */
import type { Paint } from '../paint.ts'

interface Line {
  readonly sign: ' ' | '+' | '-'
  readonly text: string
}

/** Lines around a change. */
const CONTEXT = 3

/** The changed parts, each line with its sign; empty for equal texts. */
export function renderDiff(before: string, after: string, paint: Paint): string {
  const lines = diffLines(linesOf(before), linesOf(after))
  const isNear = (at: number) =>
    lines.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some(line => line.sign !== ' ')
  const shown = lines.map((line, at) => (isNear(at) ? line : undefined))
  let text = ''
  for (const [at, line] of shown.entries()) {
    if (line !== undefined) text += `${paintLine(line, paint)}\n`
    else if (shown[at - 1] !== undefined && shown.slice(at).some(later => later !== undefined)) {
      text += `${paint('cyan', '  ⋮')}\n`
    }
  }
  return text
}

function linesOf(text: string): readonly string[] {
  return text.trimEnd().split('\n')
}

function paintLine({ sign, text }: Line, paint: Paint): string {
  if (sign === ' ') return `  ${text}`.trimEnd()
  return paint(sign === '+' ? 'green' : 'red', `${sign} ${text}`)
}

function diffLines(before: readonly string[], after: readonly string[]): readonly Line[] {
  const start = commonStart(before, after)
  const end = commonStart(before.slice(start).reverse(), after.slice(start).reverse())
  const same = (text: string): Line => ({ sign: ' ', text })
  const middle = diffMiddle(before.slice(start, before.length - end), after.slice(start, after.length - end))
  return [...before.slice(0, start).map(same), ...middle, ...before.slice(before.length - end).map(same)]
}

function commonStart(a: readonly string[], b: readonly string[]): number {
  let count = 0
  while (count < a.length && count < b.length && a[count] === b[count]) count++
  return count
}

/** By the longest common subsequence. */
function diffMiddle(before: readonly string[], after: readonly string[]): Line[] {
  const lengths = commonLengths(before, after)
  const lines: Line[] = []
  let i = 0
  let j = 0
  while (i < before.length || j < after.length) {
    const [old, fresh] = [before[i], after[j]]
    if (old !== undefined && old === fresh) {
      lines.push({ sign: ' ', text: old })
      i++
      j++
    } else if (
      old !== undefined &&
      (fresh === undefined || lengthAt(lengths, i + 1, j) >= lengthAt(lengths, i, j + 1))
    ) {
      lines.push({ sign: '-', text: old })
      i++
    } else if (fresh !== undefined) {
      lines.push({ sign: '+', text: fresh })
      j++
    }
  }
  return lines
}

/** Entry [i][j]: how many lines the rests from i and from j have in common. */
function commonLengths(before: readonly string[], after: readonly string[]): readonly Uint32Array[] {
  const lengths = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1))
  for (let i = before.length - 1; i >= 0; i--) {
    const row = lengths[i]
    for (let j = after.length - 1; row !== undefined && j >= 0; j--) {
      row[j] =
        before[i] === after[j]
          ? lengthAt(lengths, i + 1, j + 1) + 1
          : Math.max(lengthAt(lengths, i + 1, j), lengthAt(lengths, i, j + 1))
    }
  }
  return lengths
}

function lengthAt(lengths: readonly Uint32Array[], i: number, j: number): number {
  return lengths[i]?.[j] ?? 0
}
