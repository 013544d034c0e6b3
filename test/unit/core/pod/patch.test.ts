import jsonPatch from 'fast-json-patch'
import t from 'tap'
import { type Additions, isEmptyAdditions, REAL_NODES_FIRST } from '../../../../src/core/pod/additions.ts'
import { type AddOperation, applyPatch, patchToBase64, renderPatch } from '../../../../src/core/pod/patch.ts'
import { makePod, type PodOverrides } from '../../../helpers/pods.ts'

const TOLERATION = { key: 'k8s.aliyun.com/vnode', operator: 'Equal', value: 'true', effect: 'NoSchedule' }
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution'

function additions(change: Partial<Additions> = {}): Additions {
  return {
    nodeSelector: new Map(),
    awayTolerations: [],
    awaySeconds: 86_400,
    labels: new Map(),
    annotations: new Map(),
    isLarge: false,
    isOverBudget: false,
    ...change,
  }
}

const one = new Map([['a', 'x']])
const pod = (metadata: object, spec: object) => ({ metadata, spec })
const add = (path: string, value: unknown): AddOperation => ({ op: 'add', path, value })

/** The author's object, what is added, and the operations. */
const rendered = new Map<
  string,
  [object: Record<string, unknown>, change: Partial<Additions>, patch: AddOperation[]]
>([
  ['nothing', [pod({}, {}), {}, []]],
  [
    'annotations where there are none',
    [pod({}, {}), { annotations: one }, [add('/metadata/annotations', { a: 'x' })]],
  ],
  [
    'annotations where there is null',
    [pod({ annotations: null }, {}), { annotations: one }, [add('/metadata/annotations', { a: 'x' })]],
  ],
  [
    'annotations where there are some',
    [
      pod({ annotations: { b: 'y' } }, {}),
      {
        annotations: new Map([
          ['a', 'x'],
          ['c', 'z'],
        ]),
      },
      [add('/metadata/annotations/a', 'x'), add('/metadata/annotations/c', 'z')],
    ],
  ],
  [
    'an annotation that is a mark and there already',
    [
      pod({ annotations: { 'vnode-profile.io/rules': 'forged' } }, {}),
      { annotations: new Map([['vnode-profile.io/rules', 'true']]) },
      [add('/metadata/annotations/vnode-profile.io~1rules', 'true')],
    ],
  ],
  [
    'keys with slashes and tildes',
    [
      pod({ annotations: {} }, {}),
      {
        annotations: new Map([
          ['a/b~c/d', 'x'],
          ['~1', 'y'],
        ]),
      },
      [add('/metadata/annotations/a~1b~0c~1d', 'x'), add('/metadata/annotations/~01', 'y')],
    ],
  ],
  [
    'keys that objects have by nature',
    [
      pod({ labels: {} }, {}),
      {
        labels: new Map([
          ['constructor', 'x'],
          ['toString', 'y'],
        ]),
      },
      [add('/metadata/labels/constructor', 'x'), add('/metadata/labels/toString', 'y')],
    ],
  ],
  [
    'labels and a node selector',
    [
      pod({ labels: { b: 'y' } }, { nodeSelector: { c: 'z' } }),
      { labels: one, nodeSelector: one },
      [add('/metadata/labels/a', 'x'), add('/spec/nodeSelector/a', 'x')],
    ],
  ],
  [
    'a toleration where there are none',
    [pod({}, {}), { toleration: TOLERATION }, [add('/spec/tolerations', [TOLERATION])]],
  ],
  [
    'a toleration where there is null',
    [pod({}, { tolerations: null }), { toleration: TOLERATION }, [add('/spec/tolerations', [TOLERATION])]],
  ],
  [
    'a toleration where the list is empty',
    [pod({}, { tolerations: [] }), { toleration: TOLERATION }, [add('/spec/tolerations/-', TOLERATION)]],
  ],
  [
    'a toleration beside others, two of which are lengthened',
    [
      pod({}, { tolerations: [{}, {}, {}] }),
      { toleration: TOLERATION, awayTolerations: [0, 2] },
      [
        add('/spec/tolerations/0/tolerationSeconds', 86_400),
        add('/spec/tolerations/2/tolerationSeconds', 86_400),
        add('/spec/tolerations/-', TOLERATION),
      ],
    ],
  ],
  [
    'a preference where there is no affinity',
    [
      pod({}, {}),
      { preferredTerm: REAL_NODES_FIRST },
      [add('/spec/affinity', { nodeAffinity: { [PREFERRED]: [REAL_NODES_FIRST] } })],
    ],
  ],
  [
    'a preference where affinity is null',
    [
      pod({}, { affinity: null }),
      { preferredTerm: REAL_NODES_FIRST },
      [add('/spec/affinity', { nodeAffinity: { [PREFERRED]: [REAL_NODES_FIRST] } })],
    ],
  ],
  [
    'a preference beside affinity to Pods',
    [
      pod({}, { affinity: { podAffinity: {} } }),
      { preferredTerm: REAL_NODES_FIRST },
      [add('/spec/affinity/nodeAffinity', { [PREFERRED]: [REAL_NODES_FIRST] })],
    ],
  ],
  [
    'a preference where node affinity is null',
    [
      pod({}, { affinity: { nodeAffinity: null } }),
      { preferredTerm: REAL_NODES_FIRST },
      [add('/spec/affinity/nodeAffinity', { [PREFERRED]: [REAL_NODES_FIRST] })],
    ],
  ],
  [
    'a preference beside a requirement',
    [
      pod({}, { affinity: { nodeAffinity: { required: {} } } }),
      { preferredTerm: REAL_NODES_FIRST },
      [add(`/spec/affinity/nodeAffinity/${PREFERRED}`, [REAL_NODES_FIRST])],
    ],
  ],
  [
    'a preference where the list is null',
    [
      pod({}, { affinity: { nodeAffinity: { [PREFERRED]: null } } }),
      { preferredTerm: REAL_NODES_FIRST },
      [add(`/spec/affinity/nodeAffinity/${PREFERRED}`, [REAL_NODES_FIRST])],
    ],
  ],
  [
    'a preference after others',
    [
      pod({}, { affinity: { nodeAffinity: { [PREFERRED]: [{ weight: 1 }] } } }),
      { preferredTerm: REAL_NODES_FIRST },
      [add(`/spec/affinity/nodeAffinity/${PREFERRED}/-`, REAL_NODES_FIRST)],
    ],
  ],
  [
    'labels, whatever is wrong with what is not touched',
    [
      pod({ annotations: 5 }, { tolerations: 'x', affinity: [], nodeSelector: 1 }),
      { labels: one },
      [add('/metadata/labels', { a: 'x' })],
    ],
  ],
])

