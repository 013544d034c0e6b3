import t from 'tap'
import { applyPatch } from '../../../../src/core/pod/patch.ts'
import { DEFAULT_SETTINGS } from '../../../../src/core/settings.ts'
import { patchOnVnode, spillPatch } from '../../../../src/core/spill/spill-patch.ts'
import { spillVerdict } from '../../../../src/core/spill/verdict.ts'
import { makeEnvironment, makeNamespace, makeVnode } from '../../../helpers/environments.ts'
import { awayTolerations } from '../../../helpers/placed-pods.ts'
import { makePending, makeSituation, type PendingOverrides, SPILL_NODE } from '../../../helpers/spill.ts'

const effect = {
  annotations: {
    'k8s.aliyun.com/eci-spot-strategy': 'SpotAsPriceGo',
    'controller.kubernetes.io/pod-deletion-cost': '-1000',
    'example.com/team': 'x',
  },
  labels: { 'billing.example.com/runs-on': 'eci' },
}
const web = { matchLabels: { app: 'web' } }
const rule = (policy: Readonly<Record<string, object>>) => ({
  name: 'web',
  objectSelector: web,
  policy,
  effect,
})
const TOLERATION = DEFAULT_SETTINGS.toleration
const MARKS = { 'vnode-profile.io/rules': 'web', 'vnode-profile.io/policy': 'normalNodePrefer' }

function spilled(overrides: PendingOverrides) {
  const situation = makeSituation({ environment: { rules: [rule({ normalNodePrefer: {} })] } })
  const pod = makePending(overrides)
  const verdict = spillVerdict(pod, situation)
  if (verdict.outcome !== 'spill') throw new Error(verdict.reason)
  return spillPatch(pod, verdict.placed, DEFAULT_SETTINGS)
}

t.test(
  'a spill adds the toleration, what ECI reads, and longer patience with a VNode that is away',
  async t => {
    const patch = spilled({ annotations: MARKS, spec: { tolerations: awayTolerations(300) } })
    t.strictSame(patch, [
      { op: 'replace', path: '/metadata/resourceVersion', value: '7' },
      {
        op: 'add',
        path: '/metadata/annotations/k8s.aliyun.com~1eci-spot-strategy',
        value: 'SpotAsPriceGo',
      },
      { op: 'add', path: '/spec/tolerations/0/tolerationSeconds', value: 86_400 },
      { op: 'add', path: '/spec/tolerations/1/tolerationSeconds', value: 86_400 },
      { op: 'add', path: '/spec/tolerations/-', value: TOLERATION },
    ])
  },
)

t.test('of a Pod without tolerations and annotations the parents are made', async t => {
  t.strictSame(spilled({}).slice(1), [
    {
      op: 'add',
      path: '/metadata/annotations',
      value: { 'k8s.aliyun.com/eci-spot-strategy': 'SpotAsPriceGo', ...MARKS },
    },
    { op: 'add', path: '/spec/tolerations', value: [TOLERATION] },
  ])
})

t.test('the author’s own annotation wins', async t => {
  const own = { ...MARKS, 'k8s.aliyun.com/eci-spot-strategy': 'NoSpot' }
  t.strictSame(spilled({ annotations: own }).slice(1), [
    { op: 'add', path: '/spec/tolerations', value: [TOLERATION] },
  ])
})

const vnodes = [makeVnode(SPILL_NODE)]
const namespace = makeNamespace('team-a')
const onVnode = (
  policy: Readonly<Record<string, object>>,
  overrides: PendingOverrides = {},
  more: readonly object[] = [],
) => {
  const environment = makeEnvironment({ rules: [rule(policy), ...(more as never[])], vnodes })
  const pod = makePending({ ...overrides, spec: { nodeName: SPILL_NODE, ...overrides.spec } })
  return { pod, environment, patch: patchOnVnode(pod, namespace, environment) }
}

for (const kind of ['fair', 'normalNodePrefer']) {
  t.test(
    `bound to a VNode, a Pod under ${kind} gets what would do harm elsewhere, and nothing for ECI`,
    async t => {
      const marks = { ...MARKS, 'vnode-profile.io/policy': kind }
      const { pod, patch } = onVnode(
        { [kind]: {} },
        { annotations: marks, spec: { tolerations: awayTolerations(300) } },
      )
      t.strictSame(patch, [
        { op: 'replace', path: '/metadata/resourceVersion', value: '7' },
        {
          op: 'add',
          path: '/metadata/annotations/controller.kubernetes.io~1pod-deletion-cost',
          value: '-1000',
        },
        { op: 'add', path: '/metadata/annotations/example.com~1team', value: 'x' },
        { op: 'add', path: '/metadata/labels/billing.example.com~1runs-on', value: 'eci' },
        { op: 'add', path: '/spec/tolerations/0/tolerationSeconds', value: 86_400 },
        { op: 'add', path: '/spec/tolerations/1/tolerationSeconds', value: 86_400 },
      ])
      const { metadata, spec } = applyPatch(pod.facts.object, (patch ?? []).slice(1) as never) as never as {
        metadata: object
        spec: object
      }
      const again = onVnode({ [kind]: {} }, { ...metadata, spec: { ...spec } })
      t.equal(again.patch, undefined, 'once it has it, there is nothing more')
    },
  )
}

t.test('nothing is added', async t => {
  const nothing: Readonly<Record<string, [Readonly<Record<string, object>>, PendingOverrides?]>> = {
    'under virtualNodeOnly, which added all at creation': [{ virtualNodeOnly: {} }, { annotations: MARKS }],
    'on a real node': [{ fair: {} }, { spec: { nodeName: 'worker-1' } }],
    'without a node': [{ normalNodeOnly: {} }, {}],
    'to a Pod that no rule matches': [{ fair: {} }, { labels: { app: 'api' } }],
    'where only the marks would be others': [
      { fair: {} },
      {
        labels: { app: 'web', ...effect.labels },
        annotations: {
          ...effect.annotations,
          'vnode-profile.io/rules': 'old',
          'vnode-profile.io/policy': 'fair',
        },
      },
    ],
  }
  for (const [when, [policy, pod]] of Object.entries(nothing))
    t.equal(onVnode(policy, pod).patch, undefined, when)
})

t.test('under virtualNodeOnly a Pod that the webhook did not see gets what is left to add', async t => {
  const { patch } = onVnode({ virtualNodeOnly: {} })
  t.match(
    patch?.map(({ path }) => path),
    ['/metadata/resourceVersion', '/metadata/annotations', /labels/],
  )
})

t.test('a label that one rule adds makes another rule match', async t => {
  const chained = {
    name: 'chained',
    objectSelector: { matchLabels: effect.labels },
    effect: { labels: { chained: 'yes' } },
    policy: { fair: {} },
  }
  const { pod, patch } = onVnode({ fair: {} }, {}, [chained])
  const result = applyPatch(pod.facts.object, (patch ?? []).slice(1) as never)
  t.match(result, {
    metadata: { labels: { chained: 'yes' }, annotations: { 'vnode-profile.io/rules': 'web,chained' } },
  })
})
