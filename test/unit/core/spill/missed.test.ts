import t from 'tap'
import { conflictedOf, missedOf } from '../../../../src/core/spill/missed.ts'
import { makeEnvironment, makeNamespace, makeVnode } from '../../../helpers/environments.ts'
import { awayTolerations } from '../../../helpers/placed-pods.ts'
import { makePending, type PendingOverrides, SPILL_NODE } from '../../../helpers/spill.ts'

const rule = (policy: Readonly<Record<string, object>>) => ({
  name: 'web',
  objectSelector: { matchLabels: { app: 'web' } },
  policy,
  effect: { annotations: { 'k8s.aliyun.com/eci-use-specs': '2-4Gi', team: 'x' }, labels: { runs: 'eci' } },
})
const missed = (policy: Readonly<Record<string, object>>, pod: PendingOverrides = {}) =>
  missedOf(
    makePending(pod),
    makeNamespace('team-a'),
    makeEnvironment({ rules: [rule(policy)], vnodes: [makeVnode(SPILL_NODE)] }),
  )
const OPENED = [
  { op: 'replace', path: '/metadata/resourceVersion', value: '7' },
  {
    op: 'add',
    path: '/metadata/annotations',
    value: { 'k8s.aliyun.com/eci-use-specs': '2-4Gi', 'vnode-profile.io/rules': 'web' },
  },
  { op: 'add', path: '/spec/tolerations', value: [{ key: 'k8s.aliyun.com/vnode' }] },
]

t.test('under virtualNodeOnly the VNodes are opened to it; its node selector is lost', async t => {
  t.match(missed({ virtualNodeOnly: {} }), {
    rule: 'web',
    patch: OPENED,
    lost: /^its node selector cannot be changed/,
  })
})

t.test('under fair nothing is lost, but for a preference', async t => {
  t.match(missed({ fair: {} }), { rule: 'web', patch: OPENED, lost: undefined })
  t.match(missed({ fair: { preferRealNodes: true } }), { patch: OPENED, lost: /does not prefer real nodes$/ })
})

t.test('under normalNodePrefer it stays on real nodes', async t => {
  t.match(missed({ normalNodePrefer: {} }), { patch: undefined, lost: /^its affinity cannot be changed/ })
})

t.test('one that goes there by itself gets all that its rules add', async t => {
  const spec = {
    nodeSelector: { 'k8s.aliyun.com/vnode': 'true' },
    tolerations: [{ key: 'k8s.aliyun.com/vnode', operator: 'Exists' }, ...awayTolerations(300)],
  }
  const { patch, lost } = missed({ virtualNodeOnly: {} }, { spec }) ?? {}
  t.equal(lost, undefined)
  t.strictSame(
    patch?.map(({ path }) => path),
    [
      '/metadata/resourceVersion',
      '/metadata/annotations',
      '/metadata/labels/runs',
      '/spec/tolerations/1/tolerationSeconds',
      '/spec/tolerations/2/tolerationSeconds',
    ],
  )
})

t.test('one that goes there by labels that are not ours keeps its node selector', async t => {
  const expression = { key: 'type', operator: 'In', values: ['virtual-kubelet'] }
  const required = { nodeSelectorTerms: [{ matchExpressions: [expression] }] }
  const specs = {
    'a node selector': { nodeSelector: { type: 'virtual-kubelet' } },
    'an affinity': {
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } },
    },
  }
  for (const [name, spec] of Object.entries(specs)) {
    const tolerations = [{ key: 'k8s.aliyun.com/vnode', operator: 'Exists' }]
    const { patch, lost } = missed({ virtualNodeOnly: {} }, { spec: { ...spec, tolerations } }) ?? {}
    t.equal(lost, undefined, name)
    t.strictSame(
      patch?.map(({ path }) => path),
      ['/metadata/resourceVersion', '/metadata/annotations', '/metadata/labels/runs'],
      `${name}: the API server refuses a patch that changes it, and all else with it`,
    )
  }
})

t.test('not missed', async t => {
  const others: Readonly<Record<string, PendingOverrides>> = {
    'one with the mark': { annotations: { 'vnode-profile.io/rules': 'web' } },
    'one that no rule is about': { labels: { app: 'api' } },
    'one with a node': { spec: { nodeName: SPILL_NODE } },
    'one that is being deleted': { deletionTimestamp: '2026-05-06T07:08:09Z' },
    'one that no VNode can take': { spec: { nodeSelector: { type: 'other' } } },
  }
  for (const [name, pod] of Object.entries(others))
    t.equal(missed({ virtualNodeOnly: {} }, pod), undefined, name)
  t.equal(missed({ normalNodeOnly: {} }), undefined, 'one that is to stay on real nodes')
})

t.test('a conflict is one of Pods without a node', async t => {
  const environment = makeEnvironment({ rules: [rule({ fair: {} })], vnodes: [makeVnode(SPILL_NODE)] })
  const conflicted = (pod: PendingOverrides) =>
    conflictedOf(makePending(pod), makeNamespace('team-a'), environment)
  const nodeSelector = { type: 'metal' }
  t.match(conflicted({ spec: { nodeSelector } }), { rule: { name: 'web' }, policy: { kind: 'fair' } })
  t.equal(conflicted({}), undefined)
  t.equal(conflicted({ spec: { nodeSelector, nodeName: SPILL_NODE } }), undefined)
  t.equal(conflicted({ spec: { nodeSelector }, deletionTimestamp: '2026-05-06T07:08:09Z' }), undefined)
})
