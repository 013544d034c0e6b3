import t from 'tap'
import {
  compileDocuments,
  compileRulesText,
  namespaceLabels,
  readRuleDocuments,
  rulesTextOf,
} from '../../../../src/core/selector/documents.ts'
import { readMarks } from '../../../helpers/marked-text.ts'
import { linesInOrder, linesOf, placesOf } from '../../../helpers/problems.ts'
import { makeSettings } from '../../../helpers/selectors.ts'

const CONFIGMAP = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: eci-profile}\n'
const SELECTOR =
  'apiVersion: eci.aliyun.com/v1\nkind: Selector\nmetadata: {name: web}\nspec: {objectLabels: {matchLabels: {app: web}}}\n'
const NAMESPACE = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: team-a, labels: {env: ci}}\n'
const VNODE = 'apiVersion: v1\nkind: Node\nmetadata: {name: cn-x.vnd-1, labels: {type: virtual-kubelet}}\n'
const NODE = 'apiVersion: v1\nkind: Node\nmetadata: {name: worker-1}\n'
const POD = 'apiVersion: v1\nkind: Pod\nmetadata: {name: app}\n'

/** How many objects of each kind a text holds. */
interface Counts {
  readonly rulesTexts?: number
  readonly selectors?: number
  readonly namespaces?: number
  readonly vnodes?: number
  readonly others?: number
}

const json = (...documents: string[]) =>
  `{"apiVersion": "v1", "kind": "List", "items": [${documents.map(one => JSON.stringify({ kind: one, metadata: { name: one } })).join(',')}]}`

const sorted = new Map<string, [text: string, counts: Counts]>([
  ['nothing', ['', {}]],
  ['the ConfigMap', [`${CONFIGMAP}data: {selectors: "[]"}\n`, { rulesTexts: 1 }]],
  ['the ConfigMap without rules', [CONFIGMAP, { rulesTexts: 1 }]],
  ['the ConfigMap with null for rules', [`${CONFIGMAP}data: {selectors: null}\n`, { rulesTexts: 1 }]],
  ['a ConfigMap of another name', [CONFIGMAP.replace('eci-profile', 'kube-root-ca.crt'), { others: 1 }]],
  ['a Selector', [SELECTOR, { selectors: 1 }]],
  ['a Selector of the older version', [SELECTOR.replace('/v1', '/v1beta1'), { selectors: 1 }]],
  ['a Selector of another group', [SELECTOR.replace('eci.aliyun.com', 'example.com'), { others: 1 }]],
  ['a Selector without a version', [SELECTOR.replace('apiVersion: eci.aliyun.com/v1\n', ''), { others: 1 }]],
  ['a Namespace', [NAMESPACE, { namespaces: 1 }]],
  ['a Namespace without a name', [NAMESPACE.replace('name: team-a, ', ''), {}]],
  ['a VNode', [VNODE, { vnodes: 1 }]],
  ['a real node', [NODE, {}]],
  ['a Pod', [POD, { others: 1 }]],
  ['an object without a kind', ['a: b\n', { others: 1 }]],
  ['a bare list: the rules themselves', ['- name: a\n- name: b\n', { rulesTexts: 1 }]],
  ['a bare list in JSON with comments', ['// rules\n[{"name": "a"}, # one\n]', { rulesTexts: 1 }]],
  [
    'several documents, some of them empty',
    [
      ['', CONFIGMAP, SELECTOR, '', NAMESPACE, VNODE, POD, '# nothing\n'].join('---\n'),
      { rulesTexts: 1, selectors: 1, namespaces: 1, vnodes: 1, others: 1 },
    ],
  ],
  ['a List', [json('Pod', 'Namespace', 'Deployment'), { namespaces: 1, others: 2 }]],
  [
    'a List within a List',
    [
      `{"kind": "List", "items": [${json('Pod')}, ${json('Namespace', 'Pod')}]}`,
      { namespaces: 1, others: 2 },
    ],
  ],
  [
    'a List of one kind',
    [
      `{"kind": "NamespaceList", "items": [{"kind": "Namespace", "metadata": {"name": "a"}}]}`,
      { namespaces: 1 },
    ],
  ],
  [
    'a NamespaceList whose items say no kind, as the API has it',
    [
      '{"kind": "NamespaceList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"}}]}',
      { namespaces: 1 },
    ],
  ],
  [
    'a SelectorList whose items say neither kind nor version',
    [
      '{"kind": "SelectorList", "apiVersion": "eci.aliyun.com/v1", "items": [{"metadata": {"name": "a"}}]}',
      { selectors: 1 },
    ],
  ],
  [
    'a List whose items say no kind',
    ['{"kind": "List", "items": [{"metadata": {"name": "a"}}]}', { others: 1 }],
  ],
  ['a kind that ends in List but holds no items', ['kind: AllowList\nmetadata: {name: a}\n', { others: 1 }]],
])

