/** Reviews that have gone wrong in some thousand ways, the same in every run. */
import { mutateBytes, mutateStructure } from './mutated-json.ts'
import { makeDaemonSet, makeOwner, makePod, type PodOverrides } from './pods.ts'
import { Random } from './random.ts'
import { makeDaemonSetReview, makePodReview, type Review } from './review-app.ts'

/** One rule of each kind; a Pod's label `p` chooses among them. */
export const FUZZ_RULES: readonly object[] = [
  {
    name: 'forced',
    objectSelector: { matchLabels: { p: 'forced' } },
    effect: {
      annotations: {
        'k8s.aliyun.com/eci-use-specs': '2-4Gi',
        'controller.kubernetes.io/pod-deletion-cost': '-1000',
      },
      labels: { constructor: 'x', 'example.com/on': 'vnode' },
    },
  },
  {
    name: 'fair',
    objectSelector: { matchExpressions: [{ key: 'p', operator: 'In', values: ['fair'] }] },
    policy: { fair: { preferRealNodes: true } },
    effect: { annotations: { 'k8s.aliyun.com/eci-auto-imc': 'true' } },
  },
  {
    name: 'prefer',
    objectSelector: { matchLabels: { p: 'prefer' } },
    policy: { normalNodePrefer: { cpuRatio: 80 } },
  },
  { name: 'stay', objectSelector: { matchLabels: { p: 'stay' } }, policy: { normalNodeOnly: {} } },
  { name: 'everybody', effect: { annotations: { 'example.com/everyone': 'a/b~c' } } },
  { name: 'nobody', namespaceSelector: { matchExpressions: [{ key: 'toString', operator: 'Exists' }] } },
]

const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution'
const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution'
const RICH: PodOverrides = {
  generateName: 'web-',
  annotations: {
    'k8s.aliyun.com/eci-use-specs': 'ecs.c6.large',
    note: 'x',
    'vnode-profile.io/rules': 'forged',
  },
  ownerReferences: [makeOwner()],
  spec: {
    nodeSelector: { disk: 'ssd' },
    tolerations: [
      {
        key: 'node.kubernetes.io/not-ready',
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: 300,
      },
      {
        key: 'node.kubernetes.io/unreachable',
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: 300,
      },
      { key: 'gpu', value: 'a', effect: 'NoSchedule' },
    ],
    affinity: {
      nodeAffinity: {
        [REQUIRED]: {
          nodeSelectorTerms: [
            {
              matchExpressions: [{ key: 'type', operator: 'NotIn', values: ['gpu'] }],
              matchFields: [{ key: 'metadata.name', operator: 'In', values: ['cn-hangzhou.vnd-1'] }],
            },
          ],
        },
        [PREFERRED]: [{ weight: 1, preference: { matchExpressions: [{ key: 'zone', operator: 'Exists' }] } }],
      },
      podAntiAffinity: {},
    },
    containers: [
      {
        name: 'app',
        image: 'localhost/app:1',
        resources: {
          requests: { cpu: '500m', memory: '1.5Gi' },
          limits: { cpu: '1', 'nvidia.com/gpu': '1' },
        },
        ports: [{ containerPort: 80, hostPort: 80 }],
        securityContext: { privileged: true, capabilities: { add: ['NET_ADMIN'] } },
        volumeMounts: [{ name: 'data', mountPath: '/data', mountPropagation: 'Bidirectional' }],
        env: [{ name: 'A', value: 'b' }],
      },
    ],
    initContainers: [{ name: 'init', image: 'localhost/init:1', resources: { requests: { cpu: '2' } } }],
    volumes: [{ name: 'data', hostPath: { path: '/data' } }],
    hostNetwork: true,
    terminationGracePeriodSeconds: 30,
  },
}

/** Good reviews that all have work to do. */
export function baseReviews(): Review[] {
  return ['forced', 'fair', 'prefer', 'stay', 'other'].flatMap((p, index) => {
    const rich = makePodReview(makePod({ ...RICH, labels: { p, app: 'web' } }))
    const poor = makePodReview(makePod({ labels: { p } }))
    return index % 2 === 0 ? [rich, poor] : [rich, { ...poor, apiVersion: 'admission.k8s.io/v1beta1' }]
  })
}

/** Reviews of DaemonSets that are to be fenced: of several shapes, created and edited, one of which was fenced before. */
export function daemonSetReviews(): Review[] {
  const expression = { key: 'zone', operator: 'NotIn', values: ['h'] }
  const shapes: PodOverrides['spec'][] = [
    {},
    { affinity: { podAntiAffinity: {} } },
    { affinity: required({ matchExpressions: [expression] }) },
    { affinity: required({ matchExpressions: [expression] }, {}, RICH_TERM), nodeSelector: { type: 'x' } },
    { affinity: required(RICH_TERM, { matchExpressions: [FENCE, expression] }) },
  ]
  return shapes.flatMap(spec => {
    const make = (image: string, annotations = {}) => ({
      ...makeDaemonSet({
        annotations: { note: 'x', ...annotations },
        pod: {
          spec: { tolerations: [{ operator: 'Exists' }], ...spec, containers: [{ name: 'app', image }] },
        },
      }),
    })
    const oldObject = make('1', { 'vnode-profile.io/fence': '{"by":"admission","terms":[1]}' })
    return [
      makeDaemonSetReview(make('1')),
      makeDaemonSetReview(make('2'), { operation: 'UPDATE', oldObject }),
    ]
  })
}

const FENCE = { key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }
const RICH_TERM = { matchFields: [{ key: 'metadata.name', operator: 'NotIn', values: ['real-1'] }] }

function required(...nodeSelectorTerms: object[]): Record<string, unknown> {
  return { nodeAffinity: { [REQUIRED]: { nodeSelectorTerms } } }
}

/** So many bodies from one seed. */
export function* wrongReviews(
  seed: number,
  count: number,
  bases: readonly Review[] = baseReviews(),
): Generator<Buffer> {
  const random = new Random(seed)
  for (let index = 0; index < count; index += 1) {
    const base = bases[index % bases.length]
    const change = 1 + random.below(4)
    const isStructural = random.chance(0.75)
    const text = isStructural ? mutateStructure(random, base, change) : JSON.stringify(base)
    const bytes = Buffer.from(text)
    yield isStructural && random.chance(0.9) ? bytes : mutateBytes(random, bytes, change)
  }
}
