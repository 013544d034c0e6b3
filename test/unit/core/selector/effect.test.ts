import t from 'tap'
import { compileEffect, isEmptyEffect, NO_EFFECT } from '../../../../src/core/selector/effect.ts'
import { NO_TEXT, Problems } from '../../../../src/core/selector/problem.ts'
import { linesOf } from '../../../helpers/problems.ts'

const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost'

const fine = new Map<string, [effect: unknown, annotations: [string, string][], labels: [string, string][]]>([
  ['nothing', [undefined, [], []]],
  ['null', [null, [], []]],
  ['an empty object', [{}, [], []]],
  ['null parts', [{ annotations: null, labels: null }, [], []]],
  [
    'annotations and labels',
    [
      {
        annotations: { 'k8s.aliyun.com/eci-auto-imc': 'true', 'Example.COM/Note': 'any text\n"at all" 😀' },
        labels: { app: '' },
      },
      [
        ['k8s.aliyun.com/eci-auto-imc', 'true'],
        ['Example.COM/Note', 'any text\n"at all" 😀'],
      ],
      [['app', '']],
    ],
  ],
  ['a deletion cost', [{ annotations: { [DELETION_COST]: '-1000' } }, [[DELETION_COST, '-1000']], []]],
  [
    'keys named like methods of objects',
    [
      { annotations: { constructor: 'x' }, labels: { toString: 'y' } },
      [['constructor', 'x']],
      [['toString', 'y']],
    ],
  ],
])

t.test('compiles, without a problem,', async t => {
  for (const [sentence, [value, annotations, labels]] of fine) {
    const problems = new Problems()
    const effect = compileEffect(value, ['effect'], problems)
    t.strictSame([[...effect.annotations], [...effect.labels]], [annotations, labels], sentence)
    t.strictSame(problems.list, [], sentence)
    t.equal(isEmptyEffect(effect), annotations.length + labels.length === 0, sentence)
  }
})

const NAME_RULE = "holds only letters, digits, '-', '_' and '.', and starts and ends with a letter or digit."

