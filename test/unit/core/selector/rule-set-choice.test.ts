import t from 'tap'
import { labelsOf } from '../../../../src/core/selector/requirement.ts'
import { compileSelector } from '../../../../src/core/selector/resource-rules.ts'
import type { Subject } from '../../../../src/core/selector/rule.ts'
import { orderRules, RuleSet } from '../../../../src/core/selector/rule-set.ts'
import { compileAll } from '../../../helpers/environments.ts'
import type { PlainRule } from '../../../helpers/naive-rules.ts'
import { makeSelector, makeSettings, type SelectorOverrides } from '../../../helpers/selectors.ts'

/** Compiled Selectors, by name, in the order of `orderRules`. */
function ordered(...overrides: SelectorOverrides[]): string[] {
  const settings = makeSettings()
  return orderRules(
    overrides.map(one => compileSelector(makeSelector(one), settings)),
    compileAll([{ name: 'z' }, { name: 'a' }]),
  ).map(rule => rule.name)
}

const objectLabels = { matchLabels: { app: 'web' } }
const at = (priority: number) => ({ objectLabels, priority })

const orders = new Map<string, [selectors: SelectorOverrides[], order: string[]]>([
  [
    'higher priority first',
    [
      [
        { name: 'low', spec: at(-5) },
        { name: 'none', spec: { objectLabels } },
        { name: 'high', spec: at(9) },
        { name: 'ten', spec: at(10) },
      ],
      ['ten', 'high', 'none', 'low'],
    ],
  ],
  [
    'of equal priority the older first',
    [
      [
        { name: 'a', createdAt: '2026-01-03T00:00:00Z' },
        { name: 'b', createdAt: '2026-01-02T23:59:59Z' },
        { name: 'c', createdAt: '2025-12-31T00:00:00Z' },
      ],
      ['c', 'b', 'a'],
    ],
  ],
  [
    'of equal age by namespace and name',
    [
      [
        { namespace: 'b', name: 'a' },
        { namespace: 'a', name: 'c' },
        { namespace: 'a', name: 'b' },
        { name: 'B' },
      ],
      ['B', 'a/b', 'a/c', 'b/a'],
    ],
  ],
  [
    'priority before age, age before name',
    [
      [
        { name: 'a', createdAt: '2026-01-02T00:00:00Z', spec: at(1) },
        { name: 'b', createdAt: '2026-01-01T00:00:00Z', spec: at(1) },
        { name: 'c', createdAt: '2020-01-01T00:00:00Z' },
      ],
      ['b', 'a', 'c'],
    ],
  ],
  [
    'the very same name keeps its place',
    [
      [{ name: 'a' }, { name: 'a' }],
      ['a', 'a'],
    ],
  ],
  ['bad Selectors are not there', [[{ name: 'a', spec: {} }, { name: 'b' }], ['b']]],
])

t.test('the order of rules: Selectors, then the rules of the ConfigMap as they stand:', async t => {
  for (const [sentence, [selectors, order]] of orders)
    t.strictSame(ordered(...selectors), [...order, 'z', 'a'], sentence)
})

const subject: Subject = {
  labels: labelsOf({ app: 'web' }),
  namespace: 'team-a',
  namespaceLabels: labelsOf({ 'kubernetes.io/metadata.name': 'team-a' }),
}

interface Choice {
  readonly scheduling: string | undefined
  readonly effective: readonly string[]
  readonly applying: readonly string[]
}

function choice(selectors: readonly SelectorOverrides[], rules: readonly PlainRule[]): Choice {
  const settings = makeSettings()
  const compiled = selectors.map(one => compileSelector(makeSelector(one), settings))
  const { scheduling, effective, applying } = new RuleSet(orderRules(compiled, compileAll(rules))).match(
    subject,
  )
  return {
    scheduling: scheduling?.name,
    effective: effective.map(rule => rule.name),
    applying: applying.map(rule => rule.name),
  }
}

const web = { matchLabels: { app: 'web' } }
const effect = { labels: { on: 'eci' } }
const fair = { fair: {} }

