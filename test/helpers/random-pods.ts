/** Pods as odd as an apiserver lets through: each part there, empty, null or missing, and often about VNodes. */
import {
  type PlainExpression,
  type PlainLabels,
  type PlainRule,
  randomLabels,
  randomRule,
} from './naive-rules.ts'
import { makeOwner } from './pods.ts'
import type { Random } from './random.ts'

const KEY = 'k8s.aliyun.com/vnode'
const VNODE = 'cn-hangzhou.vnd-1'
const ANNOTATIONS = [
  'k8s.aliyun.com/eci-auto-imc',
  'note',
  'a.io/b',
  'constructor',
  'controller.kubernetes.io/pod-deletion-cost',
] as const
const MARKS = ['vnode-profile.io/rules', 'vnode-profile.io/policy', 'vnode-profile.io/warnings'] as const
const TOLERATIONS = [
  { key: KEY, operator: 'Equal', value: 'true', effect: 'NoSchedule' },
  { key: KEY, operator: 'Exists' },
  { key: KEY, value: 'false' },
  { operator: 'Exists' },
  { key: 'gpu', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 30 },
] as const
const REQUIREMENTS = [
  { key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] },
  { key: 'type', operator: 'In', values: ['virtual-kubelet'] },
  { key: KEY, operator: 'Exists' },
  { key: 'zone', operator: 'In', values: ['h', 'i'] },
  { key: 'kubernetes.io/hostname', operator: 'In', values: [VNODE, 'worker-1'] },
] as const
const REAL_NODES_FIRST = {
  weight: 100,
  preference: { matchExpressions: [{ key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }] },
}

/** A value, an empty one, null, or nothing, by which member there is none. */
function oddly(random: Random, name: string, make: () => object): object {
  const dice = random.fraction()
  if (dice < 0.6) return { [name]: make() }
  if (dice < 0.75) return { [name]: Array.isArray(make()) ? [] : {} }
  return dice < 0.85 ? { [name]: null } : {}
}

export function randomPod(random: Random): Record<string, unknown> {
  const owner = random.maybe(0.3, () => makeOwner(random.one(['ReplicaSet', 'Job', 'DaemonSet'])))
  const nodeName = random.maybe(0.1, () => random.one([VNODE, 'worker-1', '']))
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'app',
      ...oddly(random, 'labels', () => randomLabels(random)),
      ...oddly(random, 'annotations', () => randomAnnotations(random)),
      ...(owner === undefined ? {} : { ownerReferences: [owner] }),
    },
    spec: {
      containers: [
        {
          name: 'app',
          image: 'localhost/app:1',
          ...random.maybe(0.1, () => ({ securityContext: { privileged: true } })),
        },
      ],
      ...random.maybe(0.1, () => ({ hostNetwork: true })),
      ...oddly(random, 'nodeSelector', () => randomNodeSelector(random)),
      ...oddly(random, 'tolerations', () => random.some(TOLERATIONS, 0.3).map(one => ({ ...one }))),
      ...random.maybe(0.5, () => oddly(random, 'affinity', () => randomAffinity(random))),
      ...(nodeName === undefined ? {} : { nodeName }),
    },
  }
}

function randomAnnotations(random: Random): PlainLabels {
  const keys = [...random.some([...ANNOTATIONS, 'a/b~c'], 0.3), ...random.some(MARKS, 0.1)]
  return Object.fromEntries(keys.map(key => [key, random.one(['1', 'mine', 'to-vnode', ''])]))
}

function randomNodeSelector(random: Random): PlainLabels {
  return {
    ...random.maybe(0.3, () => ({ [KEY]: random.one(['true', 'true', 'false']) })),
    ...random.maybe(0.1, () => ({ type: random.one(['virtual-kubelet', 'worker']) })),
    ...random.maybe(0.1, () => ({ 'kubernetes.io/hostname': random.one([VNODE, 'worker-1']) })),
    ...random.maybe(0.3, () => ({ disk: 'ssd' })),
  }
}

function randomAffinity(random: Random): object {
  const terms = () =>
    Array.from({ length: random.below(3) }, () => ({ matchExpressions: random.some(REQUIREMENTS, 0.3) }))
  return {
    ...oddly(random, 'podAntiAffinity', () => ({})),
    ...oddly(random, 'nodeAffinity', () => ({
      ...random.maybe(0.4, () =>
        oddly(random, 'requiredDuringSchedulingIgnoredDuringExecution', () => ({
          nodeSelectorTerms: terms(),
        })),
      ),
      ...oddly(random, 'preferredDuringSchedulingIgnoredDuringExecution', () =>
        random.some([{ weight: 1, preference: {} }, REAL_NODES_FIRST], 0.3),
      ),
    })),
  }
}

/** Rules whose effects are labels that other rules ask for, and annotations that Pods have already. Half of them match easily. */
export function randomRules(random: Random): PlainRule[] {
  return Array.from({ length: 1 + random.below(6) }, (_, index) => ({
    ...(random.chance(0.5) ? easyRule(random, `r${index}`) : randomRule(random, `r${index}`)),
    ...random.maybe(0.6, () => ({
      effect: { labels: randomLabels(random), annotations: randomEffect(random) },
    })),
  }))
}

function easyRule(random: Random, name: string): PlainRule {
  const key = random.one(['app', 'env', 'constructor'])
  const requirement = random.one<PlainExpression>([
    { key, operator: 'Exists' },
    { key, operator: 'DoesNotExist' },
    { key, operator: 'NotIn', values: ['web'] },
  ])
  const policy = random.one(['fair', 'normalNodeOnly', 'virtualNodeOnly', 'normalNodePrefer'])
  const settings = policy === 'fair' ? { preferRealNodes: random.chance(0.5) } : {}
  return { name, objectSelector: { matchExpressions: [requirement] }, policy: { [policy]: settings } }
}

function randomEffect(random: Random): PlainLabels {
  return Object.fromEntries(
    random
      .some(ANNOTATIONS, 0.4)
      .map(key => [key, random.one(['1', 'x']).replace('x', key.endsWith('cost') ? '-5' : 'x')]),
  )
}
