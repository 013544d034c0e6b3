import t from 'tap'
import { compileConfigMapRules } from '../../../../src/core/selector/configmap-rules.ts'
import { DEFAULT_RULES } from '../../../../src/core/selector/default-rules.ts'
import type { Rule } from '../../../../src/core/selector/rule.ts'
import { readMarks } from '../../../helpers/marked-text.ts'
import { linesInOrder } from '../../../helpers/problems.ts'

t.test('a rule with everything', async t => {
  const { rules, problems } = compileConfigMapRules(`[{
    "name": "everything",
    "namespaces": ["team-*", "!team-x"],
    "namespaceSelector": {"matchLabels": {"env": "ci"}},
    "objectSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]},
    "effect": {"annotations": {"k8s.aliyun.com/eci-auto-imc": "true"}, "labels": {"on": "eci"}},
    "policy": {"fair": {}},
  }]`)
  t.strictSame(problems, [])
  t.strictSame(rules, [
    {
      name: 'everything',
      origin: 'ConfigMap',
      effect: {
        annotations: new Map([['k8s.aliyun.com/eci-auto-imc', 'true']]),
        labels: new Map([['on', 'eci']]),
      },
      namespaces: { patterns: ['team-*', '!team-x'], include: ['team-*'], exclude: ['team-x'] },
      namespaceSelector: [{ key: 'env', operator: 'In', values: new Set(['ci']) }],
      objectSelector: [{ key: 'app', operator: 'NotIn', values: new Set(['db']) }],
      policy: { kind: 'fair', preferRealNodes: false },
    },
  ])
})

const NO_EFFECT = { annotations: new Map(), labels: new Map() }

t.test('the least that a rule can be', async t => {
  t.strictSame(compileConfigMapRules('- name: a\n  objectSelector: {matchLabels: {app: web}}\n').rules, [
    {
      name: 'a',
      origin: 'ConfigMap',
      effect: NO_EFFECT,
      objectSelector: [{ key: 'app', operator: 'In', values: new Set(['web']) }],
      policy: { kind: 'virtualNodeOnly' },
    },
  ] satisfies Rule[])
})

/** What each rule of the text does with the Pods that it matches; `-`: it schedules none. */
const policies = new Map<string, [text: string, policies: string[]]>([
  [
    'with an object selector: virtualNodeOnly',
    ['[{"name": "a", "objectSelector": {"matchLabels": {"a": "b"}}}]', ['virtualNodeOnly']],
  ],
  [
    'with a namespace selector: virtualNodeOnly',
    ['[{"name": "a", "namespaceSelector": {"matchLabels": {"a": "b"}}}]', ['virtualNodeOnly']],
  ],
  [
    'with a policy: that',
    [
      '[{"name": "a", "objectSelector": {"matchLabels": {"a": "b"}}, "policy": {"normalNodeOnly": {}}}]',
      ['normalNodeOnly'],
    ],
  ],
  [
    'with null for policy: virtualNodeOnly',
    ['[{"name": "a", "objectSelector": {"matchLabels": {"a": "b"}}, "policy": null}]', ['virtualNodeOnly']],
  ],
  ['without a selector: none', ['[{"name": "a", "effect": {"labels": {"a": "b"}}}]', ['-']]],
  [
    'with null for selectors: none',
    [
      '[{"name": "a", "objectSelector": null, "namespaceSelector": null, "effect": {"labels": {"a": "b"}}}]',
      ['-'],
    ],
  ],
  [
    'with an empty selector: none',
    ['[{"name": "a", "objectSelector": {}, "effect": {"labels": {"a": "b"}}}]', ['-']],
  ],
  [
    'with namespaces alone: none',
    ['[{"name": "a", "namespaces": ["x"], "effect": {"labels": {"a": "b"}}}]', ['-']],
  ],
  [
    'several, each in its place',
    [
      '[{"name": "a", "objectSelector": {"matchLabels": {"a": "b"}}}, {"name": "b", "effect": {"labels": {"a": "b"}}}]',
      ['virtualNodeOnly', '-'],
    ],
  ],
])

t.test('the policy of a rule', async t => {
  for (const [sentence, [text, expected]] of policies)
    t.strictSame(
      compileConfigMapRules(text).rules.map(rule => rule.policy?.kind ?? '-'),
      expected,
      sentence,
    )
})

const empty = new Map([
  ['the empty text', ''],
  ['white space', ' \n\t\n'],
  ['null', 'null'],
  ['an empty document', '---\n'],
  ['an empty list', '[]'],
  ['comments', '# none yet\n// at all\n'],
])

t.test('is a list without rules:', async t => {
  for (const [sentence, text] of empty)
    t.strictSame(compileConfigMapRules(text), { rules: [], problems: [] }, sentence)
})

t.test('the rules that come with the chart have no problem', async t => {
  const { rules, problems } = compileConfigMapRules(DEFAULT_RULES)
  t.equal(rules.length, 5)
  t.strictSame(problems, [])
})

t.test("the vendor's sample, with # comments and a number for a string", async t => {
  const { text, places } = readMarks(`
    [
        {
            "name":"eci-test",       # every rule has a name
            "objectSelector":{       # Pods
                "matchLabels":{
                    "app":"nginx"
                }
            },
            "effect":{
                "annotations":{
                    "k8s.aliyun.com/eci-ram-role-name": "vk-role", # a role
                    "controller.kubernetes.io/pod-deletion-cost": ‸-1000
                },
                "labels":{
                    "eci-schedulable": ‸true
                }
            }
        }
    ]`)
  const { rules, problems } = compileConfigMapRules(text)
  t.equal(rules[0]?.effect.annotations.get('controller.kubernetes.io/pod-deletion-cost'), '-1000')
  t.equal(rules[0]?.effect.labels.get('eci-schedulable'), 'true')
  t.match(problems, places)
  t.strictSame(linesInOrder(problems), [
    'warning rule "eci-test": [0].effect.annotations["controller.kubernetes.io/pod-deletion-cost"]: is a number, not a string; read as "-1000". Put it in quotes (found -1000)',
    'warning rule "eci-test": [0].effect.labels.eci-schedulable: is a boolean, not a string; read as "true". Put it in quotes (found true)',
  ])
})
