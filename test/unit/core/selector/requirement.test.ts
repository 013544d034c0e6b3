import t from 'tap'
import { NO_TEXT, Problems } from '../../../../src/core/selector/problem.ts'
import {
  compileLabelSelector,
  labelsOf,
  type Requirement,
  renderRequirement,
  satisfies,
  stringOf,
} from '../../../../src/core/selector/requirement.ts'
import { linesOf } from '../../../helpers/problems.ts'

interface Expression {
  readonly key: string
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
  readonly values?: readonly string[]
}

function requirement({ key, operator, values = [] }: Expression): Requirement {
  return { key, operator, values: new Set(values) }
}

const labels = labelsOf({ app: 'web', empty: '', constructor: 'x' })

/** The outcome for a label with one of the values, with another value, and absent. */
const operators = new Map<string, [expression: Expression, matches: boolean]>([
  ['In takes a value that it lists', [{ key: 'app', operator: 'In', values: ['api', 'web'] }, true]],
  ['In takes no other value', [{ key: 'app', operator: 'In', values: ['api'] }, false]],
  ['In takes no absent label', [{ key: 'gpu', operator: 'In', values: ['x', ''] }, false]],
  ['In takes an empty value that it lists', [{ key: 'empty', operator: 'In', values: [''] }, true]],
  ['NotIn takes no value that it lists', [{ key: 'app', operator: 'NotIn', values: ['api', 'web'] }, false]],
  ['NotIn takes another value', [{ key: 'app', operator: 'NotIn', values: ['api'] }, true]],
  ['NotIn takes an absent label', [{ key: 'gpu', operator: 'NotIn', values: ['x'] }, true]],
  ['NotIn takes no empty value that it lists', [{ key: 'empty', operator: 'NotIn', values: [''] }, false]],
  ['Exists takes any value', [{ key: 'app', operator: 'Exists' }, true]],
  ['Exists takes an empty value', [{ key: 'empty', operator: 'Exists' }, true]],
  ['Exists takes no absent label', [{ key: 'gpu', operator: 'Exists' }, false]],
  ['DoesNotExist takes an absent label', [{ key: 'gpu', operator: 'DoesNotExist' }, true]],
  ['DoesNotExist takes no value', [{ key: 'app', operator: 'DoesNotExist' }, false]],
  ['DoesNotExist takes no empty value', [{ key: 'empty', operator: 'DoesNotExist' }, false]],
  [
    'a label named like a method of objects is there if written',
    [{ key: 'constructor', operator: 'Exists' }, true],
  ],
  [
    'a label named like a method of objects is absent if not',
    [{ key: 'toString', operator: 'DoesNotExist' }, true],
  ],
  ['values are compared by case', [{ key: 'app', operator: 'In', values: ['Web'] }, false]],
])

for (const [sentence, [expression, matches]] of operators) {
  t.test(sentence, async t => t.equal(satisfies(requirement(expression), labels), matches))
}

t.test('labels of an untrusted value are its own members that are strings', async t => {
  t.strictSame(
    [...labelsOf({ a: 'x', b: 1, c: null, d: ['x'], e: '' })],
    [
      ['a', 'x'],
      ['e', ''],
    ],
  )
  t.strictSame(
    [...labelsOf(JSON.parse('{"__proto__": "x", "toString": "y"}'))],
    [
      ['__proto__', 'x'],
      ['toString', 'y'],
    ],
  )
  for (const value of [undefined, null, 'text', 1, ['a']]) t.equal(labelsOf(value).size, 0)
})

const words = new Map<string, Expression>([
  ['app=web', { key: 'app', operator: 'In', values: ['web'] }],
  ['app in (web, api)', { key: 'app', operator: 'In', values: ['web', 'api'] }],
  ['app!=web', { key: 'app', operator: 'NotIn', values: ['web'] }],
  ['app not in (web, api)', { key: 'app', operator: 'NotIn', values: ['web', 'api'] }],
  ['app exists', { key: 'app', operator: 'Exists' }],
  ['app does not exist', { key: 'app', operator: 'DoesNotExist' }],
])

t.test('renders', async t => {
  for (const [text, expression] of words) t.equal(renderRequirement(requirement(expression)), text, text)
})

