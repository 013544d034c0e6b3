/** Rows as people read them, and values as programs do. */
import { stringify } from 'yaml'
import type { Output } from './output-format.ts'

/** Columns as wide as their widest cell, three blanks apart; empty cells show `-`. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows.map(row => row.map(cell => (cell === '' ? '-' : cell)))]
  const widths = head.map((_, at) => Math.max(...lines.map(line => (line[at] ?? '').length)))
  return lines
    .map(
      line =>
        `${line
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('   ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** The value for programs. */
export function renderValue(value: unknown, output: Exclude<Output, 'table'>): string {
  return output === 'json'
    ? `${JSON.stringify(value, null, 2)}\n`
    : stringify(value, { lineWidth: 0, aliasDuplicateObjects: false })
}
