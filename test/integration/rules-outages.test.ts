/** What the webhook does while the apiserver is away, silent or forgetful, and how it catches up by itself. */
import t, { type Test } from 'tap'
import { ensureDevCertificates } from '../../src/webhook/dev-certificates.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { startGatedWebhook } from '../helpers/gated-webhook.ts'
import { makePod } from '../helpers/pods.ts'
import { isSent, podReview, sendReview } from '../helpers/reviews.ts'
import { deleteRules, installSelectorCrd, selectorPath, setRules, setSelector } from '../helpers/rules.ts'
import { startVnode } from '../helpers/vnode.ts'
import { jumpWallClock } from '../helpers/wall-clock.ts'
import {
  holds,
  type LogLine,
  startTestWebhook,
  type TestWebhook,
  type TestWebhookOptions,
} from '../helpers/webhook.ts'

const FAULT = 'watching had a fault; what is loaded stays in force'
const MERGE_PATCH = 'application/merge-patch+json'
const ruleFor = (name: string) => ({ name, objectSelector: { matchLabels: { app: 'web' } } })
const RESOURCES = ['last-good', 'configmaps', 'selectors', 'namespaces', 'nodes']

const review = (namespace = 'default') => podReview(makePod({ labels: { app: 'web' } }), namespace)
const isReady = async ({ opsUrl }: TestWebhook) => (await fetch(`${opsUrl}/readyz`)).status === 200
const watchedBy = async (webhook: TestWebhook) => {
  const metrics = await webhook.metrics()
  return RESOURCES.filter(resource => metrics.sum('vnode_profile_watch_synced', { resource }) === 1)
}
const isWatching = async (webhook: TestWebhook) => (await watchedBy(webhook)).length === RESOURCES.length