t.test('sorts', async t => {
  for (const [sentence, [text, counts]] of sorted) {
    const { problems, ...lists } = readRuleDocuments(text)
    t.strictSame(problems, [], sentence)
    const found = Object.entries(lists).flatMap(([name, list]) =>
      list.length > 0 ? [[name, list.length]] : [],
    )
    t.strictSame(Object.fromEntries(found), counts, sentence)
  }
})

t.test('items of a typed list are objects of its kind and version, unless they say otherwise', async t => {
  const text = `{"kind": "PodList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"}}, {"kind": "Job", "apiVersion": "batch/v1"}]}`
  t.strictSame(
    readRuleDocuments(text).others.map(({ object }) => object),
    [
      { apiVersion: 'v1', metadata: { name: 'a' }, kind: 'Pod' },
      { kind: 'Job', apiVersion: 'batch/v1' },
    ],
  )
})

t.test('takes the ConfigMap under the name that is set', async t => {
  t.equal(readRuleDocuments(CONFIGMAP, 'mine').rulesTexts.length, 0)
  t.equal(readRuleDocuments(CONFIGMAP.replace('eci-profile', 'mine'), 'mine').rulesTexts.length, 1)
})

t.test('a Namespace has the label of its name, whatever the file says of labels', async t => {
  const labels = readRuleDocuments(`${NAMESPACE}---\nkind: Namespace\nmetadata: {name: b}\n`).namespaces
  t.strictSame(labels, [
    {
      name: 'team-a',
      labels: new Map([
        ['env', 'ci'],
        ['kubernetes.io/metadata.name', 'team-a'],
      ]),
    },
    { name: 'b', labels: new Map([['kubernetes.io/metadata.name', 'b']]) },
  ])
  const named = new Map([['kubernetes.io/metadata.name', 'other']])
  t.equal(namespaceLabels('a', named), named)
})

t.test('the rules of a ConfigMap, of whatever type', async t => {
  t.equal(rulesTextOf({ data: { selectors: 'x' } }), 'x')
  t.equal(rulesTextOf({ data: { selectors: 5 } }), 5)
  for (const value of [
    undefined,
    null,
    'x',
    {},
    { data: null },
    { data: { selectors: null } },
    { data: { toString: 'x' } },
  ])
    t.equal(rulesTextOf(value), undefined)
})

