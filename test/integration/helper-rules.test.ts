/** Beside a helper the webhook only reads: the leader tells of edits by Events, and keeps the last good rules for replicas that restart. */
import t, { type Test } from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { startTestHelper } from '../helpers/helper.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { makePod } from '../helpers/pods.ts'
import { podReview, sendReview } from '../helpers/reviews.ts'
import { installSelectorCrd, selectorPath, setRules, setSelector } from '../helpers/rules.ts'
import { startTestWebhook, type TestWebhook } from '../helpers/webhook.ts'

interface ConfigMap extends KubeObject {
  data: Record<string, string>
}

const rule = (name: string) => ({ name, objectSelector: { matchLabels: { app: name } } })
/** A text with one rule that has an error, behind one that is new. */
const withBad = (...rules: readonly object[]) => [...rules, { name: 'bad', policy: { sometimes: {} } }]

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  await installSelectorCrd(t, controlPlane)

  /** An installation of the test's own, with its rules in its own namespace. */
  const install = async (t: Test, inside?: string) => {
    const namespace = inside ?? (await controlPlane.namespace(t))
    const name = inside === undefined ? namespace : `${namespace}-two`
    const rulesName = inside === undefined ? 'rules' : 'other-rules'
    const rules = { controlPlane, name, rulesNamespace: namespace, rulesName }
    return {
      namespace,
      set: (list: readonly object[]) => setRules(controlPlane, list, { namespace, name: rulesName }),
      // Nobody answers there: registration is not what this is about.
      startHelper: () =>
        startTestHelper(t, { ...rules, installNamespace: namespace, url: 'https://127.0.0.1:1' }),
      startWebhook: async () => {
        const settings = { installNamespace: namespace }
        const webhook = await startTestWebhook(t, { ...rules, isReadOnly: true, settings })
        await webhook.ready()
        return webhook
      },
      keeps: (text: string) =>
        controlPlane.waitFor<ConfigMap>(
          `/api/v1/namespaces/${namespace}/configmaps/${name}-last-good-rules`,
          ({ data }) => data.selectors?.includes(text) === true,
        ),
      /** All Events about the rules, once there are so many at least: `reason message`, in no order. */
      told: async (least: number) => {
        const path = `/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.name%3D${rulesName}`
        const events = await controlPlane.waitForAll(path, found => found.length >= least)
        return events.map(({ reason, message }) => `${reason} ${message}`).toSorted()
      },
    }
  }
  const refused = (webhook: TestWebhook) => webhook.until('refused', state => !state.summary().isNewest)
  const answers = async (webhook: TestWebhook) => {
    const apps = ['first', 'second', 'new', 'none']
    const sent = apps.map(app => sendReview(webhook, '/mutate/pods', podReview(makePod({ labels: { app } }))))
    return (await Promise.all(sent)).map(({ patch }) => patch)
  }
  const REFUSED = /^RulesRefused data\.selectors is not applied: .*; the last good rules stay in force$/
  const APPLIED = 'RulesApplied the rules are valid again and in force'

  t.test('a helper and two webhooks: one Event for a bad edit, one for the edit that mended it', async t => {
    const { set, startHelper, startWebhook, keeps, told } = await install(t)
    const helper = await startHelper()
    const webhooks = [await startWebhook(), await startWebhook()]
    await set([rule('first')])
    await Promise.all([keeps('"first"'), ...webhooks.map(webhook => webhook.inForce('first'))])
    await set(withBad(rule('new')))
    await Promise.all(webhooks.map(refused))
    t.match(await told(1), [REFUSED])
    await set([rule('second')])
    await Promise.all([keeps('"second"'), ...webhooks.map(webhook => webhook.inForce('second'))])
    const all = await told(2)
    t.match(all, [APPLIED, REFUSED])
    t.equal(all.length, 2)
    t.notOk(
      webhooks.some(({ log }) => log.some(({ msg }) => /Event was lost|could not be kept/.test(msg))),
      'the webhooks did not even try to write',
    )
    await helper.logged('rules mended')
  })

  t.test('a replica that starts while an edit is refused answers by what the helper kept', async t => {
    const { set, startHelper, startWebhook, keeps } = await install(t)
    await startHelper()
    const one = await startWebhook()
    await set([rule('first'), rule('second')])
    await Promise.all([keeps('"second"'), one.inForce('first', 'second')])
    await set(withBad(rule('new')))
    await refused(one)
    const two = await startWebhook()
    await two.inForce('first', 'second')
    t.strictSame(await answers(two), await answers(one))
    await two.logged('rules refused; the last good rules stay in force')
  })

  t.test('two installations of one namespace with rules of their own keep each its own', async t => {
    const one = await install(t)
    const other = await install(t, one.namespace)
    await Promise.all([one.startHelper(), other.startHelper()])
    await one.set([rule('first')])
    await one.keeps('"first"')
    await other.set([rule('second')])
    await other.keeps('"second"')
    await Promise.all([one.set(withBad(rule('new'))), other.set(withBad(rule('new')))])
    await Promise.all([one.told(1), other.told(1)])
    const [first, second] = [await one.startWebhook(), await other.startWebhook()]
    await Promise.all([first.inForce('first'), second.inForce('second')])
  })

  t.test('no helper at the time of an edit: replicas go on, and the one that comes tells', async t => {
    const { set, startHelper, startWebhook, keeps, told } = await install(t)
    const before = await startHelper()
    await set([rule('first')])
    await keeps('"first"')
    await before.stop()
    const one = await startWebhook()
    await set(withBad(rule('new')))
    await Promise.all([refused(one), one.inForce('first')])
    const two = await startWebhook()
    await two.inForce('first')
    t.strictSame(await answers(two), await answers(one), 'what an earlier helper kept counts')
    const helper = await startHelper()
    t.match(await told(1), [REFUSED])
    await helper.logged('rules refused; the last good rules stay in force')
    await set([rule('second')])
    await Promise.all([keeps('"second"'), one.inForce('second'), two.inForce('second')])
    const all = await told(2)
    t.match(all, [APPLIED, REFUSED])
    t.equal(all.length, 2)
  })

  t.test(
    'the first helper finds a bad edit, and nothing that was kept: it tells what is in force',
    async t => {
      const { set, startHelper, startWebhook, told, namespace } = await install(t)
      const webhook = await startWebhook()
      await set(withBad(rule('new')))
      await Promise.all([refused(webhook), webhook.inForce('new')])
      const helper = await startHelper()
      t.match(await told(1), [/^RulesRefused .*so the valid ones of these are in force$/])
      await helper.logged(
        'rules refused; there are no older rules to keep, so the valid ones of these are in force',
      )
      const kept = `/api/v1/namespaces/${namespace}/configmaps/${namespace}-last-good-rules`
      t.equal((await controlPlane.request('GET', kept)).status, 404, 'a partial text is not kept')
    },
  )

  t.test(
    'another leader takes over while an edit is refused: the same Event, and the same rules kept',
    async t => {
      const { set, startHelper, keeps, told } = await install(t)
      const helpers = [await startHelper(), await startHelper()]
      await set([rule('first')])
      await keeps('"first"')
      await set(withBad(rule('new')))
      await told(1)
      const [leader] = helpers.filter(({ isLeader }) => isLeader)
      const [other] = helpers.filter(helper => helper !== leader)
      await leader?.stop()
      await other?.logged('rules refused; the last good rules stay in force')
      await set([rule('second')])
      await keeps('"second"')
      const all = await told(2)
      t.match(all, [APPLIED, REFUSED])
      t.equal(all.length, 2)
    },
  )

  t.test('a Selector that is left out is told by the helper too, in its own namespace, once', async t => {
    const { startHelper, startWebhook } = await install(t)
    const webhooks = [await startWebhook(), await startWebhook()]
    const helper = await startHelper()
    const tenant = await controlPlane.namespace(t)
    const spec = { objectLabels: { matchLabels: { app: 'a' } }, policy: { sometimes: {} } }
    await setSelector(controlPlane, { name: 'wrong', namespace: tenant, spec })
    await Promise.all(
      webhooks.map(webhook => webhook.until('left out', state => state.summary().refusedSelectors === 1)),
    )
    await helper.logged('rules refused; all other rules stay in force')
    const path = `/api/v1/namespaces/${tenant}/events?fieldSelector=involvedObject.name%3Dwrong`
    const [event, ...more] = await controlPlane.waitForAll(path, found => found.length > 0)
    t.match(event?.message, /^the Selector is not applied: .*; all other rules stay in force$/)
    t.same(more, [])
    await controlPlane.ask('DELETE', selectorPath({ name: 'wrong', namespace: tenant }))
  })
}
