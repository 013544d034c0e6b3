import t from 'tap'
import type { Taint, Toleration } from '../../../../src/core/kubernetes/objects.ts'
import {
  covers,
  defaultAwayTolerations,
  renderToleration,
  tolerates,
} from '../../../../src/core/pod/toleration.ts'

const KEY = 'k8s.aliyun.com/vnode'
const wanted = { key: KEY, operator: 'Equal', value: 'true', effect: 'NoSchedule' }
const taint: Taint = { key: KEY, value: 'true', effect: 'NoSchedule' }

/** Whether a single toleration covers the one we would add, and whether it tolerates the taint. */
const cases = new Map<string, [toleration: Toleration, covers: boolean, tolerates: boolean]>([
  ['the very same', [wanted, true, true]],
  ['the same without an operator', [{ key: KEY, value: 'true', effect: 'NoSchedule' }, true, true]],
  ['the same with an empty operator', [{ ...wanted, operator: '' }, true, true]],
  ['for every effect', [{ key: KEY, operator: 'Equal', value: 'true' }, true, true]],
  ['for an empty effect, which is every', [{ ...wanted, effect: '' }, true, true]],
  ['for another effect', [{ ...wanted, effect: 'NoExecute' }, false, false]],
  ['another value', [{ ...wanted, value: 'false' }, false, false]],
  ['no value', [{ key: KEY, effect: 'NoSchedule' }, false, false]],
  ['another key', [{ ...wanted, key: 'virtual-kubelet.io/provider' }, false, false]],
  ['any value of the key', [{ key: KEY, operator: 'Exists' }, true, true]],
  [
    'any value of the key, for the effect',
    [{ key: KEY, operator: 'Exists', effect: 'NoSchedule' }, true, true],
  ],
  ['any value of another key', [{ key: 'other', operator: 'Exists' }, false, false]],
  ['everything', [{ operator: 'Exists' }, true, true]],
  ['everything, with an empty key', [{ key: '', operator: 'Exists' }, true, true]],
  ['everything of the effect', [{ operator: 'Exists', effect: 'NoSchedule' }, true, true]],
  ['everything of another effect', [{ operator: 'Exists', effect: 'NoExecute' }, false, false]],
  [
    'a value without a key, which the apiserver refuses',
    [{ operator: 'Equal', value: 'true' }, false, false],
  ],
  ['an unknown operator', [{ ...wanted, operator: 'Gt' }, false, false]],
  ['nothing at all', [{}, false, false]],
  // For NoSchedule the seconds mean nothing, but the apiserver refuses such a toleration: it is never the one we want.
  ['for some seconds', [{ ...wanted, tolerationSeconds: 60 }, false, true]],
])

for (const [sentence, [toleration, isCovering, isTolerating]] of cases) {
  t.test(sentence, async t => {
    t.equal(covers([toleration], wanted), isCovering)
    t.equal(tolerates([toleration], taint), isTolerating)
  })
}

t.test('one of several is enough, and none of none', async t => {
  t.equal(covers([{ key: 'other', operator: 'Exists' }, wanted], wanted), true)
  t.equal(tolerates([{ key: 'other', operator: 'Exists' }, wanted], taint), true)
  t.equal(covers([], wanted), false)
  t.equal(tolerates([], taint), false)
})

t.test('a wanted Exists is covered by an Exists only', async t => {
  const exists = { key: KEY, operator: 'Exists', effect: 'NoSchedule' }
  t.equal(covers([wanted], exists), false)
  t.equal(covers([{ key: KEY, value: '' }], exists), false)
  t.equal(covers([exists], exists), true)
  t.equal(covers([{ operator: 'Exists' }], exists), true)
})

t.test('what is wanted for some seconds is covered by as many', async t => {
  const timed = { ...wanted, effect: 'NoExecute', tolerationSeconds: 60 }
  t.equal(covers([timed], timed), true)
  t.equal(covers([{ ...timed, tolerationSeconds: 61 }], timed), false)
  t.equal(covers([{ ...wanted, effect: 'NoExecute' }], timed), true)
})

t.test('a taint without a value is tolerated by a toleration without one', async t => {
  const bare = { key: KEY, effect: 'NoSchedule' }
  t.equal(tolerates([{ key: KEY }], bare), true)
  t.equal(tolerates([wanted], bare), false)
  t.equal(covers([{ key: KEY }], bare), true)
})

const away = (name: string, change: Toleration = {}): Toleration => ({
  key: `node.kubernetes.io/${name}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: 300,
  ...change,
})

const defaults = new Map<string, [tolerations: Toleration[], indexes: number[]]>([
  ['none of none', [[], []]],
  [
    "the apiserver's two, wherever they stand",
    [
      [wanted, away('not-ready'), { operator: 'Exists' }, away('unreachable')],
      [1, 3],
    ],
  ],
  [
    "an author's own seconds are his",
    [[away('not-ready', { tolerationSeconds: 299 }), away('unreachable', { tolerationSeconds: 0 })], []],
  ],
  [
    'without an end already',
    [[{ key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' }], []],
  ],
  ['other taints are others', [[away('memory-pressure'), away('disk-pressure')], []]],
  ['another effect', [[away('not-ready', { effect: 'NoSchedule' })], []]],
  ['every effect', [[away('not-ready', { effect: '' })], []]],
  ['by value', [[away('not-ready', { operator: 'Equal' })], []]],
  ['all keys', [[{ operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }], []]],
])

t.test("which tolerations are the apiserver's defaults:", async t => {
  for (const [sentence, [tolerations, indexes]] of defaults)
    t.strictSame(defaultAwayTolerations(tolerations), indexes, sentence)
})

const TOLERATIONS: Readonly<Record<string, Parameters<typeof renderToleration>[0]>> = {
  'a=b:NoSchedule': { key: 'a', operator: 'Equal', value: 'b', effect: 'NoSchedule' },
  'a:NoExecute': { key: 'a', operator: 'Exists', effect: 'NoExecute' },
  a: { key: 'a', value: '' },
  everything: { operator: 'Exists' },
}

for (const [text, toleration] of Object.entries(TOLERATIONS)) {
  t.test(`a toleration of ${text}`, async t => t.equal(renderToleration(toleration), text))
}