/** ‸ stands where a problem is to be found in the file. */
const placed = new Map<string, [marked: string, problems: string[]]>([
  [
    'in a literal block',
    [
      `${CONFIGMAP}data:\n  selectors: |\n    [\n      {"name": "a", "objectSelector": {"matchLabels": {"app": ‸"a b"}}},\n      {"name": "b", ‸"x": 1, "effect": {"labels": {"b": "c"}}}\n    ]\n`,
      [
        'error rule "a": [0].objectSelector.matchLabels.app: A label value',
        'error rule "b": [1].x: unknown field',
      ],
    ],
  ],
  [
    'in a literal block of YAML, after empty lines and comments',
    [
      `${CONFIGMAP}data:\n  other: x\n  selectors: |-\n\n      # rules\n      - name: a\n        objectSelector:\n          ‸matchLabel: {}\n`,
      ['error rule "a": [0].objectSelector.matchLabel: unknown field'],
    ],
  ],
  [
    'in a literal block with its indentation told',
    [`${CONFIGMAP}data:\n  selectors: |2\n       - ‸a\n`, ['error rule "#1": [0]: must be an object']],
  ],
  [
    'in a literal block with CRLF',
    [
      `${CONFIGMAP}data:\n  selectors: |\n    [{"name": "a",\n      ‸"x": 1, "effect": {"labels": {"b": "c"}}}]\n`.replaceAll(
        '\n',
        '\r\n',
      ),
      ['error rule "a": [0].x: unknown field'],
    ],
  ],
  [
    'in a literal block that does not parse',
    [
      `${CONFIGMAP}data:\n  selectors: |\n    [{"name": "a",\n      "b": 1, ‸"b": 2}]\n`,
      ['error the text is not valid JSON or YAML: the key "b" is there twice'],
    ],
  ],
  [
    'in the second document',
    [
      `${NAMESPACE}---\n${CONFIGMAP}data:\n  selectors: |\n    [‸1]\n`,
      ['error rule "#1": [0]: must be an object'],
    ],
  ],
  [
    'in a List',
    [
      `kind: List\nitems:\n  - kind: ConfigMap\n    metadata: {name: eci-profile}\n    data:\n      selectors: |\n        [‸1]\n`,
      ['error rule "#1": [0]: must be an object'],
    ],
  ],
  [
    'in a folded block: where that begins',
    [`${CONFIGMAP}data:\n  selectors: ‸>\n    [1]\n`, ['error rule "#1": [0]: must be an object']],
  ],
  [
    'in quotes: where these begin',
    [
      `{"kind": "ConfigMap", "metadata": {"name": "eci-profile"},\n "data": {"selectors": ‸"[\\n\\n1]"}}`,
      ['error rule "#1": [0]: must be an object'],
    ],
  ],
  [
    'in a bare word: where that begins',
    [`${CONFIGMAP}data:\n  selectors: ‸nonsense\n`, ['error must be a list of rules']],
  ],
  [
    'in a bare list',
    [
      '# mine\n[\n  {"name": "a", ‸"x": 1, "effect": {"labels": {"b": "c"}}}\n]',
      ['error rule "a": [0].x: unknown field'],
    ],
  ],
  [
    'in a Selector',
    [
      SELECTOR.replace('{objectLabels', '{‸policies: {}, objectLabels'),
      ['error rule "web": spec.policies: unknown field'],
    ],
  ],
  [
    'in a Selector of a List',
    [
      '{"kind": "List", "items": [1,\n{"apiVersion": "eci.aliyun.com/v1", "kind": "Selector", "metadata": {"name": "web"},\n"spec": {"priority": ‸"x", "objectLabels": {"matchLabels": {"a": ‸5}}}}]}'.replace(
        '[1,',
        '[',
      ),
      [
        'error rule "web": spec.priority: must be a whole number',
        'warning rule "web": spec.objectLabels.matchLabels.a: is a number',
      ],
    ],
  ],
  [
    'a text that is a list',
    [
      `${CONFIGMAP}data:\n  selectors: ‸[]\n`,
      ['error data.selectors: must be a string: write it as a block, "selectors: |"'],
    ],
  ],
  [
    'documents that are no objects',
    [
      `${NAMESPACE}---\n‸- a\n---\n‸text\n`,
      ['error must be a Kubernetes object', 'error must be a Kubernetes object'],
    ],
  ],
  [
    'members of a List that are no objects',
    [
      '{"kind": "List", "items": [‸1, ‸[]]}',
      ['error items[0]: must be a Kubernetes object', 'error items[1]: must be a Kubernetes object'],
    ],
  ],
  [
    'of names that no API server takes, and of a version that no CRD has',
    [
      SELECTOR.replace('name: web', 'name: ‸Bad Name, namespace: ‸a.b').replace(
        'eci.aliyun.com/v1',
        '‸eci.aliyun.com/v2',
      ),
      [
        'warning rule "a.b/Bad Name": apiVersion: is a version that the CRD of the chart does not have: it has v1 and v1beta1 (found "eci.aliyun.com/v2")',
        'error rule "a.b/Bad Name": metadata.name: A name holds only',
        'error rule "a.b/Bad Name": metadata.namespace: The name of a namespace holds only',
      ],
    ],
  ],
  [
    'of a Selector without a name',
    [
      SELECTOR.replace('metadata: {name: web}', '‸metadata: {}'),
      ['error rule "(no name)": metadata.name: A Selector has a name.'],
    ],
  ],
  [
    'of names that are no strings, or too long',
    [
      `${SELECTOR.replace('name: web', 'name: ‸5, namespace: ‸[]')}---\n${SELECTOR.replace('name: web', `name: web, namespace: ‸${'a'.repeat(64)}`)}`,
      [
        'error rule "(no name)": metadata.name: A Selector has a name. (found 5)',
        'error rule "(no name)": metadata.namespace: The name of a namespace is a string. (found [])',
        `error rule "${'a'.repeat(64)}/web": metadata.namespace: The name of a namespace has at most 63 characters.`,
      ],
    ],
  ],
  [
    'a file that does not parse',
    ['a: 1\n‸a: 2\n', ['error the text is not valid JSON or YAML: the key "a" is there twice']],
  ],
])

