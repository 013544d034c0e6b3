import t from 'tap'
import { podFacts } from '../../../../src/core/pod/facts.ts'
import { admits, isOpenRealNode, nodeState, toleratesAll } from '../../../../src/core/spill/node-state.ts'
import { makePod } from '../../../helpers/pods.ts'
import { makeNode, SPILL_LABELS } from '../../../helpers/spill.ts'

t.test('a Node is read as far as it is needed', async t => {
  const state = nodeState(makeNode({ labels: { zone: 'a' }, taints: [{ key: 'x', effect: 'NoSchedule' }] }))
  t.match(state, { name: 'worker-1', isVnode: false, isReady: true, isCordoned: false })
  t.equal(state.cpu, 4_000_000_000n)
  t.equal(state.labels.size, 0, 'labels of real nodes are nobody’s business')
  t.match(nodeState(makeNode({ labels: SPILL_LABELS })), { isVnode: true })
  t.equal(nodeState(makeNode({ labels: SPILL_LABELS })).labels.get('type'), 'virtual-kubelet')
})

t.test('what is no Node is one that takes nothing', async t => {
  for (const raw of [
    undefined,
    7,
    [],
    { status: { conditions: 'x', allocatable: 7 }, spec: { taints: 'x' } },
  ])
    t.match(nodeState(raw), { name: '', isReady: false, isCordoned: false, cpu: 0n, memory: 0n, taints: [] })
})

t.test('a real node takes Pods if it is Ready and not cordoned', async t => {
  t.ok(isOpenRealNode(nodeState(makeNode())))
  t.notOk(isOpenRealNode(nodeState(makeNode({ isReady: false }))))
  t.notOk(isOpenRealNode(nodeState(makeNode({ unschedulable: true }))))
  t.notOk(isOpenRealNode(nodeState(makeNode({ labels: SPILL_LABELS }))))
})

t.test('taints keep off, but for PreferNoSchedule', async t => {
  const taint = (effect: string) => [{ key: 'x', value: '1', effect }]
  t.ok(toleratesAll([], []))
  t.ok(toleratesAll([], taint('PreferNoSchedule')))
  t.notOk(toleratesAll([], taint('NoSchedule')))
  t.notOk(toleratesAll([], taint('NoExecute')))
  t.ok(toleratesAll([{ key: 'x', operator: 'Exists' }], taint('NoExecute')))
})

const term = (key: string, operator: string, ...values: string[]) => ({
  matchExpressions: [{ key, operator, values }],
})
const named = (...values: string[]) => ({ matchFields: [{ key: 'metadata.name', operator: 'In', values }] })
/** Node `n1` has zone=a and size=10. */
const terms: Readonly<Record<string, readonly [readonly object[], boolean]>> = {
  In: [[term('zone', 'In', 'b', 'a')], true],
  'In, another value': [[term('zone', 'In', 'b')], false],
  'In, without the label': [[term('disk', 'In', '')], false],
  NotIn: [[term('zone', 'NotIn', 'b')], true],
  'NotIn, the value': [[term('zone', 'NotIn', 'a')], false],
  'NotIn, without the label': [[term('disk', 'NotIn', 'a')], true],
  Exists: [[term('zone', 'Exists')], true],
  'Exists, without the label': [[term('disk', 'Exists')], false],
  DoesNotExist: [[term('disk', 'DoesNotExist')], true],
  'DoesNotExist, with the label': [[term('zone', 'DoesNotExist')], false],
  Gt: [[term('size', 'Gt', '9')], true],
  'Gt, equal': [[term('size', 'Gt', '10')], false],
  Lt: [[term('size', 'Lt', '+11')], true],
  'Lt, of what is no number': [[term('zone', 'Lt', '11')], false],
  'Gt, than what is no number': [[term('size', 'Gt', 'x')], false],
  'an unknown operator': [[term('zone', 'Like', 'a')], false],
  'the name': [[named('n2', 'n1')], true],
  'another name': [[named('n2')], false],
  'a field that there is not': [
    [{ matchFields: [{ key: 'spec.x', operator: 'In', values: ['n1'] }] }],
    false,
  ],
  'name and label, both': [[{ ...named('n1'), ...term('zone', 'In', 'a') }], true],
  'name and label, one of them': [[{ ...named('n1'), ...term('zone', 'In', 'b') }], false],
  'one of two terms': [[term('zone', 'In', 'b'), term('zone', 'In', 'a')], true],
  'an empty term': [[{}], false],
  'no term': [[], false],
}
for (const [name, [nodeSelectorTerms, isAdmitted]] of Object.entries(terms)) {
  t.test(`required affinity: ${name}`, async t => {
    const required = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } }
    const pod = podFacts(makePod({ spec: { affinity: { nodeAffinity: required } } }))
    const labels = new Map(Object.entries({ zone: 'a', size: '10' }))
    t.equal(admits(pod, { name: 'n1', labels }), isAdmitted)
  })
}

t.test('every label of the node selector counts', async t => {
  const node = { name: 'n1', labels: new Map(Object.entries({ zone: 'a', size: '10' })) }
  const admitted = (nodeSelector: Record<string, string>) =>
    admits(podFacts(makePod({ spec: { nodeSelector } })), node)
  t.ok(admitted({}))
  t.ok(admitted({ zone: 'a', size: '10' }))
  t.notOk(admitted({ zone: 'a', size: '11' }))
})
