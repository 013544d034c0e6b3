/** Schema, comments and README say the same as values.yaml. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { readValues, renderValuesTable, withValuesTable } from '../../scripts/values-table.ts'
import { CHART } from '../helpers/chart.ts'

const values: unknown = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'))
const schema: unknown = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8'))

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: unknown
}

/** Keys that one knows and the other does not, in both directions. */
function differences(schema: Schema, value: unknown, path = ''): string[] {
  if (schema.properties === undefined || schema.additionalProperties !== false) return []
  // An object that is empty by default has its members described in the schema only.
  if (value === null || typeof value !== 'object' || Object.keys(value).length === 0) return []
  const members = new Map(Object.entries(value))
  const unset = Object.keys(schema.properties).filter(
    key => !members.has(key) && `${path}${key}` !== 'global',
  )
  return [
    ...unset.map(key => `${path}${key}: not in values.yaml`),
    ...[...members].flatMap(([key, member]) => {
      const known = schema.properties?.[key]
      return known === undefined
        ? [`${path}${key}: not in the schema`]
        : differences(known, member, `${path}${key}.`)
    }),
  ]
}

/** Mappings of the schema with keys of their own that let others through. */
function lenient(schema: Schema, path = ''): string[] {
  const here =
    schema.properties !== undefined && schema.additionalProperties !== false ? [path || '(top)'] : []
  return [
    ...here,
    ...Object.entries(schema.properties ?? {}).flatMap(([key, one]) => lenient(one, `${path}.${key}`)),
  ]
}

t.test('schema and values.yaml know the same values', async t => {
  t.strictSame(differences(schema as Schema, values), [])
  t.strictSame(differences({ properties: { a: {} }, additionalProperties: false }, { b: 1 }), [
    'a: not in values.yaml',
    'b: not in the schema',
  ])
  t.strictSame(lenient(schema as Schema), [], 'no mapping lets a typo through')
})

t.test('every value has a comment, and the README a row for it', async t => {
  const list = readValues()
  t.strictSame(
    list.filter(({ description }) => description === undefined).map(({ path }) => path),
    [],
  )
  const readme = readFileSync('README.md', 'utf8')
  t.equal(withValuesTable(readme, renderValuesTable(list)), readme, 'npm run values-table')
})

t.test('the table of values', async t => {
  const text =
    '# What a is.\na: "x|y"\n\n# Comments of a section.\n\nb:\n  # First\n  # of two.\n  c: [1]\n  d: {}\n# A map as a whole.\ne: { f: 1 }\n'
  t.strictSame(readValues(text), [
    { path: 'a', value: '"x|y"', description: 'What a is.' },
    { path: 'b.c', value: '[1]', description: 'First of two.' },
    { path: 'b.d', value: '{}', description: undefined },
    { path: 'e', value: '{"f":1}', description: 'A map as a whole.' },
  ])
  t.match(renderValuesTable(readValues(text)), '| `a` | `"x\\|y"` | What a is. |')
})