for (const [sentence, [object, change, patch]] of rendered) {
  t.test(`renders ${sentence}`, async t => {
    const wanted = additions(change)
    t.strictSame(renderPatch(object, wanted), patch)
    t.equal(isEmptyAdditions(wanted), patch.length === 0)
    const before = structuredClone(object)
    const result = applyPatch(object, patch)
    t.strictSame(object, before, 'the object is left as it was')
    const reference = jsonPatch.applyPatch(structuredClone(before), structuredClone(patch)).newDocument
    t.strictSame(result, reference, 'applied as the library applies it to a copy')
  })
}

const refused = new Map<
  string,
  [object: Record<string, unknown>, change: Partial<Additions>, message: string]
>([
  [
    'metadata that is null',
    [{ metadata: null, spec: {} }, { annotations: one }, "the Pod's /metadata is not an object"],
  ],
  ['metadata that is missing', [{ spec: {} }, { annotations: one }, "the Pod's /metadata is not an object"]],
  ['a spec that is missing', [{ metadata: {} }, { annotations: one }, "the Pod's /spec is not an object"]],
  [
    'a spec that is a list',
    [{ metadata: {}, spec: [] }, { annotations: one }, "the Pod's /spec is not an object"],
  ],
  [
    'annotations that are a list',
    [pod({ annotations: [] }, {}), { annotations: one }, "the Pod's /metadata/annotations is not an object"],
  ],
  [
    'labels that are text',
    [pod({ labels: 'a=b' }, {}), { labels: one }, "the Pod's /metadata/labels is not an object"],
  ],
  [
    'a label that is a number, which would be replaced',
    [pod({ labels: { a: 5 } }, {}), { labels: one }, "the Pod's /metadata/labels/a is not a string"],
  ],
  [
    'an annotation that is null, which would be replaced',
    [
      pod({ annotations: { a: null } }, {}),
      { annotations: one },
      "the Pod's /metadata/annotations/a is not a string",
    ],
  ],
  [
    'a node selector that is a number',
    [pod({}, { nodeSelector: 1 }), { nodeSelector: one }, "the Pod's /spec/nodeSelector is not an object"],
  ],
  [
    'tolerations that are an object',
    [
      pod({}, { tolerations: {} }),
      { toleration: TOLERATION },
      "the Pod's /spec/tolerations is not a list of objects",
    ],
  ],
  [
    'tolerations that are text among objects, as indexes would be off',
    [
      pod({}, { tolerations: ['x', {}] }),
      { awayTolerations: [0] },
      "the Pod's /spec/tolerations is not a list of objects",
    ],
  ],
  [
    'affinity that is a list',
    [
      pod({}, { affinity: [] }),
      { preferredTerm: REAL_NODES_FIRST },
      "the Pod's /spec/affinity is not an object",
    ],
  ],
  [
    'node affinity that is text',
    [
      pod({}, { affinity: { nodeAffinity: 'x' } }),
      { preferredTerm: REAL_NODES_FIRST },
      "the Pod's /spec/affinity/nodeAffinity is not an object",
    ],
  ],
  [
    'preferred terms that are an object',
    [
      pod({}, { affinity: { nodeAffinity: { [PREFERRED]: {} } } }),
      { preferredTerm: REAL_NODES_FIRST },
      `the Pod's /spec/affinity/nodeAffinity/${PREFERRED} is not a list`,
    ],
  ],
])

