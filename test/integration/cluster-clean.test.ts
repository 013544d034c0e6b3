import t from 'tap'
import { CLUSTER_TAG } from '../../src/core/vnode/virtual-node-tags.ts'
import { runVnode } from '../helpers/cli.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { createRequest, eciClient } from '../helpers/eci-client.ts'
import { fakeEci } from '../helpers/fake-eci/server.ts'
import { home, SEED_CONFIG } from '../helpers/vnode-config.ts'

const LABELS = { 'app.kubernetes.io/name': 'vnode-profile' }
const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const ADMISSION = '/apis/admissionregistration.k8s.io/v1'

const controlPlane = await controlPlaneOrSkip(t)
if (controlPlane !== undefined) {
  const { metadata } = await controlPlane.ask('GET', '/api/v1/namespaces/kube-system')
  const fake = await fakeEci(t, {
    joins: false,
    ids: ['vnd-00000000000000000001', 'vnd-00000000000000000003'],
  })
  const client = eciClient(t, fake)
  const { env } = home(t, SEED_CONFIG)
  const clean = (...argv: string[]) =>
    runVnode(['cluster', 'clean', '--kubeconfig', controlPlane.kubeconfigPath, ...argv], {
      env: { ...env, VNODE_ECI_ENDPOINT: fake.url, VNODE_ECI_CA: fake.caFile },
    })
  const make = (path: string, name: string, labels = {}, rest = {}) =>
    controlPlane.ask('POST', path, { body: { metadata: { name, labels }, ...rest } })
  const isThere = async (path: string) => (await controlPlane.request('GET', path)).status === 200
  const node = (name: string) => make('/api/v1/nodes', name, { 'k8s.aliyun.com/vnode': 'true' })

  const tag = [{ key: CLUSTER_TAG, value: metadata.uid }]
  await client.createVirtualNode(createRequest({ tag }))
  await node('cn-hangzhou.vnd-00000000000000000001')
  await node('cn-hangzhou.vnd-99999999999999999999')
  await node('cn-beijing.vnd-00000000000000000002')
  await make('/api/v1/nodes', 'cn-hangzhou.vnd-88888888888888888888')
  await make('/api/v1/namespaces/default/secrets', 'vnode-profile-vnode', LABELS)
  await make('/api/v1/namespaces/default/secrets', 'of-a-release', {
    ...LABELS,
    'app.kubernetes.io/managed-by': 'Helm',
  })
  await make('/api/v1/namespaces/default/secrets', 'of-others', { 'app.kubernetes.io/name': 'other' })
  await make(`${RBAC}/clusterroles`, 'vnode-left', LABELS, { rules: [] })
  await make('/api/v1/namespaces/default/configmaps', 'eci-last-good-rules', {
    ...LABELS,
    'app.kubernetes.io/component': 'last-good-rules',
  })
  await make('/api/v1/namespaces/kube-system/configmaps', 'eci-profile', LABELS)
  // As the chart leaves them for the VNode, which outlives the release.
  const kept = {
    ...LABELS,
    'app.kubernetes.io/managed-by': 'Helm',
    'app.kubernetes.io/component': 'vnode',
    'app.kubernetes.io/instance': 'r',
  }
  const roleRef = (kind: string) => ({ roleRef: { apiGroup: RBAC.split('/')[2], kind, name: 'r-vnode' } })
  await make(`${RBAC}/clusterroles`, 'r-vnode', kept, { rules: [] })
  await make(`${RBAC}/clusterrolebindings`, 'r-vnode', kept, roleRef('ClusterRole'))
  await make(`${RBAC}/namespaces/kube-node-lease/roles`, 'r-vnode', kept, { rules: [] })
  await make(`${RBAC}/namespaces/kube-node-lease/rolebindings`, 'r-vnode', kept, roleRef('Role'))
  await make(`${ADMISSION}/validatingadmissionpolicies`, 'r-vnode', kept, {
    spec: {
      matchConstraints: {
        resourceRules: [
          { apiGroups: [''], apiVersions: ['v1'], resources: ['bindings'], operations: ['CREATE'] },
        ],
      },
      validations: [{ expression: 'true' }],
    },
  })
  await make(`${ADMISSION}/validatingadmissionpolicybindings`, 'r-vnode', kept, {
    spec: { policyName: 'r-vnode', validationActions: ['Deny'] },
  })

  t.test('Nodes of VNodes that are gone are removed, and nothing that a VNode uses', async t => {
    const dry = await clean('--dry-run')
    t.equal(dry.stdout, 'Node cn-hangzhou.vnd-99999999999999999999: would be removed\n')
    t.ok(await isThere('/api/v1/nodes/cn-hangzhou.vnd-99999999999999999999'))
    const { status, stdout, stderr } = await clean()
    t.equal(status, 0, stderr)
    t.equal(stdout, 'Node cn-hangzhou.vnd-99999999999999999999: removed\n')
    t.match(stderr, /Node cn-beijing\.vnd-00000000000000000002 is left alone: of another region/)
    t.match(stderr, /VNode vnd-00000000000000000001 of this cluster exists, and what it uses stays/)
    t.ok(await isThere('/api/v1/nodes/cn-hangzhou.vnd-00000000000000000001'))
    t.ok(await isThere('/api/v1/nodes/cn-hangzhou.vnd-88888888888888888888'), 'without the label')
    t.ok(await isThere('/api/v1/namespaces/default/secrets/vnode-profile-vnode'))
    t.equal((await clean()).stdout, 'There is nothing to clean.\n')
  })

  t.test('a release that is installed keeps what it uses', async t => {
    const [first] = fake.world.virtualNodes
    // Deleted, and listed still: nothing that follows is kept by that.
    if (first !== undefined) first.status = 'Cleaned'
    const labels = { ...LABELS, 'app.kubernetes.io/component': 'webhook', 'app.kubernetes.io/instance': 'r' }
    const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'a', image: 'a' }] } }
    const spec = { selector: { matchLabels: { a: 'b' } }, template }
    await make('/apis/apps/v1/namespaces/default/deployments', 'webhook', labels, { spec })
    const { stdout, stderr } = await clean()
    t.equal(stdout, 'Node cn-hangzhou.vnd-00000000000000000001: removed\n')
    t.match(stderr, /release default\/r is installed; what it uses stays/)
    await controlPlane.ask('DELETE', '/apis/apps/v1/namespaces/default/deployments/webhook')
  })

  t.test('a Node that is Ready stays, whatever ECI lists, and what it uses', async t => {
    const name = 'cn-hangzhou.vnd-77777777777777777777'
    const path = `/api/v1/nodes/${name}`
    await node(name)
    const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'ready' }
    await controlPlane.ask('PATCH', `${path}/status`, {
      body: { status: { conditions: [ready] } },
      contentType: 'application/merge-patch+json',
    })
    const { stdout, stderr } = await clean()
    t.equal(stdout, 'There is nothing to clean.\n')
    t.match(stderr, /77777777777777777777 is left alone: ECI does not list its VNode to these credentials/)
    t.match(stderr, /Node .*vnd-77777777777777777777.* is in the cluster, and what it uses stays/)
    t.ok(await isThere(path))
    t.ok(await isThere('/api/v1/namespaces/default/secrets/vnode-profile-vnode'))
    await controlPlane.ask('DELETE', path)
    await controlPlane.ask('DELETE', '/api/v1/nodes/cn-beijing.vnd-00000000000000000002')
  })

  t.test('a record of a VNode that may exist stays, and all else with it', async t => {
    const record = '/api/v1/namespaces/default/secrets/vnode-profile-vnode'
    const say = (stringData: object) =>
      controlPlane.ask('PATCH', record, {
        body: { data: null, stringData },
        contentType: 'application/merge-patch+json',
      })
    await say({ sentAt: '2026-01-01T00:00:00Z' })
    t.match((await clean()).stderr, /says that a VNode was asked for, and not what came of it/)
    await say({ virtualNodeId: 'vnd-00000000000000000002', regionId: 'cn-beijing' })
    t.match((await clean()).stderr, /names VNode vnd-00000000000000000002 in cn-beijing/)
    await client.createVirtualNode(createRequest({ tag: [], clientToken: 'untagged' }))
    await say({ virtualNodeId: 'vnd-00000000000000000003', regionId: 'cn-hangzhou' })
    t.match((await clean()).stderr, /names VNode vnd-00000000000000000003, which exists/)
    await client.deleteVirtualNode('vnd-00000000000000000003')
    t.ok(await isThere(`${RBAC}/clusterroles/vnode-left`))
    t.ok(await isThere(`${RBAC}/clusterroles/r-vnode`), 'of the VNode that is kept')
    t.ok(await isThere(`${ADMISSION}/validatingadmissionpolicies/r-vnode`))
  })

  t.test('what is left in the end goes, but for rules and what is of others', async t => {
    const wanted = [
      'ClusterRoleBinding r-vnode',
      'ClusterRole vnode-left',
      'ClusterRole r-vnode',
      'RoleBinding kube-node-lease/r-vnode',
      'Role kube-node-lease/r-vnode',
      'ValidatingAdmissionPolicyBinding r-vnode',
      'ValidatingAdmissionPolicy r-vnode',
      'Secret default/vnode-profile-vnode',
      'ConfigMap default/eci-last-good-rules',
    ]
    t.equal((await clean('--dry')).stdout, wanted.map(what => `${what}: would be removed\n`).join(''))
    t.equal((await clean()).stdout, wanted.map(what => `${what}: removed\n`).join(''))
    t.equal((await clean()).stdout, 'There is nothing to clean.\n')
    t.ok(await isThere('/api/v1/namespaces/default/secrets/of-a-release'))
    t.ok(await isThere('/api/v1/namespaces/default/secrets/of-others'))
    t.ok(await isThere('/api/v1/namespaces/kube-system/configmaps/eci-profile'))
  })

  t.test('without an answer of ECI nothing is removed', async t => {
    await node('cn-hangzhou.vnd-77777777777777777777')
    fake.plan('*', { kind: 'refuse', status: 403, code: 'Forbidden.RAM', message: 'no' })
    t.match(await clean(), { status: 1, stdout: '', stderr: /Forbidden\.RAM/ })
    t.ok(await isThere('/api/v1/nodes/cn-hangzhou.vnd-77777777777777777777'))
  })
}