const choices = new Map<string, [selectors: SelectorOverrides[], rules: PlainRule[], choice: Choice]>([
  [
    'nothing matches',
    [
      [{ spec: { objectLabels: { matchLabels: { app: 'db' } } } }],
      [],
      { scheduling: undefined, effective: [], applying: [] },
    ],
  ],
  [
    'a Selector goes before the ConfigMap',
    [
      [{ name: 's', spec: { objectLabels, policy: fair, effect } }],
      [{ name: 'c', objectSelector: web, effect }],
      { scheduling: 's', effective: ['s', 'c'], applying: ['s', 'c'] },
    ],
  ],
  [
    'of the Selectors only the first match has an effect',
    [
      [
        { name: 's1', spec: { objectLabels, priority: 2, policy: fair, effect } },
        { name: 's2', spec: { objectLabels, priority: 1, effect } },
      ],
      [],
      { scheduling: 's1', effective: ['s1'], applying: ['s1'] },
    ],
  ],
  [
    'of the Selectors only the first match has an effect, even if its own is empty',
    [
      [
        { name: 's1', spec: { objectLabels, priority: 2, policy: fair } },
        { name: 's2', spec: { objectLabels, priority: 1, effect } },
      ],
      [],
      { scheduling: 's1', effective: [], applying: ['s1'] },
    ],
  ],
  [
    'a first Selector without a policy leaves the scheduling to the next',
    [
      [
        { name: 's1', spec: { objectLabels, priority: 2, effect } },
        { name: 's2', spec: { objectLabels, priority: 1, policy: fair, effect } },
      ],
      [],
      { scheduling: 's2', effective: ['s1'], applying: ['s1', 's2'] },
    ],
  ],
  [
    'a Selector without a policy leaves the scheduling to the ConfigMap',
    [
      [{ name: 's1', spec: { objectLabels, effect } }],
      [{ name: 'c', objectSelector: web }],
      { scheduling: 'c', effective: ['s1'], applying: ['s1', 'c'] },
    ],
  ],
  [
    'a Selector without a policy schedules nothing by itself',
    [
      [{ name: 's1', spec: { objectLabels, effect } }],
      [],
      { scheduling: undefined, effective: ['s1'], applying: ['s1'] },
    ],
  ],
  [
    'of the ConfigMap all matches have an effect, the first schedules',
    [
      [],
      [
        { name: 'a', effect },
        { name: 'b', objectSelector: web, effect },
        { name: 'c', objectSelector: web, effect },
      ],
      { scheduling: 'b', effective: ['a', 'b', 'c'], applying: ['a', 'b', 'c'] },
    ],
  ],
  [
    'a rule without an effect applies only if it schedules',
    [
      [],
      [
        { name: 'a', objectSelector: web },
        { name: 'b', objectSelector: web },
      ],
      { scheduling: 'a', effective: [], applying: ['a'] },
    ],
  ],
  [
    'a Selector acts on Pods of its namespace',
    [
      [{ namespace: 'team-a', name: 's', spec: { objectLabels, policy: fair } }],
      [],
      { scheduling: 'team-a/s', effective: [], applying: ['team-a/s'] },
    ],
  ],
  [
    'a Selector of another namespace does not',
    [
      [{ namespace: 'team-b', name: 's', spec: { objectLabels, policy: fair } }],
      [],
      { scheduling: undefined, effective: [], applying: [] },
    ],
  ],
  [
    "a Selector of the installation's namespace acts everywhere",
    [
      [{ namespace: 'vnode-system', name: 's', spec: { objectLabels, policy: fair } }],
      [],
      { scheduling: 'vnode-system/s', effective: [], applying: ['vnode-system/s'] },
    ],
  ],
  [
    'namespace patterns are ANDed with the selectors',
    [
      [],
      [
        { name: 'a', objectSelector: web, namespaces: ['team-*', '!team-a'] },
        { name: 'b', objectSelector: web, namespaces: ['team-a'] },
        { name: 'c', objectSelector: { matchLabels: { app: 'db' } }, namespaces: ['team-a'] },
      ],
      { scheduling: 'b', effective: [], applying: ['b'] },
    ],
  ],
])

t.test('what applies when', async t => {
  for (const [sentence, [selectors, rules, expected]] of choices)
    t.strictSame(choice(selectors, rules), expected, sentence)
})

t.test('the same rules that match give the same value, so that what follows from it can be kept', async t => {
  const rules = new RuleSet(
    compileAll([
      { name: 'a', objectSelector: { matchLabels: { app: 'web' } } },
      { name: 'b', objectSelector: { matchLabels: { tier: 'front' } }, effect: { labels: { on: 'eci' } } },
    ]),
  )
  const match = (labels: Record<string, string>) =>
    rules.match({ labels: new Map(Object.entries(labels)), namespace: 'x', namespaceLabels: new Map() })
  const both = match({ app: 'web', tier: 'front' })
  t.strictSame(
    both.applying.map(rule => rule.name),
    ['a', 'b'],
  )
  t.equal(match({ tier: 'front', app: 'web', more: 'x' }), both)
  t.equal(match({ app: 'web' }), match({ app: 'web', more: 'x' }))
  t.not(match({ app: 'web' }), both)
  t.equal(match({}), match({ more: 'x' }))
})

t.test('a rule set knows which labels of Pods its rules ask about', async t => {
  const rules = new RuleSet(
    compileAll([
      { name: 'a', objectSelector: { matchLabels: { app: 'web' } } },
      { name: 'b', objectSelector: { matchExpressions: [{ key: 'gone', operator: 'DoesNotExist' }] } },
      { name: 'c', namespaceSelector: { matchLabels: { env: 'ci' } }, effect: { labels: { on: 'eci' } } },
    ]),
  )
  const asks = (...keys: string[]) => rules.asksAbout(new Map(keys.map(key => [key, 'x'])))
  t.equal(asks('app'), true)
  t.equal(asks('on', 'gone'), true)
  t.equal(asks('on', 'env', 'constructor'), false)
  t.equal(asks(), false)
})
