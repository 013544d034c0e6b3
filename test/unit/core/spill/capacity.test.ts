import t from 'tap'
import { Capacity, isReached, percentOf, usageOf } from '../../../../src/core/spill/capacity.ts'
import { nodeState } from '../../../../src/core/spill/node-state.ts'
import { makeContainer, makePod } from '../../../helpers/pods.ts'
import { makeNode, makeVnodeState, type NodeOverrides } from '../../../helpers/spill.ts'

const node = (overrides: NodeOverrides = {}) => nodeState(makeNode(overrides))
const usage = (cpu: string, memory = '1Gi', nodeName = 'worker-1') =>
  usageOf(makePod({ spec: { nodeName, containers: [makeContainer({ cpu, memory })] } }))
const percents = (capacity: Capacity, tolerations: readonly object[] = []) => {
  const { nodes, cpu, memory } = capacity.share(tolerations)
  return [nodes, percentOf(cpu), percentOf(memory)]
}

t.test('requested shares follow nodes and Pods that come and go', async t => {
  const capacity = new Capacity()
  t.strictSame(percents(capacity), [0, 100, 100], 'of nothing, all is requested')
  capacity.setNode(node())
  t.strictSame(percents(capacity), [1, 0, 0])
  capacity.add(usage('1', '4Gi'))
  t.strictSame(percents(capacity), [1, 25, 25])
  capacity.add(usage('500m', '4Gi'))
  t.strictSame(percents(capacity), [1, 37, 50])
  capacity.setNode(node({ name: 'worker-2', cpu: '4', memory: '16Gi' }))
  t.strictSame(percents(capacity), [2, 18, 25])
  capacity.remove(usage('1', '4Gi'))
  t.strictSame(percents(capacity), [2, 6, 12])
  capacity.deleteNode('worker-2')
  t.strictSame(percents(capacity), [1, 12, 25])
})

t.test('a Pod may be heard of before its node', async t => {
  const capacity = new Capacity()
  capacity.add(usage('2', '8Gi'))
  capacity.setNode(node())
  t.strictSame(percents(capacity), [1, 50, 50])
})

t.test('only nodes that could take the Pod count', async t => {
  const capacity = new Capacity()
  capacity.setNode(node())
  capacity.setNode(node({ name: 'gpu', taints: [{ key: 'gpu', effect: 'NoSchedule' }] }))
  capacity.setNode(node({ name: 'soft', taints: [{ key: 'x', effect: 'PreferNoSchedule' }] }))
  capacity.setNode(node({ name: 'away', isReady: false }))
  capacity.setNode(node({ name: 'cordoned', unschedulable: true }))
  capacity.setNode(makeVnodeState())
  capacity.add(usage('4', '16Gi', 'gpu'))
  capacity.add(usage('4', '16Gi', 'cn-hangzhou.vnd-1'))
  t.strictSame(percents(capacity), [2, 0, 0])
  t.strictSame(percents(capacity, [{ key: 'gpu', operator: 'Exists' }]), [3, 33, 33])
})

t.test('a ratio is reached to the nano-unit', async t => {
  const amounts = (requested: bigint) => ({ requested, allocatable: 3_000_000_000n })
  t.notOk(isReached(amounts(2_399_999_999n), 80))
  t.ok(isReached(amounts(2_400_000_000n), 80))
  t.equal(percentOf(amounts(2_399_999_999n)), 79)
  t.ok(isReached({ requested: 0n, allocatable: 0n }, 100))
})

t.test('a Pod that cannot be read takes nothing', async t => {
  for (const raw of [undefined, 7, {}, { spec: 'x' }])
    t.strictSame(usageOf(raw), { node: '', cpu: 0n, memory: 0n })
})

t.test('a resize in place counts with the larger amounts, as in the scheduler', async t => {
  const pod = makePod({ spec: { nodeName: 'n', containers: [makeContainer({ cpu: '1', memory: '1Gi' })] } })
  const status = (member: object) => ({ containerStatuses: [{ name: 'app', ...member }, { name: 'other' }] })
  const cpu = (one: object) => usageOf({ ...pod, status: status(one) }).cpu / 1_000_000_000n
  t.equal(cpu({}), 1n)
  t.equal(cpu({ resources: { requests: { cpu: '2' } } }), 2n, 'shrinking: it still has the most')
  t.equal(cpu({ allocatedResources: { cpu: '3' }, resources: { requests: { cpu: '500m' } } }), 3n, 'growing')
  t.equal(cpu({ resources: { requests: { cpu: '500m' } } }), 1n)
})

t.test('a resize that the node can never give counts with what the Pod has', async t => {
  const container = makeContainer({ cpu: '1000', memory: '1Gi' })
  const pod = makePod({ spec: { nodeName: 'n', containers: [container] } })
  const pending = (reason: string) => [{ type: 'PodResizePending', status: 'True', reason }]
  const has = { containerStatuses: [{ name: 'app', allocatedResources: { cpu: '2' } }] }
  const cpu = (status: object, raw: object = pod) => usageOf({ ...raw, status }).cpu / 1_000_000_000n
  t.equal(cpu({ ...has, conditions: pending('Infeasible') }), 2n)
  t.equal(cpu({ ...has, conditions: pending('Deferred') }), 1000n, 'it may come, and is reserved')
  t.equal(cpu({ conditions: pending('Infeasible') }), 1000n, 'nothing else is known')
  const other = { containerStatuses: [{ name: 'app', allocatedResources: { memory: '1Gi' } }] }
  t.equal(cpu({ ...other, conditions: pending('Infeasible') }), 0n, 'it has none, and asks for its first')
  const whole = { ...pod, spec: { ...pod.spec, resources: { requests: { cpu: '500' } } } }
  const status = { resources: { requests: { cpu: '3' } }, allocatedResources: { cpu: '4' } }
  t.equal(cpu({ ...status, conditions: pending('Infeasible') }, whole), 4n)
  t.equal(cpu(status, whole), 500n)
  t.equal(cpu({}, whole), 500n)
})
