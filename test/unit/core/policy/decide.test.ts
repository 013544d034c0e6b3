import t from 'tap'
import { podFacts } from '../../../../src/core/pod/facts.ts'
import { type Decision, decide } from '../../../../src/core/policy/decide.ts'
import { NO_EFFECT } from '../../../../src/core/selector/effect.ts'
import {
  type EnvironmentOverrides,
  makeEnvironment,
  makeNamespace,
  makeVnode,
} from '../../../helpers/environments.ts'
import type { PlainLabels, PlainRule } from '../../../helpers/naive-rules.ts'
import { makeOwner, makePod, type PodOverrides } from '../../../helpers/pods.ts'

const VNODE = 'cn-hangzhou.vnd-1'
const web = { matchLabels: { app: 'web' } }
const WEB: PodOverrides = { labels: { app: 'web' } }
const toVnode: PlainRule = { name: 'to-vnode', objectSelector: web }
const own = {
  nodeSelector: { 'k8s.aliyun.com/vnode': 'true' },
  tolerations: [{ key: 'k8s.aliyun.com/vnode', operator: 'Exists' }],
}

interface Case {
  readonly pod?: PodOverrides
  /** Its labels are those of the namespace `team-a`, or of the name given. */
  readonly namespace?: string
  readonly namespaceLabels?: PlainLabels
  readonly environment?: EnvironmentOverrides
}

function decideOn({ pod = WEB, namespace = 'team-a', namespaceLabels, environment }: Case): Decision {
  const facts = podFacts(makePod(pod))
  return decide(
    facts,
    makeNamespace(namespace, namespaceLabels),
    makeEnvironment({ rules: [toVnode], ...environment }),
  )
}

const MIRROR = { annotations: { 'kubernetes.io/config.mirror': 'x' } }
const SKIP = { 'vnode-profile.io/skip': 'true' }
const DAEMON = { ownerReferences: [makeOwner('DaemonSet', 'proxy')] }
const isMirror = ['mirror', 'it is a static Pod: the kubelet has started it already']
const isExcluded = ['excluded-namespace', 'namespace kube-system is excluded']
const namespaceSkips = ['skip-label', 'its namespace has the label vnode-profile.io/skip=true']
const podSkips = ['skip-label', 'it has the label vnode-profile.io/skip=true']
const isDaemon = ['daemonset', 'it belongs to a DaemonSet, which no VNode runs']
const isBound = ['bound', 'its nodeName binds it to the real node worker-1']

