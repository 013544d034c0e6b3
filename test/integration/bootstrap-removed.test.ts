/** `vnode bootstrap --remove`: the VNode goes, with all that was made for it, and nothing that somebody runs is lost unsaid. */
import t, { type Test } from 'tap'
import type { Notice } from '../../src/bootstrap/progress.ts'
import { VISIBLE_WITHIN_MS } from '../../src/core/vnode/registration.ts'
import type { Clock } from '../../src/kube/clock.ts'
import { bootstrap, leftBy, patchRecord, recordOf, removeBootstrapped } from '../helpers/bootstrap.ts'
import { type RunOptions, skipWaits } from '../helpers/bootstrap-run.ts'
import { bootstrapCluster, bootstrapScene } from '../helpers/bootstrap-scene.ts'
import { eciClient } from '../helpers/eci-client.ts'
import { JumpClock } from '../helpers/fake-clock.ts'
import { fakeEci } from '../helpers/fake-eci/server.ts'

const cluster = await bootstrapCluster(t)

if (cluster !== undefined) {
  const { controlPlane } = cluster

  const makeScene = async (t: Test, identity: 'tls-bootstrap' | 'service-account' = 'tls-bootstrap') => {
    const { name, fake, eci, kubeconfig } = await bootstrapScene(t, { controlPlane, identity })
    const options = { controlPlane, name, identity, eci }
    return {
      name,
      fake,
      run: () => bootstrap({ ...options, kubeconfig }),
      remove: (waitMs = 60_000, more: Partial<RunOptions> = {}) =>
        removeBootstrapped({ ...options, settings: { waitMs }, ...more }),
    }
  }

  for (const identity of ['tls-bootstrap', 'service-account'] as const) {
    t.test(`an empty one, ${identity}; then a new one`, async t => {
      const { name, fake, run, remove } = await makeScene(t, identity)
      const { registration } = await run()
      t.equal(await remove(), registration.virtualNodeId)
      t.strictSame(fake.virtualNodes, [])
      t.strictSame(await leftBy(controlPlane, name), [])
      t.equal((await controlPlane.request('GET', `/api/v1/nodes/${registration.nodeName}`)).status, 404)
      t.equal(await remove(), undefined, 'again there is nothing to do')
      const again = await run()
      t.match(again.registration, { how: 'created' })
      t.equal(fake.virtualNodes.length, 1)
    })
  }

  t.test('with Pods, which move away first', async t => {
    const { fake, run, remove } = await makeScene(t)
    const { registration } = await run()
    const namespace = await controlPlane.namespace(t)
    const pods = `/api/v1/namespaces/${namespace}/pods`
    await controlPlane.ask('POST', pods, {
      body: {
        metadata: { name: 'there', labels: { app: 'there' } },
        spec: { nodeName: registration.nodeName, containers: [{ name: 'app', image: 'app' }] },
      },
    })
    await controlPlane.waitFor(`${pods}/there`, ({ status }) => status?.phase === 'Running', {
      timeout: 60_000,
    })
    const budgets = `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`
    await controlPlane.ask('POST', budgets, {
      body: {
        metadata: { name: 'all' },
        spec: { minAvailable: 1, selector: { matchLabels: { app: 'there' } } },
      },
    })
    await controlPlane.waitFor(`${budgets}/all`, ({ status }) => status?.expectedPods === 1, {
      timeout: 60_000,
    })
    const held = await remove(1000).catch(error => error)
    t.match(held, {
      code: 'REFUSED',
      message: /still has 1 Pods, such as .*\/there/,
      next: /PodDisruptionBudgets/,
    })
    t.equal(fake.virtualNodes.length, 1)
    await controlPlane.ask('DELETE', `${budgets}/all`)
    t.equal(await remove(), registration.virtualNodeId)
    t.equal((await controlPlane.request('GET', `${pods}/there`)).status, 404)
    t.strictSame(fake.virtualNodes, [])
  })

  t.test('another one of its name is said to stay', async t => {
    const { name, fake, run, remove } = await makeScene(t)
    const { registration } = await run()
    const [first] = fake.world.virtualNodes
    if (first !== undefined) fake.world.virtualNodes.push({ ...first, id: 'vnd-another' })
    t.equal(await remove(), registration.virtualNodeId)
    const events = `/api/v1/namespaces/${name}/events?fieldSelector=reason=VnodeNotOurs`
    const [event] = await controlPlane.waitForAll(events, list => list.length > 0, { timeout: 60_000 })
    t.match(event?.message, /VNode vnd-another named .* stays, and is paid for/)
  })

  t.test('one that nobody has written down is not ours to delete', async t => {
    const { name, fake, run, remove } = await makeScene(t)
    await run()
    await controlPlane.ask('DELETE', `/api/v1/namespaces/${name}/secrets/${name}-vnode`)
    t.equal(await remove(), undefined)
    t.equal(fake.virtualNodes.length, 1)
    const events = `/api/v1/namespaces/${name}/events?fieldSelector=reason=VnodeNotOurs`
    const [event] = await controlPlane.waitForAll(events, list => list.length > 0, { timeout: 60_000 })
    t.match(event?.message, /stays, and is paid for; vnode delete vnd-/)
  })

  t.test('one whose creation had no answer: the same request tells which it is', async t => {
    const { name, fake, run, remove } = await makeScene(t)
    const { registration } = await run()
    await patchRecord(controlPlane, name, { virtualNodeId: null, recordedAt: null })
    t.equal(await remove(), registration.virtualNodeId)
    t.equal(new Set(fake.callsOf('CreateVirtualNode').map(({ body }) => body)).size, 1)
    t.strictSame(fake.virtualNodes, [])
    t.strictSame(await leftBy(controlPlane, name), [])
  })

  t.test('one that is gone already is fine, once its Node does not report any more', async t => {
    const { name, fake, run, remove } = await makeScene(t)
    const { registration } = await run()
    await eciClient(t, fake).deleteVirtualNode(registration.virtualNodeId)
    t.match(await remove().catch(error => error), {
      code: 'REFUSED',
      message: new RegExp(`no VNode ${registration.virtualNodeId}, but .*Node .* still reports`),
    })
    t.ok(await recordOf(controlPlane, name), 'nothing is forgotten')
    await controlPlane.ask('DELETE', `/api/v1/nodes/${registration.nodeName}`)
    t.equal(await remove(), registration.virtualNodeId)
    t.ok(fake.callsOf('DeleteVirtualNode').length >= 2, 'it is asked for by its id all the same')
    t.strictSame(await leftBy(controlPlane, name), [])
  })

  t.test('credentials that do not see it: its Node reports, so nothing is touched', async t => {
    const { name, fake, run, remove } = await makeScene(t)
    const { registration } = await run()
    const hidden = fake.world.virtualNodes.splice(0)
    t.match(await remove().catch(error => error), {
      code: 'REFUSED',
      message: /still reports/,
      next: /the account, the RAM policy/,
    })
    const elsewhere = await fakeEci(t, { joins: false })
    t.match(await remove(60_000, { eci: eciClient(t, elsewhere) }).catch(error => error), {
      code: 'REFUSED',
      message: `VNode ${registration.virtualNodeId} of this release was asked for by account`,
    })
    fake.world.virtualNodes.push(...hidden)
    const node = await controlPlane.ask('GET', `/api/v1/nodes/${registration.nodeName}`)
    t.not(node.spec?.unschedulable, true, 'it is not cordoned')
    t.ok(await recordOf(controlPlane, name))
    t.equal(await remove(), registration.virtualNodeId)
    t.strictSame(fake.virtualNodes, [])
  })

  t.test('credentials that are revoked, or see it no more, while it is drained', async t => {
    const { name, fake, run, remove } = await makeScene(t)
    const { registration } = await run()
    const refuse = (code: string) => fake.plan('DeleteVirtualNode', { kind: 'refuse', status: 404, code })
    refuse('InvalidAccessKeyId.NotFound')
    t.match(await remove().catch(error => error), { code: 'ECI', message: /InvalidAccessKeyId\.NotFound/ })
    refuse('InvalidVirtualNodeId.NotFound')
    t.match(await remove().catch(error => error), { code: 'REFUSED', message: /still reports/ })
    t.match(await recordOf(controlPlane, name), { virtualNodeId: registration.virtualNodeId })
    t.equal((await controlPlane.request('GET', `/api/v1/nodes/${registration.nodeName}`)).status, 200)
    t.equal(await remove(), registration.virtualNodeId)
    t.strictSame(fake.virtualNodes, [])
  })

  t.test('one that was executed, is refused when it is asked about, and is listed late', async t => {
    const { name, fake, run, remove } = await makeScene(t)
    fake.plan('CreateVirtualNode', { kind: 'cut', executed: true }, 5)
    t.match(await run().catch(error => error), { isOutcomeUnknown: true })
    const hidden = fake.world.virtualNodes.splice(0)
    fake.plan('CreateVirtualNode', { kind: 'refuse', status: 403, code: 'QuotaExceeded' })
    const jumping = new JumpClock()
    const skip = skipWaits(jumping)
    const waits: number[] = []
    const clock: Clock = {
      now: () => jumping.now(),
      after: (ms, run) => {
        waits.push(ms)
        return jumping.after(ms, run)
      },
    }
    const onNotice = (notice: Notice) => {
      if (notice.reason === 'Waiting') fake.world.virtualNodes.push(...hidden)
      skip(notice)
    }
    t.equal(await remove(60_000, { clock, onNotice }), hidden[0]?.id)
    t.equal(waits[0], VISIBLE_WITHIN_MS, 'before it is looked for')
    t.strictSame(fake.virtualNodes, [])
    t.strictSame(await leftBy(controlPlane, name), [])
  })

  t.test(
    'one whose request may have been executed, as only the last of its attempts was refused',
    async t => {
      const { name, fake, run, remove } = await makeScene(t)
      fake.plan('CreateVirtualNode', { kind: 'cut' }, 5)
      t.match(await run().catch(error => error), { isOutcomeUnknown: true })
      fake.plan('CreateVirtualNode', { kind: 'cut' })
      fake.plan('CreateVirtualNode', { kind: 'refuse', status: 403, code: 'QuotaExceeded' })
      t.match(await remove().catch(error => error), { isOutcomeUnknown: true, message: /QuotaExceeded/ })
      t.ok(await recordOf(controlPlane, name), 'nothing is forgotten')
    },
  )
}
