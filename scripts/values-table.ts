/**
 * usage: npm run values-table
 *
 * Writes the table of the chart's values into the README, from values.yaml and the comments in it, and into values.schema.json what Helm
 * says of a value that there is not.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isScalar, type Pair, parseDocument } from 'yaml'

const ROOT = join(import.meta.dirname, '..')
const VALUES = join(ROOT, 'charts/vnode-profile/values.yaml')
const SCHEMA = join(ROOT, 'charts/vnode-profile/values.schema.json')
const README = join(ROOT, 'README.md')
const BEGIN = '<!-- values: made by npm run values-table -->'
const END = '<!-- /values -->'

export interface ChartValue {
  /** Such as `webhook.replicas`. */
  readonly path: string
  /** As JSON. */
  readonly value: string
  /** The comment above it; undefined if there is none. */
  readonly description: string | undefined
}

/** Every value with its default. What has no comment of its own but members that have one is a group. */
export function readValues(text = readFileSync(VALUES, 'utf8')): ChartValue[] {
  const document = parseDocument(text)
  if (!isMap(document.contents)) throw new Error('values.yaml is not a mapping')
  return document.contents.items.flatMap(pair => valuesOf(pair, ''))
}

function valuesOf({ key, value }: Pair, parent: string): ChartValue[] {
  if (!isScalar(key)) throw new Error(`a key of ${parent || 'values.yaml'} is no text`)
  const path = `${parent}${String(key.value)}`
  // The comment above the first member of a mapping belongs to the mapping, as the parser sees it.
  const members = isMap(value) ? value.items : []
  if (isMap(value)) adoptComment(value.items[0], value)
  const isGroup = members.some(member => isScalar(member.key) && commentOf(member.key) !== undefined)
  if (isGroup) return members.flatMap(member => valuesOf(member, `${path}.`))
  const json = JSON.stringify(toPlain(value))
  return [{ path, value: json, description: commentOf(key) }]
}

interface Commented {
  commentBefore?: string | null
}

function adoptComment(first: Pair | undefined, owner: Commented): void {
  if (first === undefined || !isScalar(first.key) || !owner.commentBefore) return
  first.key.commentBefore ??= owner.commentBefore
}

/** Of several comments that blank lines divide the last one. */
function commentOf({ commentBefore }: Commented): string | undefined {
  const [last] = (commentBefore ?? '').split(/\n\s*\n/).slice(-1)
  const text = (last ?? '').replaceAll(/\s+/g, ' ').trim()
  return text === '' ? undefined : text
}

function toPlain(value: unknown): unknown {
  return value !== null && typeof value === 'object' && 'toJSON' in value
    ? (value as { toJSON(): unknown }).toJSON()
    : value
}

/** The table as Markdown. */
export function renderValuesTable(values: readonly ChartValue[]): string {
  const rows = values.map(
    ({ path, value, description = '' }) => `| \`${path}\` | \`${cell(value)}\` | ${cell(description)} |`,
  )
  return ['| value | default | |', '| --- | --- | --- |', ...rows].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}

/** The README's text with the table in its place. */
export function withValuesTable(readme: string, table: string): string {
  const start = readme.indexOf(BEGIN)
  const end = readme.indexOf(END)
  if (start < 0 || end < start) throw new Error(`README.md lacks ${BEGIN} and ${END}`)
  return `${readme.slice(0, start)}${BEGIN}\n${table}\n${readme.slice(end)}`
}

export interface ValuesSchema {
  readonly properties?: Readonly<Record<string, ValuesSchema>>
  readonly additionalProperties?: unknown
  readonly [keyword: string]: unknown
}

/**
 * What a mapping says of any other key. Helm prints of a schema only places and wanted values, and of `additionalProperties: false` not
 * even what there is: so the way out is put as the value that is wanted, which nothing can have.
 */
export function unknownValue(keys: readonly string[]): unknown {
  return { const: `left out: there is no such value here, only ${keys.join(', ')}`, not: {} }
}

/** The schema with {@link unknownValue} wherever keys are known. */
export function withUnknownValues(schema: ValuesSchema): ValuesSchema {
  const known = schema.properties
  const members = Object.entries(schema).map(([keyword, value]): [string, unknown] => {
    if (keyword === 'additionalProperties' && known !== undefined)
      return [keyword, unknownValue(Object.keys(known))]
    const isSchemas = keyword === 'properties' || keyword === 'definitions'
    if (isSchemas) return [keyword, eachOf(value as Readonly<Record<string, ValuesSchema>>)]
    return [keyword, keyword === 'items' ? withUnknownValues(value as ValuesSchema) : value]
  })
  return Object.fromEntries(members)
}

function eachOf(schemas: Readonly<Record<string, ValuesSchema>>): Record<string, ValuesSchema> {
  return Object.fromEntries(Object.entries(schemas).map(([key, one]) => [key, withUnknownValues(one)]))
}

if (import.meta.main) {
  writeFileSync(README, withValuesTable(readFileSync(README, 'utf8'), renderValuesTable(readValues())))
  const schema = withUnknownValues(JSON.parse(readFileSync(SCHEMA, 'utf8')) as ValuesSchema)
  writeFileSync(SCHEMA, `${JSON.stringify(schema, null, 2)}\n`)
}