for (const [sentence, [marked, beginnings]] of placed) {
  t.test(`places a problem ${sentence}`, async t => {
    const { text, places } = readMarks(marked)
    const { problems } = compileDocuments([readRuleDocuments(text)], makeSettings())
    t.strictSame(placesOf(problems), places)
    t.match(linesInOrder(problems), beginnings)
    t.equal(problems.length, beginnings.length)
  })
}

t.test('a text that comes from no file has its own places', async t => {
  t.match(compileRulesText({ text: '[\n  1]' }).problems, [{ line: 2, column: 3 }])
})

t.test('a problem without a place gets that of the text', async t => {
  const bomb = `a: &a [x]\n${'bcdefgh'
    .split('')
    .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[index]}`)}]`)
    .join('\n')}`
  t.strictSame(placesOf(compileRulesText({ text: bomb }).problems), [{}])
  t.strictSame(placesOf(compileRulesText({ text: bomb, start: { line: 5, column: 2 } }).problems), [
    { line: 5, column: 2 },
  ])
  t.strictSame(placesOf(compileRulesText({ text: bomb, place: { line: 5, indent: 2 } }).problems), [{}])
})

t.test('knows what was typed, also in a List', async t => {
  const item =
    'apiVersion: eci.aliyun.com/v1, kind: Selector, metadata: {name: web}, spec: {objectLabels: {matchLabels: {v: 1.10}}}'
  const read = compileDocuments([readRuleDocuments(`{kind: List, items: [{${item}}]}`)], makeSettings())
  t.strictSame(read.rules[0]?.objectSelector?.[0]?.values, new Set(['1.10']))
})

t.test('compiles several files as one cluster: Selectors first, then the rules of each text', async t => {
  const first = readRuleDocuments(
    `${CONFIGMAP}data:\n  selectors: |\n    [{name: one, effect: {labels: {a: b}}}]\n`,
  )
  const second = readRuleDocuments(
    `- {name: two, objectSelector: {matchExpressions: [{key: a, operator: DoesNotExist}]}}\n`,
  )
  const third = readRuleDocuments(
    `${SELECTOR}  \n---\n${SELECTOR.replace('name: web', 'name: high').replace('{objectLabels', '{priority: 5, objectLabels')}`,
  )
  const { rules, problems } = compileDocuments([first, second, third], makeSettings())
  t.strictSame(
    rules.map(rule => rule.name),
    ['high', 'web', 'one', 'two'],
  )
  t.strictSame(linesOf(problems), [
    'warning rule "one": effect.labels.a: rule "two" wants a does not exist, so it stops matching a Pod that got this label',
  ])
})

t.test('a bad Selector is left out alone', async t => {
  const { rules, problems } = compileDocuments(
    [readRuleDocuments(`${SELECTOR}---\n${SELECTOR.replace('objectLabels', 'x')}`)],
    makeSettings(),
  )
  t.equal(rules.length, 1)
  t.equal(problems.length, 2)
})
