/** Schema, comments and README say the same as values.yaml. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import {
  readValues,
  renderValuesTable,
  unknownValue,
  type ValuesSchema,
  withUnknownValues,
  withValuesTable,
} from '../../scripts/values-table.ts'
import { CHART } from '../helpers/chart.ts'

const values: unknown = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'))
const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as ValuesSchema

/** Keys that one knows and the other does not, in both directions. */
function differences(schema: ValuesSchema, value: unknown, path = ''): string[] {
  if (schema.properties === undefined) return []
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

/** Mappings of the schema that let any key through, or take only those of a list whose members they do not know. */
function lenient(schema: unknown, path = ''): string[] {
  if (schema === null || typeof schema !== 'object') return []
  const { type, properties, additionalProperties } = schema as ValuesSchema
  const isOpen = type === 'object' && (properties !== undefined) !== isRefusal(additionalProperties)
  return [
    ...(isOpen ? [path || '(top)'] : []),
    ...Object.entries(schema).flatMap(([key, one]) => lenient(one, `${path}/${key}`)),
  ]
}

function isRefusal(additional: unknown): boolean {
  return additional !== null && typeof additional === 'object' && Object.hasOwn(additional, 'not')
}

t.test('schema and values.yaml know the same values', async t => {
  t.strictSame(differences(schema, values), [])
  t.strictSame(differences({ properties: { a: {} } }, { b: 1 }), [
    'a: not in values.yaml',
    'b: not in the schema',
  ])
})

t.test('no mapping lets a typo through, and each says what it has instead', async t => {
  t.strictSame(lenient(schema), [])
  t.strictSame(lenient({ items: { type: 'object', properties: {} } }), ['/items'])
  t.strictSame(withUnknownValues(schema), schema, 'npm run values-table')
  t.strictSame(
    schema.properties?.rules?.additionalProperties,
    unknownValue(['namespace', 'name', 'create']),
    'in the order of values.yaml',
  )
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
