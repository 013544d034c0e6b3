import t from 'tap'
import { type Explanation, explainPod } from '../../../../src/core/explain/explanation.ts'
import type { Taint } from '../../../../src/core/kubernetes/objects.ts'
import { compileConfigMapRules } from '../../../../src/core/selector/configmap-rules.ts'
import { compileSelector } from '../../../../src/core/selector/resource-rules.ts'
import { orderRules, RuleSet } from '../../../../src/core/selector/rule-set.ts'
import { DEFAULT_SETTINGS } from '../../../../src/core/settings.ts'
import { type Vnode, VnodeSet } from '../../../../src/core/vnode/vnode-set.ts'
import { makeVnode } from '../../../helpers/environments.ts'
import { makeOwner, makePod, type PodOverrides } from '../../../helpers/pods.ts'

interface Setting {
  readonly pod?: PodOverrides
  readonly rules?: readonly object[]
  /** Specs of Selectors s0, s1, … in the installation's namespace, tried in this order. */
  readonly selectors?: readonly object[]
  readonly namespace?: string
  readonly vnodes?: readonly Vnode[]
}

function explain({
  pod,
  rules = [],
  selectors = [],
  namespace = 'default',
  vnodes = [],
}: Setting): Explanation {
  const compiled = selectors.map((spec, index) =>
    compileSelector(
      { metadata: { name: `s${index}`, namespace: 'vnode-system' }, spec: { priority: -index, ...spec } },
      DEFAULT_SETTINGS,
    ),
  )
  const configMapRules = compileConfigMapRules(JSON.stringify(rules)).rules
  return explainPod(
    { ...makePod(pod) },
    { name: namespace, labels: new Map() },
    {
      settings: DEFAULT_SETTINGS,
      rules: new RuleSet(orderRules(compiled, configMapRules)),
      vnodes: new VnodeSet(vnodes),
    },
  )
}

const CI = { matchLabels: { app: 'ci' } }
const IS_CI = { labels: { app: 'ci' } }
const adds = (key: string, value = '1') => ({ effect: { labels: { [key]: value } } })
const BY_ITSELF = {
  spec: {
    nodeSelector: { type: 'virtual-kubelet' },
    tolerations: [{ key: 'k8s.aliyun.com/vnode', operator: 'Exists' }],
  },
}

interface Case extends Setting {
  /** `name: reason` of each rule that matches; a star before those that apply. */
  readonly matches?: readonly string[]
  readonly runsOn?: string
}

const CASES: Readonly<Record<string, Case>> = {
  'a rule that schedules and adds': {
    pod: IS_CI,
    rules: [{ name: 'ci', objectSelector: CI, ...adds('x') }],
    matches: ['*ci: schedules it: virtualNodeOnly; its effect is added'],
    runsOn: 'vnode',
  },
  'a later rule that schedules too': {
    pod: IS_CI,
    rules: [
      { name: 'ci', objectSelector: CI },
      { name: 'again', objectSelector: CI },
    ],
    matches: ['*ci: schedules it: virtualNodeOnly', 'again: matches, but ci comes first'],
  },
  'a rule with nothing to add': {
    pod: IS_CI,
    rules: [{ name: 'ci', objectSelector: CI }, { name: 'nothing' }],
    matches: ['*ci: schedules it: virtualNodeOnly', 'nothing: matches; it has nothing to add'],
  },
  'a second Selector, after one without an effect': {
    pod: IS_CI,
    selectors: [
      { objectLabels: CI, policy: { fair: {} } },
      { objectLabels: CI, ...adds('x') },
    ],
    matches: [
      '*vnode-system/s0: schedules it: fair',
      'vnode-system/s1: matches, but of Selectors only the first counts: vnode-system/s0',
    ],
    runsOn: 'vnode-or-real',
  },
  'a second Selector that has the first policy': {
    pod: IS_CI,
    selectors: [
      { objectLabels: CI, ...adds('x') },
      { objectLabels: CI, policy: { virtualNodeOnly: {} }, ...adds('y') },
    ],
    matches: ['*vnode-system/s0: its effect is added', '*vnode-system/s1: schedules it: virtualNodeOnly'],
  },
  'a rule that matches because of what another one adds': {
    pod: IS_CI,
    rules: [
      { name: 'ci', objectSelector: CI, ...adds('tier', 'batch') },
      { name: 'batch', objectSelector: { matchLabels: { tier: 'batch' } }, ...adds('x') },
    ],
    matches: [
      '*ci: schedules it: virtualNodeOnly; its effect is added',
      '*batch: its effect is added, because of a label that a rule adds',
    ],
  },
  'a Pod that goes by itself although a rule is to keep it': {
    pod: { ...IS_CI, ...BY_ITSELF },
    rules: [
      { name: 'keep', objectSelector: CI, policy: { normalNodeOnly: {} } },
      { name: 'all', ...adds('x') },
    ],
    matches: ['*keep: schedules it: normalNodeOnly', 'all: matches, but keep keeps the Pod on real nodes'],
    runsOn: 'vnode',
  },
  'a Pod that goes by itself from an excluded namespace': {
    pod: BY_ITSELF,
    namespace: 'kube-system',
    rules: [{ name: 'all', ...adds('x') }],
    matches: [],
    runsOn: 'vnode',
  },
  'a Pod that tolerates VNodes, but excludes them': {
    pod: { spec: { tolerations: [{ operator: 'Exists' }], nodeSelector: { type: 'ecs' } } },
    runsOn: 'real',
  },
  'a static Pod': {
    pod: { annotations: { 'kubernetes.io/config.mirror': 'x' } },
    runsOn: 'real',
  },
  'a Pod of a DaemonSet, bound to its node by affinity': {
    pod: {
      ownerReferences: [makeOwner('DaemonSet', 'logs')],
      spec: {
        tolerations: [{ operator: 'Exists' }],
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [
                { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['cn-hangzhou.vnd-1'] }] },
              ],
            },
          },
        },
      },
    },
    runsOn: 'vnode',
  },
}

