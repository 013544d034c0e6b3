/** `vnode delete --force`: whatever runs there, the VNode goes. ECI deletes none that has Pods. */
import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { isCordoned, readyVnodes } from '../helpers/ready-vnodes.ts'

const controlPlane = await controlPlaneOrSkip(t, { controllerManager: true })
if (controlPlane !== undefined) {
  const { fake, vnode, register, runPod, nodeObject } = await readyVnodes(t, controlPlane)

  /** Whatever a PodDisruptionBudget says; and nothing of the Pod is left that would keep its VNode. */
  t.test('by force its Pods are deleted at once, and then the VNode', async t => {
    const namespace = await controlPlane.namespace(t)
    const { virtualNodeId, node } = await register()
    await controlPlane.ask('POST', `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`, {
      body: { metadata: { name: 'all' }, spec: { maxUnavailable: 0, selector: {} } },
    })
    await runPod(namespace, node, 'lost')
    const dry = await vnode('delete', virtualNodeId, '--force', '--dry-run')
    t.match(dry.stdout, `Node ${node}: would be cordoned, and 1 Pod deleted at once\n`)
    t.match(await controlPlane.request('GET', `/api/v1/namespaces/${namespace}/pods/lost`), { status: 200 })
    const seen: boolean[] = []
    const wait = async () => seen.push(isCordoned(await nodeObject(node)))
    fake.plan('DeleteVirtualNode', { kind: 'after', wait })
    const { status, stdout, stderr } = await vnode('delete', virtualNodeId, '--force')
    t.equal(status, 0, stderr)
    t.match(JSON.parse(stdout), { VirtualNodeId: virtualNodeId })
    t.match(stderr, `vnode: warning: 1 Pod on Node ${node}, 1 of which would be lost for good:\n`)
    t.strictSame(seen, [true], 'nothing new is scheduled there meanwhile')
    t.match(await controlPlane.request('GET', `/api/v1/namespaces/${namespace}/pods/lost`), { status: 404 })
    t.equal(fake.virtualNodes.length, 0)
  })

  t.test('by force after a drain: what is evicted has its time, what is held has not', async t => {
    const namespace = await controlPlane.namespace(t)
    const { virtualNodeId, node } = await register()
    await runPod(namespace, node, 'held')
    const path = `/api/v1/namespaces/${namespace}/pods/held`
    const finalizers = (names: readonly string[]) =>
      controlPlane.ask('PATCH', path, {
        body: { metadata: { finalizers: names } },
        contentType: 'application/merge-patch+json',
      })
    await finalizers(['example.com/hold'])
    const kept = await vnode('delete', virtualNodeId, '--drain', '--force', '--timeout', '1s')
    t.match(kept, { status: 1, stdout: '', stderr: /still has 1 Pod; the VNode stays, cordoned/ })
    t.ok(isCordoned(await nodeObject(node)))
    await finalizers([])
    t.match(await vnode('delete', virtualNodeId, '--drain', '--force'), { status: 0 })
  })

  t.test('by force, while ECI still ends what ran there', async t => {
    const { virtualNodeId } = await register()
    const ending = { kind: 'refuse', status: 409, code: 'IncorrectStatus.ContainerGroupExists' } as const
    fake.plan('DeleteVirtualNode', ending)
    const forced = await vnode('delete', virtualNodeId, '--force')
    t.match(forced, {
      status: 0,
      stderr: `vnode: ECI still has Pods on VNode ${virtualNodeId}; asking again\n`,
    })
    const other = await register()
    fake.plan('DeleteVirtualNode', ending)
    t.match(await vnode('delete', other.virtualNodeId), { status: 1, stderr: /ContainerGroupExists/ })
    t.match(await vnode('delete', other.virtualNodeId), { status: 0 })
  })
}