/** Code and reason of the skip; undefined: it is not skipped. Each case has, from here on down, what the next ones have too. */
const skips = new Map<string, [given: Case, skip: string[] | undefined]>([
  ['an ordinary Pod is not', [{}, undefined]],
  ['a mirror Pod', [{ pod: { ...WEB, ...MIRROR } }, isMirror]],
  [
    'a mirror Pod that has every other reason, too',
    [
      {
        pod: { labels: { ...WEB.labels, ...SKIP }, ...MIRROR, ...DAEMON, spec: { nodeName: 'worker-1' } },
        namespace: 'kube-system',
        namespaceLabels: SKIP,
      },
      isMirror,
    ],
  ],
  ['a Pod of an excluded namespace', [{ namespace: 'kube-system' }, isExcluded]],
  [
    "a Pod of the installation's namespace",
    [{ namespace: 'vnode-system' }, ['excluded-namespace', 'namespace vnode-system is excluded']],
  ],
  [
    'a Pod of an excluded namespace that has every reason below, too',
    [
      {
        pod: { labels: SKIP, ...DAEMON, spec: { nodeName: 'worker-1' } },
        namespace: 'kube-system',
        namespaceLabels: SKIP,
      },
      isExcluded,
    ],
  ],
  [
    'a Pod of a namespace that is not excluded any more is not',
    [{ namespace: 'kube-system', environment: { settings: { excludedNamespaces: new Set() } } }, undefined],
  ],
  ['a Pod of a namespace labelled skip', [{ namespaceLabels: SKIP }, namespaceSkips]],
  [
    'a Pod of a namespace labelled skip that has every reason below, too',
    [
      { pod: { labels: SKIP, ...DAEMON, spec: { nodeName: 'worker-1' } }, namespaceLabels: SKIP },
      namespaceSkips,
    ],
  ],
  ['a Pod labelled skip', [{ pod: { labels: { ...WEB.labels, ...SKIP } } }, podSkips]],
  [
    'a Pod labelled skip that has every reason below, too',
    [{ pod: { labels: SKIP, ...DAEMON, spec: { nodeName: 'worker-1' } } }, podSkips],
  ],
  [
    'a label skip with another value is not',
    [
      {
        pod: { labels: { ...WEB.labels, 'vnode-profile.io/skip': 'yes' } },
        namespaceLabels: { 'vnode-profile.io/skip': '' },
      },
      undefined,
    ],
  ],
  [
    "a Pod's label, where namespaces alone may skip, is not",
    [
      { pod: { labels: { ...WEB.labels, ...SKIP } }, environment: { settings: { allowSkip: 'namespace' } } },
      undefined,
    ],
  ],
  [
    "a namespace's label, where namespaces alone may skip",
    [{ namespaceLabels: SKIP, environment: { settings: { allowSkip: 'namespace' } } }, namespaceSkips],
  ],
  [
    'both labels, where nobody may skip, are not',
    [
      {
        pod: { labels: { ...WEB.labels, ...SKIP } },
        namespaceLabels: SKIP,
        environment: { settings: { allowSkip: 'never' } },
      },
      undefined,
    ],
  ],
  ['a Pod of a DaemonSet', [{ pod: { ...WEB, ...DAEMON } }, isDaemon]],
  [
    'a Pod of a DaemonSet bound to a node',
    [{ pod: { ...WEB, ...DAEMON, spec: { nodeName: 'worker-1' } } }, isDaemon],
  ],
  [
    'a Pod of a DaemonSet that goes to a VNode by itself',
    [{ pod: { ...WEB, ...DAEMON, spec: own } }, isDaemon],
  ],
  ['a Pod of a ReplicaSet is not', [{ pod: { ...WEB, ownerReferences: [makeOwner()] } }, undefined]],
  [
    'a Pod that a DaemonSet owns but does not control is not',
    [
      { pod: { ...WEB, ownerReferences: [{ ...makeOwner('DaemonSet', 'x'), controller: false }] } },
      undefined,
    ],
  ],
  ['a Pod bound to a real node', [{ pod: { ...WEB, spec: { nodeName: 'worker-1' } } }, isBound]],
  [
    'a Pod bound to a VNode, by the shape of its name, is not',
    [{ pod: { ...WEB, spec: { nodeName: VNODE } } }, undefined],
  ],
  [
    'a Pod bound to a known VNode is not',
    [{ pod: { ...WEB, spec: { nodeName: 'vk' } }, environment: { vnodes: [makeVnode('vk')] } }, undefined],
  ],
  [
    'a Pod bound to what is no known VNode, whatever its shape',
    [
      { pod: { ...WEB, spec: { nodeName: VNODE } }, environment: { vnodes: [makeVnode('vk')] } },
      ['bound', `its nodeName binds it to the real node ${VNODE}`],
    ],
  ],
])

for (const [sentence, [given, skip]] of skips) {
  t.test(`skipped: ${sentence}`, async t => {
    const decision = decideOn(given)
    t.strictSame(decision.outcome === 'skipped' ? [decision.code, decision.reason] : undefined, skip)
  })
}

const fair: PlainRule = { name: 'fair', objectSelector: web, policy: { fair: {} } }
const prefer: PlainRule = { name: 'prefer', objectSelector: web, policy: { normalNodePrefer: {} } }
const only: PlainRule = { name: 'only', objectSelector: web, policy: { normalNodeOnly: {} } }
const everyone: PlainRule = { name: 'everyone', effect: { annotations: { note: 'x' } } }