/** What a selector compiles to, as words; none where it counts as absent. */
const compiled = new Map<string, [selector: unknown, words: string[] | undefined]>([
  ['an absent one', [undefined, undefined]],
  ['null', [null, undefined]],
  ['labels', [{ matchLabels: { app: 'web', 'x.io/y': '' } }, ['app=web', 'x.io/y=']]],
  [
    'expressions',
    [
      {
        matchExpressions: [
          { key: 'a', operator: 'In', values: ['x', 'y', 'x'] },
          { key: 'a', operator: 'NotIn', values: ['z'] },
          { key: 'b', operator: 'Exists' },
          { key: 'c', operator: 'DoesNotExist', values: [] },
          { key: 'd', operator: 'Exists', values: null },
        ],
      },
      ['a in (x, y)', 'a!=z', 'b exists', 'c does not exist', 'd exists'],
    ],
  ],
  [
    'both',
    [{ matchLabels: { a: 'x' }, matchExpressions: [{ key: 'b', operator: 'Exists' }] }, ['a=x', 'b exists']],
  ],
  [
    'keys named like methods of objects',
    [{ matchLabels: { constructor: 'x', hasOwnProperty: 'y' } }, ['constructor=x', 'hasOwnProperty=y']],
  ],
  ['null parts', [{ matchLabels: null, matchExpressions: [{ key: 'a', operator: 'Exists' }] }, ['a exists']]],
])

t.test('compiles, without a problem,', async t => {
  for (const [sentence, [selector, expected]] of compiled) {
    const problems = new Problems()
    const requirements = compileLabelSelector(selector, ['s'], problems)
    t.strictSame(requirements?.map(renderRequirement), expected, sentence)
    t.strictSame(problems.list, [], sentence)
  }
})

