import t from 'tap'
import { selfDefeatingLabels } from '../../../../src/core/selector/rule-set.ts'
import { compileAll } from '../../../helpers/environments.ts'
import type { PlainRule } from '../../../helpers/naive-rules.ts'
import { linesOf } from '../../../helpers/problems.ts'

const effect = { labels: { on: 'eci' } }

const gone = (rule: string, wants: string) =>
  `rule "${rule}" wants ${wants}, so it stops matching a Pod that got this label`

const defeats = new Map<string, [rules: PlainRule[], problems: string[]]>([
  [
    'a rule that wants its own label absent',
    [
      [
        {
          name: 'a',
          objectSelector: { matchExpressions: [{ key: 'on', operator: 'DoesNotExist' }] },
          effect,
        },
      ],
      [`warning rule "a": effect.labels.on: ${gone('a', 'on does not exist')}`],
    ],
  ],
  [
    'a rule that wants another value than it sets',
    [
      [
        {
          name: 'a',
          objectSelector: { matchExpressions: [{ key: 'on', operator: 'NotIn', values: ['eci'] }] },
          effect,
        },
      ],
      [`warning rule "a": effect.labels.on: ${gone('a', 'on!=eci')}`],
    ],
  ],
  [
    'a rule that excludes some other value',
    [
      [
        {
          name: 'a',
          objectSelector: { matchExpressions: [{ key: 'on', operator: 'NotIn', values: ['vm'] }] },
          effect,
        },
      ],
      [],
    ],
  ],
  [
    'a rule that another one defeats',
    [
      [
        { name: 'a', effect },
        {
          name: 'b',
          objectSelector: {
            matchExpressions: [
              { key: 'x', operator: 'DoesNotExist' },
              { key: 'on', operator: 'DoesNotExist' },
            ],
          },
        },
      ],
      [`warning rule "a": effect.labels.on: ${gone('b', 'on does not exist')}`],
    ],
  ],
  [
    'a rule that excludes some other label',
    [
      [{ name: 'a', objectSelector: { matchExpressions: [{ key: 'x', operator: 'DoesNotExist' }] }, effect }],
      [],
    ],
  ],
  [
    'rules that only ask for labels',
    [[{ name: 'a', objectSelector: { matchLabels: { on: 'vm' } }, effect }], []],
  ],
  [
    'the labels of namespaces, which no rule sets',
    [
      [
        {
          name: 'a',
          namespaceSelector: { matchExpressions: [{ key: 'on', operator: 'DoesNotExist' }] },
          effect,
        },
      ],
      [],
    ],
  ],
])

t.test('warns of labels that stop a rule from matching a second time:', async t => {
  for (const [sentence, [rules, problems]] of defeats)
    t.strictSame(linesOf(selfDefeatingLabels(compileAll(rules))), problems, sentence)
})
