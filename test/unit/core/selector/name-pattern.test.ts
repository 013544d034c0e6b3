import t from 'tap'
import {
  compileNamePatterns,
  literalNames,
  matchesName,
  type NamePatterns,
} from '../../../../src/core/selector/name-pattern.ts'
import { Problems } from '../../../../src/core/selector/problem.ts'
import { linesOf } from '../../../helpers/problems.ts'

function patterns(...list: string[]): NamePatterns {
  const problems = new Problems()
  const compiled = compileNamePatterns(list, [], problems)
  if (compiled === undefined || problems.list.length > 0) throw new Error(linesOf(problems.list).join())
  return compiled
}

const matching = new Map<string, [patterns: string[], yes: string[], no: string[]]>([
  ['a name matches itself alone', [['team-a'], ['team-a'], ['team-b', 'team', 'team-a2', 'xteam-a', '']]],
  [
    'a star stands for any characters, also none',
    [['team-*'], ['team-', 'team-a', 'team-a-b'], ['team', 'xteam-a']],
  ],
  ['a star may stand in front', [['*-a'], ['team-a', '-a', 'a-a-a'], ['team-b', 'team-ab']]],
  ['a star may stand within', [['a*c'], ['ac', 'abc', 'acc', 'abcbc'], ['ab', 'bc', 'acb']]],
  ['several stars', [['*a*b*'], ['ab', 'xaxbx', 'aab', 'bab'], ['ba', 'a', 'b', '']]],
  ['a star alone matches every name', [['*'], ['a', ''], []]],
  ['a question mark stands for one character', [['a?c'], ['abc', 'acc', 'a-c'], ['ac', 'abbc']]],
  ['question marks and stars', [['?*?'], ['ab', 'abc'], ['a', '']]],
  [
    'any one of several is enough',
    [
      ['a', 'b-*'],
      ['a', 'b-x'],
      ['b', 'c'],
    ],
  ],
  [
    'exclusions take names out, wherever they stand',
    [['!team-x', 'team-*', '!*-test'], ['team-a'], ['team-x', 'team-test', 'other']],
  ],
  ['nothing but exclusions lets all others through', [['!team-*'], ['a', ''], ['team-a']]],
  ['what is included and excluded is out', [['a', '!a'], [], ['a', 'b']]],
  ['a star and the same name excluded', [['*', '!a'], ['b'], ['a']]],
  [
    'backtracking goes back to the last star only, which is enough',
    [['*ab*ab?'], ['abababc', 'xabxabx', 'ababab-'], ['abab', 'aba']],
  ],
])

for (const [sentence, [list, yes, no]] of matching) {
  t.test(sentence, async t => {
    const compiled = patterns(...list)
    for (const name of yes) t.equal(matchesName(compiled, name), true, name)
    for (const name of no) t.equal(matchesName(compiled, name), false, name)
  })
}

/** As a regular expression, which is the naive way to do it. */
function naive(pattern: string, name: string): boolean {
  return new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(name)
}

t.test('all short patterns match all short names as a regular expression does', async t => {
  const words = (letters: string[], length: number): string[] =>
    length === 0
      ? ['']
      : words(letters, length - 1).flatMap(word => [word, ...letters.map(letter => letter + word)])
  const names = [...new Set(words(['a', 'b'], 5))]
  let count = 0
  for (const pattern of new Set(words(['a', 'b', '*', '?'], 4))) {
    if (pattern === '') continue
    const compiled = patterns(pattern)
    for (const name of names) {
      count += 1
      if (matchesName(compiled, name) !== naive(pattern, name)) t.fail(`${pattern} and ${name}`)
    }
  }
  t.ok(count > 10_000)
})

t.test('no pattern takes long, however many stars it has', async t => {
  const name = `${'a'.repeat(62)}c`
  const worst = patterns('a*'.repeat(31), `${'*a'.repeat(31)}b`, '?*'.repeat(31), `${'*'.repeat(62)}b`)
  let matches = 0
  // Exponential backtracking would not come back from the first of these.
  for (let index = 0; index < 10_000; index += 1) if (matchesName(worst, name)) matches += 1
  t.equal(matches, 10_000)
  t.equal(matchesName(patterns(`${'*a'.repeat(31)}b`), name), false)
})

t.test('names that patterns can only match literally', async t => {
  t.strictSame(literalNames(patterns('a', 'b-c')), ['a', 'b-c'])
  t.strictSame(literalNames(patterns('a', '!b*')), ['a'])
  for (const open of [['a', 'b*'], ['a?'], ['!a'], ['*']]) t.equal(literalNames(patterns(...open)), undefined)
})

t.test('patterns are kept as they were written', async t => {
  t.strictSame(patterns('!x', 'a*').patterns, ['!x', 'a*'])
})

t.test('absent and null mean every namespace', async t => {
  const problems = new Problems()
  t.equal(compileNamePatterns(undefined, [], problems), undefined)
  t.equal(compileNamePatterns(null, [], problems), undefined)
  t.strictSame(problems.list, [])
})

const LIST =
  'error namespaces: must be a list of at least one namespace name pattern, such as ["team-*", "!team-x"]'
const ITEM =
  'must be a namespace name, in which * stands for any characters and ? for one, with ! in front to exclude'

const wrong = new Map<string, [value: unknown, problems: string[]]>([
  ['a string', ['team-*', [`${LIST} (found "team-*")`]]],
  ['an empty list, which could mean all or none', [[], [`${LIST} (found [])`]]],
  ['an object', [{ a: 1 }, [`${LIST} (found {"a":1})`]]],
  [
    'members that are no strings',
    [
      ['a', 1, null],
      [`error namespaces[1]: ${ITEM} (found 1)`, `error namespaces[2]: ${ITEM} (found null)`],
    ],
  ],
  ['an empty name', [[''], [`error namespaces[0]: ${ITEM} (found "")`]]],
  ['an exclusion of nothing', [['!'], [`error namespaces[0]: ${ITEM} (found "!")`]]],
  ['two exclamation marks', [['!!a'], [`error namespaces[0]: ${ITEM} (found "!!a")`]]],
  ['capital letters', [['Team'], [`error namespaces[0]: ${ITEM} (found "Team")`]]],
  ['a regular expression', [['team-.*'], [`error namespaces[0]: ${ITEM} (found "team-.*")`]]],
  ['a line break at the end', [['a\n'], [`error namespaces[0]: ${ITEM} (found "a\\n")`]]],
  ['64 characters', [['a'.repeat(64)], [`error namespaces[0]: ${ITEM} (found "${'a'.repeat(59)}…)`]]],
])

t.test('finds the problems of', async t => {
  for (const [sentence, [value, expected]] of wrong) {
    const problems = new Problems()
    compileNamePatterns(value, ['namespaces'], problems)
    t.strictSame(linesOf(problems.list), expected, sentence)
  }
})
