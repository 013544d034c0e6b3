import t from 'tap'
import { podFacts } from '../../../../src/core/pod/facts.ts'
import {
  conflictOf,
  type Environment,
  goesByItself,
  toleratesVnode,
} from '../../../../src/core/pod/placement.ts'
import { makeEnvironment, makeVnode } from '../../../helpers/environments.ts'
import { makePod, type PodOverrides } from '../../../helpers/pods.ts'

type Spec = NonNullable<PodOverrides['spec']>

const KEY = 'k8s.aliyun.com/vnode'
const TOLERATION = { key: KEY, operator: 'Equal', value: 'true', effect: 'NoSchedule' }
const tolerations = [TOLERATION]

interface NodeRequirement {
  readonly key: string
  readonly operator: string
  readonly values?: readonly string[]
}

/** Required node affinity of terms, each a list of requirements; those about `metadata.name` go to matchFields. */
function required(...terms: readonly (readonly NodeRequirement[])[]): Record<string, unknown> {
  const nodeSelectorTerms = terms.map(term => {
    const [fields, expressions] = [true, false].map(isField =>
      term.filter(one => (one.key === 'metadata.name') === isField),
    )
    return {
      ...(fields?.length ? { matchFields: fields } : {}),
      ...(expressions?.length ? { matchExpressions: expressions } : {}),
    }
  })
  return { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } }
}

const is = (key: string, ...values: string[]): NodeRequirement => ({ key, operator: 'In', values })
const isNot = (key: string, ...values: string[]): NodeRequirement => ({ key, operator: 'NotIn', values })
const has = (key: string): NodeRequirement => ({ key, operator: 'Exists' })
const lacks = (key: string): NodeRequirement => ({ key, operator: 'DoesNotExist' })

const VNODE = 'cn-hangzhou.vnd-1'
const unknown = makeEnvironment()
const known = makeEnvironment({ vnodes: [makeVnode(VNODE, { zone: 'h' }), makeVnode('cn-hangzhou.vnd-2')] })
const facts = (spec: Spec) => podFacts(makePod({ spec }))

