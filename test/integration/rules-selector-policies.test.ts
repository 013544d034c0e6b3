/** Selector resources: which of them decides about a Pod, and what becomes of it. */
import t from 'tap'
import {
  awayTolerations,
  type Placement,
  placementOf,
  sentToVnodes,
  UNTOUCHED,
  VNODE_SELECTOR,
  VNODE_TOLERATION,
} from '../helpers/placed-pods.ts'
import type { PodOverrides } from '../helpers/pods.ts'
import { setRules } from '../helpers/rules.ts'
import { startSelectorScene } from '../helpers/selector-scene.ts'

const WEB = { matchLabels: { app: 'web' } }
const ECI = { 'k8s.aliyun.com/eci-use-specs': '2-4Gi' }
const EFFECT = { annotations: { ...ECI, 'example.com/team': 'a' }, labels: { 'example.com/eci': 'yes' } }

interface Case {
  /** Specs by name; they choose Pods with the label app=web unless they say otherwise. */
  readonly selectors: Readonly<Record<string, object>>
  readonly rules?: readonly object[]
  readonly pod?: PodOverrides
  /** Of the Selectors those that are in force, in their order; the names tell, without the namespace. */
  readonly order: readonly string[]
  readonly stored: (namespace: string) => Placement
}

const marks = (rules: string, policy: string) => ({
  'vnode-profile.io/rules': rules,
  'vnode-profile.io/policy': policy,
})
const untouched = () => ({ ...UNTOUCHED, labels: { app: 'web' } })
/** What a Pod looks like that a Selector (and others) sent to VNodes. */
const sent = (rules: string, effect: Partial<typeof EFFECT> = {}): Placement => {
  const placement = sentToVnodes(rules)
  return {
    ...placement,
    labels: { app: 'web', ...effect.labels },
    annotations: { ...placement.annotations, ...effect.annotations },
  }
}
const toVnodes = { virtualNodeOnly: {} }
const label = (value: string) => ({ effect: { labels: { 'example.com/by': value } } })
const ownWay = { nodeSelector: VNODE_SELECTOR, tolerations: [VNODE_TOLERATION] }