/** Sends reviews without a pause until told to stop; then says how many there were, and what was not as wanted. */
function keepAsking(t: Test, webhook: TestWebhook): () => Promise<{ answered: number; faults: string[] }> {
  const faults: string[] = []
  let [answered, isOver] = [0, false]
  const asking = (async () => {
    while (!isOver) {
      const wrong = await sendReview(webhook, '/mutate/pods', review()).then(
        answer => (isSent(answer) ? undefined : 'not sent'),
        error => String(error),
      )
      if (wrong !== undefined) faults.push(wrong)
      answered += 1
    }
  })()
  const stop = async () => {
    isOver = true
    await asking
    return { answered, faults }
  }
  t.teardown(stop)
  return stop
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const start = async (t: Test, options: TestWebhookOptions = {}) => {
    await setRules(controlPlane, [ruleFor('first')])
    const webhook = await startTestWebhook(t, { controlPlane, ...options })
    await webhook.ready()
    await webhook.inForce('first')
    return webhook
  }
  /** Edits until now unseen are in force; how long that takes. */
  const catchesUp = async (webhook: TestWebhook, name: string): Promise<number> => {
    const since = performance.now()
    await setRules(controlPlane, [ruleFor(name)])
    await webhook.until(name, state => state.environment.rules.rules.some(rule => rule.name === name), 20_000)
    return performance.now() - since
  }

  t.test(
    'while the apiserver is down the webhook answers from memory and stays ready; afterwards it catches up',
    async t => {
      await installSelectorCrd(t, controlPlane)
      const spec = { objectLabels: { matchLabels: { app: 'web' } }, policy: { virtualNodeOnly: {} } }
      await setSelector(controlPlane, { name: 'kept', namespace: 'default', spec })
      await setRules(controlPlane, [ruleFor('first')])
      const webhook = await startTestWebhook(t, { controlPlane })
      await webhook.ready()
      await webhook.inForce('default/kept', 'first')
      const seen = new Set<string>()
      // An apiserver that starts does not know its CRDs at once.
      const look = setInterval(() => seen.add(webhook.state.environment.rules.rules[0]?.name ?? ''), 1)
      t.teardown(() => clearInterval(look))
      const stopAsking = keepAsking(t, webhook)
      await controlPlane.stopApiserver()
      await webhook.logged(FAULT, { resource: 'configmaps' })
      await holds(async () => !(await isWatching(webhook)), 5000)
      t.equal(await isReady(webhook), true)
      await controlPlane.startApiserver()
      const ms = await catchesUp(webhook, 'second')
      await holds(() => isWatching(webhook), 20_000)
      const { answered, faults } = await stopAsking()
      clearInterval(look)
      t.same(faults, [], `of ${answered} reviews`)
      t.ok(answered > 10)
      t.same([...seen], ['default/kept'], 'no Selector was lost at any moment')
      t.comment(
        `the next edit was in force ${(ms / 1000).toFixed(1)} s after the apiserver was ready again; ${answered} reviews meanwhile`,
      )
    },
  )

  t.test('an apiserver that is silent is given up, and found again when it speaks', async t => {
    const webhook = await start(t, { timings: { idleMs: 1500, requestTimeoutMs: 1000 } })
    const stopAsking = keepAsking(t, webhook)
    controlPlane.pauseApiserver()
    t.teardown(() => controlPlane.resumeApiserver())
    const paused = performance.now()
    const isSilent = (line: LogLine) => /no sign of life|answer|timed? ?out/i.test(String(line.error))
    await holds(() => webhook.log.some(line => line.msg === FAULT && isSilent(line)), 10_000)
    t.comment(
      `given up after ${((performance.now() - paused) / 1000).toFixed(1)} s (a second and a half of silence)`,
    )
    await holds(async () => !(await isWatching(webhook)), 5000)
    // The reconnection hangs as well, and is given up as well.
    await holds(
      () => webhook.log.filter(line => line.msg === FAULT && line.resource === 'configmaps').length >= 3,
      15_000,
    )
    t.equal(await isReady(webhook), true)
    controlPlane.resumeApiserver()
    const ms = await catchesUp(webhook, 'second')
    // One by one: with so little patience each watch of which nothing is heard is soon given up again.
    const seen = new Set<string>()
    await holds(async () => {
      for (const resource of await watchedBy(webhook)) seen.add(resource)
      return seen.size === RESOURCES.length
    }, 60_000)
    const { answered, faults } = await stopAsking()
    t.same(faults, [], `of ${answered} reviews`)
    t.comment(
      `the next edit was in force ${(ms / 1000).toFixed(1)} s after the apiserver went on; ${answered} reviews meanwhile`,
    )
  })

  t.test('all that happened while the webhook was cut off is known afterwards', async t => {
    await installSelectorCrd(t, controlPlane)
    const namespace = await controlPlane.namespace(t, { labels: { team: 'a' } })
    const gone = await controlPlane.namespace(t)
    const spec = { objectLabels: { matchLabels: { app: 'web' } }, policy: { virtualNodeOnly: {} } }
    await setSelector(controlPlane, { name: 'one', namespace, spec })
    await setSelector(controlPlane, { name: 'two', namespace, spec })
    await setRules(controlPlane, [ruleFor('first')])
    const { webhook, gate } = await startGatedWebhook(t, controlPlane)
    await webhook.ready()
    await webhook.until('all', state => state.environment.rules.rules.length === 3)
    gate.close()
    await webhook.logged(FAULT, { resource: 'namespaces' })
    await controlPlane.ask('DELETE', selectorPath({ name: 'one', namespace }))
    await setSelector(controlPlane, {
      name: 'two',
      namespace,
      spec: { ...spec, priority: 7, policy: { fair: {} } },
    })
    await setSelector(controlPlane, { name: 'three', namespace, spec })
    await deleteRules(controlPlane)
    await setRules(controlPlane, '[{')
    await setRules(controlPlane, [ruleFor('second')])
    const path = `/api/v1/namespaces/${namespace}`
    await controlPlane.ask('PATCH', path, {
      body: { metadata: { labels: { team: 'b' } } },
      contentType: MERGE_PATCH,
    })
    await controlPlane.ask('DELETE', `/api/v1/namespaces/${gone}`)
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: gone }, spec: { finalizers: [] } }
    await controlPlane.ask('PUT', `/api/v1/namespaces/${gone}/finalize`, { body })
    const vnode = await startVnode(controlPlane)
    t.teardown(() => vnode.remove())
    t.equal(webhook.state.knowsNamespace(gone), true, 'it knows nothing of it yet')
    gate.open()
    const opened = performance.now()
    await webhook.until('the rules', ({ environment }) => {
      const names = environment.rules.rules.map(rule => rule.name)
      return names.join() === `${namespace}/two,${namespace}/three,second`
    })
    await webhook.until('the VNode', state => state.environment.vnodes.hasName(vnode.name))
    await webhook.until('the namespaces', state => !state.knowsNamespace(gone))
    await webhook.until('its label', state => state.labelsOfNamespace(namespace).get('team') === 'b')
    t.comment(`all known ${((performance.now() - opened) / 1000).toFixed(1)} s after the way was open again`)
    t.match(await sendReview(webhook, '/mutate/pods', review(namespace)), { allowed: true })
    t.equal(await isReady(webhook), true)
  })

  t.test('history that the apiserver has forgotten meanwhile is made up for by a list', async t => {
    await setRules(controlPlane, [ruleFor('first')])
    const { webhook, gate } = await startGatedWebhook(t, controlPlane)
    await webhook.ready()
    gate.close()
    await webhook.logged(FAULT, { resource: 'configmaps' })
    for (const name of ['second', 'third']) await setRules(controlPlane, [ruleFor(name)])
    await controlPlane.stopApiserver()
    await controlPlane.compactEtcd()
    await controlPlane.startApiserver()
    const from = webhook.log.length
    gate.open()
    const opened = performance.now()
    await webhook.inForce('third')
    t.comment(`known ${((performance.now() - opened) / 1000).toFixed(1)} s after the way was open again`)
    const faults = webhook.log.slice(from).filter(line => line.resource === 'configmaps')
    t.match(
      faults,
      [{ during: 'watch', error: /too old resource version|410|compacted/i }],
      'it had asked for the history',
    )
    t.ok((await catchesUp(webhook, 'fourth')) < 1000)
  })

  t.test(
    'a webhook that starts before the apiserver can be reached is not ready, says why, and becomes it',
    async t => {
      await setRules(controlPlane, [ruleFor('first')])
      const { webhook, gate } = await startGatedWebhook(t, controlPlane, {
        isOpen: false,
        timings: { requestTimeoutMs: 500 },
      })
      t.equal(isSent(await sendReview(webhook, '/mutate/pods', review())), false, 'no rules, no change')
      await webhook.logged(FAULT, { resource: 'nodes' })
      const response = await fetch(`${webhook.opsUrl}/readyz`)
      t.equal(response.status, 503)
      const text = await response.text()
      t.match(text, /\[not ready\] selectors: selectors are not loaded yet/)
      for (const resource of RESOURCES.filter(resource => resource !== 'selectors'))
        t.match(
          text,
          new RegExp(`\\[not ready\\] ${resource}: ${resource} are not loaded yet \\(.*: no answer`),
        )
      gate.open()
      const opened = performance.now()
      await webhook.ready()
      await webhook.inForce('first')
      t.comment(`ready ${((performance.now() - opened) / 1000).toFixed(1)} s after the way was open`)
    },
  )

  t.test('rules go with their ConfigMap and come with the next one', async t => {
    const webhook = await start(t)
    await deleteRules(controlPlane)
    await webhook.inForce()
    t.equal(isSent(await sendReview(webhook, '/mutate/pods', review())), false)
    t.equal(await isReady(webhook), true)
    await webhook.logged('rules removed')
    await setRules(controlPlane, [ruleFor('second')])
    await webhook.inForce('second')
    t.equal(isSent(await sendReview(webhook, '/mutate/pods', review())), true)
  })

  t.test('stopping takes no longer while the apiserver cannot be reached', async t => {
    const { webhook, gate } = await startGatedWebhook(t, controlPlane)
    await webhook.ready()
    gate.close()
    await webhook.logged(FAULT, { resource: 'configmaps' })
    const stopping = performance.now()
    await webhook.stop()
    t.ok(performance.now() - stopping < 3000, `${(performance.now() - stopping).toFixed(0)} ms`)
  })

  for (const [jump, hours] of Object.entries({ 'a day ahead': 24, 'a day back': -24 })) {
    t.test(`a wall clock that jumps ${jump} changes nothing`, async t => {
      // Whether a certificate is valid is a question of the wall clock and of nothing else: this one is, on all of these days.
      const certDir = t.testdir()
      await ensureDevCertificates(certDir, { hosts: [], now: new Date(Date.now() - 2 * 86_400_000) })
      const webhook = await start(t, { certDir, timings: { idleMs: 5000 } })
      await holds(() => isWatching(webhook), 5000)
      const from = webhook.log.length
      jumpWallClock(t, hours * 3_600_000)
      t.ok(Math.abs(Date.now() - performance.timeOrigin - performance.now()) > 80_000_000, 'it has jumped')
      t.ok((await catchesUp(webhook, 'second')) < 1000)
      await setRules(controlPlane, '[{')
      const { metadata } = await controlPlane.ask(
        'GET',
        '/api/v1/namespaces/kube-system/configmaps/eci-profile',
      )
      const events = '/api/v1/namespaces/kube-system/events?fieldSelector=involvedObject.name%3Deci-profile'
      await controlPlane.waitForAll(events, found =>
        found.some(event =>
          JSON.stringify(event).includes(`"resourceVersion":"${metadata.resourceVersion}"`),
        ),
      )
      t.equal(isSent(await sendReview(webhook, '/mutate/pods', review())), true)
      t.equal(await isReady(webhook), true)
      t.equal(await isWatching(webhook), true)
      const metrics = await webhook.metrics()
      for (const resource of RESOURCES) {
        const age = metrics.sum('vnode_profile_watch_last_event_age_seconds', { resource }) ?? Number.NaN
        t.ok(age >= 0 && age < 60, `${resource}: last heard of ${age} s ago`)
      }
      const faults = webhook.log.slice(from).filter(line => line.msg === FAULT)
      t.same(faults, [], 'no watch was given up')
    })
  }
}