/** Does it go to a VNode by itself, with no VNode known, and with {@link VNODE} and another known? */
const byItself = new Map<string, [spec: Spec, withUnknown: boolean, withKnown: boolean]>([
  ['nothing', [{}, false, false]],
  ['node selector and toleration', [{ nodeSelector: { [KEY]: 'true' }, tolerations }, true, true]],
  ['node selector alone', [{ nodeSelector: { [KEY]: 'true' } }, false, false]],
  ['toleration alone', [{ tolerations }, false, false]],
  ['node selector with another value', [{ nodeSelector: { [KEY]: 'false' }, tolerations }, false, false]],
  ['node selector by type', [{ nodeSelector: { type: 'virtual-kubelet' }, tolerations }, true, true]],
  ['node selector by another type', [{ nodeSelector: { type: 'worker' }, tolerations }, false, false]],
  [
    "node selector with a VNode's hostname",
    [{ nodeSelector: { 'kubernetes.io/hostname': VNODE }, tolerations }, true, true],
  ],
  [
    "node selector with a hostname shaped like a VNode's",
    [{ nodeSelector: { 'kubernetes.io/hostname': 'cn-x.vnd-9' }, tolerations }, true, false],
  ],
  [
    "node selector with a real node's hostname",
    [{ nodeSelector: { 'kubernetes.io/hostname': 'worker-1' }, tolerations }, false, false],
  ],
  [
    'an Exists toleration of the key',
    [{ nodeSelector: { [KEY]: 'true' }, tolerations: [{ key: KEY, operator: 'Exists' }] }, true, true],
  ],
  [
    'a toleration of everything',
    [{ nodeSelector: { [KEY]: 'true' }, tolerations: [{ operator: 'Exists' }] }, true, true],
  ],
  [
    'a toleration of another taint',
    [{ nodeSelector: { [KEY]: 'true' }, tolerations: [{ key: 'gpu', operator: 'Exists' }] }, false, false],
  ],
  ['affinity to the label', [{ affinity: required([is(KEY, 'true')]), tolerations }, true, true]],
  [
    'affinity to the type, among others',
    [{ affinity: required([is('zone', 'h'), is('type', 'virtual-kubelet')]), tolerations }, true, true],
  ],
  [
    'affinity to the type or another',
    [{ affinity: required([is('type', 'virtual-kubelet', 'worker')]), tolerations }, false, false],
  ],
  [
    'affinity to VNodes in one term, to others in another',
    [{ affinity: required([is(KEY, 'true')], [is('zone', 'h')]), tolerations }, false, false],
  ],
  [
    'affinity to VNodes in every term',
    [{ affinity: required([is(KEY, 'true')], [is('type', 'virtual-kubelet')]), tolerations }, true, true],
  ],
  [
    'affinity to VNodes in one term, the other empty, which selects nothing',
    [{ affinity: required([is(KEY, 'true')], []), tolerations }, true, true],
  ],
  ['affinity of empty terms alone', [{ affinity: required([], []), tolerations }, false, false]],
  ['affinity without terms', [{ affinity: required(), tolerations }, false, false]],
  [
    'affinity to the existing label, which real nodes may have',
    [{ affinity: required([has(KEY)]), tolerations }, false, false],
  ],
  [
    'affinity away from VNodes',
    [{ affinity: required([isNot('type', 'virtual-kubelet')]), tolerations }, false, false],
  ],
  ['affinity to another label', [{ affinity: required([is('zone', 'h')]), tolerations }, false, false]],
  [
    'affinity by hostname',
    [{ affinity: required([is('kubernetes.io/hostname', VNODE)]), tolerations }, true, true],
  ],
  [
    'affinity by hostname, one of them real',
    [{ affinity: required([is('kubernetes.io/hostname', VNODE, 'worker-1')]), tolerations }, false, false],
  ],
  ['affinity by name', [{ affinity: required([is('metadata.name', VNODE)]), tolerations }, true, true]],
  [
    'affinity by the name of a real node',
    [{ affinity: required([is('metadata.name', 'worker-1')]), tolerations }, false, false],
  ],
  [
    'affinity by any name but one',
    [{ affinity: required([isNot('metadata.name', 'worker-1')]), tolerations }, false, false],
  ],
  ['affinity without a toleration', [{ affinity: required([is(KEY, 'true')]) }, false, false]],
  [
    'preferred affinity only',
    [
      {
        affinity: {
          nodeAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [
              { weight: 100, preference: { matchExpressions: [is(KEY, 'true')] } },
            ],
          },
        },
        tolerations,
      },
      false,
      false,
    ],
  ],
])

for (const [sentence, [spec, withUnknown, withKnown]] of byItself) {
  t.test(`goes by itself or not: ${sentence}`, async t => {
    t.equal(goesByItself(facts(spec), unknown), withUnknown, 'no VNode known')
    t.equal(goesByItself(facts(spec), known), withKnown, 'VNodes known')
  })
}

const SELECTOR = 'node-selector-conflict'
const AFFINITY = 'node-affinity-conflict'
const none = (what: string) => `its required node affinity (${what}) is satisfied by no VNode`

/** Code and message of the conflict, or nothing, with no VNode known and with two known; one entry for both. */
type Outcome = readonly [code: string, message: string] | undefined