const CASES: Readonly<Record<string, Case>> = {
  'virtualNodeOnly: selector, toleration and all effects': {
    selectors: { one: { policy: toVnodes, effect: EFFECT } },
    order: ['one'],
    stored: namespace => sent(`${namespace}/one`, EFFECT),
  },
  'fair: toleration and annotations for ECI': {
    selectors: { one: { policy: { fair: {} }, effect: EFFECT } },
    order: ['one'],
    stored: namespace => ({
      ...untouched(),
      annotations: { ...marks(`${namespace}/one`, 'fair'), ...ECI },
      tolerations: [...awayTolerations(300), VNODE_TOLERATION],
    }),
  },
  'normalNodePrefer: preferred affinity alone': {
    selectors: { one: { policy: { normalNodePrefer: { cpuRatio: 80 } }, effect: EFFECT } },
    order: ['one'],
    stored: namespace => ({
      ...untouched(),
      annotations: marks(`${namespace}/one`, 'normalNodePrefer'),
      affinity: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            {
              weight: 100,
              preference: {
                matchExpressions: [{ key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }],
              },
            },
          ],
        },
      },
    }),
  },
  'normalNodeOnly: nothing, and no rule behind it has a say': {
    selectors: {
      one: { policy: { normalNodeOnly: {} }, effect: EFFECT, priority: 1 },
      two: { policy: toVnodes, effect: EFFECT },
    },
    rules: [{ name: 'rule', objectSelector: WEB, effect: EFFECT }],
    order: ['one', 'two'],
    stored: untouched,
  },
  'without a policy: schedules nothing': {
    selectors: { one: { effect: EFFECT } },
    order: ['one'],
    stored: untouched,
  },
  'without a policy: its effect goes to a Pod that goes to a VNode by itself': {
    selectors: { one: { effect: EFFECT } },
    pod: { spec: ownWay },
    order: ['one'],
    stored: namespace => ({
      labels: { app: 'web', ...EFFECT.labels },
      annotations: { 'vnode-profile.io/rules': `${namespace}/one`, ...EFFECT.annotations },
      nodeSelector: VNODE_SELECTOR,
      tolerations: [VNODE_TOLERATION, ...awayTolerations(86_400)],
      affinity: {},
    }),
  },
  'without a policy: its effect goes to a Pod that a rule behind it schedules': {
    selectors: { one: { effect: EFFECT } },
    rules: [{ name: 'rule', objectSelector: WEB }],
    order: ['one'],
    stored: namespace => sent(`${namespace}/one,rule`, EFFECT),
  },
  'two policies at once: left out': {
    selectors: { one: { policy: { fair: {}, ...toVnodes } }, two: { policy: toVnodes } },
    order: ['two'],
    stored: namespace => sent(`${namespace}/two`),
  },
  'no selector at all, or one without a requirement: left out': {
    selectors: {
      one: { objectLabels: null, policy: toVnodes },
      two: { objectLabels: {}, namespaceLabels: { matchLabels: {} }, policy: toVnodes },
    },
    order: [],
    stored: untouched,
  },
  'a policy that is not supported yet: left out': {
    selectors: { one: { policy: { namespaceResourceLimit: { namespace: 'a', limits: {} } } } },
    order: [],
    stored: untouched,
  },
  'the highest priority wins, also over a negative one, and its effect alone applies': {
    selectors: {
      low: { policy: { normalNodeOnly: {} }, ...label('low') },
      lower: { policy: toVnodes, ...label('lower'), priority: -7 },
      high: { policy: toVnodes, ...label('high'), priority: 2147483647 },
      middle: { policy: { fair: {} }, effect: EFFECT, priority: 5 },
    },
    order: ['high', 'middle', 'low', 'lower'],
    stored: namespace => {
      const { labels, ...rest } = sent(`${namespace}/high`)
      return { ...rest, labels: { ...labels, 'example.com/by': 'high' } }
    },
  },
  'one that does not match the Pod has no say, whatever its priority': {
    selectors: {
      other: { objectLabels: { matchLabels: { app: 'api' } }, policy: { normalNodeOnly: {} }, priority: 9 },
      one: { policy: toVnodes },
    },
    order: ['other', 'one'],
    stored: namespace => sent(`${namespace}/one`),
  },
  'both selectors must match': {
    selectors: {
      one: { namespaceLabels: { matchLabels: { no: 'where' } }, policy: { normalNodeOnly: {} }, priority: 1 },
      two: {
        namespaceLabels: { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'Exists' }] },
        policy: toVnodes,
      },
    },
    order: ['one', 'two'],
    stored: namespace => sent(`${namespace}/two`),
  },
  'Selectors come before the rules of the ConfigMap, whose effects all apply': {
    selectors: { one: { policy: toVnodes, ...label('selector'), priority: -1 } },
    rules: [
      { name: 'a', objectSelector: WEB, ...label('rule') },
      { name: 'b', objectSelector: WEB, effect: { labels: { 'example.com/b': 'yes' } } },
    ],
    order: ['one'],
    stored: namespace => {
      const { labels, ...rest } = sent(`${namespace}/one,a,b`)
      return { ...rest, labels: { ...labels, 'example.com/by': 'selector', 'example.com/b': 'yes' } }
    },
  },
}

const scene = await startSelectorScene(t)

if (scene !== undefined) {
  const { controlPlane, webhook, select, send, place } = scene

  for (const [behaviour, { selectors, rules = [], pod, order, stored }] of Object.entries(CASES)) {
    t.test(behaviour, async t => {
      const namespace = await place(t)
      for (const [name, spec] of Object.entries(selectors)) await select(namespace, name, spec)
      if (rules.length > 0) await setRules(controlPlane, rules)
      const names = rules.flatMap(rule => ('name' in rule ? String(rule.name) : []))
      await webhook.inForce(...order.map(name => `${namespace}/${name}`), ...names)
      const refused = Object.keys(selectors).length - order.length
      await webhook.until('counted', state => state.summary().refusedSelectors === refused)
      t.strictSame(placementOf(await send(namespace, pod)), stored(namespace))
    })
  }
}