const wrong = new Map<string, [effect: unknown, problems: string[]]>([
  ['a list', [[], ['error e: must be an object with annotations, labels or both (found [])']]],
  [
    'unknown fields',
    [
      { annotation: {}, tolerations: [] },
      [
        'error e.annotation: unknown field; an effect has annotations and labels',
        'error e.tolerations: unknown field; an effect has annotations and labels',
      ],
    ],
  ],
  [
    'annotations that are a list',
    [
      { annotations: ['a=b'] },
      ['error e.annotations: must be an object of keys and string values (found ["a=b"])'],
    ],
  ],
  [
    'labels that are a string',
    [{ labels: 'a=b' }, ['error e.labels: must be an object of keys and string values (found "a=b")']],
  ],
  [
    'an annotation key with a space',
    [{ annotations: { 'a b': 'x' } }, [`error e.annotations["a b"]: A key's name ${NAME_RULE} (found "x")`]],
  ],
  [
    'a label key with two slashes',
    [
      { labels: { 'a/b/c': 'x' } },
      [
        'error e.labels["a/b/c"]: A key has at most one \'/\': an optional DNS prefix, then a name. (found "x")',
      ],
    ],
  ],
  [
    'a label value with a slash',
    [{ labels: { a: 'x/y' } }, [`error e.labels.a: A label value ${NAME_RULE} (found "x/y")`]],
  ],
  [
    'null values',
    [
      { annotations: { a: null }, labels: { b: null } },
      [
        'error e.annotations.a: must be a string (found null)',
        'error e.labels.b: must be a string (found null)',
      ],
    ],
  ],
  [
    'values that are objects',
    [{ annotations: { a: {} } }, ['error e.annotations.a: must be a string (found {})']],
  ],
  [
    'a key that the platform writes',
    [
      { annotations: { 'k8s.aliyun.com/eci-instance-id': 'x' } },
      [
        'error e.annotations["k8s.aliyun.com/eci-instance-id"]: ECI writes it itself once the Pod runs. (found "x")',
      ],
    ],
  ],
  [
    'a key of ours',
    [
      { annotations: { 'vnode-profile.io/rules': 'x' }, labels: { 'vnode-profile.io/skip': 'true' } },
      [
        'error e.annotations["vnode-profile.io/rules"]: vnode-profile.io/ is ours: what it says is written by vnode-profile alone. (found "x")',
        'error e.labels["vnode-profile.io/skip"]: vnode-profile.io/ is ours: what it says is written by vnode-profile alone. (found "true")',
      ],
    ],
  ],
  [
    'a label that a controller selects by',
    [
      { labels: { 'pod-template-hash': 'x' } },
      [
        'error e.labels.pod-template-hash: Deployments and ReplicaSets select their Pods by this label; another value would orphan the Pod. (found "x")',
      ],
    ],
  ],
  [
    'a deletion cost with a plus sign',
    [
      { annotations: { [DELETION_COST]: '+1' } },
      [
        `error e.annotations["${DELETION_COST}"]: A deletion cost is a whole number from -2147483648 to 2147483647, without a plus sign or leading zeros. (found "+1")`,
      ],
    ],
  ],
  [
    'a deletion cost that is a number, which works',
    [
      { annotations: { [DELETION_COST]: -1000 } },
      [
        `warning e.annotations["${DELETION_COST}"]: is a number, not a string; read as "-1000". Put it in quotes (found -1000)`,
      ],
    ],
  ],
  [
    'a deletion cost that is a fraction',
    [
      { annotations: { [DELETION_COST]: 1.5 } },
      [
        `warning e.annotations["${DELETION_COST}"]: is a number, not a string; read as "1.5". Put it in quotes (found 1.5)`,
        `error e.annotations["${DELETION_COST}"]: A deletion cost is a whole number from -2147483648 to 2147483647, without a plus sign or leading zeros. (found "1.5")`,
      ],
    ],
  ],
  [
    'a boolean, which works',
    [
      { labels: { a: true } },
      ['warning e.labels.a: is a boolean, not a string; read as "true". Put it in quotes (found true)'],
    ],
  ],
  [
    'an annotation that ECI will not understand, which works',
    [
      { annotations: { 'k8s.aliyun.com/eci-auto-imc': 'yes' } },
      [
        'warning e.annotations["k8s.aliyun.com/eci-auto-imc"]: k8s.aliyun.com/eci-auto-imc is "yes"; it must be "true" or "false". (found "yes")',
      ],
    ],
  ],
  [
    'several things at once',
    [
      { x: 1, annotations: { '': 'a', b: [] }, labels: { c: '-' } },
      [
        'error e.x: unknown field; an effect has annotations and labels',
        'error e.annotations[""]: A key has a name that is not empty. (found "a")',
        'error e.annotations.b: must be a string (found [])',
        `error e.labels.c: A label value ${NAME_RULE} (found "-")`,
      ],
    ],
  ],
])

t.test('finds the problems of', async t => {
  for (const [sentence, [value, expected]] of wrong) {
    const problems = new Problems()
    compileEffect(value, ['e'], problems)
    t.strictSame(linesOf(problems.list), expected, sentence)
  }
})

t.test('what is wrong is left out of the effect, so that nothing half-right is used', async t => {
  const problems = new Problems()
  const effect = compileEffect({ annotations: { a: 'x', 'b c': 'y', d: null } }, ['e'], problems)
  t.strictSame([...effect.annotations], [['a', 'x']])
  t.equal(compileEffect('text', ['e'], problems), NO_EFFECT)
})

t.test('a number is added as it was typed', async t => {
  const problems = new Problems({ ...NO_TEXT, typed: () => '1.10' })
  t.equal(compileEffect({ annotations: { a: 1.1 } }, ['e'], problems).annotations.get('a'), '1.10')
})

t.test('annotations may be as large as the apiserver allows, in UTF-8 bytes, and no larger', async t => {
  const limit = 256 * 1024
  const sized = (bytes: number) => ({ annotations: { k: 'é'.repeat((bytes - 2) / 2), l: '' } })
  const problems = new Problems()
  compileEffect(sized(limit), ['e'], problems)
  t.strictSame(problems.list, [])
  compileEffect(sized(limit + 2), ['e'], problems)
  t.strictSame(linesOf(problems.list), [
    'error e.annotations: are 262146 bytes together; the apiserver refuses a Pod with more than 262144',
  ])
})
