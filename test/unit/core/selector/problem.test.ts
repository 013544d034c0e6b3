import t from 'tap'
import {
  type Complaint,
  cutText,
  hasErrors,
  type Path,
  Problems,
  renderPath,
  renderProblem,
} from '../../../../src/core/selector/problem.ts'

const paths = new Map<string, [path: Path, text: string]>([
  ['nothing for the whole', [[], '']],
  ['names by dots', [['spec', 'effect'], 'spec.effect']],
  ['indexes in brackets', [[2, 'values', 0], '[2].values[0]']],
  ['keys that are no names in quotes', [['labels', 'app.io/x'], 'labels["app.io/x"]']],
  ['keys with quotes and line breaks escaped', [['a"\n'], '["a\\"\\n"]']],
  ['numbers that are keys in quotes', [['0', '1a'], '["0"]["1a"]']],
  ['names with dashes and underscores', [['__proto__', 'a-b'], '__proto__.a-b']],
])

t.test('renders a path with', async t => {
  for (const [sentence, [path, text]] of paths) t.equal(renderPath(path), text, sentence)
})

const cyclic: unknown[] = []
cyclic.push(cyclic)

const shownValues = new Map<string, [value: unknown, text: string]>([
  ['a string', ['x"', '"x\\""']],
  ['a number', [-1.5, '-1.5']],
  ['null', [null, 'null']],
  ['a boolean', [false, 'false']],
  ['a list', [[1, 'a', [null]], '[1,"a",[null]]']],
  ['an object', [{ a: { 'b/c': [] }, d: {} }, '{"a":{"b/c":[]},"d":{}}']],
  [
    'an object with keys that objects have by nature',
    [JSON.parse('{"__proto__": 1, "constructor": 2}'), '{"__proto__":1,"constructor":2}'],
  ],
  ['sixty characters', ['x'.repeat(58), `"${'x'.repeat(58)}"`]],
  ['a character more', ['x'.repeat(59), `"${'x'.repeat(59)}…`]],
  ['a long text', ['x'.repeat(1e6), `"${'x'.repeat(59)}…`]],
  ['a long list', [Array(1e6).fill(12), `[${Array(20).fill(12)}`.slice(0, 60).concat('…')]],
  ['a long key', [{ ['k'.repeat(99)]: 1 }, `{"${'k'.repeat(58)}…`]],
  ['a deep list', [deep(100_000), `${'['.repeat(60)}…`]],
  ['a list in itself', [cyclic, `${'['.repeat(60)}…`]],
  ['emoji that would be cut in half', [`${'x'.repeat(58)}😀`, `"${'x'.repeat(58)}…`]],
])

t.test('shows', async t => {
  for (const [sentence, [value, text]] of shownValues) {
    const problems = new Problems()
    problems.error({ path: [], message: 'is wrong', value })
    t.equal(problems.list[0]?.value, text, sentence)
  }
})

function deep(levels: number): unknown {
  let value: unknown = []
  for (let level = 1; level < levels; level += 1) value = [value]
  return value
}

const rendered = new Map<string, [complaint: Complaint, rule: string | undefined, line: string]>([
  [
    'everything',
    [
      { path: [0, 'policy'], message: 'is wrong', value: {} },
      'a"b',
      'line 4, column 9: rule "a\\"b": [0].policy: is wrong (found {})',
    ],
  ],
  ['no rule', [{ path: [0], message: 'is wrong' }, undefined, 'line 4, column 9: [0]: is wrong']],
  ['no path', [{ path: [], message: 'is wrong' }, 'a', 'rule "a": is wrong']],
])

t.test('renders a problem with', async t => {
  const locator = {
    locate: (path: Path) => (path.length === 0 ? undefined : { line: 4, column: 9 }),
    typed: () => undefined,
  }
  for (const [sentence, [complaint, rule, line]] of rendered) {
    const problems = new Problems(locator, rule)
    problems.warn(complaint)
    t.equal(problems.list.map(renderProblem).join(), line, sentence)
  }
})

t.test('tells errors from warnings', async t => {
  const problems = new Problems()
  problems.warn({ path: [], message: 'could be better' })
  t.equal(hasErrors(problems.list), false)
  t.equal(problems.errorCount, 0)
  problems.error({ path: [], message: 'is wrong' })
  problems.error({ path: [], message: 'is wrong too' })
  t.equal(hasErrors(problems.list), true)
  t.equal(problems.errorCount, 2)
  t.strictSame(problems.list, [
    { severity: 'warning', path: '', message: 'could be better' },
    { severity: 'error', path: '', message: 'is wrong' },
    { severity: 'error', path: '', message: 'is wrong too' },
  ])
})

t.test('asks its locator for the key where the complaint is about the key', async t => {
  const asked: unknown[] = []
  const locator = {
    locate: (path: Path, at: string) => {
      asked.push([path, at])
      return undefined
    },
    typed: (path: Path) => path.join(),
  }
  const problems = new Problems(locator)
  problems.error({ path: ['a'], at: 'key', message: 'is wrong' })
  problems.error({ path: ['b'], message: 'is wrong' })
  t.strictSame(asked, [
    [['a'], 'key'],
    [['b'], 'value'],
  ])
  t.equal(problems.typed(['a', 0]), 'a,0')
})

const cuts = new Map<string, [text: string, length: number, cut: string]>([
  ['nothing off a short text', ['abc', 3, 'abc']],
  ['what is too long', ['abcd', 3, 'abc']],
  ['before a character that would be halved', ['ab😀', 3, 'ab']],
  ['after a whole character', ['ab😀c', 4, 'ab😀']],
  ['everything', ['abc', 0, '']],
])

t.test('cuts', async t => {
  for (const [sentence, [text, length, cut]] of cuts) t.equal(cutText(text, length), cut, sentence)
})
