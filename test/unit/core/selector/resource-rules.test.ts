import t from 'tap'
import { NO_TEXT } from '../../../../src/core/selector/problem.ts'
import { compileSelector } from '../../../../src/core/selector/resource-rules.ts'
import { linesOf } from '../../../helpers/problems.ts'
import { makeSelector, makeSettings, type SelectorOverrides } from '../../../helpers/selectors.ts'

const objectLabels = { matchLabels: { app: 'web' } }

t.test('a Selector with everything', async t => {
  const selector = makeSelector({
    namespace: 'team-a',
    name: 'everything',
    createdAt: '2026-01-02T03:04:05Z',
    spec: {
      namespaceLabels: { matchLabels: { env: 'ci' } },
      objectLabels: { matchExpressions: [{ key: 'app', operator: 'Exists' }] },
      effect: { annotations: { 'k8s.aliyun.com/eci-auto-imc': 'true' }, labels: { on: 'eci' } },
      policy: { normalNodePrefer: { cpuRatio: 80 } },
      priority: 7,
      namespaces: ['team-*'],
    },
  })
  t.strictSame(compileSelector(selector, makeSettings()), {
    priority: 7,
    createdAt: '2026-01-02T03:04:05Z',
    problems: [],
    rule: {
      name: 'team-a/everything',
      origin: 'Selector',
      effect: {
        annotations: new Map([['k8s.aliyun.com/eci-auto-imc', 'true']]),
        labels: new Map([['on', 'eci']]),
      },
      namespaces: { patterns: ['team-*'], include: ['team-*'], exclude: [] },
      namespaceSelector: [{ key: 'env', operator: 'In', values: new Set(['ci']) }],
      objectSelector: [{ key: 'app', operator: 'Exists', values: new Set() }],
      policy: { kind: 'normalNodePrefer', cpuRatio: 80 },
      onlyNamespace: 'team-a',
    },
  })
})

t.test('a Selector without a policy schedules nothing', async t => {
  const { rule, problems } = compileSelector(makeSelector({ spec: { objectLabels } }), makeSettings())
  t.notOk('policy' in (rule ?? {}))
  t.strictSame(problems, [])
})

/** The one namespace that a Selector acts on; undefined: all. */
const scopes = new Map<
  string,
  [overrides: SelectorOverrides, scope: 'namespace' | 'cluster', name: string, only: string | undefined]
>([
  ['a cluster-scoped one acts everywhere', [{}, 'namespace', 'web', undefined]],
  [
    'one with an empty namespace, in a file, acts everywhere',
    [{ namespace: '' }, 'namespace', 'web', undefined],
  ],
  ['one in a namespace acts there', [{ namespace: 'team-a' }, 'namespace', 'team-a/web', 'team-a']],
  [
    "one in the installation's namespace acts everywhere",
    [{ namespace: 'vnode-system' }, 'namespace', 'vnode-system/web', undefined],
  ],
  [
    'one in a namespace acts everywhere with selectorScope cluster',
    [{ namespace: 'team-a' }, 'cluster', 'team-a/web', undefined],
  ],
  [
    "one in kube-system, which is not the installation's, acts there",
    [{ namespace: 'kube-system' }, 'namespace', 'kube-system/web', 'kube-system'],
  ],
])

t.test('where Selectors act:', async t => {
  for (const [sentence, [overrides, selectorScope, name, only]] of scopes) {
    const { rule } = compileSelector(makeSelector(overrides), makeSettings({ selectorScope }))
    t.equal(rule?.name, name, sentence)
    t.equal(rule?.onlyNamespace, only, sentence)
  }
})

t.test("the installation's namespace is a setting", async t => {
  const settings = makeSettings({ installNamespace: 'eci' })
  t.equal(compileSelector(makeSelector({ namespace: 'eci' }), settings).rule?.onlyNamespace, undefined)
  t.equal(
    compileSelector(makeSelector({ namespace: 'vnode-system' }), settings).rule?.onlyNamespace,
    'vnode-system',
  )
})

const power = { 'k8s.aliyun.com/eci-ram-role-name': 'admin', 'k8s.aliyun.com/eip-bandwidth': '5', plain: 'x' }
const refusal = (key: string) =>
  `error rule "team-a/web": spec.effect.annotations["${key}"]: is a power that only Selectors in namespace vnode-system may set, unless the setting tenantEffects (--tenant-effects) lists it`
const role = refusal('k8s.aliyun.com/eci-ram-role-name')
const eip = refusal('k8s.aliyun.com/eip-bandwidth')

const powers = new Map<
  string,
  [overrides: SelectorOverrides, settings: Parameters<typeof makeSettings>[0], problems: string[]]
>([
  ['a tenant may set none', [{ namespace: 'team-a' }, {}, [role, eip]]],
  [
    'a tenant may set none with selectorScope cluster either',
    [{ namespace: 'team-a' }, { selectorScope: 'cluster' }, [role, eip]],
  ],
  [
    'a tenant may set what tenantEffects lists',
    [{ namespace: 'team-a' }, { tenantEffects: new Set(['k8s.aliyun.com/eip-bandwidth']) }, [role]],
  ],
  ["the installation's namespace may set all", [{ namespace: 'vnode-system' }, {}, []]],
  ['a cluster-scoped Selector may set all', [{}, {}, []]],
])

