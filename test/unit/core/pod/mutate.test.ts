import t from 'tap'
import { type Mutation, mutatePod } from '../../../../src/core/pod/mutate.ts'
import { type EnvironmentOverrides, makeEnvironment, makeNamespace } from '../../../helpers/environments.ts'
import type { PlainRule } from '../../../helpers/naive-rules.ts'
import { makeContainer, makeOwner, makePod, type PodOverrides } from '../../../helpers/pods.ts'

const KEY = 'k8s.aliyun.com/vnode'
const TOLERATION = { key: KEY, operator: 'Equal', value: 'true', effect: 'NoSchedule' }
const web = { matchLabels: { app: 'web' } }
const WEB: PodOverrides = { labels: { app: 'web' } }
const effect = { annotations: { 'k8s.aliyun.com/eci-auto-imc': 'true', note: 'x' }, labels: { on: 'eci' } }
const toVnode: PlainRule = { name: 'to-vnode', objectSelector: web, effect }
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution'
const PREFERENCE = {
  weight: 100,
  preference: { matchExpressions: [{ key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }] },
}

const rulePolicy = (name: string, policy: PlainRule['policy'] = { [name]: {} }): PlainRule => ({
  name,
  objectSelector: web,
  effect,
  policy,
})
const away = (tolerationSeconds: number, name = 'not-ready') => ({
  key: `node.kubernetes.io/${name}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds,
})

interface Given {
  readonly pod?: PodOverrides
  readonly environment?: EnvironmentOverrides
}

function mutate({ pod = WEB, environment = {} }: Given): Mutation {
  return mutatePod(
    makePod(pod),
    makeNamespace('team-a'),
    makeEnvironment({ rules: [toVnode], ...environment }),
  )
}

const marks = (rules: string, policy: string | undefined, warnings?: string) => ({
  'vnode-profile.io/rules': rules,
  ...(policy === undefined ? {} : { 'vnode-profile.io/policy': policy }),
  ...(warnings === undefined ? {} : { 'vnode-profile.io/warnings': warnings }),
})

/** The patch as `path: value`. */
const cases = new Map<string, [given: Given, patch: Record<string, unknown>]>([
  [
    'virtualNodeOnly: node selector, toleration, all effects and two marks',
    [
      {},
      {
        '/metadata/annotations': { ...effect.annotations, ...marks('to-vnode', 'virtualNodeOnly') },
        '/metadata/labels/on': 'eci',
        '/spec/nodeSelector': { [KEY]: 'true' },
        '/spec/tolerations': [TOLERATION],
      },
    ],
  ],
  [
    'what the author wrote is not written again, nor replaced',
    [
      {
        pod: {
          labels: { ...WEB.labels, on: 'metal' },
          annotations: { note: 'mine', other: 'y' },
          spec: {
            nodeSelector: { [KEY]: 'true', disk: 'ssd' },
            tolerations: [{ key: KEY, operator: 'Exists' }],
          },
        },
      },
      {
        '/metadata/annotations/k8s.aliyun.com~1eci-auto-imc': 'true',
        '/metadata/annotations/vnode-profile.io~1rules': 'to-vnode',
        '/metadata/annotations/vnode-profile.io~1policy': 'virtualNodeOnly',
      },
    ],
  ],
  [
    'a toleration of another taint stays, and ours is appended',
    [
      {
        pod: { ...WEB, spec: { tolerations: [{ key: 'gpu', operator: 'Exists' }] } },
        environment: { rules: [{ name: 'r', objectSelector: web }] },
      },
      {
        '/metadata/annotations': marks('r', 'virtualNodeOnly'),
        '/spec/nodeSelector': { [KEY]: 'true' },
        '/spec/tolerations/-': TOLERATION,
      },
    ],
  ],
  [
    "the apiserver's defaults of an unreachable node are lengthened, the author's own seconds not",
    [
      {
        pod: {
          ...WEB,
          spec: {
            tolerations: [away(300), TOLERATION, away(300, 'unreachable'), away(60)],
            nodeSelector: { [KEY]: 'true' },
          },
        },
        environment: { rules: [{ name: 'r', objectSelector: web }] },
      },
      {
        '/metadata/annotations': marks('r', 'virtualNodeOnly'),
        '/spec/tolerations/0/tolerationSeconds': 86_400,
        '/spec/tolerations/2/tolerationSeconds': 86_400,
      },
    ],
  ],
  [
    'they are left alone where the setting is 0',
    [
      {
        pod: { ...WEB, spec: { tolerations: [away(300), TOLERATION], nodeSelector: { [KEY]: 'true' } } },
        environment: {
          rules: [{ name: 'r', objectSelector: web }],
          settings: { unreachableTolerationSeconds: 0 },
        },
      },
      { '/metadata/annotations': marks('r', 'virtualNodeOnly') },
    ],
  ],
  [
    'they are left alone where the setting is what they have',
    [
      {
        pod: { ...WEB, spec: { tolerations: [away(300), TOLERATION], nodeSelector: { [KEY]: 'true' } } },
        environment: {
          rules: [{ name: 'r', objectSelector: web }],
          settings: { unreachableTolerationSeconds: 300 },
        },
      },
      { '/metadata/annotations': marks('r', 'virtualNodeOnly') },
    ],
  ],
  [
    'fair: toleration and what ECI alone reads; no label, no other annotation, no longer tolerations',
    [
      { pod: { ...WEB, spec: { tolerations: [away(300)] } }, environment: { rules: [rulePolicy('fair')] } },
      {
        '/metadata/annotations': { 'k8s.aliyun.com/eci-auto-imc': 'true', ...marks('fair', 'fair') },
        '/spec/tolerations/-': TOLERATION,
      },
    ],
  ],
  [
    'fair adds no deletion cost',
    [
      {
        environment: {
          rules: [
            {
              ...rulePolicy('fair'),
              effect: { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-1' } },
            },
          ],
        },
      },
      { '/metadata/annotations': marks('fair', 'fair'), '/spec/tolerations': [TOLERATION] },
    ],
  ],
  [
    'fair with a preference for real nodes',
    [
      { environment: { rules: [rulePolicy('fair', { fair: { preferRealNodes: true } })] } },
      {
        '/metadata/annotations': { 'k8s.aliyun.com/eci-auto-imc': 'true', ...marks('fair', 'fair') },
        '/spec/tolerations': [TOLERATION],
        '/spec/affinity': { nodeAffinity: { [PREFERRED]: [PREFERENCE] } },
      },
    ],
  ],
  [
    'normalNodePrefer: the preference alone; no toleration, no effect',
    [
      {
        pod: { ...WEB, spec: { tolerations: [away(300)] } },
        environment: { rules: [rulePolicy('normalNodePrefer')] },
      },
      {
        '/metadata/annotations': marks('normalNodePrefer', 'normalNodePrefer'),
        '/spec/affinity': { nodeAffinity: { [PREFERRED]: [PREFERENCE] } },
      },
    ],
  ],
  [
    "normalNodePrefer: after the author's own preferences",
    [
      {
        pod: {
          ...WEB,
          spec: { affinity: { nodeAffinity: { [PREFERRED]: [{ weight: 1, preference: {} }] } } },
        },
        environment: { rules: [rulePolicy('normalNodePrefer')] },
      },
      {
        '/metadata/annotations': marks('normalNodePrefer', 'normalNodePrefer'),
        [`/spec/affinity/nodeAffinity/${PREFERRED}/-`]: PREFERENCE,
      },
    ],
  ],
  [
    'normalNodePrefer: after a preference of no shape',
    [
      {
        pod: { ...WEB, spec: { affinity: { nodeAffinity: { [PREFERRED]: ['x', null] } } } },
        environment: { rules: [rulePolicy('normalNodePrefer')] },
      },
      {
        '/metadata/annotations': marks('normalNodePrefer', 'normalNodePrefer'),
        [`/spec/affinity/nodeAffinity/${PREFERRED}/-`]: PREFERENCE,
      },
    ],
  ],
  [
    'normalNodePrefer: not a second time',
    [
      {
        pod: {
          ...WEB,
          annotations: marks('normalNodePrefer', 'normalNodePrefer'),
          spec: { affinity: { nodeAffinity: { [PREFERRED]: [{ weight: 1, preference: {} }, PREFERENCE] } } },
        },
        environment: { rules: [rulePolicy('normalNodePrefer')] },
      },
      {},
    ],
  ],
  [
    "normalNodePrefer: an author's own preference of another weight is another one",
    [
      {
        pod: {
          ...WEB,
          annotations: marks('normalNodePrefer', 'normalNodePrefer'),
          spec: { affinity: { nodeAffinity: { [PREFERRED]: [{ ...PREFERENCE, weight: 1 }] } } },
        },
        environment: { rules: [rulePolicy('normalNodePrefer')] },
      },
      { [`/spec/affinity/nodeAffinity/${PREFERRED}/-`]: PREFERENCE },
    ],
  ],
  ['normalNodeOnly: nothing', [{ environment: { rules: [rulePolicy('normalNodeOnly'), toVnode] } }, {}]],
  [
    'by itself: effects and longer tolerations, no placement',
    [
      {
        pod: {
          ...WEB,
          spec: {
            nodeSelector: { type: 'virtual-kubelet' },
            tolerations: [{ operator: 'Exists' }, away(300)],
          },
        },
        environment: { rules: [rulePolicy('fair', { fair: { preferRealNodes: true } })] },
      },
      {
        '/metadata/annotations': { ...effect.annotations, ...marks('fair', 'fair') },
        '/metadata/labels/on': 'eci',
        '/spec/tolerations/1/tolerationSeconds': 86_400,
      },
    ],
  ],
  [
    'by itself, with nothing to add',
    [
      { pod: { spec: { nodeSelector: { type: 'virtual-kubelet' }, tolerations: [{ operator: 'Exists' }] } } },
      {},
    ],
  ],
  [
    'bound to a VNode: effects and longer tolerations, neither node selector nor toleration',
    [
      { pod: { ...WEB, spec: { nodeName: 'cn-x.vnd-1', tolerations: [away(300)] } } },
      {
        '/metadata/annotations': { ...effect.annotations, ...marks('to-vnode', 'virtualNodeOnly') },
        '/metadata/labels/on': 'eci',
        '/spec/tolerations/0/tolerationSeconds': 86_400,
      },
    ],
  ],
  [
    'a rule without a selector reaches a Pod that goes by itself, and leaves no policy',
    [
      {
        pod: { spec: { nodeSelector: { type: 'virtual-kubelet' }, tolerations: [{ operator: 'Exists' }] } },
        environment: { rules: [{ name: 'all', effect }] },
      },
      {
        '/metadata/annotations': { ...effect.annotations, ...marks('all', undefined) },
        '/metadata/labels': { on: 'eci' },
      },
    ],
  ],
  [
    'forged marks are replaced by true ones',
    [
      {
        pod: { ...WEB, annotations: marks('admin', 'fair', 'none') },
        environment: { rules: [{ name: 'r', objectSelector: web }] },
      },
      {
        '/metadata/annotations/vnode-profile.io~1rules': 'r',
        '/metadata/annotations/vnode-profile.io~1policy': 'virtualNodeOnly',
        '/spec/nodeSelector': { [KEY]: 'true' },
        '/spec/tolerations': [TOLERATION],
      },
    ],
  ],
  [
    'forged marks do not make a Pod one of ours',
    [{ pod: { annotations: marks('to-vnode', 'virtualNodeOnly') } }, {}],
  ],
  [
    'what ECI will refuse is marked by its codes, each once',
    [
      {
        pod: {
          ...WEB,
          spec: {
            hostNetwork: true,
            containers: [
              { name: 'a', securityContext: { privileged: true } },
              { name: 'b', securityContext: { privileged: true } },
            ],
          },
        },
        environment: { rules: [{ name: 'r', objectSelector: web }] },
      },
      {
        '/metadata/annotations': marks('r', 'virtualNodeOnly', 'host-network,privileged'),
        '/spec/nodeSelector': { [KEY]: 'true' },
        '/spec/tolerations': [TOLERATION],
      },
    ],
  ],
  [
    'names of rules with commas stay apart',
    [
      {
        environment: {
          rules: [
            { name: 'a,b', objectSelector: web },
            { name: 'c', effect: { labels: { x: 'y' } } },
          ],
        },
      },
      {
        '/metadata/annotations': marks('a%2Cb,c', 'virtualNodeOnly'),
        '/metadata/labels/x': 'y',
        '/spec/nodeSelector': { [KEY]: 'true' },
        '/spec/tolerations': [TOLERATION],
      },
    ],
  ],
  ['a conflict: nothing', [{ pod: { ...WEB, spec: { nodeSelector: { type: 'worker' } } } }, {}]],
  [
    'a Pod of a DaemonSet: nothing',
    [{ pod: { ...WEB, ownerReferences: [makeOwner('DaemonSet', 'x')] } }, {}],
  ],
  ['a Pod that no rule wants: nothing', [{ pod: {} }, {}]],
  [
    'settings of another cluster',
    [
      {
        environment: {
          rules: [{ name: 'r', objectSelector: web }],
          settings: {
            nodeSelector: new Map([
              ['type', 'virtual-kubelet'],
              ['a/b~c', 'x'],
            ]),
            toleration: { key: 'virtual-kubelet.io/provider', operator: 'Exists' },
          },
        },
      },
      {
        '/metadata/annotations': marks('r', 'virtualNodeOnly'),
        '/spec/nodeSelector': { type: 'virtual-kubelet', 'a/b~c': 'x' },
        '/spec/tolerations': [{ key: 'virtual-kubelet.io/provider', operator: 'Exists' }],
      },
    ],
  ],
])

for (const [sentence, [given, patch]] of cases) {
  t.test(sentence, async t => {
    const mutation = mutate(given)
    t.strictSame(Object.fromEntries(mutation.patch.map(({ path, value }) => [path, value])), patch)
    t.ok(mutation.patch.every(({ op }) => op === 'add'))
    const again = mutatePod(
      mutation.result,
      makeNamespace('team-a'),
      makeEnvironment({ rules: [toVnode], ...given.environment }),
    )
    t.strictSame(again.patch, [], 'fed back, it yields no patch')
    t.strictSame(again.result, mutation.result)
  })
}

t.test('a Pod that is left alone comes back as the very same object', async t => {
  const pod = makePod()
  const { result, patch, additions, advice } = mutatePod(pod, makeNamespace(), makeEnvironment())
  t.equal(result, pod)
  t.strictSame({ patch, additions, advice }, { patch: [], additions: undefined, advice: [] })
})

t.test('advice comes with the Pods that go to a VNode, whether they are changed or not', async t => {
  const spec = { hostNetwork: true, containers: [makeContainer({ cpu: '1' })] }
  const placed = mutate({ pod: { ...WEB, spec } })
  t.match(placed.advice, [{ code: 'host-network' }])
  const again = mutatePod(placed.result, makeNamespace('team-a'), makeEnvironment({ rules: [toVnode] }))
  t.match(again.advice, [{ code: 'host-network' }])
  t.strictSame(mutate({ pod: { spec } }).advice, [])
})

t.test('advice knows what the rules add', async t => {
  const rules: PlainRule[] = [
    {
      name: 'gpu',
      objectSelector: web,
      effect: { annotations: { 'k8s.aliyun.com/eci-use-specs': 'ecs.gn6i-c4g1.xlarge' } },
    },
  ]
  t.match(mutate({ environment: { rules } }).advice, [{ code: 'gpu-request' }])
})
