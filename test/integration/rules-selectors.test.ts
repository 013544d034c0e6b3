/** Selector resources, namespaced: in which order and where they act, what they may do, and what is told of bad ones. */
import t from 'tap'
import type { KubeList, KubeObject } from '../helpers/kube-http.ts'
import { isPlaced, rulesOn } from '../helpers/placements.ts'
import { makePod } from '../helpers/pods.ts'
import { isSent, podReview, sendReview } from '../helpers/reviews.ts'
import { selectorPath } from '../helpers/rules.ts'
import { startSelectorScene } from '../helpers/selector-scene.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const INSTALLATION = 'vnode-system'
const POWER = 'k8s.aliyun.com/eci-ram-role-name'
const toVnodes = { virtualNodeOnly: {} }

const scene = await startSelectorScene(t)

if (scene !== undefined) {
  const { controlPlane, webhook, select, send, place, eventAbout } = scene

  t.test('of equal priority the older one wins; of the same second the first by name', async t => {
    const namespace = await place(t)
    const bornAt = ({ metadata }: KubeObject) =>
      'creationTimestamp' in metadata ? String(metadata.creationTimestamp) : ''
    /** Creates the second one anew until both are of one second, or of two. */
    const pair = async (isOneSecond: boolean): Promise<void> => {
      for (;;) {
        const first = await select(namespace, 'z', { policy: toVnodes })
        let second = await select(namespace, 'a', { policy: toVnodes })
        while (!isOneSecond && bornAt(second) === bornAt(first)) {
          await controlPlane.ask('DELETE', selectorPath({ name: 'a', namespace }))
          second = await select(namespace, 'a', { policy: toVnodes })
        }
        if ((bornAt(second) === bornAt(first)) === isOneSecond) return
        await controlPlane.ask('DELETE', selectorPath({ name: 'z', namespace }))
        await controlPlane.ask('DELETE', selectorPath({ name: 'a', namespace }))
      }
    }
    await pair(false)
    await webhook.inForce(`${namespace}/z`, `${namespace}/a`)
    t.equal(rulesOn(await send(namespace)), `${namespace}/z`)
    await controlPlane.ask('DELETE', selectorPath({ name: 'z', namespace }))
    await webhook.inForce(`${namespace}/a`)
    t.equal(rulesOn(await send(namespace)), `${namespace}/a`, 'the younger one takes over')
    await controlPlane.ask('DELETE', selectorPath({ name: 'a', namespace }))
    await webhook.inForce()
    await pair(true)
    await webhook.inForce(`${namespace}/a`, `${namespace}/z`)
    t.equal(rulesOn(await send(namespace)), `${namespace}/a`)
  })

  t.test('a Selector acts on its own namespace only, one of the installation on all', async t => {
    const [mine, other] = [await place(t), await controlPlane.namespace(t)]
    await select(mine, 'one', { policy: toVnodes })
    await webhook.inForce(`${mine}/one`)
    t.equal(rulesOn(await send(mine)), `${mine}/one`)
    t.equal(isPlaced(await send(other)), false)
    await select(INSTALLATION, 'all', { policy: toVnodes, namespaces: ['*', '!default'] })
    await webhook.inForce(`${mine}/one`, `${INSTALLATION}/all`)
    t.equal(rulesOn(await send(mine)), `${mine}/one`, 'the older one')
    t.equal(rulesOn(await send(other)), `${INSTALLATION}/all`)
    t.equal(isPlaced(await send('default')), false, 'unless its patterns say otherwise')
  })

  t.test('with selectorScope cluster every Selector acts on all namespaces', async t => {
    const [mine, other] = [await place(t), await controlPlane.namespace(t)]
    const wide = await startTestWebhook(t, { controlPlane, settings: { selectorScope: 'cluster' } })
    await wide.logged('every Selector acts on all namespaces, whoever may write it: selectorScope is cluster')
    await select(mine, 'one', { policy: toVnodes })
    await Promise.all([wide.inForce(`${mine}/one`), webhook.inForce(`${mine}/one`)])
    const review = podReview(makePod({ labels: { app: 'web' } }), other)
    t.equal(isSent(await sendReview(wide, '/mutate/pods', review)), true)
    t.equal(isSent(await sendReview(webhook, '/mutate/pods', review)), false)
  })

  t.test('a power is for the installation to lend, and for tenants only if a setting says so', async t => {
    const namespace = await place(t)
    const spec = { policy: toVnodes, effect: { annotations: { [POWER]: 'admin' } } }
    const refused = await select(namespace, 'one', spec)
    t.match(
      await eventAbout('RulesRefused', refused),
      /eci-ram-role-name"\]: is a power that only Selectors in namespace vnode-system may set/,
    )
    t.equal(isPlaced(await send(namespace)), false)
    const tenantEffects = new Set([POWER])
    const open = await startTestWebhook(t, { controlPlane, settings: { tenantEffects } })
    await open.inForce(`${namespace}/one`)
    await select(INSTALLATION, 'all', spec)
    await webhook.inForce(`${INSTALLATION}/all`)
    const { metadata } = await send(namespace)
    t.equal(metadata.annotations?.[POWER], 'admin')
  })

  t.test('one bad Selector among many is left out alone and told, until it is mended', async t => {
    const namespace = await place(t)
    const names = Array.from({ length: 30 }, (_, index) => `s-${10 + index}`)
    const spec = (name: string) => ({
      objectLabels: { matchLabels: { app: name } },
      policy: toVnodes,
      priority: 100 - Number(name.slice(2)),
    })
    for (const name of names) await select(namespace, name, spec(name))
    const full = names.map(name => `${namespace}/${name}`)
    await webhook.inForce(...full)
    const bad = await select(namespace, 's-20', { ...spec('s-20'), policy: { sometimes: {} } })
    t.match(
      await eventAbout('RulesRefused', bad),
      /^the Selector is not applied: rule ".*\/s-20": spec\.policy\.sometimes: unknown policy.*; all other rules stay in force$/,
    )
    await webhook.inForce(...full.filter(name => !name.endsWith('s-20')))
    t.equal(isPlaced(await send(namespace, { labels: { app: 's-20' } })), false)
    t.equal(isPlaced(await send(namespace, { labels: { app: 's-21' } })), true)
    const count = async (name: string) => (await webhook.metrics()).sum(name, { origin: 'Selector' })
    t.equal(await count('vnode_profile_rules_refused'), 1)
    t.equal(await count('vnode_profile_rules_loaded'), 29)
    t.equal((await fetch(`${webhook.opsUrl}/readyz`)).status, 200)
    t.match(await eventAbout('RulesApplied', await select(namespace, 's-20', spec('s-20'))), /valid again/)
    await webhook.inForce(...full)
    t.equal(await count('vnode_profile_rules_refused'), 0)
  })

  t.test('what changes about a bad Selector besides its spec is not told again', async t => {
    const namespace = await place(t)
    const path = selectorPath({ name: 'one', namespace })
    await eventAbout('RulesRefused', await select(namespace, 'one', { policy: { fair: {}, ...toVnodes } }))
    const [from, edits] = [webhook.log.length, await webhook.metrics()]
    const changed = await controlPlane.ask('PATCH', path, {
      body: { metadata: { labels: { seen: 'yes' } } },
      contentType: 'application/merge-patch+json',
    })
    await eventAbout('RulesApplied', await select(namespace, 'one', { policy: toVnodes }))
    await webhook.inForce(`${namespace}/one`)
    t.notOk(webhook.log.slice(from).some(({ msg }) => msg.startsWith('rules refused')))
    const events = await controlPlane.ask<KubeList>('GET', `/api/v1/namespaces/${namespace}/events`)
    const about = events.items.map(({ involvedObject }) => JSON.stringify(involvedObject))
    t.notOk(about.some(text => text.includes(`"${changed.metadata.resourceVersion}"`)))
    const name = 'vnode_profile_refused_edits_total'
    t.equal((await webhook.metrics()).sum(name), edits.sum(name))
  })

  t.test('the next Pod follows a Selector within a second', async t => {
    const namespace = await place(t)
    const took: number[] = []
    for (let round = 0; round < 10; round += 1) {
      const policy = round % 2 === 0 ? toVnodes : { normalNodeOnly: {} }
      await select(namespace, 'one', { policy })
      const start = performance.now()
      while (isPlaced(await send(namespace)) !== (round % 2 === 0)) {
        if (performance.now() - start > 10_000) throw new Error('no Pod follows')
      }
      took.push(performance.now() - start)
    }
    const worst = Math.max(...took)
    t.comment(`worst of ten: ${worst.toFixed(0)} ms from the answer to the first Pod that follows`)
    t.ok(worst < 1000)
  })
}
