import t from 'tap'
import { compilePolicy, type Policy } from '../../../../src/core/policy/policy.ts'
import { Problems } from '../../../../src/core/selector/problem.ts'
import { linesOf } from '../../../helpers/problems.ts'

const fine = new Map<string, [value: unknown, policy: Policy | undefined]>([
  ['nothing', [undefined, undefined]],
  ['null', [null, undefined]],
  ['virtualNodeOnly', [{ virtualNodeOnly: {} }, { kind: 'virtualNodeOnly' }]],
  ['virtualNodeOnly: null', [{ virtualNodeOnly: null }, { kind: 'virtualNodeOnly' }]],
  ['normalNodeOnly', [{ normalNodeOnly: {} }, { kind: 'normalNodeOnly' }]],
  ['fair', [{ fair: {} }, { kind: 'fair', preferRealNodes: false }]],
  ['fair with a preference', [{ fair: { preferRealNodes: true } }, { kind: 'fair', preferRealNodes: true }]],
  [
    'fair with no preference',
    [{ fair: { preferRealNodes: null } }, { kind: 'fair', preferRealNodes: false }],
  ],
  ['normalNodePrefer', [{ normalNodePrefer: {} }, { kind: 'normalNodePrefer' }]],
  [
    'normalNodePrefer with everything',
    [
      { normalNodePrefer: { cpuRatio: 80, memoryRatio: 100, spillAfter: '1m30s' } },
      { kind: 'normalNodePrefer', cpuRatio: 80, memoryRatio: 100, spillAfterSeconds: 90 },
    ],
  ],
  [
    'normalNodePrefer with zeros',
    [
      { normalNodePrefer: { cpuRatio: 0, spillAfter: '0' } },
      { kind: 'normalNodePrefer', cpuRatio: 0, spillAfterSeconds: 0 },
    ],
  ],
  [
    'normalNodePrefer with nulls',
    [
      { normalNodePrefer: { cpuRatio: null, memoryRatio: null, spillAfter: null } },
      { kind: 'normalNodePrefer' },
    ],
  ],
])

t.test('compiles, without a problem,', async t => {
  for (const [sentence, [value, policy]] of fine) {
    const problems = new Problems()
    t.strictSame(compilePolicy(value, ['policy'], problems), policy, sentence)
    t.strictSame(problems.list, [], sentence)
  }
})

const ONE = 'must be an object with exactly one of virtualNodeOnly, normalNodeOnly, fair, normalNodePrefer'
const RATIO = 'must be a whole number of per cent from 0 to 100'
const SPILL = 'must be a duration such as "30s", "5m" or "1h30m"'

const wrong = new Map<string, [value: unknown, problems: string[]]>([
  ['a name', ['fair', [`error policy: ${ONE} (found "fair")`]]],
  ['a list', [[{ fair: {} }], [`error policy: ${ONE} (found [{"fair":{}}])`]]],
  ['an empty object', [{}, [`error policy: ${ONE} (found {})`]]],
  [
    'two policies',
    [{ fair: {}, virtualNodeOnly: {} }, [`error policy: ${ONE} (found {"fair":{},"virtualNodeOnly":{}})`]],
  ],
  [
    'two policies, one of them null',
    [
      { fair: {}, virtualNodeOnly: null },
      [`error policy: ${ONE} (found {"fair":{},"virtualNodeOnly":null})`],
    ],
  ],
  [
    'an unknown policy',
    [
      { Fair: {} },
      [
        'error policy.Fair: unknown policy; it must be one of virtualNodeOnly, normalNodeOnly, fair, normalNodePrefer',
      ],
    ],
  ],
  [
    'a policy named like a method of objects',
    [
      { constructor: {} },
      [
        'error policy.constructor: unknown policy; it must be one of virtualNodeOnly, normalNodeOnly, fair, normalNodePrefer',
      ],
    ],
  ],
  [
    'the policy that nobody implemented',
    [
      { namespaceResourceLimit: { namespace: 'a', limits: {} } },
      ['error policy.namespaceResourceLimit: namespaceResourceLimit is not supported yet'],
    ],
  ],
  [
    'a policy that is true',
    [{ fair: true }, ['error policy.fair: must be an object; write {} for no settings (found true)']],
  ],
  [
    'a policy that is a list',
    [{ fair: [] }, ['error policy.fair: must be an object; write {} for no settings (found [])']],
  ],
  [
    'settings where there are none',
    [
      { virtualNodeOnly: { cpuRatio: 1 } },
      ['error policy.virtualNodeOnly.cpuRatio: unknown field; this policy has no settings'],
    ],
  ],
  [
    'settings of another policy',
    [
      { fair: { cpuRatio: 1 } },
      ['error policy.fair.cpuRatio: unknown field; this policy knows preferRealNodes'],
    ],
  ],
  [
    'a preference that is a string',
    [
      { fair: { preferRealNodes: 'true' } },
      ['error policy.fair.preferRealNodes: must be true or false (found "true")'],
    ],
  ],
  [
    'a ratio over 100',
    [
      { normalNodePrefer: { cpuRatio: 101 } },
      [`error policy.normalNodePrefer.cpuRatio: ${RATIO} (found 101)`],
    ],
  ],
  [
    'a ratio below 0',
    [
      { normalNodePrefer: { memoryRatio: -1 } },
      [`error policy.normalNodePrefer.memoryRatio: ${RATIO} (found -1)`],
    ],
  ],
  [
    'a ratio that is a fraction',
    [
      { normalNodePrefer: { cpuRatio: 0.8 } },
      [`error policy.normalNodePrefer.cpuRatio: ${RATIO} (found 0.8)`],
    ],
  ],
  [
    'a ratio that is a string',
    [
      { normalNodePrefer: { cpuRatio: '80' } },
      [`error policy.normalNodePrefer.cpuRatio: ${RATIO} (found "80")`],
    ],
  ],
  [
    'a duration without a unit',
    [
      { normalNodePrefer: { spillAfter: '30' } },
      [`error policy.normalNodePrefer.spillAfter: ${SPILL} (found "30")`],
    ],
  ],
  [
    'a duration that is a number',
    [
      { normalNodePrefer: { spillAfter: 30 } },
      [`error policy.normalNodePrefer.spillAfter: ${SPILL} (found 30)`],
    ],
  ],
  [
    'everything at once',
    [
      { normalNodePrefer: { cpuRatio: 'x', memoryRatio: 1.5, spillAfter: '-1s', toString: 1 } },
      [
        'error policy.normalNodePrefer.toString: unknown field; this policy knows cpuRatio, memoryRatio, spillAfter',
        `error policy.normalNodePrefer.cpuRatio: ${RATIO} (found "x")`,
        `error policy.normalNodePrefer.memoryRatio: ${RATIO} (found 1.5)`,
        `error policy.normalNodePrefer.spillAfter: ${SPILL} (found "-1s")`,
      ],
    ],
  ],
])

t.test('finds the problems of', async t => {
  for (const [sentence, [value, expected]] of wrong) {
    const problems = new Problems()
    compilePolicy(value, ['policy'], problems)
    t.strictSame(linesOf(problems.list), expected, sentence)
  }
})

t.test('what is not exactly one known policy is none at all, never another one', async t => {
  for (const value of ['fair', [], {}, { fair: {}, virtualNodeOnly: {} }, { x: {} }, { fair: 1 }])
    t.equal(compilePolicy(value, [], new Problems()), undefined)
})
