import t from 'tap'
import { stringify } from 'yaml'
import { CLUSTER_TAG } from '../../src/core/vnode/virtual-node-tags.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { createRequest, untilStatus } from '../helpers/eci-client.ts'
import { onNodeUpdates } from '../helpers/node-updates.ts'
import { isCordoned, readyVnodes } from '../helpers/ready-vnodes.ts'

const REFUSAL = { kind: 'refuse', status: 403, code: 'Forbidden.RAM', message: 'no' } as const

const controlPlane = await controlPlaneOrSkip(t, { controllerManager: true })
if (controlPlane !== undefined) {
  const { fake, client, kubeConfig, clusterUid, vnode, register, runPod, nodeObject } = await readyVnodes(
    t,
    controlPlane,
  )

  t.test('an empty VNode is deleted, and its Node with it', async t => {
    const { virtualNodeId, node } = await register()
    const dry = await vnode('delete', virtualNodeId, '--dry-run')
    t.match(JSON.parse(dry.stdout), {
      Action: 'DeleteVirtualNode',
      RegionId: 'cn-hangzhou',
      VirtualNodeId: virtualNodeId,
    })
    t.equal(
      (await vnode('delete', virtualNodeId, '--dry-run', '-o', 'yaml')).stdout,
      stringify(JSON.parse(dry.stdout)),
    )
    t.equal(fake.callsOf('DeleteVirtualNode').length, 0)
    const { status, stdout, stderr } = await vnode('delete', node, '-o', 'yaml')
    t.equal(status, 0, stderr)
    t.match(stdout, new RegExp(`^RequestId: [0-9A-F-]{36}\nVirtualNodeId: ${virtualNodeId}\n$`))
    t.equal(stderr, `vnode: Node ${node} is removed from the cluster\n`)
    t.equal(fake.virtualNodes.length, 0)
    await controlPlane.waitForGone(`/api/v1/nodes/${node}`)
    t.match(await vnode('delete', virtualNodeId), { status: 1, stderr: /^vnode: there is no VNode / }, 'once')
  })

  t.test('while Pods run there it is refused, with what would be lost', async t => {
    const namespace = await controlPlane.namespace(t)
    const { virtualNodeId, node } = await register()
    await runPod(namespace, node, 'alone')
    const refused = await vnode('delete', virtualNodeId)
    t.strictSame(refused, {
      status: 1,
      stdout: '',
      stderr: `vnode: 1 Pod on Node ${node}, 1 of which would be lost for good:
  ${namespace}/alone  lost for good: nothing makes it anew
Move them away with --drain, or say --force to lose them.
`,
    })
    t.equal(fake.virtualNodes.length, 1)
    const dry = await vnode('delete', virtualNodeId, '--drain', '--dry')
    t.match(dry.stdout, `Node ${node}: would be cordoned, and 1 Pod evicted\n`)
    const drained = await vnode('delete', virtualNodeId, '--drain')
    t.equal(drained.status, 0, drained.stderr)
    t.match(drained.stderr, `vnode: 1 Pod left on ${node}\n`)
    t.equal(fake.virtualNodes.length, 0)
  })

  t.test('a Pod that arrives after the look is seen, and the Node is open again', async t => {
    const namespace = await controlPlane.namespace(t)
    const { virtualNodeId, node } = await register()
    let hasCome = false
    await onNodeUpdates(t, controlPlane, async changed => {
      if (isCordoned(changed) && !hasCome) await runPod(namespace, node, 'late')
      hasCome ||= isCordoned(changed)
      return undefined
    })
    const deletions = fake.callsOf('DeleteVirtualNode').length
    const refused = await vnode('delete', virtualNodeId)
    t.match(refused, { status: 1, stdout: '', stderr: `  ${namespace}/late  lost for good` })
    t.equal(fake.callsOf('DeleteVirtualNode').length, deletions, 'nothing is asked of ECI')
    t.notOk(isCordoned(await nodeObject(node)))
    t.match(await vnode('delete', virtualNodeId, '--drain'), { status: 0 })
  })

  t.test('nothing is scheduled there while ECI deletes it', async t => {
    const { virtualNodeId, node } = await register()
    const seen: boolean[] = []
    const wait = async () => seen.push(isCordoned(await nodeObject(node)))
    fake.plan('DeleteVirtualNode', { kind: 'after', wait })
    t.match(await vnode('delete', virtualNodeId), { status: 0 })
    t.strictSame(seen, [true])
  })

  t.test('a Node that was cordoned before stays so', async t => {
    const namespace = await controlPlane.namespace(t)
    const { virtualNodeId, node } = await register()
    await controlPlane.kubectl(['cordon', node])
    fake.plan('DeleteVirtualNode', REFUSAL)
    t.match(await vnode('delete', virtualNodeId), { status: 1 })
    t.ok(isCordoned(await nodeObject(node)))
    await runPod(namespace, node, 'there')
    t.match(await vnode('delete', virtualNodeId), { status: 1, stderr: /1 Pod on Node/ })
    t.match(await vnode('delete', virtualNodeId, '--drain'), { status: 0 })
  })

  t.test('a Node that cannot be opened again is told of', async t => {
    const { virtualNodeId, node } = await register()
    await onNodeUpdates(t, controlPlane, async (changed, before) =>
      isCordoned(before) && !isCordoned(changed) ? 'not today' : undefined,
    )
    fake.plan('DeleteVirtualNode', REFUSAL)
    const { status, stderr } = await vnode('delete', virtualNodeId)
    t.equal(status, 1)
    t.match(stderr, `vnode: warning: Node ${node} stays cordoned: `)
    t.match(
      stderr,
      `not today\nTake it back into use with: kubectl uncordon ${node}\nvnode: DeleteVirtualNode: Forbidden.RAM`,
    )
    t.match(await vnode('delete', virtualNodeId), { status: 0 })
  })

  t.test('a Node that may not be cordoned is a reason to stop', async t => {
    const { virtualNodeId, node } = await register()
    await onNodeUpdates(t, controlPlane, async changed => (isCordoned(changed) ? 'not today' : undefined))
    const { status, stderr } = await vnode('delete', virtualNodeId)
    t.equal(status, 1)
    t.match(stderr, `vnode: Node ${node} cannot be cordoned, so that Pods could come while it is deleted: `)
    t.match(stderr, /not today.*\nGive a kubeconfig that may get and patch nodes, or say --force\.\n$/)
    t.equal(fake.virtualNodes.length, 1)
    const forced = await vnode('delete', virtualNodeId, '--force')
    t.match(forced, { status: 0, stderr: `vnode: warning: Node ${node} cannot be cordoned, ` })
  })

  t.test('a deletion without an answer leaves the Node cordoned: its VNode may be gone', async t => {
    const { virtualNodeId, node } = await register()
    fake.plan('DeleteVirtualNode', { kind: 'cut' }, 5)
    const { status, stderr } = await vnode('delete', virtualNodeId)
    t.equal(status, 1)
    t.match(stderr, `vnode: warning: Node ${node} stays cordoned, as its VNode may be deleted all the same\n`)
    t.ok(isCordoned(await nodeObject(node)))
    t.match(await vnode('delete', virtualNodeId), { status: 0 }, 'again')
  })

  t.test('a drain heeds PodDisruptionBudgets, and has an end', async t => {
    const namespace = await controlPlane.namespace(t)
    const { virtualNodeId, node } = await register()
    await controlPlane.ask('POST', `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`, {
      body: { metadata: { name: 'all' }, spec: { maxUnavailable: 0, selector: {} } },
    })
    await runPod(namespace, node, 'kept')
    await controlPlane.waitFor(
      `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets/all`,
      ({ status }) => status?.observedGeneration === 1,
      { timeout: 60_000 },
    )
    const held = await vnode('delete', virtualNodeId, '--drain', '--timeout', '2s')
    t.match(held, { status: 1, stdout: '' })
    t.match(held.stderr, /a PodDisruptionBudget holds 1 of them/)
    t.match(held.stderr, `vnode: Node ${node} still has 1 Pod; the VNode stays, cordoned`)
    t.equal(fake.virtualNodes.length, 1)
    t.ok(isCordoned(await nodeObject(node)))
    await controlPlane.ask('DELETE', `/api/v1/namespaces/${namespace}/pods/kept?gracePeriodSeconds=0`)
    t.match(await vnode('delete', virtualNodeId), { status: 0 })
  })

  t.test("another cluster's VNode is refused, and so is one that nobody knows", async t => {
    const other = await register('11111111-2222-3333-4444-555555555555')
    const refused = await vnode('delete', other.virtualNodeId)
    t.match(refused, { status: 1, stdout: '' })
    t.match(
      refused.stderr,
      `VNode ${other.virtualNodeId} is of another cluster (11111111-2222-3333-4444-555555555555)`,
    )
    t.match(await vnode('update', other.virtualNodeId, '--name', 'x1'), {
      status: 1,
      stderr: /is of another cluster/,
    })
    const unknown = await register(null)
    await controlPlane.ask('DELETE', `/api/v1/nodes/${unknown.node}`)
    const none = await vnode('delete', unknown.virtualNodeId)
    t.match(none, { status: 1, stderr: /has no tag of a cluster, and .* has no Node/ })
    t.equal(fake.virtualNodes.length, 2)
    t.match(await vnode('delete', other.virtualNodeId, '--force'), { status: 0 })
    t.match(await vnode('delete', unknown.virtualNodeId, '--force'), { status: 0 })
    t.equal(fake.virtualNodes.length, 0)
  })

  t.test('a cluster that cannot be asked is a reason to stop, unless forced', async t => {
    const { virtualNodeId } = await register()
    const nowhere = ['--kubeconfig', '/nowhere/config']
    t.match(await vnode('delete', virtualNodeId, ...nowhere), { status: 2, stderr: /no kubeconfig found/ })
    t.equal(fake.virtualNodes.length, 1)
    t.match(await vnode('delete', virtualNodeId, ...nowhere, '--force'), {
      status: 0,
      stderr: /^vnode: warning: no cluster is asked what runs there/,
    })
  })

  t.test('what the API refuses stays as it was, with its code', async t => {
    const { virtualNodeId, node } = await register()
    fake.plan('DeleteVirtualNode', REFUSAL)
    const refused = await vnode('delete', virtualNodeId)
    t.match(refused, {
      status: 1,
      stdout: '',
      stderr: /^vnode: DeleteVirtualNode: Forbidden\.RAM: no \(HTTP 403, .*\nAllow eci:DeleteVirtualNode /,
    })
    t.notOk(isCordoned(await nodeObject(node)), 'the Node stays, and is open')
    await vnode('delete', virtualNodeId)
  })

  t.test('an update reads first and sends the full set', async t => {
    const tag = [
      { key: CLUSTER_TAG, value: clusterUid },
      { key: 'team', value: 'a' },
    ]
    const { virtualNodeId } = await client.createVirtualNode(
      createRequest({ kubeConfig, tag, clientToken: 'shop', virtualNodeName: 'shop' }),
    )
    const [one] = fake.virtualNodes
    await untilStatus(client, virtualNodeId, 'Ready')
    const dns = await vnode(
      'update',
      virtualNodeId,
      '--cluster-dns',
      '10.96.0.10',
      '--custom-resources',
      'a.com/x=1',
    )
    t.match(dns, { status: 0, stderr: '' })
    t.match(JSON.parse(dns.stdout), { RequestId: /./, VirtualNodeId: virtualNodeId })
    const renamed = await vnode(
      'update',
      virtualNodeId,
      '--name',
      'shop-2',
      '--tag',
      'env=prod',
      '--remove-tag',
      'team',
      '-o',
      'yaml',
    )
    t.match(renamed, { status: 0, stdout: new RegExp(`\nVirtualNodeId: ${virtualNodeId}\n$`) })
    t.match(one, {
      name: 'shop-2',
      clusterDns: '10.96.0.10',
      clusterDomain: '',
      customResources: 'a.com/x=1',
    })
    t.strictSame(one?.tags.map(({ Key, Value }) => `${Key}=${Value}`).toSorted(), [
      'env=prod',
      'vnode-profile.io/cluster-dns=10.96.0.10',
      `vnode-profile.io/cluster=${clusterUid}`,
      'vnode-profile.io/custom-resources=a.com/x=1',
    ])
    const calls = fake.callsOf('UpdateVirtualNode').length
    const dry = await vnode('update', virtualNodeId, '--cluster-dns', '', '--dry-run')
    t.match(JSON.parse(dry.stdout), {
      Action: 'UpdateVirtualNode',
      ClusterDNS: '',
      CustomResources: 'a.com/x=1',
      VirtualNodeName: 'shop-2',
    })
    t.equal(fake.callsOf('UpdateVirtualNode').length, calls, 'nothing is sent')
    t.match(await vnode('update', virtualNodeId), { status: 2, stderr: /nothing is asked to be changed/ })
    t.match(await vnode('update', virtualNodeId, '--tag', 'vnode-profile.io/cluster=x'), {
      status: 2,
      stderr: /is set by vnode itself/,
    })
    await vnode('delete', virtualNodeId)
  })

  t.test(
    'an update of a VNode that somebody else has made wants to know what the API does not tell',
    async t => {
      const { virtualNodeId } = await register(null)
      const [one] = fake.virtualNodes
      if (one !== undefined) one.customResources = 'a.com/x=1'
      const refused = await vnode('update', virtualNodeId, '--cluster-dns', '10.96.0.10')
      t.match(refused, {
        status: 1,
        stderr:
          /the API does not tell what VNode .* has for --cluster-domain, --custom-resources, and would reset what is left out\nGive --cluster-domain, --custom-resources too; '' where there shall be none\.\n$/,
      })
      t.equal(one?.customResources, 'a.com/x=1')
      const all = ['--cluster-dns', '10.96.0.10', '--cluster-domain', '', '--custom-resources', 'a.com/x=2']
      t.match(await vnode('update', virtualNodeId, ...all), { status: 0 })
      t.match(one, { clusterDns: '10.96.0.10', customResources: 'a.com/x=2' })
      t.match(
        await vnode('update', virtualNodeId, '--name', 'later'),
        { status: 1 },
        'it stays a stranger: empty is not told from unknown',
      )
      await vnode('delete', virtualNodeId)
    },
  )
}
