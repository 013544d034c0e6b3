import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { type Placement, placementOf, type StoredPod, sentToVnodes } from '../helpers/placed-pods.ts'
import { makePod } from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { forwardTo, startReviewServer } from '../helpers/review-server.ts'
import { installSelectorCrd, setRules, setSelector } from '../helpers/rules.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const webhook = await startTestWebhook(t, { controlPlane })
  await webhook.ready()
  await registerWebhook(t, controlPlane, webhook, { validate: true })

  t.test(
    'the documented rights suffice: every watch is loaded, and the last good rules are kept',
    async t => {
      await setRules(controlPlane, [{ name: 'a', objectSelector: { matchLabels: { a: 'b' } } }])
      await webhook.inForce('a')
      const kept = '/api/v1/namespaces/vnode-system/configmaps/vnode-profile-last-good-rules'
      await controlPlane.waitFor(kept, ({ data }) => JSON.stringify(data).includes('matchLabels'))
      await installSelectorCrd(t, controlPlane)
      await setSelector(controlPlane, {
        name: 'b',
        namespace: 'vnode-system',
        spec: { objectLabels: { matchLabels: { c: 'd' } }, policy: { fair: {} } },
      })
      await webhook.inForce('vnode-system/b', 'a')
      const metrics = await webhook.metrics()
      for (const resource of ['last-good', 'configmaps', 'selectors', 'namespaces', 'nodes'])
        t.equal(metrics.sum('vnode_profile_watch_synced', { resource }), 1, resource)
      t.strictSame(
        webhook.log.filter(line => line.level === 'error' || line.level === 'warn'),
        [],
      )
    },
  )

  t.test('the apiserver refuses a malformed edit in the words of the webhook', async t => {
    await t.rejects(setRules(controlPlane, '[{'), { message: /422.*data\.selectors is not applied/ })
  })

  t.test('a Pod is stored as the webhook changed it', async t => {
    const namespace = await controlPlane.namespace(t)
    await setRules(controlPlane, [{ name: 'a', objectSelector: { matchLabels: { a: 'b' } } }])
    await webhook.inForce('a')
    const pod = await controlPlane.ask<KubeObject>('POST', `/api/v1/namespaces/${namespace}/pods`, {
      body: makePod({ labels: { a: 'b' } }),
    })
    t.match(pod, {
      metadata: { annotations: { 'vnode-profile.io/rules': 'a' } },
      spec: { nodeSelector: { 'k8s.aliyun.com/vnode': 'true' } },
    })
  })

  t.test(
    'reviews of v1beta1, which the apiserver sends where that is listed first, are answered alike',
    async t => {
      const namespace = await controlPlane.namespace(t)
      await setRules(controlPlane, [{ name: 'a', objectSelector: { matchLabels: { a: 'b' } } }])
      await webhook.inForce('a')
      const stored: Placement[] = []
      for (const [name, versions] of [
        ['v1', ['v1', 'v1beta1']],
        ['v1beta1', ['v1beta1', 'v1']],
      ] as const) {
        await t.test(`${name} first`, async t => {
          const front = await startReviewServer(t, forwardTo(webhook))
          // Called before the one that is registered for all tests, which then has nothing left to add.
          await registerWebhook(t, controlPlane, front, {
            name: 'aa-first',
            admissionReviewVersions: versions,
          })
          // A warning comes through in either version.
          const spec = { hostNetwork: true }
          const input = JSON.stringify(makePod({ name, labels: { a: 'b' }, spec }))
          const { stderr, code } = await controlPlane.kubectl(['create', '-n', namespace, '-f', '-'], {
            input,
          })
          t.equal(code, 0)
          t.match(stderr, /^Warning: .*hostNetwork/)
          const asked = front.exchanges.filter(({ request }) => request.name === name)
          t.equal(asked[0]?.apiVersion, `admission.k8s.io/${name}`)
          t.equal(asked[0]?.answer.apiVersion, `admission.k8s.io/${name}`)
          const path = `/api/v1/namespaces/${namespace}/pods/${name}`
          stored.push(placementOf(await controlPlane.ask<StoredPod>('GET', path)))
        })
      }
      t.match(stored[0], { ...sentToVnodes('a'), labels: { a: 'b' } })
      t.strictSame(stored[1], stored[0])
    },
  )
}
