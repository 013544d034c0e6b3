/** Two that do not know of each other register a VNode of one cluster at once, each with a record of its own. */
import t, { type Test } from 'tap'
import type { Notice } from '../../src/bootstrap/progress.ts'
import { claimLease } from '../../src/core/vnode/identity.ts'
import { bootstrap, bootstrapName, prepareBootstrap, removeBootstrapped } from '../helpers/bootstrap.ts'
import { type RunOptions, skipWaits } from '../helpers/bootstrap-run.ts'
import { bootstrapCluster } from '../helpers/bootstrap-scene.ts'
import { eciClient } from '../helpers/eci-client.ts'
import { JumpClock } from '../helpers/fake-clock.ts'
import type { FakeEci } from '../helpers/fake-eci/server.ts'
import { lastingAdmin, vnodeScene } from '../helpers/vnode-scene.ts'

const cluster = await bootstrapCluster(t)

if (cluster !== undefined) {
  const { controlPlane } = cluster
  const admin = await lastingAdmin(controlPlane)
  const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'

  const claims = async () => {
    const { items } = await controlPlane.ask<{ items: { metadata: { name: string } }[] }>('GET', LEASES)
    return items.map(({ metadata }) => metadata.name).filter(name => name.startsWith('vnode-registration'))
  }

  /** The first request is under way, and stays so until the second run waits, or asks for one too. */
  const holdFirst = (fake: FakeEci) => {
    const gate = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    const wait = () => {
      asked.resolve()
      return gate.promise
    }
    fake.plan('CreateVirtualNode', { kind: 'after', wait })
    const open = ({ reason }: Notice) => {
      if (reason === 'Waiting' || reason === 'RequestSent') gate.resolve()
    }
    return { isAsked: asked.promise, open }
  }

  const release = async (t: Test, fake: FakeEci, virtualNodeName?: string) => {
    const name = bootstrapName(t)
    const named = virtualNodeName === undefined ? {} : { virtualNodeName }
    const kubeconfig = await prepareBootstrap({ controlPlane, name, ...named })
    const virtualNode = {
      name: virtualNodeName ?? name,
      vSwitchIds: ['vsw-7xv2yk45qp5etidgf0001'],
      securityGroupId: 'sg-7xv5tcch4kjdr65t0001',
      tags: [],
      taints: [],
      hasPublicNetwork: false,
    }
    const run = ({ isAdditional = false, ...more }: Partial<RunOptions> & { isAdditional?: boolean } = {}) =>
      bootstrap({
        ...{ controlPlane, name, kubeconfig, eci: eciClient(t, fake), ...more },
        settings: { isAdditional, virtualNode },
      })
    return { name, run }
  }

  t.test('vnode create and a release, of one name', async t => {
    const { fake, vnode } = await vnodeScene(t, { controlPlane, kubeconfig: admin })
    const { run } = await release(t, fake, 'shop')
    const { isAsked, open } = holdFirst(fake)
    const created = vnode('create', '--name', 'shop')
    await isAsked
    t.strictSame(await claims(), ['vnode-registration', 'vnode-registration-shop'])
    const { registration } = await run({ onNotice: open })
    const { status, stdout, stderr } = await created
    t.equal(status, 0, stderr)
    t.match(registration, { virtualNodeId: JSON.parse(stdout).VirtualNodeId, how: 'adopted' })
    t.equal(fake.world.virtualNodes.length, 1)
    t.strictSame(await claims(), [], 'nobody registers any more')
  })

  t.test('two releases of one name, in a cluster that may have more VNodes', async t => {
    const { fake } = await vnodeScene(t, { controlPlane, kubeconfig: admin })
    const [first, second] = [await release(t, fake, 'shop'), await release(t, fake, 'shop')]
    const { isAsked, open } = holdFirst(fake)
    const running = first.run({ isAdditional: true })
    await isAsked
    t.strictSame(await claims(), ['vnode-registration-shop'])
    const { registration } = await second.run({ isAdditional: true, onNotice: open })
    t.equal(registration.virtualNodeId, (await running).registration.virtualNodeId)
    t.equal(fake.world.virtualNodes.length, 1)
    t.strictSame(await claims(), [])
  })

  t.test('two releases of two names, and nobody has asked for an additional one', async t => {
    const { fake } = await vnodeScene(t, { controlPlane, kubeconfig: admin })
    const [first, second] = [await release(t, fake), await release(t, fake)]
    const { isAsked, open } = holdFirst(fake)
    const running = first.run()
    await isAsked
    const error = await second.run({ onNotice: open }).catch(error => error)
    const { registration } = await running
    t.match(error, { code: 'REFUSED', message: `has a VNode already: ${registration.virtualNodeId}` })
    t.equal(fake.world.virtualNodes.length, 1)
    t.strictSame(await claims(), [])
  })

  t.test('a registration that comes to no end is named, and its removal gives way', async t => {
    const { fake } = await vnodeScene(t, { controlPlane, kubeconfig: admin })
    const [first, second] = [await release(t, fake, 'shop'), await release(t, fake, 'shop')]
    fake.plan('CreateVirtualNode', { kind: 'cut' }, 5)
    t.match(await first.run().catch(error => error), { isOutcomeUnknown: true })
    const clock = new JumpClock()
    const refused = await second.run({ clock, onNotice: skipWaits(clock) }).catch(error => error)
    t.match(refused, {
      code: 'REFUSED',
      message: `Secret ${first.name}/${first.name}-vnode registers a VNode of this cluster now (Lease kube-system/vnode-registration), and comes to no end`,
      next: /kubectl -n kube-system delete lease vnode-registration$/,
    })
    t.equal(fake.callsOf('CreateVirtualNode').length, 5)
    const virtualNode = { name: 'shop', vSwitchIds: ['v'], securityGroupId: 's', tags: [], taints: [] }
    await removeBootstrapped({
      ...{ controlPlane, name: first.name, virtualNodeName: 'shop', eci: eciClient(t, fake) },
      settings: { virtualNode: { ...virtualNode, hasPublicNetwork: false } },
    })
    t.strictSame(await claims(), [])
    t.equal((await second.run()).registration.how, 'created')
    t.equal(fake.virtualNodes.length, 1)
  })

  t.test('what somebody else holds is not ours to release', async t => {
    const { fake } = await vnodeScene(t, { controlPlane, kubeconfig: admin })
    const { run } = await release(t, fake, 'shop')
    await run()
    await controlPlane.ask('POST', LEASES, { body: claimLease('vnode-registration-shop', 'a/b') })
    t.equal((await run()).registration.how, 'known', 'what is registered waits for nobody')
    t.strictSame(await claims(), ['vnode-registration-shop'])
  })
}