t.test('annotations that are powers:', async t => {
  for (const [sentence, [overrides, settings, expected]] of powers) {
    const selector = makeSelector({ ...overrides, spec: { objectLabels, effect: { annotations: power } } })
    const { rule, problems } = compileSelector(selector, makeSettings(settings))
    t.strictSame(linesOf(problems), expected, sentence)
    t.equal(rule === undefined, expected.length > 0, sentence)
  }
})

const KEYS =
  "unknown field; a Selector's spec has namespaceLabels, objectLabels, effect, policy, priority, namespaces"
const NEITHER = 'must have namespaceLabels or objectLabels with at least one requirement in it'
const PRIORITY = 'must be a whole number (int32)'
const EMPTY = 'has no requirement in it and counts as absent; it does not select everything'

const wrong = new Map<string, [spec: unknown, problems: string[]]>([
  ['a spec that is a list', [[], ['error rule "web": spec: must be an object']]],
  [
    'unknown fields',
    [
      { objectLabels, objectSelector: {}, constructor: 1 },
      [`error rule "web": spec.objectSelector: ${KEYS}`, `error rule "web": spec.constructor: ${KEYS}`],
    ],
  ],
  ['neither selector', [{ policy: { fair: {} } }, [`error rule "web": spec: ${NEITHER}`]]],
  [
    'empty selectors',
    [
      { namespaceLabels: {}, objectLabels: { matchLabels: {} } },
      [
        `warning rule "web": spec.namespaceLabels: ${EMPTY}`,
        `warning rule "web": spec.objectLabels: ${EMPTY}`,
        `error rule "web": spec: ${NEITHER}`,
      ],
    ],
  ],
  ['namespaces alone', [{ namespaces: ['a'] }, [`error rule "web": spec: ${NEITHER}`]]],
  [
    'one empty selector, which works',
    [{ namespaceLabels: {}, objectLabels }, [`warning rule "web": spec.namespaceLabels: ${EMPTY}`]],
  ],
  [
    'a broken selector, of which alone is told',
    [
      { objectLabels: 'x' },
      [
        'error rule "web": spec.objectLabels: must be a label selector: an object with matchLabels, matchExpressions or both (found "x")',
      ],
    ],
  ],
  [
    'a priority that is a fraction',
    [{ objectLabels, priority: 1.5 }, [`error rule "web": spec.priority: ${PRIORITY} (found 1.5)`]],
  ],
  [
    'a priority that is a string',
    [{ objectLabels, priority: '1' }, [`error rule "web": spec.priority: ${PRIORITY} (found "1")`]],
  ],
  [
    'a priority over int32',
    [
      { objectLabels, priority: 2 ** 31 },
      [`error rule "web": spec.priority: ${PRIORITY} (found 2147483648)`],
    ],
  ],
  [
    'a priority under int32',
    [
      { objectLabels, priority: -(2 ** 31) - 1 },
      [`error rule "web": spec.priority: ${PRIORITY} (found -2147483649)`],
    ],
  ],
  [
    'everything at once',
    [
      { priority: true, policy: {}, effect: [], namespaces: 'a', x: 1 },
      [
        `error rule "web": spec.x: ${KEYS}`,
        `error rule "web": spec.priority: ${PRIORITY} (found true)`,
        'error rule "web": spec.namespaces: must be a list of at least one namespace name pattern, such as ["team-*", "!team-x"] (found "a")',
        'error rule "web": spec.policy: must be an object with exactly one of virtualNodeOnly, normalNodeOnly, fair, normalNodePrefer (found {})',
        'error rule "web": spec.effect: must be an object with annotations, labels or both (found [])',
        `error rule "web": spec: ${NEITHER}`,
      ],
    ],
  ],
])

t.test('finds the problems of', async t => {
  for (const [sentence, [spec, expected]] of wrong) {
    const { rule, problems } = compileSelector(makeSelector({ spec }), makeSettings())
    t.strictSame(linesOf(problems), expected, sentence)
    t.equal(
      rule === undefined,
      expected.some(line => line.startsWith('error')),
      sentence,
    )
  }
})

const priorities = new Map<string, [written: unknown, priority: number]>([
  ['absent is 0', [undefined, 0]],
  ['null is 0', [null, 0]],
  ['the least int32', [-2147483648, -2147483648]],
  ['the largest int32', [2147483647, 2147483647]],
])

t.test('priorities:', async t => {
  for (const [sentence, [priority, expected]] of priorities) {
    const compiled = compileSelector(makeSelector({ spec: { objectLabels, priority } }), makeSettings())
    t.match(compiled, { priority: expected, problems: [] }, sentence)
  }
})

t.test('whatever comes is answered with problems', async t => {
  for (const value of [undefined, null, 'text', 1, [], {}, { metadata: null }, { metadata: { name: 1 } }]) {
    const { rule, problems } = compileSelector(value, makeSettings())
    t.equal(rule, undefined)
    t.strictSame(linesOf(problems), ['error rule "(no name)": spec: must be an object'])
  }
})

t.test('problems of a file carry the places that its locator tells', async t => {
  const locator = { ...NO_TEXT, locate: () => ({ line: 3, column: 5 }) }
  t.match(compileSelector(makeSelector({ spec: { x: 1 } }), makeSettings(), locator).problems, [
    { line: 3, column: 5 },
    { line: 3, column: 5 },
  ])
})
