import t from 'tap'
import { compileConfigMapRules } from '../../../../src/core/selector/configmap-rules.ts'
import { readMarks } from '../../../helpers/marked-text.ts'
import { linesInOrder, linesOf, placesOf } from '../../../helpers/problems.ts'

const NEEDS_SELECTOR =
  'needs a selector: without one the rule schedules no Pod. To mean every namespace that "namespaces" names, add namespaceSelector {matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]}'
const NAME = 'must be a name of 1 to 253 characters without control characters'
const EMPTY = 'has no requirement in it and counts as absent; it does not select everything'

/** ‸ stands before each value, or key, that a problem is about. */
const wrong = new Map<string, [marked: string, problems: string[]]>([
  ['an object for a list', ['‸{"name": "a"}', ['error must be a list of rules']]],
  ['a string', ['‸rules', ['error must be a list of rules']]],
  [
    'several documents',
    ['‸- name: a\n---\n- name: b\n', ['error must be one list; it holds several YAML documents']],
  ],
  [
    'text that is neither JSON nor YAML',
    [
      '[{‸‸]',
      [
        'error the text is not valid JSON or YAML: Flow map in block collection must be sufficiently indented and end with a }',
        'error the text is not valid JSON or YAML: Flow sequence must end with a ]',
      ],
    ],
  ],
  [
    'rules that are no objects',
    [
      '[‸null, ‸"a", ‸[]]',
      [
        'error rule "#1": [0]: must be an object with name, selectors and effect (found null)',
        'error rule "#2": [1]: must be an object with name, selectors and effect (found "a")',
        'error rule "#3": [2]: must be an object with name, selectors and effect (found [])',
      ],
    ],
  ],
  ['no name', ['[‸{"objectSelector": {"matchLabels": {"a": "b"}}}]', [`error rule "#1": [0].name: ${NAME}`]]],
  [
    'an empty name',
    [
      '[{"name": ‸"", "objectSelector": {"matchLabels": {"a": "b"}}}]',
      [`error rule "#1": [0].name: ${NAME} (found "")`],
    ],
  ],
  [
    'a number for a name',
    [
      '- name: ‸5\n  objectSelector: {matchLabels: {a: b}}\n',
      [`error rule "#1": [0].name: ${NAME} (found 5)`],
    ],
  ],
  [
    'a name with a line break',
    [
      '[{"name": ‸"a\\nb", "objectSelector": {"matchLabels": {"a": "b"}}}]',
      [`error rule "#1": [0].name: ${NAME} (found "a\\nb")`],
    ],
  ],
  [
    'a name of 254 characters',
    [
      `[{"name": ‸"${'x'.repeat(254)}", "objectSelector": {"matchLabels": {"a": "b"}}}]`,
      [`error rule "#1": [0].name: ${NAME} (found "${'x'.repeat(59)}…)`],
    ],
  ],
  [
    'a name with half a character',
    [
      '[{"name": ‸"\\ud83d", "objectSelector": {"matchLabels": {"a": "b"}}}]',
      [`error rule "#1": [0].name: ${NAME} (found "\\ud83d")`],
    ],
  ],
  [
    'an expression that lacks its values, or has an empty list of them',
    [
      '- name: a\n  objectSelector:\n    matchExpressions:\n      - ‸{key: b, operator: In}\n      - {key: c, operator: NotIn, values: ‸[]}\n',
      [
        'error rule "a": [0].objectSelector.matchExpressions[0].values: must have at least one value with operator In',
        'error rule "a": [0].objectSelector.matchExpressions[1].values: must have at least one value with operator NotIn',
      ],
    ],
  ],
  [
    'unknown fields',
    [
      '- name: a\n  objectSelector: {matchLabels: {a: b}}\n  ‸effects: {}\n  ‸priority: 1\n',
      [
        'error rule "a": [0].effects: unknown field; a rule has name, namespaceSelector, objectSelector, effect, policy, namespaces',
        'error rule "a": [0].priority: unknown field; a rule has name, namespaceSelector, objectSelector, effect, policy, namespaces',
      ],
    ],
  ],
  [
    'fields named like methods of objects',
    [
      '[{"name": "a", "objectSelector": {"matchLabels": {"a": "b"}}, ‸"__proto__": {"policy": 1}, ‸"constructor": 1}]',
      [
        'error rule "a": [0].__proto__: unknown field; a rule has name, namespaceSelector, objectSelector, effect, policy, namespaces',
        'error rule "a": [0].constructor: unknown field; a rule has name, namespaceSelector, objectSelector, effect, policy, namespaces',
      ],
    ],
  ],
  [
    'an empty selector, which works',
    [
      '[{"name": "a", "objectSelector": ‸{}, "effect": {"labels": {"a": "b"}}}]',
      [`warning rule "a": [0].objectSelector: ${EMPTY}`],
    ],
  ],
  [
    'neither selector nor effect, which does nothing',
    ['[‸{"name": "a"}]', ['warning rule "a": [0]: has neither a selector nor an effect, and does nothing']],
  ],
  [
    'empty selectors and effects',
    [
      '[‸{"name": "a", "namespaceSelector": ‸{}, "effect": {"labels": {}}}]',
      [
        'warning rule "a": [0]: has neither a selector nor an effect, and does nothing',
        `warning rule "a": [0].namespaceSelector: ${EMPTY}`,
      ],
    ],
  ],
  [
    'a policy without a selector',
    ['[{"name": "a", ‸"policy": {"fair": {}}}]', [`error rule "a": [0].policy: ${NEEDS_SELECTOR}`]],
  ],
  [
    'a policy with namespaces alone',
    [
      '- name: a\n  namespaces: [b]\n  ‸policy: {fair: {}}\n',
      [`error rule "a": [0].policy: ${NEEDS_SELECTOR}`],
    ],
  ],
  [
    'a policy with an empty selector',
    [
      '- name: a\n  objectSelector: ‸{}\n  ‸policy: {fair: {}}\n',
      [`warning rule "a": [0].objectSelector: ${EMPTY}`, `error rule "a": [0].policy: ${NEEDS_SELECTOR}`],
    ],
  ],
  [
    'a policy with a broken selector, of which alone is told',
    [
      '- name: a\n  objectSelector: ‸x\n  policy: {fair: {}}\n',
      [
        'error rule "a": [0].objectSelector: must be a label selector: an object with matchLabels, matchExpressions or both (found "x")',
      ],
    ],
  ],
  [
    'a policy without a selector, and what else is wrong',
    [
      '- name: a\n  ‸policy: {fair: {}}\n  effect: ‸x\n',
      [
        `error rule "a": [0].policy: ${NEEDS_SELECTOR}`,
        'error rule "a": [0].effect: must be an object with annotations, labels or both (found "x")',
      ],
    ],
  ],
  [
    'a bad policy',
    [
      '- name: a\n  objectSelector: {matchLabels: {a: b}}\n  policy: {‸Fair: {}}\n',
      [
        'error rule "a": [0].policy.Fair: unknown policy; it must be one of virtualNodeOnly, normalNodeOnly, fair, normalNodePrefer',
      ],
    ],
  ],
  [
    'a bad pattern',
    [
      '- name: a\n  objectSelector: {matchLabels: {a: b}}\n  namespaces:\n    - x\n    - ‸Y\n',
      [
        'error rule "a": [0].namespaces[1]: must be a namespace name, in which * stands for any characters and ? for one, with ! in front to exclude (found "Y")',
      ],
    ],
  ],
  [
    'a value deep inside, in the second rule',
    [
      '- name: a\n  objectSelector: {matchLabels: {a: b}}\n- name: b\n  objectSelector:\n    matchExpressions:\n      - key: x\n        operator: In\n        values:\n          - good\n          - ‸"not good"\n',
      [
        "error rule \"b\": [1].objectSelector.matchExpressions[0].values[1]: A label value holds only letters, digits, '-', '_' and '.', and starts and ends with a letter or digit. (found \"not good\")",
      ],
    ],
  ],
  [
    'numbers as they were typed, which works',
    [
      '- name: a\n  objectSelector: {matchLabels: {version: ‸1.10, mode: ‸0x10}}\n',
      [
        'warning rule "a": [0].objectSelector.matchLabels.version: is a number, not a string; read as "1.10". Put it in quotes (found 1.1)',
        'warning rule "a": [0].objectSelector.matchLabels.mode: is a number, not a string; read as "0x10". Put it in quotes (found 16)',
      ],
    ],
  ],
  [
    'the same name twice, which works',
    [
      '- name: a\n  objectSelector: {matchLabels: {a: b}}\n- name: b\n  objectSelector: {matchLabels: {a: b}}\n- name: ‸a\n  objectSelector: {matchLabels: {a: b}}\n- name: ‸a\n  effect: {labels: {a: b}}\n',
      [
        'warning rule "a": [2].name: another rule has the same name; annotations and Events cannot tell them apart',
        'warning rule "a": [3].name: another rule has the same name; annotations and Events cannot tell them apart',
      ],
    ],
  ],
  [
    'everything, all at once',
    [
      '- name: ‸""\n  ‸x: 1\n  namespaces: ‸[]\n  namespaceSelector: ‸a\n  objectSelector:\n    ‸matchLabel: {}\n  policy: ‸{}\n  effect:\n    annotations: ‸[]\n',
      [
        `error rule "#1": [0].name: ${NAME} (found "")`,
        'error rule "#1": [0].x: unknown field; a rule has name, namespaceSelector, objectSelector, effect, policy, namespaces',
        'error rule "#1": [0].namespaces: must be a list of at least one namespace name pattern, such as ["team-*", "!team-x"] (found [])',
        'error rule "#1": [0].namespaceSelector: must be a label selector: an object with matchLabels, matchExpressions or both (found "a")',
        'error rule "#1": [0].objectSelector.matchLabel: unknown field; a label selector has matchLabels and matchExpressions',
        'error rule "#1": [0].policy: must be an object with exactly one of virtualNodeOnly, normalNodeOnly, fair, normalNodePrefer (found {})',
        'error rule "#1": [0].effect.annotations: must be an object of keys and string values (found [])',
      ],
    ],
  ],
])

