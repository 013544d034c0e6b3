import t from 'tap'
import { isSameToSpill, pendingPod } from '../../../../src/core/spill/pending-pod.ts'
import { makeOwner, makePod } from '../../../helpers/pods.ts'
import { makePending, UNSCHEDULABLE } from '../../../helpers/spill.ts'

t.test('only what a decision reads is kept', async t => {
  const pod = makePending({
    annotations: { a: '1' },
    ownerReferences: [makeOwner(), { ...makeOwner('Other', 'x'), controller: false }],
    spec: {
      nodeSelector: { disk: 'ssd' },
      tolerations: [{ operator: 'Exists' }],
      affinity: { nodeAffinity: { x: 1 }, podAffinity: { y: 1 } },
      volumes: [
        { name: 'a', persistentVolumeClaim: { claimName: 'data' } },
        { name: 'b', ephemeral: {} },
        { name: 'c', emptyDir: {} },
      ],
      containers: [{ name: 'app', image: 'secret', env: [{ name: 'PASSWORD', value: 'x' }] }],
    },
    status: { ...UNSCHEDULABLE, nominatedNodeName: 'n' },
  })
  t.strictSame(pod.facts.object, {
    metadata: {
      labels: { app: 'web' },
      annotations: { a: '1' },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: 'app-5d4f8',
          uid: makeOwner().uid,
          controller: true,
        },
      ],
    },
    spec: {
      nodeSelector: { disk: 'ssd' },
      tolerations: [{ operator: 'Exists' }],
      affinity: { nodeAffinity: { x: 1 } },
    },
  })
  t.strictSame(pod.claims, ['data', 'app-b'])
  t.match(pod, {
    namespace: 'team-a',
    name: 'app',
    uid: 'uid-1',
    resourceVersion: '7',
    createdAt: '2026-05-06T07:00:00Z',
    isTerminating: false,
    nominatedNode: 'n',
    unschedulable: { transitionMs: Date.UTC(2026, 4, 6, 7, 8, 9) },
  })
  t.notMatch(JSON.stringify(pod), /secret|PASSWORD/)
})

t.test('what is no Pod is a Pod without anything', async t => {
  for (const raw of [
    undefined,
    null,
    7,
    [],
    {},
    { metadata: 7, spec: [], status: 'x' },
    { status: { conditions: 'x' } },
  ])
    t.match(pendingPod(raw), {
      name: '',
      gates: [],
      claims: [],
      isTerminating: false,
      unschedulable: undefined,
    })
})

t.test('a condition without a time is one all the same', async t => {
  const [condition] = UNSCHEDULABLE.conditions
  const { lastTransitionTime: _, ...timeless } = condition ?? {}
  t.strictSame(makePending({ status: { conditions: [timeless] } }).unschedulable, {})
})

const groups: Readonly<Record<string, readonly [object, string | undefined]>> = {
  none: [makePod(), undefined],
  'a label without a value': [makePod({ labels: { 'scheduling.x-k8s.io/pod-group': '' } }), undefined],
  "Kubernetes' own of 1.35": [
    makePod({ spec: { workloadRef: { name: 'w', podGroup: 'g' } } }),
    'field spec.workloadRef',
  ],
  "Kubernetes' own": [
    makePod({ spec: { schedulingGroup: { podGroupName: 'g' } } }),
    'field spec.schedulingGroup',
  ],
  coscheduling: [
    makePod({ labels: { 'pod-group.scheduling.sigs.k8s.io': 'g' } }),
    'label pod-group.scheduling.sigs.k8s.io=g',
  ],
  Volcano: [
    makePod({ annotations: { 'scheduling.k8s.io/group-name': 'g' } }),
    'annotation scheduling.k8s.io/group-name=g',
  ],
}
for (const [name, [pod, group]] of Object.entries(groups))
  t.test(`pod group: ${name}`, async t => t.equal(pendingPod(pod).podGroup, group))

t.test('a node that joins rewrites the message, and that is no change', async t => {
  const [condition] = UNSCHEDULABLE.conditions
  const before = makePending()
  const status = { ...UNSCHEDULABLE, conditions: [{ ...condition, message: '0/3 nodes are available' }] }
  t.ok(isSameToSpill(before, makePending({ status, resourceVersion: '8' })))
  t.notOk(isSameToSpill(before, makePending({ status: { ...status, nominatedNodeName: 'n' } })))
  t.notOk(isSameToSpill(before, makePending({ labels: { app: 'web', x: 'y' } })))
  t.notOk(isSameToSpill(before, makePending({ uid: 'another' })))
  t.notOk(isSameToSpill(before, makePending({ spec: { tolerations: [{ operator: 'Exists' }] } })))
})
