import t from 'tap'
import { jsonLocator } from '../../../../src/core/selector/json-places.ts'
import type { Path, Position } from '../../../../src/core/selector/problem.ts'
import { parseText } from '../../../../src/core/selector/text.ts'
import { Random } from '../../../helpers/random.ts'

/** Found by the YAML parser, which reads JSON behind the mark of a document as YAML; the mark takes the first line. */
function patiently(text: string) {
  const [document] = parseText(`---\n${text}`).documents
  const up = (position: Position | undefined) =>
    position === undefined ? undefined : { ...position, line: position.line - 1 }
  return {
    locate: (path: Path, at: 'key' | 'value') => up(document?.locate(path, at)),
    typed: (path: Path) => document?.typed(path),
  }
}

const KEYS = ['a', 'b', '', '0', 'a.b/c', '__proto__', 'constructor', '"', '\\', 'ä😀', '{[:,]}', '#', 'x\ny']
const SCALARS: [string, ...string[]] = [
  '0',
  '-1.50',
  '2e3',
  'true',
  'false',
  'null',
  '""',
  '"x"',
  '"a: [b], {c} # d"',
  '"\\u00e4\\n\\""',
]
const SPACES: [string, ...string[]] = ['', '', ' ', '\n', '  \n ', '\r\n']

function randomJson(random: Random, depth: number): string {
  const kind = depth === 0 ? 2 : random.below(3)
  const space = () => random.one(SPACES)
  const count = random.below(5)
  if (kind === 0) {
    const items = Array.from({ length: count }, () => `${space()}${randomJson(random, depth - 1)}${space()}`)
    return `[${count === 0 ? space() : items.join(',')}]`
  }
  if (kind === 1) {
    const keys = random.some(KEYS, 0.3)
    const members = keys.map(
      key =>
        `${space()}${JSON.stringify(key)}${space()}:${space()}${randomJson(random, depth - 1)}${space()}`,
    )
    return `{${members.length === 0 ? space() : members.join(',')}}`
  }
  return random.one(SCALARS)
}

function pathsIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path, [...path, 'deeper']]
  const children = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return [
    path,
    [...path, 'absent'],
    [...path, 99],
    ...children.flatMap(([key, child]) => pathsIn(child, [...path, key])),
  ]
}

t.test('everything is found where the parser that reads all finds it', t => {
  const random = new Random(20_261_130)
  let compared = 0
  for (let round = 0; round < 400; round += 1) {
    const text = `${random.one(SPACES)}[${randomJson(random, 4)}]${random.one(SPACES)}`
    const [quick, slow] = [jsonLocator(text), patiently(text)]
    for (const path of pathsIn(JSON.parse(text))) {
      const what = `${JSON.stringify(path)} in ${JSON.stringify(text)}`
      const found = [quick.locate(path, 'key'), quick.locate(path, 'value'), quick.typed(path)]
      const wanted = [slow.locate(path, 'key'), slow.locate(path, 'value'), slow.typed(path)]
      compared += 1
      if (JSON.stringify(found) !== JSON.stringify(wanted)) t.strictSame(found, wanted, what)
    }
  }
  t.ok(compared > 5_000, `${compared} places`)
  t.end()
})

t.test('comments are white space to whoever looks for places', t => {
  const [document] = parseText('# rules\n[ // all\n  {"name": /* of it */ "a", "n": 1.50} # end\n]').documents
  t.strictSame(document?.locate([0, 'name'], 'value'), { line: 3, column: 24 })
  t.strictSame(document?.locate([0, 'n'], 'key'), { line: 3, column: 29 })
  t.equal(document?.typed([0, 'n']), '1.50')
  t.end()
})
