import { readFile } from 'node:fs/promises'
import t from 'tap'
import { asRecords } from '../../src/core/kubernetes/objects.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { createRequest, eciClient } from '../helpers/eci-client.ts'
import { fakeEci } from '../helpers/fake-eci/server.ts'
import type { KubeObject } from '../helpers/kube-http.ts'

/** The fake's own promises, on which tests of the product stand. */
const controlPlane = await controlPlaneOrSkip(t, { controllerManager: true })
if (controlPlane !== undefined) {
  const encoded = async (file: string) => (await readFile(file)).toString('base64')
  const isReady = ({ status }: KubeObject) =>
    asRecords(status?.conditions).some(({ type, status }) => type === 'Ready' && status === 'True')

  t.test('a VNode joins with the kubeconfig that was sent, by its identity', async t => {
    const namespace = await controlPlane.namespace(t)
    const subject = { kind: 'ServiceAccount', name: 'default', namespace }
    const rbac = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:node' }
    await controlPlane.ask('POST', rbac, {
      body: { metadata: { name: 'vnode' }, roleRef, subjects: [subject] },
    })
    const fake = await fakeEci(t, { ids: ['vnd-00000000000000000001'] })
    const client = eciClient(t, fake)
    const kubeConfig = await encoded(await controlPlane.kubeconfig({ serviceAccount: 'default', namespace }))
    const taint = [{ key: 'k8s.aliyun.com/vnode', value: 'true', effect: 'PreferNoSchedule' } as const]
    await client.createVirtualNode(createRequest({ kubeConfig, taint, customResources: 'example.com/gpu=4' }))
    const name = 'cn-hangzhou.vnd-00000000000000000001'
    const node = await controlPlane.waitFor(`/api/v1/nodes/${name}`, isReady, { timeout: 60_000 })
    t.match(node, {
      metadata: { labels: { type: 'virtual-kubelet', 'k8s.aliyun.com/vnode': 'true' } },
      status: { allocatable: { 'example.com/gpu': '4' } },
    })
    const { stdout } = await controlPlane.kubectl(['get', 'node', name, '--no-headers'])
    t.match(stdout, /^cn-hangzhou\.vnd-\S+ +Ready +agent +\S+ +v1\.20\.6\s*$/)
    const { items } = await controlPlane.ask<{ items: KubeObject[] }>(
      'GET',
      `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases?fieldSelector=metadata.name=${name}`,
    )
    t.equal(items.length, 1)

    await controlPlane.ask('POST', `/api/v1/namespaces/${namespace}/pods`, {
      body: {
        metadata: { name: 'there' },
        spec: { nodeName: name, containers: [{ name: 'app', image: 'app' }] },
      },
    })
    await controlPlane.waitFor(
      `/api/v1/namespaces/${namespace}/pods/there`,
      ({ status }) => status?.phase === 'Running',
      { timeout: 60_000 },
    )
    const refused = await client.deleteVirtualNode('vnd-00000000000000000001').catch(error => error)
    t.match(refused, { apiCode: /^IncorrectStatus/ }, 'not while Pods run there')
  })

  t.test('with a bootstrap kubeconfig it asks for a certificate, and comes with that', async t => {
    const bootstrapper = 'system:bootstrap:test'
    const rbac = '/apis/rbac.authorization.k8s.io/v1'
    const bind = (role: string, kind: string, name: string) =>
      controlPlane.ask('POST', `${rbac}/clusterrolebindings`, {
        body: {
          metadata: { name: `test-${role}` },
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
          subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind, name }],
        },
      })
    await bind('system:node-bootstrapper', 'User', bootstrapper)
    await bind('system:node', 'Group', 'system:vnodes')
    const fake = await fakeEci(t, { ids: ['vnd-00000000000000000002'] })
    const kubeConfig = await encoded(await controlPlane.kubeconfig({ user: bootstrapper }))
    await eciClient(t, fake).createVirtualNode(createRequest({ kubeConfig, tlsBootstrapEnabled: true }))
    const csrs = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
    const [csr] = await controlPlane.waitForAll(csrs, found => found.length === 1, { timeout: 60_000 })
    t.equal(csr?.spec?.username, bootstrapper)
    t.equal(fake.virtualNodes[0]?.status, 'Pending', 'until it is approved')
    const approved = { type: 'Approved', status: 'True', reason: 'Test', message: 'by the test' }
    await controlPlane.ask('PATCH', `${csrs}/${csr?.metadata.name}/approval`, {
      body: { status: { conditions: [approved] } },
      contentType: 'application/merge-patch+json',
    })
    await controlPlane.waitFor('/api/v1/nodes/cn-hangzhou.vnd-00000000000000000002', isReady, {
      timeout: 60_000,
    })
  })

  t.test('one that cannot join says why', async t => {
    const fake = await fakeEci(t)
    const client = eciClient(t, fake)
    const kubeConfig = await encoded(await controlPlane.kubeconfig({ user: 'nobody-in-particular' }))
    const { virtualNodeId } = await client.createVirtualNode(createRequest({ kubeConfig }))
    for (;;) {
      const [found] = await client.describeVirtualNodes({ virtualNodeIds: [virtualNodeId] })
      if (found?.status === 'Pending') continue
      t.match(found, { status: 'Failed', events: [{ reason: 'FailedJoinCluster', message: /forbidden/ }] })
      return
    }
  })
}
