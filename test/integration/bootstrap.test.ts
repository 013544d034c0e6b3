/** `vnode bootstrap` from nothing to a Node that is Ready: a real API server, a fake of ECI whose VNodes join with what they are sent. */
import t from 'tap'
import { bootstrap, leftBy, recordOf } from '../helpers/bootstrap.ts'
import { VPC_APISERVER } from '../helpers/bootstrap-run.ts'
import { bootstrapCluster, bootstrapScene } from '../helpers/bootstrap-scene.ts'

const cluster = await bootstrapCluster(t)

if (cluster !== undefined) {
  const { controlPlane, approver } = cluster
  const { metadata } = await controlPlane.ask('GET', '/api/v1/namespaces/kube-system')
  await controlPlane.ask('POST', '/api/v1/namespaces/kube-system/services', {
    body: { metadata: { name: 'kube-dns' }, spec: { clusterIP: '10.0.0.10', ports: [{ port: 53 }] } },
  })

  t.test('by TLS bootstrap, with our approver', async t => {
    const { name, fake, eci, kubeconfig } = await bootstrapScene(t, { controlPlane })
    const { registration, notices } = await bootstrap({ controlPlane, name, eci, kubeconfig })
    t.comment(notices.map(({ reason, message }) => `${reason}: ${message}`).join('\n'))
    const [virtualNode, ...more] = fake.virtualNodes
    t.strictSame(more, [])
    t.match(registration, { virtualNodeId: virtualNode?.id, how: 'created' })
    t.match(virtualNode, {
      name,
      isTlsBootstrap: true,
      clusterDns: '10.0.0.10',
      tags: [
        { Key: 'vnode-profile.io/cluster', Value: metadata.uid },
        { Key: 'vnode-profile.io/cluster-dns', Value: '10.0.0.10' },
      ],
    })
    const node = await controlPlane.ask('GET', `/api/v1/nodes/cn-hangzhou.${virtualNode?.id}`)
    t.match(node.status, { conditions: [{ type: 'Ready', status: 'True' }] })
    const record = await recordOf(controlPlane, name)
    t.match(record, {
      virtualNodeId: virtualNode?.id,
      name,
      regionId: 'cn-hangzhou',
      requestId: /^[0-9A-F-]{36}$/,
    })
    t.strictSame(await leftBy(controlPlane, name), ['bootstrap-token', `secret/${name}-vnode`])
    t.ok(
      approver.log.some(
        ({ msg, requester }) => msg === 'approved' && /^system:bootstrap:/.test(String(requester)),
      ),
    )
    const events = `/api/v1/namespaces/${name}/events`
    const steps = ['ChecksPassed', 'IntentWritten', 'IdentityMade', 'RequestSent', 'VnodeRegistered']
    const expected = [...steps, 'NodeAwaited', 'VnodeReady']
    t.strictSame(
      notices.map(({ reason }) => reason).filter(reason => expected.includes(reason)),
      expected,
    )
    const found = await controlPlane.waitForAll(events, list => list.length >= expected.length, {
      timeout: 60_000,
    })
    t.strictSame(found.map(({ reason }) => reason).sort(), expected.toSorted(), 'each step is an Event')

    const again = await bootstrap({ controlPlane, name, eci, kubeconfig })
    t.match(again.registration, { virtualNodeId: virtualNode?.id, how: 'known' })
    t.equal(fake.callsOf('CreateVirtualNode').length, 1)
  })

  t.test('by a ServiceAccount', async t => {
    const identity = 'service-account'
    const { name, fake, eci, kubeconfig } = await bootstrapScene(t, { controlPlane, identity })
    const { registration } = await bootstrap({ controlPlane, name, identity, eci, kubeconfig })
    t.match(fake.virtualNodes, [{ id: registration.virtualNodeId, isTlsBootstrap: false }])
    t.strictSame(await leftBy(controlPlane, name), [
      `secret/${name}-vnode`,
      `secret/${name}-vnode-token`,
      `serviceaccount/${name}-vnode`,
    ])
  })

  t.test('by a kubeconfig that was given', async t => {
    const identity = 'kubeconfig'
    const secrets = ['given']
    const { name, fake, eci, kubeconfig } = await bootstrapScene(t, { controlPlane, identity, secrets })
    const admin = await controlPlane.kubectl(['config', 'view', '--raw'])
    await controlPlane.ask('POST', `/api/v1/namespaces/${name}/secrets`, {
      body: {
        metadata: { name: 'given' },
        stringData: { kubeconfig: admin.stdout.replace(controlPlane.url, VPC_APISERVER) },
      },
    })
    const settings = {
      identity: { kind: identity, kubeconfigSecret: { name: 'given', key: 'kubeconfig' } },
      leastCredentialLifeMs: 3_600_000,
    } as const
    const { registration } = await bootstrap({ controlPlane, name, identity, settings, eci, kubeconfig })
    t.match(fake.virtualNodes, [{ id: registration.virtualNodeId }])
    t.strictSame(await leftBy(controlPlane, name), [`secret/${name}-vnode`, 'secret/given'])
  })
}
