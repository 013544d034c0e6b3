/** One VNode, whatever happens on the way: answers that are lost, runs at once, upgrades, reinstallations, a VNode that somebody deleted. */
import t, { type Test } from 'tap'
import { bootstrapTokenId } from '../../src/core/vnode/identity.ts'
import {
  ageRecord,
  bootstrap,
  bootstrapName,
  leftBy,
  prepareBootstrap,
  recordOf,
} from '../helpers/bootstrap.ts'
import { type BootstrapRun, type RunOptions, skipWaits } from '../helpers/bootstrap-run.ts'
import { bootstrapCluster, bootstrapScene } from '../helpers/bootstrap-scene.ts'
import { eciClient } from '../helpers/eci-client.ts'
import { JumpClock } from '../helpers/fake-clock.ts'
import { type FakeEci, type FakeEciOptions, fakeEci, TEST_ACCOUNT } from '../helpers/fake-eci/server.ts'
import type { KubeObject } from '../helpers/kube-http.ts'

const cluster = await bootstrapCluster(t)

interface Scene {
  readonly name: string
  readonly fake: FakeEci
  /** One run; an error is a result too. */
  readonly run: (
    more?: Partial<RunOptions> & { readonly kubeconfig?: string },
  ) => Promise<BootstrapRun & { readonly error?: Error }>
  readonly events: (reason: string) => Promise<readonly string[]>
}

