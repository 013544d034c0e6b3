import t from 'tap'
import { daemonSetFacts } from '../../../../src/core/daemonset/daemon-set.ts'
import { managerOf } from '../../../../src/core/daemonset/manager.ts'

const wrote = (manager: string, time: string, fields: object = { 'f:spec': {} }, more: object = {}) => ({
  manager,
  operation: 'Update',
  time,
  fieldsV1: fields,
  ...more,
})

const CASES: Readonly<
  Record<string, readonly [metadata: object, name: string | undefined, isWatching?: boolean]>
> = {
  'nothing says': [{}, undefined],
  'an owner that controls it': [
    { ownerReferences: [{ kind: 'Installation', name: 'default', controller: true }] },
    'Installation/default',
    true,
  ],
  'an owner that does not': [
    { ownerReferences: [{ kind: 'Installation', name: 'default' }], labels: {} },
    undefined,
  ],
  'the addon manager, which writes all the time': [
    { labels: { 'addonmanager.kubernetes.io/mode': 'Reconcile' } },
    'the addon manager',
    true,
  ],
  'the addon manager, which only sees to it that it exists': [
    { labels: { 'addonmanager.kubernetes.io/mode': 'EnsureExists' } },
    undefined,
  ],
  'a release of Helm': [
    {
      annotations: { 'meta.helm.sh/release-name': 'agent', 'meta.helm.sh/release-namespace': 'logging' },
      labels: { 'app.kubernetes.io/managed-by': 'Helm' },
    },
    'Helm release logging/agent',
    false,
  ],
  'a label': [{ labels: { 'app.kubernetes.io/managed-by': 'argocd' } }, 'argocd', false],
  'the last that wrote the spec, other than us and the controllers': [
    {
      managedFields: [
        wrote('kubeadm', '2026-01-01T00:00:00Z'),
        wrote('kubectl-edit', '2026-02-01T00:00:00Z'),
        wrote('someone', '2026-03-01T00:00:00Z', { 'f:metadata': {} }),
        wrote('kube-controller-manager', '2026-04-01T00:00:00Z', { 'f:spec': {} }, { subresource: 'status' }),
        wrote('vnode-profile', '2026-05-01T00:00:00Z'),
        wrote('unknown', '2026-06-01T00:00:00Z'),
      ],
    },
    'kubectl-edit',
    false,
  ],
  'fields of a wrong type': [
    { managedFields: [null, 7, wrote(7 as never, '')], ownerReferences: {} },
    undefined,
  ],
}

for (const [name, [metadata, wanted, isWatching]] of Object.entries(CASES)) {
  t.test(name, async t => {
    const manager = managerOf(daemonSetFacts({ metadata }))
    t.equal(manager?.name, wanted)
    t.equal(manager?.isWatching, isWatching)
  })
}