for (const [name, { matches, runsOn, ...setting }] of Object.entries(CASES)) {
  t.test(name, async t => {
    const { rules, whereabouts } = explain(setting)
    const found = rules.filter(one => one.matches)
    if (matches !== undefined) {
      t.same(
        found.map(({ rule, applies, reason }) => `${applies ? '*' : ''}${rule.name}: ${reason}`),
        matches,
      )
    }
    if (runsOn !== undefined) t.equal(whereabouts.code, runsOn)
  })
}

t.test('a mark that grows with a second look is told once, as it ends', async t => {
  const { added, patch } = explain({
    pod: IS_CI,
    rules: [
      { name: 'ci', objectSelector: CI, ...adds('tier', 'batch') },
      { name: 'batch', objectSelector: { matchLabels: { tier: 'batch' } }, ...adds('x') },
    ],
  })
  t.same(
    added.filter(one => one.what === 'mark').map(one => one.text),
    ['vnode-profile.io/rules=ci,batch', 'vnode-profile.io/policy=virtualNodeOnly'],
  )
  t.ok(patch.length > 4, 'it did take a second look')
})

t.test('annotations that would be too many are left out, and that is told', async t => {
  const text = 'x'.repeat(250_000)
  const { added, isOverBudget, result } = explain({
    pod: { ...IS_CI, annotations: { big: 'y'.repeat(20_000) } },
    rules: [{ name: 'ci', objectSelector: CI, effect: { annotations: { large: text } } }],
  })
  t.ok(isOverBudget)
  t.notOk(added.some(one => one.key === 'large'))
  t.notMatch(result, { metadata: { annotations: { large: text } } })
})

t.test('what is billed or ignored is told of a Pod that may go to ECI, not of others', async t => {
  const rules = [{ name: 'ci', objectSelector: CI }]
  t.ok(explain({ pod: IS_CI, rules }).advice.some(one => one.kind === 'billed'))
  t.same(explain({ rules }).advice, [])
})

const EXTRA = { key: 'extra', effect: 'NoExecute' }
const tainted = (name: string, ...taints: readonly Taint[]): Vnode => {
  const vnode = makeVnode(name)
  return { ...vnode, taints: [...vnode.taints, ...taints] }
}
const rulesOf = (policy: object) => [{ name: 'ci', objectSelector: CI, policy }]
const CI_RULE = rulesOf({ virtualNodeOnly: {} })

const TAINTED: Readonly<Record<string, Setting & { readonly note?: RegExp }>> = {
  'the only VNode has a further taint': {
    pod: IS_CI,
    rules: CI_RULE,
    vnodes: [tainted('v1', EXTRA)],
    note: /: v1 has extra:NoExecute\.$/,
  },
  'all have': {
    pod: IS_CI,
    rules: CI_RULE,
    vnodes: ['v1', 'v2', 'v3', 'v4'].map(name => tainted(name, EXTRA)),
    note: /: v1 has extra:NoExecute, v2 has extra:NoExecute, v3 has extra:NoExecute and 1 more have one\.$/,
  },
  'one of two has none': { pod: IS_CI, rules: CI_RULE, vnodes: [tainted('v1', EXTRA), makeVnode('v2')] },
  'the one without is not the one that the Pod asks for': {
    pod: { ...IS_CI, spec: { nodeSelector: { zone: 'a' } } },
    rules: CI_RULE,
    vnodes: [{ ...tainted('v1', EXTRA), labels: makeVnode('v1', { zone: 'a' }).labels }, makeVnode('v2')],
    note: /: v1 has extra:NoExecute\.$/,
  },
  'the Pod tolerates it': {
    pod: { ...IS_CI, spec: { tolerations: [{ key: 'extra', operator: 'Exists' }] } },
    rules: CI_RULE,
    vnodes: [tainted('v1', EXTRA)],
  },
  'it is a preference': {
    pod: IS_CI,
    rules: CI_RULE,
    vnodes: [tainted('v1', { key: 'extra', effect: 'PreferNoSchedule' })],
  },
  'it is a cordon, which passes': {
    pod: IS_CI,
    rules: CI_RULE,
    vnodes: [tainted('v1', { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' })],
  },
  'no VNode is known': { pod: IS_CI, rules: CI_RULE },
  'a Pod that would spill': {
    pod: IS_CI,
    rules: rulesOf({ normalNodePrefer: {} }),
    vnodes: [tainted('v1', EXTRA)],
    note: /^The helper lets it spill .*\. But as they are now no VNode takes it, .*: v1 has extra:NoExecute\.$/,
  },
  'a Pod that would spill to a VNode with its own taint alone': {
    pod: IS_CI,
    rules: rulesOf({ normalNodePrefer: {} }),
    vnodes: [makeVnode('v1')],
  },
  'a Pod that stays on real nodes': { rules: CI_RULE, vnodes: [tainted('v1', EXTRA)] },
  'a Pod that is there already': {
    pod: { ...IS_CI, spec: { nodeName: 'v1' } },
    rules: CI_RULE,
    vnodes: [tainted('v1', EXTRA)],
  },
}

for (const [name, { note, ...setting }] of Object.entries(TAINTED)) {
  t.test(`taints of VNodes: ${name}`, async t => {
    const { whereabouts } = explain(setting)
    if (note === undefined) t.notMatch(whereabouts.note ?? '', /taint/)
    else t.match(whereabouts.note, note)
  })
}
