import t from 'tap'
import { type Vnode, VnodeSet, vnodeOf } from '../../../../src/core/vnode/vnode-set.ts'

const TAINT = { key: 'k8s.aliyun.com/vnode', value: 'true', effect: 'NoSchedule' }

t.test('a Node labelled as one is a VNode', async t => {
  const node = {
    metadata: { name: 'cn-hangzhou.vnd-1', labels: { type: 'virtual-kubelet', zone: 'a' } },
    spec: { taints: [TAINT] },
  }
  t.strictSame(vnodeOf(node), {
    name: 'cn-hangzhou.vnd-1',
    labels: new Map([
      ['type', 'virtual-kubelet'],
      ['zone', 'a'],
      ['kubernetes.io/hostname', 'cn-hangzhou.vnd-1'],
    ]),
    taints: [TAINT],
  })
})

t.test('its own hostname label counts', async t => {
  const labels = { type: 'virtual-kubelet', 'kubernetes.io/hostname': 'other' }
  t.equal(vnodeOf({ metadata: { name: 'a', labels } })?.labels.get('kubernetes.io/hostname'), 'other')
})

const others = new Map<string, unknown>([
  ['a real node', { metadata: { name: 'a', labels: { type: 'worker' } } }],
  ['a Node without labels', { metadata: { name: 'a' } }],
  ['a Node without a name', { metadata: { labels: { type: 'virtual-kubelet' } } }],
  ['a Node without metadata', {}],
  ['nothing', undefined],
  ['text', 'cn-hangzhou.vnd-1'],
])

t.test('is no VNode:', async t => {
  for (const [sentence, node] of others) t.equal(vnodeOf(node), undefined, sentence)
})

t.test('taints of the wrong type are none', async t => {
  const labels = { type: 'virtual-kubelet' }
  t.strictSame(vnodeOf({ metadata: { name: 'a', labels }, spec: { taints: 'x' } })?.taints, [])
  t.strictSame(vnodeOf({ metadata: { name: 'a', labels }, spec: { taints: ['x', TAINT] } })?.taints, [TAINT])
})

/** Is it a VNode's name, as long as no VNode is known? */
const shapes = new Map<string, boolean>([
  ['cn-hangzhou.vnd-7xvetkyase7gb62u1234', true],
  ['ap-southeast-1.vnd-a-b', true],
  ['cn-hangzhou.vnd-', false],
  ['vnd-7xvetkyase7gb62u', false],
  ['.vnd-7xvetkyase7gb62u', false],
  ['cn-hangzhou.i-7xvetkyase7gb62u', false],
  ['cn-hangzhou.vnd-7xv.internal', false],
  ['a.cn-hangzhou.vnd-7xv', false],
  ['cn-hangzhou.vnd-7xv\n', false],
  ['CN-hangzhou.vnd-7xv', false],
  ['worker-1', false],
  ['', false],
])

t.test('with no VNode known, a name counts by its shape', async t => {
  for (const [name, expected] of shapes) t.equal(new VnodeSet().hasName(name), expected, JSON.stringify(name))
})

t.test('with VNodes known, their names alone count', async t => {
  const vnode: Vnode = { name: 'virtual-kubelet-cn', labels: new Map(), taints: [] }
  const set = new VnodeSet([vnode])
  t.equal(set.hasName('virtual-kubelet-cn'), true)
  t.equal(set.hasName('cn-hangzhou.vnd-7xvetkyase7gb62u1234'), false)
  t.strictSame(set.all, [vnode])
  t.strictSame(new VnodeSet().all, [])
})
