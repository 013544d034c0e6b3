import t from 'tap'
import { daemonSetFacts } from '../../../../src/core/daemonset/daemon-set.ts'
import { type DaemonSetPlan, planFence, planUnfence } from '../../../../src/core/daemonset/plan.ts'
import { standingOf } from '../../../../src/core/daemonset/standing.ts'
import { makeEnvironment } from '../../../helpers/environments.ts'
import { makeDaemonSet, type WorkloadOverrides } from '../../../helpers/pods.ts'

const environment = makeEnvironment()
const KEY = 'vnode-profile.io/fence'
const pod = { spec: { tolerations: [{ operator: 'Exists' }] } }
const facts = (overrides: WorkloadOverrides = {}) => {
  const made = makeDaemonSet({ pod, ...overrides })
  return daemonSetFacts({ ...made, metadata: { ...made.metadata, namespace: 'a', resourceVersion: '7' } })
}

function changed(plan: DaemonSetPlan) {
  if (plan.kind !== 'change') throw new Error(plan.reason)
  return plan
}

t.test('a plan holds for the version that was read', async t => {
  const { patch, result } = changed(planFence(facts(), { environment }))
  t.strictSame(patch[0], { op: 'replace', path: '/metadata/resourceVersion', value: '7' })
  const undone = changed(planUnfence(result))
  t.strictSame(undone.patch[0], patch[0])
  t.equal(undone.patch[1]?.op, 'test')
  t.strictSame(undone.patch.at(-1), { op: 'add', path: '/metadata/labels', value: { [KEY]: 'off' } })
  t.strictSame(undone.result.object.spec, facts().object.spec)
})

t.test('labels that are there stay', async t => {
  const { result } = changed(planFence(facts({ labels: { team: 'a' } }), { environment }))
  const undone = changed(planUnfence(result))
  t.strictSame(undone.patch.at(-1), {
    op: 'add',
    path: '/metadata/labels/vnode-profile.io~1fence',
    value: 'off',
  })
  t.strictSame(
    [...undone.result.labels],
    [
      ['team', 'a'],
      [KEY, 'off'],
    ],
  )
  const optedIn = changed(planFence(undone.result, { environment, optIn: true }))
  t.strictSame([...optedIn.result.labels], [['team', 'a']])
})

t.test('what is left as it is', async t => {
  const code = (plan: DaemonSetPlan) => (plan.kind === 'leave' ? plan.code : plan.kind)
  t.equal(code(planFence(facts({ labels: { [KEY]: 'off' } }), { environment })), 'opted-out')
  t.equal(code(planFence(facts({ pod: {} }), { environment })), 'not-tolerated')
  const { result } = changed(planFence(facts(), { environment }))
  t.equal(code(planFence(result, { environment })), 'fenced')
  t.equal(code(planUnfence(facts())), 'not-ours')
  const forged = facts({ annotations: { [KEY]: '{"by":"command","terms":[0]}' } })
  t.match(planUnfence(forged), { code: 'record-mismatch', reason: /names term 0, which has no such/ })
})

t.test('opting in again one that needs no fence', async t => {
  const FENCE = { key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }
  const nodeSelectorTerms = [{ matchExpressions: [FENCE] }]
  const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } }
  const remove = { op: 'remove', path: '/metadata/labels/vnode-profile.io~1fence' }
  for (const [name, spec, reason] of [
    ["its author's fence", { ...pod.spec, affinity }, /its required node affinity has type NotIn/],
    ['no toleration', {}, /it does not tolerate/],
    ['for VNodes only', { ...pod.spec, nodeSelector: { type: 'virtual-kubelet' } }, /ask for VNodes/],
  ] as const) {
    const optedOut = facts({ labels: { [KEY]: 'off', team: 'a' }, pod: { spec } })
    t.match(planFence(optedOut, { environment }), { kind: 'leave', code: 'opted-out' }, name)
    const { outcome, patch, notes, result } = changed(planFence(optedOut, { environment, optIn: true }))
    t.equal(outcome, 'opted-in', name)
    t.strictSame(patch.slice(1), [remove], 'the template stays')
    t.match(notes, [reason])
    t.strictSame([...result.labels], [['team', 'a']])
    t.match(planFence(result, { environment, optIn: true }), { kind: 'leave' }, 'once')
  }
})

t.test('a fence that finds no room for its record', async t => {
  const room = 256 * 1024 - 'note'.length
  const notes = (bytes: number) =>
    changed(planFence(facts({ annotations: { note: 'x'.repeat(bytes) } }), { environment })).notes
  t.match(notes(room), [/not recorded, and unfence cannot take it away: .* vnode-profile.io\/fence=off/])
  t.strictSame(notes(room - 100), [])
})

t.test('what still keeps off VNodes is named when ours is gone', async t => {
  const FENCE = { key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }
  const term = (key: string) => ({ matchExpressions: [{ key, operator: 'Exists' }, FENCE] })
  const unfenced = (terms: number[]) => {
    const nodeSelectorTerms = [term('a'), { matchExpressions: [FENCE] }, term('b')]
    const required = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } }
    return changed(
      planUnfence(
        facts({
          annotations: { [KEY]: JSON.stringify({ by: 'command', terms }) },
          pod: { spec: { ...pod.spec, affinity: { nodeAffinity: required } } },
        }),
      ),
    ).notes
  }
  t.match(unfenced([0, 1]), [
    /still keeps off VNodes in term 1, by an expression that is not recorded as ours/,
  ])
  t.strictSame(unfenced([0, 1, 2]), [])
  t.strictSame(unfenced([0, 1, 2, 3]), [])
})

t.test('how it stands', async t => {
  const { result } = changed(planFence(facts(), { environment }))
  t.match(standingOf(result, environment), {
    namespace: 'a',
    name: 'app',
    landing: { code: 'fenced' },
    toleratesVnode: true,
    fencedBy: 'command',
    isOptedOut: false,
  })
  const annotations = new Map<string, string>()
  t.match(standingOf({ ...result, annotations }, environment), { fencedBy: 'author' })
  t.match(standingOf(facts({ pod: {}, labels: { [KEY]: 'off' } }), environment), {
    landing: { code: 'not-tolerated' },
    toleratesVnode: false,
    fencedBy: undefined,
    isOptedOut: true,
  })
})
