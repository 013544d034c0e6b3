import t from 'tap'
import { explainDaemonSet } from '../../../../src/core/explain/daemon-set.ts'
import { workloadOf } from '../../../../src/core/explain/workload.ts'
import { makeEnvironment } from '../../../helpers/environments.ts'
import { makeDaemonSet, type WorkloadOverrides } from '../../../helpers/pods.ts'

function explain(overrides: WorkloadOverrides, metadata: object = {}, namespace = 'logging') {
  const made = makeDaemonSet(overrides)
  const object = { ...made, metadata: { ...made.metadata, ...metadata } }
  const workload = workloadOf(object, namespace)
  if (workload === undefined) throw new Error('no workload')
  return explainDaemonSet(workload, { name: namespace, labels: new Map() }, makeEnvironment())
}

const pod = { spec: { tolerations: [{ operator: 'Exists' }] } }

t.test('one that admission fences', async t => {
  const { whereabouts, fence, added, patch, result } = explain({ pod })
  t.match(whereabouts, { code: 'real', note: /Admission keeps it off them when it is created\.$/ })
  t.match(fence, { outcome: 'patched' })
  t.strictSame(
    added.map(({ what }) => what),
    ['affinity', 'mark'],
  )
  t.strictSame(
    patch.map(({ path }) => path),
    ['/spec/template/spec/affinity', '/metadata/annotations'],
  )
  t.match(result, { kind: 'Pod', spec: { affinity: { nodeAffinity: {} } } })
})

t.test('one that a cluster has already is as it is', async t => {
  const { whereabouts, fence, added, patch } = explain({ pod, name: 'agent' }, { resourceVersion: '7' })
  t.match(whereabouts, { code: 'every-node', note: /to do it now: vnode daemonsets fence logging\/agent$/ })
  t.match(fence, { outcome: 'skipped', reason: /in the cluster already/ })
  t.strictSame([added, patch], [[], []])
})

t.test('one that opts out, and one of our own namespace', async t => {
  const labels = { 'vnode-profile.io/fence': 'off' }
  t.match(explain({ pod, labels }).whereabouts, {
    code: 'every-node',
    note: /Admission does not keep it off them: it has the label vnode-profile.io\/fence=off\.$/,
  })
  t.match(explain({ pod }, {}, 'vnode-system').whereabouts, { note: /namespace vnode-system is/ })
  t.match(explain({ labels }).whereabouts, { code: 'real', note: "It does not tolerate the VNodes' taint." })
})

t.test('one that asks for VNodes', async t => {
  const spec = { ...pod.spec, nodeSelector: { type: 'virtual-kubelet' } }
  const { whereabouts, fence, patch } = explain({ pod: { spec } })
  t.match(whereabouts, { code: 'vnode', note: /a VNode runs no daemons/ })
  t.match(fence, { outcome: 'conflict' })
  t.strictSame(patch, [])
})