const wrong = new Map<string, [selector: unknown, problems: string[]]>([
  [
    'a string',
    [
      'app=web',
      [
        'error s: must be a label selector: an object with matchLabels, matchExpressions or both (found "app=web")',
      ],
    ],
  ],
  [
    'a list',
    [
      [],
      ['error s: must be a label selector: an object with matchLabels, matchExpressions or both (found [])'],
    ],
  ],
  [
    'an empty object',
    [{}, ['warning s: has no requirement in it and counts as absent; it does not select everything']],
  ],
  [
    'empty parts',
    [
      { matchLabels: {}, matchExpressions: [] },
      ['warning s: has no requirement in it and counts as absent; it does not select everything'],
    ],
  ],
  [
    'unknown fields',
    [
      { matchLabel: { a: 'x' }, toString: 1 },
      [
        'error s.matchLabel: unknown field; a label selector has matchLabels and matchExpressions',
        'error s.toString: unknown field; a label selector has matchLabels and matchExpressions',
      ],
    ],
  ],
  [
    'labels that are a list',
    [
      { matchLabels: ['a'] },
      ['error s.matchLabels: must be an object of label keys and values (found ["a"])'],
    ],
  ],
  [
    'a label key with a space',
    [
      { matchLabels: { 'a b': 'x' } },
      [
        "error s.matchLabels[\"a b\"]: A key's name holds only letters, digits, '-', '_' and '.', and starts and ends with a letter or digit. (found \"a b\")",
      ],
    ],
  ],
  [
    'a label value with a space',
    [
      { matchLabels: { a: 'x y' } },
      [
        "error s.matchLabels.a: A label value holds only letters, digits, '-', '_' and '.', and starts and ends with a letter or digit. (found \"x y\")",
      ],
    ],
  ],
  [
    'a label value of 64 characters',
    [
      { matchLabels: { a: 'x'.repeat(64) } },
      [`error s.matchLabels.a: A label value has at most 63 characters. (found "${'x'.repeat(59)}…)`],
    ],
  ],
  [
    'a label value that is null',
    [{ matchLabels: { a: null } }, ['error s.matchLabels.a: must be a string (found null)']],
  ],
  [
    'a label value that is a list',
    [{ matchLabels: { a: ['x'] } }, ['error s.matchLabels.a: must be a string (found ["x"])']],
  ],
  [
    'expressions that are an object',
    [
      { matchExpressions: { key: 'a' } },
      ['error s.matchExpressions: must be a list of {key, operator, values} (found {"key":"a"})'],
    ],
  ],
  [
    'an expression that is a string',
    [
      { matchExpressions: ['a'] },
      ['error s.matchExpressions[0]: must be an object with key, operator and values (found "a")'],
    ],
  ],
  [
    'an expression with an unknown field',
    [
      { matchExpressions: [{ key: 'a', operator: 'Exists', value: 'x' }] },
      ['error s.matchExpressions[0].value: unknown field; an expression has key, operator and values'],
    ],
  ],
  [
    'an expression without a key',
    [
      { matchExpressions: [{ operator: 'Exists' }] },
      ['error s.matchExpressions[0].key: must be a label key'],
    ],
  ],
  [
    'an expression with a number for a key',
    [
      { matchExpressions: [{ key: 1, operator: 'Exists' }] },
      ['error s.matchExpressions[0].key: must be a label key (found 1)'],
    ],
  ],
  [
    'an expression with a bad key',
    [
      { matchExpressions: [{ key: '/a', operator: 'Exists' }] },
      ['error s.matchExpressions[0].key: A key does not start with \'/\'. (found "/a")'],
    ],
  ],
  [
    'an unknown operator',
    [
      { matchExpressions: [{ key: 'a', operator: 'Equals', values: ['x'] }] },
      [
        'error s.matchExpressions[0].operator: must be one of In, NotIn, Exists, DoesNotExist (found "Equals")',
      ],
    ],
  ],
  [
    'an operator in small letters',
    [
      { matchExpressions: [{ key: 'a', operator: 'in', values: ['x'] }] },
      ['error s.matchExpressions[0].operator: must be one of In, NotIn, Exists, DoesNotExist (found "in")'],
    ],
  ],
  [
    'an operator of node selectors',
    [
      { matchExpressions: [{ key: 'a', operator: 'Gt', values: ['1'] }] },
      ['error s.matchExpressions[0].operator: must be one of In, NotIn, Exists, DoesNotExist (found "Gt")'],
    ],
  ],
  [
    'no operator',
    [
      { matchExpressions: [{ key: 'a' }] },
      ['error s.matchExpressions[0].operator: must be one of In, NotIn, Exists, DoesNotExist'],
    ],
  ],
  [
    'In without values',
    [
      { matchExpressions: [{ key: 'a', operator: 'In' }] },
      ['error s.matchExpressions[0].values: must have at least one value with operator In'],
    ],
  ],
  [
    'NotIn with an empty list',
    [
      { matchExpressions: [{ key: 'a', operator: 'NotIn', values: [] }] },
      ['error s.matchExpressions[0].values: must have at least one value with operator NotIn'],
    ],
  ],
  [
    'Exists with values',
    [
      { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['x'] }] },
      ['error s.matchExpressions[0].values: must be absent or empty with operator Exists'],
    ],
  ],
  [
    'DoesNotExist with values',
    [
      { matchExpressions: [{ key: 'a', operator: 'DoesNotExist', values: ['x'] }] },
      ['error s.matchExpressions[0].values: must be absent or empty with operator DoesNotExist'],
    ],
  ],
  [
    'values that are a string, which is one problem',
    [
      { matchExpressions: [{ key: 'a', operator: 'In', values: 'x' }] },
      ['error s.matchExpressions[0].values: must be a list of label values (found "x")'],
    ],
  ],
  [
    'a bad value, which is one problem',
    [
      { matchExpressions: [{ key: 'a', operator: 'In', values: ['-'] }] },
      [
        "error s.matchExpressions[0].values[0]: A label value holds only letters, digits, '-', '_' and '.', and starts and ends with a letter or digit. (found \"-\")",
      ],
    ],
  ],
  [
    'numbers and booleans for values, which work',
    [
      { matchLabels: { a: 1.5 }, matchExpressions: [{ key: 'b', operator: 'In', values: [true] }] },
      [
        'warning s.matchLabels.a: is a number, not a string; read as "1.5". Put it in quotes (found 1.5)',
        'warning s.matchExpressions[0].values[0]: is a boolean, not a string; read as "true". Put it in quotes (found true)',
      ],
    ],
  ],
  [
    'several things at once',
    [
      { matchLabels: { '': 'x', a: '.' }, matchExpressions: [1, { key: 'b', operator: 'x' }] },
      [
        'error s.matchLabels[""]: A key has a name that is not empty. (found "")',
        "error s.matchLabels.a: A label value holds only letters, digits, '-', '_' and '.', and starts and ends with a letter or digit. (found \".\")",
        'error s.matchExpressions[0]: must be an object with key, operator and values (found 1)',
        'error s.matchExpressions[1].operator: must be one of In, NotIn, Exists, DoesNotExist (found "x")',
      ],
    ],
  ],
])

t.test('finds the problems of', async t => {
  for (const [sentence, [selector, expected]] of wrong) {
    const problems = new Problems()
    compileLabelSelector(selector, ['s'], problems)
    t.strictSame(linesOf(problems.list), expected, sentence)
  }
})

t.test('an empty selector is reported whatever else is wrong with the rule', async t => {
  const problems = new Problems()
  problems.error({ path: ['name'], message: 'is wrong' })
  compileLabelSelector({}, ['s'], problems)
  t.match(problems.list, [{ severity: 'error' }, { severity: 'warning', path: 's' }])
})

t.test('a number is read as it was typed', async t => {
  const problems = new Problems({ ...NO_TEXT, typed: () => '1.10' })
  t.equal(stringOf(1.1, ['a'], problems), '1.10')
  t.match(problems.list, [{ severity: 'warning', message: /read as "1.10"/, value: '1.1' }])
})