/** Outcome, and route if placed, then the reason. */
const outcomes = new Map<string, [given: Case, outcome: string, reason: string]>([
  ['a rule sends it', [{}, 'placed rule', 'rule to-vnode matches with policy virtualNodeOnly']],
  [
    'a rule leaves it to the scheduler',
    [{ environment: { rules: [fair] } }, 'placed rule', 'rule fair matches with policy fair'],
  ],
  [
    'a rule prefers real nodes',
    [{ environment: { rules: [prefer] } }, 'placed rule', 'rule prefer matches with policy normalNodePrefer'],
  ],
  [
    'a rule keeps it',
    [
      { environment: { rules: [only, toVnode, everyone] } },
      'real-nodes',
      'rule only matches with policy normalNodeOnly',
    ],
  ],
  [
    'a rule keeps it, but an earlier one sends it',
    [
      { environment: { rules: [toVnode, only] } },
      'placed rule',
      'rule to-vnode matches with policy virtualNodeOnly',
    ],
  ],
  ['no rule matches', [{ pod: {} }, 'unmatched', 'no rule schedules it']],
  ['no rule is there', [{ environment: { rules: [] } }, 'unmatched', 'no rule schedules it']],
  [
    'a rule without a selector schedules nothing',
    [{ environment: { rules: [everyone] } }, 'unmatched', 'no rule schedules it'],
  ],
  [
    'a Selector without a policy schedules nothing',
    [
      { environment: { rules: [], selectors: [{ spec: { objectLabels: web } }] } },
      'unmatched',
      'no rule schedules it',
    ],
  ],
  [
    'it goes by itself',
    [{ pod: { spec: own } }, 'placed own', 'its own selectors and tolerations send it to a VNode'],
  ],
  [
    'it goes by itself, and a rule matches as well',
    [{ pod: { ...WEB, spec: own } }, 'placed own', 'its own selectors and tolerations send it to a VNode'],
  ],
  [
    'it goes by itself, and a rule keeps it',
    [
      { pod: { ...WEB, spec: own }, environment: { rules: [only] } },
      'real-nodes',
      'rule only matches with policy normalNodeOnly',
    ],
  ],
  [
    'its author bound it to a VNode',
    [{ pod: { spec: { nodeName: VNODE } } }, 'placed bound', `its nodeName binds it to the VNode ${VNODE}`],
  ],
  [
    'it is bound to a VNode, whatever its node selector says',
    [
      { pod: { ...WEB, spec: { nodeName: VNODE, nodeSelector: { type: 'worker' } } } },
      'placed bound',
      `its nodeName binds it to the VNode ${VNODE}`,
    ],
  ],
  [
    'its node selector is in conflict',
    [
      { pod: { ...WEB, spec: { nodeSelector: { type: 'worker' } } } },
      'conflict',
      'its nodeSelector wants type=worker, and VNodes have type=virtual-kubelet',
    ],
  ],
  [
    'a conflict under fair',
    [
      { pod: { ...WEB, spec: { nodeSelector: { type: 'worker' } } }, environment: { rules: [fair] } },
      'conflict',
      'its nodeSelector wants type=worker, and VNodes have type=virtual-kubelet',
    ],
  ],
  [
    'a conflict is none where a rule keeps it anyway',
    [
      { pod: { ...WEB, spec: { nodeSelector: { type: 'worker' } } }, environment: { rules: [only] } },
      'real-nodes',
      'rule only matches with policy normalNodeOnly',
    ],
  ],
  [
    'a conflict is none where no rule schedules it',
    [{ pod: { spec: { nodeSelector: { type: 'worker' } } } }, 'unmatched', 'no rule schedules it'],
  ],
])

for (const [sentence, [given, outcome, reason]] of outcomes) {
  t.test(`decides: ${sentence}`, async t => {
    const decision = decideOn(given)
    t.equal(decision.outcome === 'placed' ? `placed ${decision.route}` : decision.outcome, outcome)
    t.equal(decision.reason, reason)
  })
}

const effects = { annotations: { 'k8s.aliyun.com/eci-auto-imc': 'true', note: 'x' }, labels: { on: 'eci' } }
const withEffect = (rule: PlainRule, name = rule.name): PlainRule => ({ ...rule, name, effect: effects })
const all = { annotations: ['k8s.aliyun.com/eci-auto-imc', 'note'], labels: ['on'] }
const eciOnly = { annotations: ['k8s.aliyun.com/eci-auto-imc'], labels: [] }
const nothing = { annotations: [], labels: [] }

