import t from 'tap'
import { podFacts } from '../../../../src/core/pod/facts.ts'
import { makeOwner, makePod } from '../../../helpers/pods.ts'

t.test('the facts of a Pod', async t => {
  const term = { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] }
  const preferred = { weight: 1, preference: {} }
  const pod = makePod({
    labels: { app: 'web' },
    annotations: { note: 'x' },
    ownerReferences: [makeOwner('ReplicaSet', 'web-1')],
    spec: {
      nodeName: 'worker-1',
      nodeSelector: { disk: 'ssd' },
      tolerations: [{ operator: 'Exists' }],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] },
          preferredDuringSchedulingIgnoredDuringExecution: [preferred],
        },
      },
    },
  })
  const facts = podFacts(pod)
  t.equal(facts.object, pod)
  t.strictSame(
    { ...facts, object: undefined },
    {
      object: undefined,
      labels: new Map([['app', 'web']]),
      annotations: new Map([['note', 'x']]),
      isMirror: false,
      owner: { kind: 'ReplicaSet', name: 'web-1' },
      nodeName: 'worker-1',
      nodeSelector: new Map([['disk', 'ssd']]),
      tolerations: [{ operator: 'Exists' }],
      requiredTerms: [term],
      preferredTerms: [preferred],
    },
  )
})

const NONE = {
  labels: new Map(),
  annotations: new Map(),
  isMirror: false,
  nodeSelector: new Map(),
  tolerations: [],
  preferredTerms: [],
}

const bare = new Map<string, unknown>([
  ['a Pod with nothing in it', { metadata: {}, spec: {} }],
  ['an empty object', {}],
  ['null members', { metadata: null, spec: null }],
  [
    'null parts',
    {
      metadata: { labels: null, annotations: null, ownerReferences: null },
      spec: { nodeName: null, nodeSelector: null, tolerations: null, affinity: null },
    },
  ],
  [
    'parts of the wrong type',
    {
      metadata: { labels: ['a'], annotations: 'x', ownerReferences: {} },
      spec: { nodeName: 5, nodeSelector: [], tolerations: {}, affinity: 'x' },
    },
  ],
  [
    'members of the wrong type',
    { metadata: { labels: { a: 1 }, ownerReferences: ['x'] }, spec: { tolerations: ['x', null] } },
  ],
  ['an empty node name', { spec: { nodeName: '' } }],
  [
    'affinity of other kinds',
    {
      spec: {
        affinity: { podAffinity: {}, nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: null } },
      },
    },
  ],
  [
    'affinity of the wrong types',
    {
      spec: {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [],
            preferredDuringSchedulingIgnoredDuringExecution: {},
          },
        },
      },
    },
  ],
  ['nothing', undefined],
  ['text', 'pod'],
  ['a list', [{}]],
])

t.test('counts as absent:', async t => {
  for (const [sentence, value] of bare) {
    const { object, ...facts } = podFacts(value)
    t.strictSame(facts, NONE, sentence)
    t.type(object, 'object', sentence)
  }
})

t.test('required affinity without terms is there, with none', async t => {
  for (const terms of [undefined, null, [], 'x'])
    t.strictSame(
      podFacts({
        spec: {
          affinity: {
            nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } },
          },
        },
      }).requiredTerms,
      [],
    )
})

const controller = { kind: 'ReplicaSet', name: 'web', controller: true }

const owners = new Map<string, [references: unknown[], owner: unknown]>([
  ['the controller', [[{ kind: 'Node', name: 'a' }, controller], { kind: 'ReplicaSet', name: 'web' }]],
  ['not one that does not control', [[{ kind: 'Node', name: 'a', controller: false }], undefined]],
  ['not one that says so in words', [[{ ...controller, controller: 'true' }], undefined]],
  [
    'not one without a kind',
    [
      [
        { ...controller, kind: 5 },
        { ...controller, name: null },
      ],
      undefined,
    ],
  ],
])

t.test('the owner is', async t => {
  for (const [sentence, [ownerReferences, owner]] of owners)
    t.strictSame(podFacts({ metadata: { ownerReferences } }).owner, owner, sentence)
})

t.test('a mirror Pod is known by its annotation, whatever that says', async t => {
  t.equal(podFacts(makePod({ annotations: { 'kubernetes.io/config.mirror': '' } })).isMirror, true)
})