if (cluster !== undefined) {
  const { controlPlane } = cluster

  const makeScene = async (t: Test, options: FakeEciOptions = {}): Promise<Scene> => {
    const { name, fake, eci, kubeconfig } = await bootstrapScene(t, { controlPlane, fake: options })
    return {
      name,
      fake,
      run: more =>
        bootstrap({ controlPlane, name, kubeconfig, eci, ...more }).catch(error => ({ error }) as never),
      events: async reason => {
        const path = `/api/v1/namespaces/${name}/events?fieldSelector=reason=${reason}`
        const found = await controlPlane.waitForAll<KubeObject>(path, list => list.length > 0, {
          timeout: 60_000,
        })
        return found.map(({ message }) => String(message))
      },
    }
  }

  t.test('the answer is lost on the wire', async t => {
    const { name, fake, run } = await makeScene(t)
    fake.plan('CreateVirtualNode', { kind: 'cut', executed: true })
    const { registration } = await run()
    t.strictSame(
      fake.world.virtualNodes.map(({ id }) => id),
      [registration.virtualNodeId],
    )
    const [first, second, ...more] = fake.callsOf('CreateVirtualNode')
    t.equal(first?.body, second?.body, 'the same request and token')
    t.strictSame(more, [])
    t.match(await recordOf(controlPlane, name), { virtualNodeId: registration.virtualNodeId })
  })

  t.test('no answer ever comes, and it is run again later', async t => {
    const { fake, run } = await makeScene(t)
    fake.plan('CreateVirtualNode', { kind: 'cut', executed: true }, 5)
    const { error } = await run()
    t.match(error, { code: 'ECI', isOutcomeUnknown: true, next: /Running this again is safe/ })
    const { registration } = await run()
    t.strictSame(
      fake.world.virtualNodes.map(({ id }) => id),
      [registration.virtualNodeId],
    )
    t.equal(registration.how, 'adopted', 'by its tag')
  })

  t.test('faults of the API on the way, then success', async t => {
    const { fake, run } = await makeScene(t)
    fake.plan('CreateVirtualNode', { kind: 'refuse', status: 400, code: 'Throttling.User' })
    fake.plan('CreateVirtualNode', { kind: 'html', status: 502, executed: true })
    fake.plan('DescribeVirtualNodes', { kind: 'refuse', status: 500, code: 'InternalError' })
    const { registration } = await run()
    t.strictSame(
      fake.world.virtualNodes.map(({ id }) => id),
      [registration.virtualNodeId],
    )
  })

  t.test('a permission that is missing, and is given later', async t => {
    const { name, fake, run, events } = await makeScene(t)
    fake.plan('CreateVirtualNode', { kind: 'refuse', status: 403, code: 'Forbidden.RAM' })
    const { error } = await run()
    t.match(error, { message: /Forbidden\.RAM/, next: /eci:CreateVirtualNode/ })
    t.equal(fake.callsOf('CreateVirtualNode').length, 1, 'no second attempt, which could not help')
    t.match(await events('VnodeNotRegistered'), [/Forbidden\.RAM/])
    t.strictSame(await leftBy(controlPlane, name), ['bootstrap-token', `secret/${name}-vnode`])
    const { registration } = await run()
    t.equal(registration.how, 'created')
    t.equal(new Set(fake.callsOf('CreateVirtualNode').map(({ body }) => body)).size, 1, 'one request')
  })

  t.test('values that ECI refuses, and are changed', async t => {
    const { name, fake, run } = await makeScene(t)
    fake.plan('CreateVirtualNode', { kind: 'refuse', status: 400, code: 'InvalidParameter.ZoneId' }, 2)
    t.match((await run()).error, { message: /InvalidParameter\.ZoneId/ })
    const virtualNode = {
      name,
      vSwitchIds: ['vsw-7xv2yk45qp5etidgf0002'],
      securityGroupId: 'sg-7xv5tcch4kjdr65t0001',
      tags: [],
      taints: [],
      hasPublicNetwork: false,
    }
    const clock = new JumpClock()
    const { registration, notices } = await run({
      settings: { virtualNode },
      clock,
      onNotice: skipWaits(clock),
    })
    t.equal(registration.how, 'created')
    t.match(fake.world.virtualNodes, [{ vSwitchId: 'vsw-7xv2yk45qp5etidgf0002' }])
    t.ok(
      notices.some(({ reason }) => reason === 'IntentEnded'),
      'the earlier request was tried once more first',
    )
    t.equal(new Set(fake.callsOf('CreateVirtualNode').map(({ body }) => body)).size, 2)
  })

  t.test('five runs at once', async t => {
    const { name, fake, run } = await makeScene(t)
    const runs = await Promise.all(Array.from({ length: 5 }, () => run()))
    t.equal(fake.world.virtualNodes.length, 1)
    const [{ id } = { id: '' }] = fake.world.virtualNodes
    t.strictSame(
      runs.map(({ registration }) => registration.virtualNodeId),
      [id, id, id, id, id],
    )
    t.equal(
      new Set(fake.callsOf('CreateVirtualNode').map(({ body }) => body)).size,
      1,
      'all follow one intent',
    )
    t.match(await recordOf(controlPlane, name), { virtualNodeId: id })
    t.strictSame(await leftBy(controlPlane, name), ['bootstrap-token', `secret/${name}-vnode`])
  })

  t.test('an upgrade, with other values', async t => {
    const { fake, run } = await makeScene(t)
    const { registration } = await run()
    const again = await run({ settings: { leastCredentialLifeMs: 1 } })
    t.match(again.registration, { virtualNodeId: registration.virtualNodeId, how: 'known' })
    const name = registration.name
    const changed = { name, vSwitchIds: ['vsw-none'], securityGroupId: 'sg-none', tags: [], taints: [] }
    const { registration: last, notices } = await run({
      settings: { virtualNode: { ...changed, hasPublicNetwork: false } },
    })
    t.equal(last.virtualNodeId, registration.virtualNodeId)
    t.ok(
      notices.some(({ reason }) => reason === 'VnodeDiffers'),
      'and that is said',
    )
    t.equal(fake.callsOf('CreateVirtualNode').length, 1)
  })

  t.test('reinstalled where all that was written down is gone, and the VNode was kept', async t => {
    const { name, fake, run, events } = await makeScene(t)
    const { registration } = await run()
    await controlPlane.ask('DELETE', `/api/v1/namespaces/${name}/secrets/${name}-vnode`)
    const again = await run()
    t.match(again.registration, { virtualNodeId: registration.virtualNodeId, how: 'adopted' })
    t.equal(fake.world.virtualNodes.length, 1)
    t.match(await events('VnodeAdopted'), [/exists for this cluster already, and is used/])
    t.match(await recordOf(controlPlane, name), { virtualNodeId: registration.virtualNodeId })
    t.equal((await run()).registration.how, 'known')
  })

  t.test('deleted behind our back', async t => {
    const { name, fake, run, events } = await makeScene(t)
    const { registration } = await run()
    const client = eciClient(t, fake)
    await client.deleteVirtualNode(registration.virtualNodeId)
    await controlPlane.ask('DELETE', `/api/v1/nodes/${registration.nodeName}`)
    await ageRecord(controlPlane, name)
    const again = await run()
    t.match(again.registration, { how: 'created' })
    t.not(again.registration.virtualNodeId, registration.virtualNodeId)
    t.strictSame(
      fake.virtualNodes.map(({ id }) => id),
      [again.registration.virtualNodeId],
    )
    t.match(await events('VnodeLost'), [
      new RegExp(`${registration.virtualNodeId} is not there any more; a new one is registered`),
    ])
    t.match(await recordOf(controlPlane, name), { virtualNodeId: again.registration.virtualNodeId })
    t.strictSame(await leftBy(controlPlane, name), ['bootstrap-token', `secret/${name}-vnode`])
  })

  t.test('another VNode of this cluster, which nobody has spoken of', async t => {
    const { fake, run } = await makeScene(t)
    const { registration } = await run()
    const other = bootstrapName(t)
    const kubeconfig = await prepareBootstrap({ controlPlane, name: other })
    const { error } = await run({ name: other, kubeconfig, settings: { isAdditional: false } })
    t.match(error, {
      code: 'REFUSED',
      message: new RegExp(`has a VNode already: ${registration.virtualNodeId}`),
      next: /--additional/,
    })
    t.equal(fake.callsOf('CreateVirtualNode').length, 1)
    t.strictSame(await leftBy(controlPlane, other), [])
  })

  t.test('credentials that do not see the VNode, while its Node reports', async t => {
    const { name, fake, run } = await makeScene(t)
    await run()
    await ageRecord(controlPlane, name)
    const hidden = fake.world.virtualNodes.splice(0)
    const { error } = await run()
    t.match(error, {
      code: 'REFUSED',
      message: /but the cluster's Node .* still reports/,
      next: /the account, the RAM policy/,
    })
    t.equal(fake.callsOf('CreateVirtualNode').length, 1)
    fake.world.virtualNodes.push(...hidden)
    t.equal((await run()).registration.how, 'known', 'nothing is forgotten')
  })

  t.test('another account, while nobody knows what came of the request', async t => {
    const other = { accessKeyId: 'LTAI5tOtherOtherOther00', accessKeySecret: 'OtherSecret0', accountId: '2' }
    const { fake, run } = await makeScene(t, { accounts: [TEST_ACCOUNT, other] })
    fake.plan('CreateVirtualNode', { kind: 'cut', executed: true }, 5)
    t.match((await run()).error, { isOutcomeUnknown: true })
    // The other account has a world of its own.
    const hidden = fake.world.virtualNodes.splice(0)
    const credentials = async () => other
    t.match((await run({ eci: eciClient(t, fake, { credentials }) })).error, {
      code: 'REFUSED',
      message: /a VNode of this release was asked for by account 1234567890123456 at .*this is account 2 /,
      next: /^Give credentials of account 1234567890123456/,
    })
    const elsewhere = await fakeEci(t, { joins: false })
    t.match((await run({ eci: eciClient(t, elsewhere) })).error, { code: 'REFUSED', message: elsewhere.url })
    t.equal(fake.callsOf('CreateVirtualNode').length, 5)
    t.strictSame(elsewhere.callsOf('CreateVirtualNode'), [])
    fake.world.virtualNodes.push(...hidden)
    t.equal((await run()).registration.how, 'adopted')
    t.equal(fake.world.virtualNodes.length, 1)
  })

  t.test('a VNode of another cluster under the id that is written down', async t => {
    const { name, fake, run } = await makeScene(t)
    const { registration } = await run()
    const [virtualNode] = fake.world.virtualNodes
    if (virtualNode !== undefined) virtualNode.tags = [{ Key: 'vnode-profile.io/cluster', Value: 'another' }]
    const { error } = await run()
    t.match(error, {
      code: 'REFUSED',
      message: new RegExp(`${registration.virtualNodeId} is of another cluster`),
    })
    t.ok(await recordOf(controlPlane, name))
  })

  t.test('a bootstrap token that was revoked once the Node is Ready stays so', async t => {
    const { name, run } = await makeScene(t)
    await run()
    const token = `bootstrap-token-${bootstrapTokenId(name, name)}`
    await controlPlane.ask('DELETE', `/api/v1/namespaces/kube-system/secrets/${token}`)
    t.equal((await run()).registration.how, 'known')
    t.strictSame(await leftBy(controlPlane, name), [`secret/${name}-vnode`])
  })
}
