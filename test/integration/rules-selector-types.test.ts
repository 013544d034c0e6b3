/** The type Selector as clusters have it: of any scope and version, installed late, changed and removed under our feet. */
import t, { type Test } from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeList, KubeObject } from '../helpers/kube-http.ts'
import { makePod } from '../helpers/pods.ts'
import { isSent, podReview, sendReview } from '../helpers/reviews.ts'
import { installSelectorCrd, removeSelectorCrd, selectorPath, setSelector } from '../helpers/rules.ts'
import { holds, startTestWebhook, type TestWebhook } from '../helpers/webhook.ts'

const CRD = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/selectors.eci.aliyun.com'
const SPEC = { objectLabels: { matchLabels: { app: 'web' } }, policy: { virtualNodeOnly: {} } }

interface Case {
  readonly scope: 'Namespaced' | 'Cluster'
  readonly versions: readonly string[]
  /** The version in which the webhook reads, which its Events name. */
  readonly read: string
}

const CASES: Readonly<Record<string, Case>> = {
  'namespaced, v1 alone': { scope: 'Namespaced', versions: ['v1'], read: 'v1' },
  'cluster-scoped, v1 and v1beta1, as the vendor installs it': {
    scope: 'Cluster',
    versions: ['v1', 'v1beta1'],
    read: 'v1',
  },
  'cluster-scoped, v1beta1 stored': { scope: 'Cluster', versions: ['v1beta1', 'v1'], read: 'v1' },
  'cluster-scoped, v1beta1 alone': { scope: 'Cluster', versions: ['v1beta1'], read: 'v1beta1' },
  'namespaced, v1beta1 alone': { scope: 'Namespaced', versions: ['v1beta1'], read: 'v1beta1' },
}