const atCreation = new Map<string, [given: Case, expected: typeof nothing | typeof all]>([
  ['virtualNodeOnly: everything', [{ environment: { rules: [withEffect(toVnode)] } }, all]],
  ['fair: what means nothing on a real node', [{ environment: { rules: [withEffect(fair)] } }, eciOnly]],
  ['normalNodePrefer: nothing', [{ environment: { rules: [withEffect(prefer)] } }, nothing]],
  [
    'by itself, under fair: everything',
    [{ pod: { ...WEB, spec: own }, environment: { rules: [withEffect(fair)] } }, all],
  ],
  [
    'by itself, under normalNodePrefer: everything',
    [{ pod: { ...WEB, spec: own }, environment: { rules: [withEffect(prefer)] } }, all],
  ],
  [
    'by itself, without a rule that schedules: what goes to all',
    [{ pod: { spec: own }, environment: { rules: [withEffect(everyone)] } }, all],
  ],
  [
    'bound to a VNode: everything',
    [{ pod: { ...WEB, spec: { nodeName: VNODE } }, environment: { rules: [withEffect(fair)] } }, all],
  ],
])

const NO_EFFECTS = { effect: NO_EFFECT, effectAtCreation: NO_EFFECT }

t.test('of the effect belongs on the Pod at its creation:', async t => {
  for (const [sentence, [given, expected]] of atCreation) {
    const decision = decideOn(given)
    const { effect, effectAtCreation } = decision.outcome === 'placed' ? decision : NO_EFFECTS
    const keys = {
      annotations: [...effectAtCreation.annotations.keys()],
      labels: [...effectAtCreation.labels.keys()],
    }
    t.strictSame(keys, expected, sentence)
    t.strictSame(
      [...effect.annotations.keys(), ...effect.labels.keys()],
      [...all.annotations, 'on'],
      sentence,
    )
  }
})

t.test('effects are merged, the earlier rule winning', async t => {
  const rules: PlainRule[] = [
    { name: 'a', objectSelector: web, effect: { annotations: { one: 'a', two: 'a' }, labels: { x: 'a' } } },
    { name: 'b', effect: { annotations: { two: 'b', three: 'b' }, labels: { x: 'b', y: 'b' } } },
    { name: 'c', effect: { annotations: { constructor: 'c' }, labels: { y: 'c' } } },
  ]
  const decision = decideOn({ environment: { rules } })
  t.match(decision, {
    rule: { name: 'a' },
    policy: { kind: 'virtualNodeOnly' },
    rules: [{ name: 'a' }, { name: 'b' }, { name: 'c' }],
    effect: {
      annotations: new Map([
        ['one', 'a'],
        ['two', 'a'],
        ['three', 'b'],
        ['constructor', 'c'],
      ]),
      labels: new Map([
        ['x', 'a'],
        ['y', 'b'],
      ]),
    },
  })
})

t.test('a Pod that goes by itself has a rule only if one schedules it', async t => {
  const without = decideOn({ pod: { spec: own }, environment: { rules: [everyone] } })
  t.notOk('rule' in without || 'policy' in without)
  t.match(without, { rules: [{ name: 'everyone' }] })
  const withRule = decideOn({ pod: { ...WEB, spec: own }, environment: { rules: [fair] } })
  t.match(withRule, { rule: { name: 'fair' }, policy: { kind: 'fair' }, rules: [{ name: 'fair' }] })
})

t.test('a conflict names the rule, its policy and what is in the way', async t => {
  t.match(decideOn({ pod: { ...WEB, spec: { nodeSelector: { type: 'worker' } } } }), {
    outcome: 'conflict',
    rule: { name: 'to-vnode' },
    policy: { kind: 'virtualNodeOnly' },
    conflict: { code: 'node-selector-conflict' },
  })
})

t.test('the labels of the namespace are those given, not those of the Pod', async t => {
  const rules: PlainRule[] = [{ name: 'ns', namespaceSelector: web }]
  t.equal(decideOn({ environment: { rules } }).outcome, 'unmatched')
  t.equal(decideOn({ pod: {}, namespaceLabels: { app: 'web' }, environment: { rules } }).outcome, 'placed')
})

t.test('a namespace is selected by its name', async t => {
  const named = { matchLabels: { 'kubernetes.io/metadata.name': 'team-a' } }
  const rules: PlainRule[] = [{ name: 'ns', namespaceSelector: named }]
  t.equal(decideOn({ environment: { rules } }).outcome, 'placed')
  t.equal(decideOn({ namespace: 'team-b', environment: { rules } }).outcome, 'unmatched')
})