t.test('refuses', async t => {
  for (const [sentence, [object, change, message]] of refused)
    t.throws(() => renderPatch(object, additions(change)), { code: 'BAD_REVIEW', message }, sentence)
})

t.test('applying copies what it changes, and shares the rest', async t => {
  const overrides: PodOverrides = {
    labels: { app: 'web' },
    spec: { tolerations: [{ key: 'a' }], affinity: { nodeAffinity: { [PREFERRED]: [{ weight: 1 }] } } },
  }
  const object: Record<string, unknown> = { ...makePod(overrides) }
  const value = { nested: { deep: 'x' } }
  const result = applyPatch(object, [
    add('/metadata/annotations', value),
    add('/metadata/labels/x', 'y'),
    add('/spec/tolerations/0/tolerationSeconds', 5),
    add('/spec/tolerations/-', TOLERATION),
    add(`/spec/affinity/nodeAffinity/${PREFERRED}/-`, REAL_NODES_FIRST),
  ])
  t.strictSame(object, makePod(overrides), 'the object is left as it was')
  t.match(result, { spec: { tolerations: [{ key: 'a', tolerationSeconds: 5 }, TOLERATION] } })
  const { spec, metadata } = result as {
    spec: { containers: unknown; tolerations: unknown[] }
    metadata: { annotations: unknown }
  }
  t.equal(spec.containers, makeContainersOf(object), 'what no patch reaches is the very same')
  t.not(spec.tolerations[1], TOLERATION, 'a value of the patch is not shared, as later patches may add to it')
  t.not(metadata.annotations, value)
})

function makeContainersOf(object: Record<string, unknown>): unknown {
  return (object.spec as { containers: unknown }).containers
}

t.test('an object with tolerations of no shape at all keeps them', async t => {
  const object = { metadata: {}, spec: { tolerations: ['x', null, { key: 'a' }] } }
  t.strictSame(applyPatch(object, [add('/metadata/labels', { a: 'x' })]), {
    metadata: { labels: { a: 'x' } },
    spec: { tolerations: ['x', null, { key: 'a' }] },
  })
})

t.test('an object without a spec is copied all the same', async t => {
  t.strictSame(applyPatch({ metadata: { labels: {} } }, [add('/metadata/labels/a', 'x')]), {
    metadata: { labels: { a: 'x' } },
  })
  t.strictSame(applyPatch({}, [add('/metadata', {})]), { metadata: {} })
})

const target = () => ({
  metadata: { labels: { a: 'x' } },
  spec: { tolerations: [{ key: 'a' }, { key: 'b' }] },
})

