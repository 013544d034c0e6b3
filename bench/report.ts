import { type Spread, spreadOf } from './statistics.ts'

/** What one part of the benchmark found. */
export interface Section {
  readonly title: string
  /** How it was measured: a paragraph. */
  readonly method: string
  readonly table: Table
  /** What the numbers mean against the aims, one line each. */
  readonly notes: readonly string[]
}

export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** As Markdown that can also be read as it is. */
export function renderSection({ title, method, table, notes }: Section): string {
  const list = notes.map(note => `- ${note}\n`).join('')
  return `## ${title}\n\n${method}\n\n${renderTable(table)}${list === '' ? '' : `\n${list}`}`
}

function renderTable({ head, rows }: Table): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map(row => row[column]?.length ?? 0), 3))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |\n`
  const rule = line(
    widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)),
  )
  return line(head) + rule + rows.map(line).join('')
}

export function number(value: number, digits = 0): string {
  if (!Number.isFinite(value)) return '–'
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** `0.97 (0.95–0.98)`: median and quartiles. */
export function spread(values: readonly number[] | Spread, digits = 2): string {
  const { median, low, high } = 'median' in values ? values : spreadOf(values)
  return `${number(median, digits)} (${number(low, digits)}–${number(high, digits)})`
}

/** Whether an aim is met, in words. */
export function verdict(isMet: boolean, aim: string): string {
  return isMet ? `met (${aim})` : `NOT met (${aim})`
}

/** What is printed is published; where somebody keeps his programs is not. */
export function withoutPaths(message: string): string {
  return message.replaceAll(/(?:^|(?<=\s))\/\S+/g, 'the folder of programs')
}

/** In place of a part that cannot be measured here. */
export function skipped(title: string, { message }: Error): Section {
  return {
    title,
    method: `Skipped: ${withoutPaths(message)}`,
    table: { head: ['server'], rows: [] },
    notes: [],
  }
}