for (const [sentence, [marked, expected]] of wrong) {
  t.test(`finds the problems of ${sentence}`, async t => {
    const { text, places } = readMarks(marked)
    const { rules, problems } = compileConfigMapRules(text)
    t.strictSame(linesInOrder(problems), expected)
    t.strictSame(placesOf(problems), places)
    if (!linesOf(problems).some(line => line.startsWith('warning')))
      t.strictSame(
        rules.map(rule => rule.name),
        sentence.includes('second rule') ? ['a'] : [],
      )
  })
}

t.test('a rule with a warning works, a rule with an error does not, and the others do not mind', async t => {
  const { rules, problems } = compileConfigMapRules(`
    - {name: warned, objectSelector: {matchLabels: {a: 1}}}
    - {name: broken, objectSelector: {matchLabels: {a: null}}}
    - {name: fine, objectSelector: {matchLabels: {a: b}}}`)
  t.strictSame(
    rules.map(rule => rule.name),
    ['warned', 'fine'],
  )
  t.strictSame(
    problems.map(problem => [problem.severity, problem.rule]),
    [
      ['warning', 'warned'],
      ['error', 'broken'],
    ],
  )
})

t.test('one bad rule among 300 is found, with its place, and the 299 are kept', async t => {
  const lines = Array.from({ length: 300 }, (_, index) =>
    index === 211
      ? `  {"name": "rule-${index}", "objectSelector": {"matchLabels": {"app": ‸"a b"}}},`
      : `  {"name": "rule-${index}", "objectSelector": {"matchLabels": {"app": "${index}"}}},`,
  )
  const { text, places } = readMarks(`[\n${lines.join('\n')}\n]`)
  const { rules, problems } = compileConfigMapRules(text)
  t.equal(rules.length, 299)
  t.notOk(rules.some(rule => rule.name === 'rule-211'))
  t.match(problems, [
    { severity: 'error', rule: 'rule-211', path: '[211].objectSelector.matchLabels.app', ...places[0] },
  ])
  t.equal(problems.length, 1)
  t.equal(places[0]?.line, 213)
})

t.test('the same name as a rule that is left out is no matter', async t => {
  t.equal(compileConfigMapRules('[{name: a, x: 1}, {name: a, effect: {labels: {b: c}}}]').problems.length, 1)
})