const conflicts = new Map<string, [spec: Spec, outcome: Outcome, withKnown?: Outcome]>([
  ['nothing', [{}, undefined]],
  ['the label of a VNode', [{ nodeSelector: { [KEY]: 'true', type: 'virtual-kubelet' } }, undefined]],
  [
    'the label with another value',
    [
      { nodeSelector: { [KEY]: 'false' } },
      [SELECTOR, `its nodeSelector wants ${KEY}=false, and VNodes have ${KEY}=true`],
    ],
  ],
  [
    'another type',
    [
      { nodeSelector: { type: 'worker' } },
      [SELECTOR, 'its nodeSelector wants type=worker, and VNodes have type=virtual-kubelet'],
    ],
  ],
  ['another label, which a VNode may have', [{ nodeSelector: { disk: 'ssd', zone: 'x' } }, undefined]],
  [
    "a real node's hostname",
    [
      { nodeSelector: { 'kubernetes.io/hostname': 'worker-1' } },
      [SELECTOR, 'its nodeSelector wants kubernetes.io/hostname=worker-1, which is not a VNode'],
    ],
  ],
  ["a VNode's hostname", [{ nodeSelector: { 'kubernetes.io/hostname': VNODE } }, undefined]],
  [
    "a hostname shaped like a VNode's",
    [
      { nodeSelector: { 'kubernetes.io/hostname': 'cn-x.vnd-9' } },
      undefined,
      [SELECTOR, 'its nodeSelector wants kubernetes.io/hostname=cn-x.vnd-9, which is not a VNode'],
    ],
  ],
  [
    'a node selector before an affinity',
    [
      { nodeSelector: { type: 'x' }, affinity: required([isNot('type', 'virtual-kubelet')]) },
      [SELECTOR, 'its nodeSelector wants type=x, and VNodes have type=virtual-kubelet'],
    ],
  ],
  ['affinity to VNodes', [{ affinity: required([is(KEY, 'true')]) }, undefined]],
  [
    'affinity away from VNodes',
    [
      { affinity: required([isNot('type', 'virtual-kubelet')]) },
      [AFFINITY, none('type NotIn [virtual-kubelet]')],
    ],
  ],
  ['affinity away from another type', [{ affinity: required([isNot('type', 'worker')]) }, undefined]],
  [
    'affinity away from VNodes, among others',
    [
      { affinity: required([is('zone', 'h'), isNot(KEY, 'true', 'yes')]) },
      [AFFINITY, none(`${KEY} NotIn [true, yes]`)],
    ],
  ],
  [
    'affinity to nodes without the label',
    [{ affinity: required([lacks(KEY)]) }, [AFFINITY, none(`${KEY} DoesNotExist`)]],
  ],
  ['affinity to nodes with the label', [{ affinity: required([has(KEY), has('type')]) }, undefined]],
  [
    'affinity to another value',
    [{ affinity: required([is('type', 'worker', 'gpu')]) }, [AFFINITY, none('type In [worker, gpu]')]],
  ],
  ['affinity to no value at all', [{ affinity: required([is('type')]) }, [AFFINITY, none('type In []')]]],
  [
    'affinity by numbers, which no such label holds',
    [
      { affinity: required([{ key: KEY, operator: 'Gt', values: ['1'] }]) },
      [AFFINITY, none(`${KEY} Gt [1]`)],
    ],
  ],
  [
    'affinity by smaller numbers',
    [
      { affinity: required([{ key: 'type', operator: 'Lt', values: ['1'] }]) },
      [AFFINITY, none('type Lt [1]')],
    ],
  ],
  [
    'affinity to other labels, which a VNode may have',
    [
      { affinity: required([is('zone', 'x'), { key: 'cpus', operator: 'Gt', values: ['4'] }, lacks('gpu')]) },
      undefined,
    ],
  ],
  [
    'several terms, one of which a VNode satisfies',
    [{ affinity: required([isNot('type', 'virtual-kubelet')], [is('zone', 'h')]) }, undefined],
  ],
  [
    'several terms, none of which a VNode satisfies',
    [
      { affinity: required([isNot('type', 'virtual-kubelet')], [is('type', 'gpu')]) },
      [AFFINITY, none('type NotIn [virtual-kubelet]')],
    ],
  ],
  ['an empty term, which selects nothing', [{ affinity: required([]) }, [AFFINITY, none('an empty term')]]],
  ['an empty term beside another', [{ affinity: required([], [has(KEY)]) }, undefined]],
  ['no terms', [{ affinity: required() }, undefined]],
  [
    'the hostname of a real node',
    [
      { affinity: required([is('kubernetes.io/hostname', 'worker-1')]) },
      [AFFINITY, none('kubernetes.io/hostname In [worker-1]')],
    ],
  ],
  [
    'the hostname of a real node or a VNode',
    [{ affinity: required([is('kubernetes.io/hostname', 'worker-1', VNODE)]) }, undefined],
  ],
  ['any hostname but one', [{ affinity: required([isNot('kubernetes.io/hostname', VNODE)]) }, undefined]],
  [
    'any hostname but all of them',
    [
      { affinity: required([isNot('kubernetes.io/hostname', VNODE, 'cn-hangzhou.vnd-2')]) },
      undefined,
      [AFFINITY, none(`kubernetes.io/hostname NotIn [${VNODE}, cn-hangzhou.vnd-2]`)],
    ],
  ],
  ['some hostname', [{ affinity: required([has('kubernetes.io/hostname')]) }, undefined]],
  [
    'no hostname',
    [
      { affinity: required([lacks('kubernetes.io/hostname')]) },
      [AFFINITY, none('kubernetes.io/hostname DoesNotExist')],
    ],
  ],
  [
    'the name of a real node',
    [
      { affinity: required([is('metadata.name', 'worker-1')]) },
      [AFFINITY, none('metadata.name In [worker-1]')],
    ],
  ],
  ['the name of a VNode', [{ affinity: required([is('metadata.name', VNODE)]) }, undefined]],
  [
    'the name of one VNode and the hostname of another',
    [
      { affinity: required([is('metadata.name', VNODE), is('kubernetes.io/hostname', 'cn-hangzhou.vnd-2')]) },
      undefined,
      [AFFINITY, none('kubernetes.io/hostname In [cn-hangzhou.vnd-2]')],
    ],
  ],
  [
    'any name but all of them',
    [
      { affinity: required([isNot('metadata.name', VNODE, 'cn-hangzhou.vnd-2')]) },
      undefined,
      [AFFINITY, none(`metadata.name NotIn [${VNODE}, cn-hangzhou.vnd-2]`)],
    ],
  ],
])