/** Whether an `add` applies, and to what, is as the library has it. */
const applicable = new Map<string, [path: string, value: unknown]>([
  ['a member', ['/metadata/labels/b', 'y']],
  ['a member that is there', ['/metadata/labels/a', 'y']],
  ['a member named like a method of objects', ['/metadata/labels/constructor', 'y']],
  ['an item at the end', ['/spec/tolerations/-', { key: 'c' }]],
  ['an item at the end, by its index', ['/spec/tolerations/2', { key: 'c' }]],
  ['an item before the others', ['/spec/tolerations/0', { key: 'c' }]],
  ['a member of an item', ['/spec/tolerations/1/tolerationSeconds', 5]],
  ['a list with null in it', ['/spec/x', [null, { a: [1] }]]],
])

t.test('applies as RFC 6902 says:', async t => {
  for (const [sentence, [path, value]] of applicable) {
    const reference = jsonPatch.applyPatch(target(), [{ op: 'add', path, value }]).newDocument
    t.strictSame(applyPatch(target(), [add(path, value)]), reference, sentence)
  }
})

const inapplicable = new Map([
  ['a parent that is not there', '/metadata/annotations/a'],
  ['a parent of a parent that is not there', '/status/a/b'],
  ['a parent that is text', '/metadata/labels/a/b'],
  ['a parent that objects have by nature', '/metadata/labels/constructor/a'],
  ['an item past the end', '/spec/tolerations/3'],
  ['a member of an item past the end', '/spec/tolerations/9/tolerationSeconds'],
  ['an index with a zero in front', '/spec/tolerations/01'],
  ['an index that is a word', '/spec/tolerations/key'],
  ['an empty index', '/spec/tolerations/'],
  ['the whole', ''],
  ['the prototype', '/metadata/labels/__proto__'],
])

t.test('does not apply to', async t => {
  for (const [sentence, path] of inapplicable) {
    const object = target()
    const message = `a patch does not apply: there is nothing to add ${path} to`
    t.throws(() => applyPatch(object, [add(path, 'x')]), { code: 'INTERNAL', message }, sentence)
    t.strictSame(object, target(), sentence)
  }
})

t.test('an index of more digits than a number has is past the end', async t => {
  t.throws(() => applyPatch(target(), [add(`/spec/tolerations/${'9'.repeat(400)}`, {})]), {
    code: 'INTERNAL',
  })
})

t.test('what one operation adds, a later one can add to, and the patch stays as it was', async t => {
  const patch = [
    add('/metadata/annotations', { a: 'x' }),
    add('/metadata/annotations/b', 'y'),
    add('/spec/affinity', { nodeAffinity: { [PREFERRED]: [] } }),
    add(`/spec/affinity/nodeAffinity/${PREFERRED}/-`, REAL_NODES_FIRST),
    add('/metadata/annotations', { c: 'z' }),
    add('/metadata/annotations/d', 'z'),
  ]
  const before = structuredClone(patch)
  const reference = jsonPatch.applyPatch(target(), structuredClone(patch)).newDocument
  t.strictSame(applyPatch(target(), patch), reference)
  t.strictSame(patch, before)
})

t.test('rules that add the same to many Pods give them the very same operations', async t => {
  const added = additions({ annotations: one, labels: one, toleration: TOLERATION, awayTolerations: [0] })
  const render = () => renderPatch(pod({ annotations: {}, labels: {} }, { tolerations: [{}] }), added)
  const [first, second] = [render(), render()]
  t.equal(first.length, 4)
  for (const [index, operation] of first.entries()) t.equal(operation, second[index])
})

t.test('in base64 it is the same patch, whatever it says', async t => {
  const read = (patch: readonly AddOperation[]) =>
    JSON.parse(Buffer.from(patchToBase64(patch), 'base64').toString())
  const patch: AddOperation[] = []
  t.strictSame(read(patch), patch)
  for (const text of ['', 'x', 'xy', 'xyz', 'é', '😀', '"', '\n', '\ud800', '=='].flatMap(one => [
    one,
    one,
  ])) {
    patch.push(add(`/metadata/annotations/${text}`, { note: text }))
    t.strictSame(read(patch), JSON.parse(Buffer.from(JSON.stringify(patch)).toString()), JSON.stringify(text))
    t.match(patchToBase64(patch), /^[A-Za-z0-9+/]+={0,2}$/)
    t.strictSame(
      read(patch.slice(-1)),
      patch.slice(-1).map(each => JSON.parse(JSON.stringify(each))),
    )
  }
  t.strictSame(
    read([...patch, ...patch]),
    JSON.parse(JSON.stringify([...patch, ...patch])),
    'shared operations',
  )
})
