/** Replicas of the webhook that share nothing but the cluster: they answer alike whatever they have seen, and speak with one voice. */
import t, { type Test } from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { startGatedWebhook } from '../helpers/gated-webhook.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { makePod } from '../helpers/pods.ts'
import { podReview, sendReview } from '../helpers/reviews.ts'
import { setRules } from '../helpers/rules.ts'
import { holds, startTestWebhook, type TestWebhook, type TestWebhookOptions } from '../helpers/webhook.ts'
import { grantWebhookRights } from '../helpers/webhook-rights.ts'

interface ConfigMap extends KubeObject {
  data: Record<string, string>
}

const KEPT = 'vnode-profile-last-good-rules'
const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const rule = (name: string, app = name) => ({ name, objectSelector: { matchLabels: { app } } })
/** A text with one rule that has an error, behind one that is new. */
const withBad = (...rules: readonly object[]) => [...rules, { name: 'bad', policy: { sometimes: {} } }]

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  /** An installation of the test's own: namespace, ConfigMap and last good rules. */
  const install = async (t: Test) => {
    const namespace = await controlPlane.namespace(t)
    const place = { namespace, name: 'rules' }
    const options = {
      controlPlane,
      rulesNamespace: namespace,
      rulesName: 'rules',
      settings: { installNamespace: namespace },
    }
    const kept = `/api/v1/namespaces/${namespace}/configmaps/${KEPT}`
    return {
      namespace,
      kept,
      options,
      set: (rules: string | readonly object[]) => setRules(controlPlane, rules, place),
      start: async (more: TestWebhookOptions = {}) => {
        const webhook = await startTestWebhook(t, { ...options, ...more })
        await webhook.ready()
        return webhook
      },
      /** The last good rules are kept, with this in their text. */
      keeps: (text: string) =>
        controlPlane.waitFor<ConfigMap>(kept, ({ data }) => data.selectors?.includes(text) === true),
    }
  }
  const answers = async (webhook: TestWebhook) => {
    const apps = ['first', 'second', 'third', 'new', 'none']
    const sent = apps.map(app => sendReview(webhook, '/mutate/pods', podReview(makePod({ labels: { app } }))))
    return (await Promise.all(sent)).map(({ patch }) => patch)
  }
  const refused = (webhook: TestWebhook) => webhook.until('refused', state => !state.summary().isNewest)

  /** All Events about this edit, from when there is one. */
  const eventsAbout = async ({ metadata }: KubeObject, reason = 'RulesRefused'): Promise<KubeObject[]> => {
    const path = `/api/v1/namespaces/${metadata.namespace}/events?fieldSelector=reason%3D${reason}`
    const isAbout = ({ involvedObject }: KubeObject) =>
      JSON.stringify(involvedObject).includes(`"${metadata.resourceVersion}"`)
    const events = await controlPlane.waitForAll(path, found => found.some(isAbout))
    return events.filter(isAbout)
  }

  t.test('while an edit is refused, a replica that restarts answers like the one that runs on', async t => {
    const { set, start, keeps } = await install(t)
    const [one, two] = [await start(), await start()]
    await set([rule('first'), rule('second')])
    await Promise.all([one.inForce('first', 'second'), two.inForce('first', 'second'), keeps('"second"')])
    await set(withBad(rule('new')))
    await Promise.all([refused(one), refused(two)])
    await two.stop()
    const again = await start()
    await Promise.all([one.inForce('first', 'second'), again.inForce('first', 'second')])
    t.strictSame(await answers(again), await answers(one))
    await again.logged('rules refused; the last good rules stay in force')
    await one.stop()
    const third = await start()
    await third.inForce('first', 'second')
    t.strictSame(
      await answers(third),
      await answers(again),
      'so does one that starts when nobody is left who saw the edit',
    )
    await set([rule('third')])
    await Promise.all([again.inForce('third'), third.inForce('third')])
    await third.logged('rules mended')
  })

  t.test(
    'a replica that hears of the rules before the last good ones is not ready, and never in between',
    async t => {
      const { set, start, keeps, options, namespace } = await install(t)
      const one = await start()
      await set([rule('first')])
      await Promise.all([one.inForce('first'), keeps('"first"')])
      await set(withBad(rule('new')))
      await refused(one)
      const user = 'late-reader'
      const place = { user, rulesNamespace: namespace, rulesName: 'rules', installNamespace: namespace }
      await grantWebhookRights(controlPlane, place)
      const role = `${RBAC}/namespaces/${namespace}/rolebindings/${user}-last-good`
      await controlPlane.ask('DELETE', role)
      const kubeconfig = await controlPlane.kubeconfig({ user })
      const timings = { maxBackoffMs: 300, stableMs: 300 }
      const late = await startTestWebhook(t, { ...options, kubeconfig, timings })
      await late.until('the ConfigMap is loaded', () =>
        late.log.some(line => String(line.error).includes('403')),
      )
      const text = await (await fetch(`${late.opsUrl}/readyz`)).text()
      t.match(text, /\[not ready\] last-good: last-good are not loaded yet \(backoff: .*403/)
      t.strictSame(await answers(late), [[], [], [], [], []], 'no rules yet')
      const seen = new Set<string>()
      const look = setInterval(
        () => seen.add(late.state.environment.rules.rules.map(({ name }) => name).join()),
        1,
      )
      t.teardown(() => clearInterval(look))
      await grantWebhookRights(controlPlane, place)
      await late.ready()
      await late.inForce('first')
      t.strictSame(await answers(late), await answers(one))
      t.notOk(seen.has('new'), 'not for a moment the valid part of the refused edit')
    },
  )

  t.test('a replica that was cut off while a good and a bad edit came has the good one', async t => {
    const { set, start, keeps, options } = await install(t)
    const { webhook: two, gate } = await startGatedWebhook(t, controlPlane, options)
    const one = await start()
    await set([rule('first')])
    await Promise.all([one.inForce('first'), two.inForce('first')])
    gate.close()
    await set([rule('second')])
    await Promise.all([one.inForce('second'), keeps('"second"')])
    await set(withBad(rule('new')))
    await refused(one)
    t.strictSame(
      two.state.environment.rules.rules.map(({ name }) => name),
      ['first'],
    )
    gate.open()
    await two.inForce('second')
    t.strictSame(await answers(two), await answers(one))
  })

  t.test(
    'one bad rule among 300: an edit is refused as a whole; a first start takes the other 299',
    async t => {
      const { set, start, keeps, namespace } = await install(t)
      const names = Array.from({ length: 300 }, (_, index) => `rule-${100 + index}`)
      const rules = names.map(name =>
        name === 'rule-250' ? { ...rule(name), objectSelector: { all: true } } : rule(name),
      )
      const edit = await set(rules)
      const [one, two] = [await start(), await start()]
      const valid = names.filter(name => name !== 'rule-250')
      await Promise.all([one.inForce(...valid), two.inForce(...valid)])
      await one.logged(
        'rules refused; there are no older rules to keep, so the valid ones of these are in force',
      )
      t.match(
        (await eventsAbout(edit))[0]?.message,
        /rule "rule-250": \[150\]\.objectSelector\.all: unknown field.*; there are no older rules to keep, so the valid ones of these are in force$/,
      )
      const metrics = await one.metrics()
      t.equal(metrics.sum('vnode_profile_rules_loaded', { origin: 'ConfigMap' }), 299)
      t.equal(metrics.sum('vnode_profile_rules_refused', { origin: 'ConfigMap' }), 1)
      t.equal(metrics.sum('vnode_profile_rules_last_reload_success'), 0)
      t.equal(
        (await controlPlane.request('GET', `/api/v1/namespaces/${namespace}/configmaps/${KEPT}`)).status,
        404,
        'a partial text is not kept',
      )
      const third = await start()
      await third.inForce(...valid)
      await set(names.map(name => rule(name)))
      await Promise.all([one.inForce(...names), keeps('rule-250')])
      await set(rules.toReversed())
      await Promise.all([one, two, third].map(refused))
      await Promise.all([one, two, third].map(webhook => webhook.inForce(...names)))
    },
  )

  t.test('three replicas write one Event for a refused edit and one for the edit that mended it', async t => {
    const { set, start } = await install(t)
    const replicas = [await start(), await start(), await start()]
    await set([rule('first')])
    await Promise.all(replicas.map(webhook => webhook.inForce('first')))
    const bad = await set(withBad(rule('new')))
    await Promise.all(replicas.map(refused))
    const good = await set([rule('second')])
    await Promise.all(replicas.map(webhook => webhook.logged('rules mended')))
    // Writing is over when a later Event of each of them is there; its name is its own.
    t.equal((await eventsAbout(good, 'RulesApplied')).length, 1)
    t.equal((await eventsAbout(bad)).length, 1)
  })

  t.test('a restart during a refused edit tells it in the same Event', async t => {
    const { set, start, keeps } = await install(t)
    const one = await start()
    await set([rule('first')])
    await Promise.all([one.inForce('first'), keeps('"first"')])
    const bad = await set(withBad())
    const [first] = await eventsAbout(bad)
    // Events count time in seconds.
    await holds(() => Date.now() > Date.parse(String(first?.lastTimestamp)) + 1000, 5000)
    await start()
    await holds(async () => (await eventsAbout(bad))[0]?.lastTimestamp !== first?.lastTimestamp, 5000)
    const [event, ...more] = await eventsAbout(bad)
    t.equal(event?.metadata.uid, first?.metadata.uid)
    t.same(more, [])
  })

  t.test('last good rules that somebody deletes are kept anew', async t => {
    const { set, start, keeps, kept } = await install(t)
    const one = await start()
    await set([rule('first')])
    await Promise.all([one.inForce('first'), keeps('"first"')])
    await set(withBad(rule('new')))
    await refused(one)
    const { metadata } = await keeps('"first"')
    await controlPlane.ask('DELETE', kept)
    await controlPlane.waitFor<ConfigMap>(
      kept,
      found => found.metadata.uid !== metadata.uid && 'data' in found,
    )
    const two = await start()
    await one.stop()
    await two.inForce('first')
    await controlPlane.ask('DELETE', kept)
    await keeps('"first"')
    t.pass('also by a replica that never saw them but there')
  })

  t.test('last good rules of another ConfigMap are none', async t => {
    const { set, start, keeps, namespace } = await install(t)
    const one = await start()
    await set([rule('first')])
    await Promise.all([one.inForce('first'), keeps('"first"')])
    await one.stop()
    await setRules(controlPlane, withBad(rule('new')), { namespace, name: 'other' })
    const other = await start({ rulesName: 'other' })
    await other.inForce('new')
    t.pass()
  })

  t.test(
    'a ConfigMap that is made anew with bad rules gets the last good ones, on every replica',
    async t => {
      const { set, start, keeps, namespace } = await install(t)
      const one = await start()
      await set([rule('first')])
      await Promise.all([one.inForce('first'), keeps('"first"')])
      await controlPlane.ask('DELETE', `/api/v1/namespaces/${namespace}/configmaps/rules`)
      await one.inForce()
      const two = await start()
      t.strictSame(await answers(two), await answers(one), 'no rules on either')
      await set(withBad(rule('new')))
      await Promise.all([one.inForce('first'), two.inForce('first')])
      t.strictSame(await answers(two), await answers(one))
    },
  )
}