/** In whatever order: which is the older one depends on the second in which they were made. */
function areInForce(webhook: TestWebhook, names: readonly string[]): Promise<void> {
  const wanted = [...names].sort().join()
  return webhook.until(wanted, ({ environment }) => {
    const rules = environment.rules.rules.map(rule => rule.name)
    return rules.sort().join() === wanted
  })
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const timings = { absentRetryMs: 200, maxBackoffMs: 500, stableMs: 500 }
  const start = async (t: Test) => {
    const webhook = await startTestWebhook(t, { controlPlane, timings })
    await webhook.ready()
    return webhook
  }
  const review = (namespace: string) => podReview(makePod({ labels: { app: 'web' } }), namespace)

  for (const [type, { scope, versions, read }] of Object.entries(CASES)) {
    t.test(`a type that is there: ${type}`, async t => {
      await installSelectorCrd(t, controlPlane, { scope, versions, hasSchema: false })
      const place = scope === 'Cluster' ? {} : { namespace: 'default' }
      const prefix = scope === 'Cluster' ? '' : 'default/'
      for (const version of versions)
        await setSelector(controlPlane, { name: version, version, ...place, spec: SPEC })
      const webhook = await start(t)
      await areInForce(
        webhook,
        versions.map(version => `${prefix}${version}`),
      )
      t.equal(isSent(await sendReview(webhook, '/mutate/pods', review('default'))), true)
      t.equal(isSent(await sendReview(webhook, '/mutate/pods', review('other'))), scope === 'Cluster')
      // Cluster-scoped objects have their Events in `default`.
      const spec = { ...SPEC, policy: { never: {} } }
      const { metadata } = await setSelector(controlPlane, {
        name: 'bad',
        version: versions[0] ?? '',
        ...place,
        spec,
      })
      const events = `/api/v1/namespaces/default/events?fieldSelector=involvedObject.uid%3D${metadata.uid}`
      const [event] = await controlPlane.waitForAll(events, events => events.length > 0)
      t.match(event, {
        reason: 'RulesRefused',
        involvedObject: { apiVersion: `eci.aliyun.com/${read}`, kind: 'Selector' },
      })
      const { stdout } = await controlPlane.kubectl([
        'events',
        '--for',
        'selector.eci.aliyun.com/bad',
        '-n',
        'default',
      ])
      t.match(stdout, /RulesRefused/, 'kubectl finds it')
    })
  }

  t.test(
    'a type that is installed later, removed with its objects, and installed anew in another scope and version',
    async t => {
      const webhook = await start(t)
      t.equal((await webhook.metrics()).sum('vnode_profile_watch_synced', { resource: 'selectors' }), 1)
      await installSelectorCrd(t, controlPlane, { hasSchema: false })
      const installed = performance.now()
      await setSelector(controlPlane, { name: 'one', namespace: 'default', spec: SPEC })
      await webhook.inForce('default/one')
      t.comment(
        `known ${(performance.now() - installed).toFixed(0)} ms after the type was served, looked for each ${timings.absentRetryMs} ms`,
      )
      const removed = performance.now()
      await removeSelectorCrd(controlPlane)
      await webhook.inForce()
      t.comment(`gone ${(performance.now() - removed).toFixed(0)} ms after the type was deleted`)
      t.equal((await fetch(`${webhook.opsUrl}/readyz`)).status, 200)
      await installSelectorCrd(t, controlPlane, { scope: 'Cluster', versions: ['v1beta1'], hasSchema: false })
      await setSelector(controlPlane, { name: 'two', version: 'v1beta1', spec: SPEC })
      await webhook.inForce('two')
      await webhook.logged('Selectors are served in this version', { version: 'v1beta1', scope: 'Cluster' })
      t.equal(isSent(await sendReview(webhook, '/mutate/pods', review('other'))), true)
    },
  )

  t.test('a type whose versions change while it is watched', async t => {
    await installSelectorCrd(t, controlPlane, { versions: ['v1beta1'], hasSchema: false })
    await setSelector(controlPlane, { name: 'one', namespace: 'default', version: 'v1beta1', spec: SPEC })
    const webhook = await start(t)
    await webhook.inForce('default/one')
    const setVersions = async (served: Readonly<Record<string, boolean>>): Promise<void> => {
      const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
      const versions = Object.entries(served).map(([name, served]) => ({
        name,
        served,
        storage: name === 'v1beta1',
        schema,
      }))
      const contentType = 'application/merge-patch+json'
      await controlPlane.ask('PATCH', CRD, { body: { spec: { versions } }, contentType })
      await holds(async () => {
        const answers = Object.entries(served).map(async ([version, isServed]) => {
          const path = selectorPath({ name: 'one', namespace: 'default', version })
          return ((await controlPlane.request('GET', path)).status === 200) === isServed
        })
        return (await Promise.all(answers)).every(Boolean)
      }, 15_000)
    }
    const follows = async (name: string, version: string): Promise<void> => {
      await setSelector(controlPlane, { name, namespace: 'default', version, spec: SPEC })
      await webhook.until(name, ({ environment }) =>
        environment.rules.rules.some(rule => rule.name === `default/${name}`),
      )
    }
    const seen = new Set<string>()
    const look = setInterval(() => {
      if (webhook.state.environment.rules.rules.length === 0) seen.add('none')
    }, 1)
    t.teardown(() => clearInterval(look))
    await setVersions({ v1beta1: true, v1: true })
    await follows('two', 'v1')
    await setVersions({ v1beta1: false, v1: true })
    await follows('three', 'v1')
    await setVersions({ v1beta1: true, v1: false })
    await follows('four', 'v1beta1')
    t.same([...seen], [], 'at no moment was there no rule')
    const { items } = await controlPlane.ask<KubeList<KubeObject>>(
      'GET',
      '/apis/eci.aliyun.com/v1beta1/selectors',
    )
    t.equal(items.length, 4)
    await areInForce(
      webhook,
      ['one', 'two', 'three', 'four'].map(name => `default/${name}`),
    )
  })
}