for (const [sentence, [spec, outcome, withKnown = outcome]] of conflicts) {
  t.test(`in conflict or not: ${sentence}`, async t => {
    const conflict = (environment: Environment) => {
      const found = conflictOf(facts(spec), environment)
      return found === undefined ? undefined : [found.code, found.message]
    }
    t.strictSame(conflict(unknown), outcome, 'no VNode known')
    t.strictSame(conflict(known), withKnown, 'VNodes known')
  })
}

t.test('members of the wrong type are read as absent', async t => {
  const terms = [{ matchExpressions: [{ key: 1, operator: null, values: 'x' }, 'text'], matchFields: 'x' }]
  const pod = podFacts(
    makePod({
      spec: {
        affinity: {
          nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } },
        },
      },
    }),
  )
  t.equal(conflictOf(pod, unknown), undefined)
  t.equal(goesByItself(pod, unknown), false)
})

t.test('a label that is a setting decides in place of the default', async t => {
  const settings = {
    nodeSelector: new Map([['virtual', 'yes']]),
    toleration: {
      key: 'virtual-kubelet.io/provider',
      operator: 'Equal',
      value: 'alibabacloud',
      effect: 'NoSchedule',
    },
  }
  const environment = makeEnvironment({ settings })
  const provider = [{ key: 'virtual-kubelet.io/provider', operator: 'Exists' }]
  t.equal(goesByItself(facts({ nodeSelector: { virtual: 'yes' }, tolerations: provider }), environment), true)
  t.equal(goesByItself(facts({ nodeSelector: { [KEY]: 'true' }, tolerations: provider }), environment), false)
  t.equal(goesByItself(facts({ nodeSelector: { virtual: 'yes' }, tolerations }), environment), false)
  t.match(conflictOf(facts({ nodeSelector: { virtual: 'no' } }), environment), { code: SELECTOR })
  t.equal(conflictOf(facts({ nodeSelector: { [KEY]: 'false' } }), environment), undefined)
})

t.test('a known VNode without the label satisfies no affinity to it', async t => {
  const old = { name: 'vk', labels: new Map([['type', 'virtual-kubelet']]), taints: [] }
  t.match(conflictOf(facts({ affinity: required([is(KEY, 'true')]) }), makeEnvironment({ vnodes: [old] })), {
    code: AFFINITY,
  })
})

t.test('an Exists toleration as the setting is tolerated by what tolerates its taint', async t => {
  const environment = makeEnvironment({ settings: { toleration: { key: KEY, operator: 'Exists' } } })
  t.equal(toleratesVnode(facts({ tolerations: [{ key: KEY, operator: 'Exists' }] }), environment), true)
  t.equal(toleratesVnode(facts({ tolerations: [{ operator: 'Exists' }] }), environment), true)
  t.equal(toleratesVnode(facts({}), environment), false)
})

t.test('of several labels for VNodes, one alone does not send a Pod there', async t => {
  const nodeSelector = new Map([
    [KEY, 'true'],
    ['zone', 'h'],
  ])
  const environment = { ...unknown, settings: { ...unknown.settings, nodeSelector } }
  const goes = (spec: Spec) => goesByItself(facts({ ...spec, tolerations }), environment)
  t.equal(goes({ nodeSelector: { zone: 'h' } }), false)
  t.equal(goes({ nodeSelector: { [KEY]: 'true', zone: 'h' } }), true)
  t.equal(goes({ affinity: required([is('zone', 'h')]) }), false)
})
