import t from 'tap'
import { annotationsSize, MAX_ANNOTATIONS_BYTES } from '../../../../src/core/kubernetes/names.ts'
import { podFacts } from '../../../../src/core/pod/facts.ts'
import { type Mutation, mutatePod } from '../../../../src/core/pod/mutate.ts'
import { makeEnvironment, makeNamespace } from '../../../helpers/environments.ts'
import type { PlainLabels, PlainRule } from '../../../helpers/naive-rules.ts'
import { makePod, type PodOverrides } from '../../../helpers/pods.ts'

const LIMIT = MAX_ANNOTATIONS_BYTES
const KIB = 1024
const web = { matchLabels: { app: 'web' } }
const PLACED = {
  spec: { nodeSelector: { 'k8s.aliyun.com/vnode': 'true' }, tolerations: [{ key: 'k8s.aliyun.com/vnode' }] },
}
const RULES = 'vnode-profile.io/rules'
const WARNINGS = 'vnode-profile.io/warnings'
/** Bytes of the two marks of a rule `r`: keys and values. */
const MARKS = annotationsSize([
  [RULES, 'r'],
  ['vnode-profile.io/policy', 'virtualNodeOnly'],
])
/** Bytes of the third, which tells that effects were left out. Room for it is kept in any case. */
const OVER = annotationsSize([[WARNINGS, 'annotations-too-large']])

/** An annotation of so many bytes in all. */
const sized = (key: string, bytes: number): PlainLabels => {
  const room = bytes - key.length
  return { [key]: 'é'.repeat(room >> 1) + (room % 2 === 1 ? 'x' : '') }
}

function mutate(own: PlainLabels, rules: readonly PlainRule[], pod: PodOverrides = {}): Mutation {
  const environment = makeEnvironment({ rules })
  const overrides = { labels: { app: 'web' }, annotations: own, ...pod }
  const mutation = mutatePod(makePod(overrides), makeNamespace(), environment)
  const again = mutatePod(mutation.result, makeNamespace(), environment)
  t.strictSame(again.patch, [], 'fed back, it yields no patch')
  return mutation
}

const rule = (annotations?: PlainLabels): PlainRule => ({
  name: 'r',
  objectSelector: web,
  ...(annotations === undefined ? {} : { effect: { annotations, labels: { on: 'eci' } } }),
})

interface Expected {
  /** The effect's annotation is there. */
  readonly effect: boolean
  readonly marks: boolean
  /** The third mark says that effects were left out. */
  readonly told: boolean
  readonly isOverBudget?: boolean
}

const all = { effect: true, marks: true, told: false }
const marksOnly = { effect: false, marks: true, told: true }
const nothing = { effect: false, marks: false, told: false }

const budgets = new Map<string, [own: PlainLabels, rule: PlainRule, expected: Expected]>([
  ['little and little: all', [sized('own', KIB), rule(sized('effect', KIB)), all]],
  [
    '200 KiB and 100 KiB: the effect stays out, and the mark says so',
    [sized('own', 200 * KIB), rule(sized('effect', 100 * KIB)), marksOnly],
  ],
  [
    'exactly as much as fits: all',
    [sized('own', LIMIT - 100 * KIB - MARKS - OVER), rule(sized('effect', 100 * KIB)), all],
  ],
  [
    'a byte more: the effect stays out',
    [sized('own', LIMIT - 100 * KIB - MARKS - OVER + 1), rule(sized('effect', 100 * KIB)), marksOnly],
  ],
  [
    'room for the marks alone: these',
    [sized('own', LIMIT - MARKS - OVER), rule(sized('effect', 10)), marksOnly],
  ],
  [
    'a byte less: nothing',
    [sized('own', LIMIT - MARKS - OVER + 1), rule(sized('effect', 10)), { ...nothing, isOverBudget: true }],
  ],
  [
    'own exactly at the limit: nothing',
    [sized('own', LIMIT), rule(sized('effect', 10)), { ...nothing, isOverBudget: true }],
  ],
  [
    'own over the limit, which the apiserver will refuse: nothing',
    [sized('own', LIMIT + 1), rule(sized('effect', 10)), { ...nothing, isOverBudget: true }],
  ],
  ['own at the limit, and no effect to leave out', [sized('own', LIMIT), rule(), nothing]],
  [
    'own near the limit, and no effect to leave out: the marks',
    [sized('own', LIMIT - MARKS), rule(), { effect: false, marks: true, told: false }],
  ],
  [
    'own near the limit, having the effect already: the marks',
    [
      { ...sized('own', LIMIT - MARKS - 10), ...sized('effect', 10) },
      rule(sized('effect', 10)),
      { effect: true, marks: true, told: false },
    ],
  ],
  [
    'a forged mark is replaced, and its bytes do not count',
    [{ ...sized('own', KIB), [RULES]: 'x'.repeat(200 * KIB) }, rule(sized('effect', 100 * KIB)), all],
  ],
  [
    'a forged warning that nothing replaces does count',
    [
      { ...sized('own', KIB), [WARNINGS]: 'x'.repeat(LIMIT - 2 * KIB) },
      rule(sized('effect', 10 * KIB)),
      { effect: true, marks: true, told: true },
    ],
  ],
])

for (const [sentence, [own, given, expected]] of budgets) {
  t.test(`annotations, own and of rules: ${sentence}`, async t => {
    const { result, additions } = mutate(own, [given])
    const { annotations } = podFacts(result)
    t.equal(annotations.has('effect'), expected.effect, 'effect')
    t.equal(annotations.get(RULES) === 'r', expected.marks, 'marks')
    t.equal(annotations.get(WARNINGS) === 'annotations-too-large', expected.told, 'told')
    t.match(result, PLACED, 'the Pod is sent to the VNode all the same')
    t.equal(podFacts(result).labels.has('on'), given.effect !== undefined, 'labels are')
    t.ok(
      annotationsSize(annotations) <= Math.max(LIMIT, annotationsSize(Object.entries(own))),
      'within the limit',
    )
    if (expected.told === expected.effect) t.equal(additions?.isOverBudget, expected.isOverBudget ?? false)
  })
}

t.test('effects of several rules count together', async t => {
  const rules: PlainRule[] = [
    { name: 'a', objectSelector: web, effect: { annotations: sized('a', 200 * KIB) } },
    { name: 'b', effect: { annotations: sized('b', 100 * KIB) } },
  ]
  const { result, additions } = mutate({}, rules)
  t.equal(additions?.isOverBudget, true)
  t.match(result, { metadata: { annotations: { [RULES]: 'a,b', [WARNINGS]: 'annotations-too-large' } } })
  t.notOk(podFacts(result).annotations.has('a'))
})

t.test('the effects of a chain of rules fit, or the later ones stay out', async t => {
  const rules: PlainRule[] = [
    { name: 'a', objectSelector: web, effect: { annotations: sized('a', 150 * KIB), labels: { next: 'b' } } },
    {
      name: 'b',
      objectSelector: { matchLabels: { next: 'b' } },
      effect: { annotations: sized('b', 150 * KIB) },
    },
  ]
  const { result } = mutate({}, rules)
  const { annotations } = podFacts(result)
  t.strictSame([annotations.has('a'), annotations.has('b')], [true, false])
  t.equal(annotations.get(WARNINGS), 'annotations-too-large')
})

t.test('a warning that the Pod has anyway stays beside ours', async t => {
  const { result } = mutate(sized('own', 200 * KIB), [rule(sized('effect', 100 * KIB))], {
    spec: { hostNetwork: true },
  })
  t.equal(podFacts(result).annotations.get(WARNINGS), 'host-network,annotations-too-large')
})
