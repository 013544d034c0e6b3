import t from 'tap'
import { applyOperations } from '../../../../src/core/daemonset/check-fence.ts'
import { daemonSetFacts } from '../../../../src/core/daemonset/daemon-set.ts'
import { unfenceDaemonSet } from '../../../../src/core/daemonset/unfence.ts'
import { asRecord } from '../../../../src/core/kubernetes/objects.ts'
import { makeDaemonSet } from '../../../helpers/pods.ts'

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution'
const FENCE = { key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }
const A = { key: 'a', operator: 'Exists' }
const terms = (...nodeSelectorTerms: object[]) => ({ [REQUIRED]: { nodeSelectorTerms } })

function unfence(affinity: Record<string, unknown>, record?: object) {
  const annotations = record && { 'vnode-profile.io/fence': JSON.stringify({ by: 'command', ...record }) }
  const daemonSet = daemonSetFacts(
    makeDaemonSet({ ...(annotations && { annotations }), pod: { spec: { affinity } } }),
  )
  const undone = unfenceDaemonSet(daemonSet)
  if (undone.code !== 'unfenced') return undone
  const { pod } = daemonSetFacts(applyOperations(daemonSet.object, undone.patch))
  return asRecord(pod.object.spec)?.affinity
}

t.test('what the author has added since stays', async t => {
  const made = { terms: [0], created: 'affinity' }
  t.strictSame(unfence({ nodeAffinity: terms({ matchExpressions: [FENCE] }) }, made), undefined)
  t.strictSame(
    unfence({ nodeAffinity: terms({ matchExpressions: [FENCE] }), podAntiAffinity: {} }, made),
    { podAntiAffinity: {} },
    'beside the node affinity',
  )
  const preferred = { preferredDuringSchedulingIgnoredDuringExecution: [] }
  t.strictSame(
    unfence({ nodeAffinity: { ...terms({ matchExpressions: [FENCE] }), ...preferred } }, made),
    { nodeAffinity: preferred },
    'beside the required terms',
  )
  t.strictSame(
    unfence({ nodeAffinity: terms({ matchExpressions: [FENCE] }, { matchExpressions: [A] }) }, made),
    { nodeAffinity: terms({ matchExpressions: [A] }) },
    'another term',
  )
  t.strictSame(
    unfence({ nodeAffinity: terms({ matchExpressions: [FENCE, A] }) }, made),
    { nodeAffinity: terms({ matchExpressions: [A] }) },
    'another expression',
  )
})

t.test('an empty parent that was there before stays', async t => {
  const nodeAffinity = terms({ matchExpressions: [FENCE] })
  t.strictSame(unfence({ nodeAffinity }, { terms: [0], created: 'nodeAffinity' }), {})
  t.strictSame(unfence({ nodeAffinity }, { terms: [0] }), { nodeAffinity: {} })
})

t.test("the author's own expression stays", async t => {
  const [first, second] = [{ matchExpressions: [A, FENCE] }, { matchExpressions: [FENCE, A] }]
  t.strictSame(unfence({ nodeAffinity: terms(first, second) }, { terms: [1] }), {
    nodeAffinity: terms(first, { matchExpressions: [A] }),
  })
  t.strictSame(
    unfence({ nodeAffinity: terms({ matchExpressions: [FENCE, A, FENCE] }) }, { terms: [0] }),
    { nodeAffinity: terms({ matchExpressions: [FENCE, A] }) },
    'of two in one term ours is the last',
  )
})

t.test('a DaemonSet without a record is left alone', async t => {
  const affinity = { nodeAffinity: terms({ matchExpressions: [FENCE] }) }
  t.strictSame(unfence(affinity), { code: 'not-ours' })
  t.strictSame(unfence(affinity, { terms: [] }), { code: 'not-ours' })
})

t.test('of a record that fits in part, that part is followed', async t => {
  const record = { terms: [0, 1, 2], created: 'affinity' }
  const looser = { matchExpressions: [{ ...FENCE, values: ['virtual-kubelet', 'edge'] }] }
  t.strictSame(
    unfence({ nodeAffinity: terms({ matchExpressions: [A, FENCE] }, looser) }, record),
    { nodeAffinity: terms({ matchExpressions: [A] }, looser) },
    'only what is there letter for letter is taken away',
  )
  t.strictSame(unfence({ nodeAffinity: terms({ matchExpressions: [FENCE] }) }, record), undefined)
})

t.test('a record that does not fit is not followed', async t => {
  const record = { terms: [0, 1] }
  t.strictSame(unfence({ nodeAffinity: terms({ matchExpressions: [A] }) }, record), {
    code: 'record-mismatch',
    terms: [0, 1],
  })
  t.strictSame(unfence({}, record), { code: 'record-mismatch', terms: [0, 1] })
})
