import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { install } from '../helpers/helper.ts'

const controlPlane = await controlPlaneOrSkip(t)
if (controlPlane !== undefined) {
  t.test(
    'the registration appears once the webhook serves, every field spelled out, and goes when it serves no more',
    async t => {
      const { helper, port, startWebhook } = await install(t, {
        controlPlane,
        name: 'appearing',
        graceMs: 1500,
      })
      await helper.logged('certificates changed')
      await helper.metric('rounds_total', { outcome: 'ok' }, 3)
      t.equal((await controlPlane.request('GET', helper.path('mutating'))).status, 404, 'nothing serves yet')
      const missed = 'involvedObject.name=appearing-helper,reason=WebhookNotRegistered'
      await controlPlane.waitForAll(`/api/v1/namespaces/default/events?fieldSelector=${missed}`, ([event]) =>
        String(event?.message).includes('the webhook is not registered'),
      )
      const running = await startWebhook()
      await running.ready()
      const [mutating, validating] = [
        await helper.registered('mutating'),
        await helper.registered('validating'),
      ]
      const secret = await controlPlane.ask<{ data: Record<string, string> }>('GET', helper.secretPath)
      const common = (path: string) => ({
        clientConfig: { url: `https://127.0.0.1:${port}${path}`, caBundle: secret.data.bundle },
        matchPolicy: 'Equivalent',
        sideEffects: 'None',
        admissionReviewVersions: ['v1', 'v1beta1'],
      })
      const named = (operator: string, ...values: string[]) => ({
        matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator, values }],
      })
      const created = {
        apiGroups: [''],
        apiVersions: ['v1'],
        operations: ['CREATE'],
        resources: ['pods'],
        scope: 'Namespaced',
      }
      t.strictSame(mutating.webhooks, [
        {
          ...common('/mutate/pods'),
          name: 'pods.vnode-profile.io',
          rules: [created],
          failurePolicy: 'Ignore',
          namespaceSelector: named('NotIn', 'appearing', 'kube-system'),
          objectSelector: {},
          timeoutSeconds: 2,
          reinvocationPolicy: 'IfNeeded',
        },
        {
          ...common('/mutate/daemonsets'),
          name: 'daemonsets.vnode-profile.io',
          rules: [
            { ...created, apiGroups: ['apps'], operations: ['CREATE', 'UPDATE'], resources: ['daemonsets'] },
          ],
          failurePolicy: 'Ignore',
          namespaceSelector: named('NotIn', 'appearing'),
          objectSelector: {},
          timeoutSeconds: 2,
          reinvocationPolicy: 'IfNeeded',
        },
        {
          ...common('/mutate/probe'),
          name: 'probe.vnode-profile.io',
          rules: [created],
          failurePolicy: 'Fail',
          namespaceSelector: named('In', 'appearing'),
          objectSelector: { matchLabels: { 'vnode-profile.io/probe': 'true' } },
          timeoutSeconds: 2,
          reinvocationPolicy: 'IfNeeded',
        },
      ])
      const edited = { ...created, operations: ['CREATE', 'UPDATE'] }
      t.strictSame(validating.webhooks, [
        {
          ...common('/validate/rules'),
          name: 'selectors.vnode-profile.io',
          rules: [
            {
              ...edited,
              apiGroups: ['eci.aliyun.com'],
              apiVersions: ['*'],
              resources: ['selectors'],
              scope: '*',
            },
          ],
          failurePolicy: 'Ignore',
          namespaceSelector: {},
          objectSelector: {},
          timeoutSeconds: 2,
        },
        {
          ...common('/validate/rules'),
          name: 'rules.vnode-profile.io',
          rules: [{ ...edited, resources: ['configmaps'] }],
          failurePolicy: 'Ignore',
          namespaceSelector: named('In', 'kube-system'),
          objectSelector: {},
          timeoutSeconds: 1,
          matchConditions: [
            {
              name: 'rules-only',
              expression: "request.namespace == 'kube-system' && request.name == 'eci-profile'",
            },
          ],
        },
      ])
      t.match(mutating.metadata, { ownerReferences: [{ kind: 'ClusterRole', name: 'appearing-helper' }] })
      await helper.event('WebhookRegistered', /the webhook is registered/)
      await running.stop()
      const stopped = performance.now()
      await controlPlane.waitForGone(helper.path('mutating'))
      await controlPlane.waitForGone(helper.path('validating'))
      t.comment(`withdrawn ${seconds(stopped)} after the webhook had stopped; the grace is 1.5 s`)
      await helper.event('WebhookWithdrawn', /the webhook has not served for \d+ s; 127.0.0.1:\d+: not ready/)
      await (await startWebhook()).ready()
      await helper.registered('mutating')
      t.strictSame(
        helper.log.filter(({ level }) => level === 'error'),
        [],
      )
    },
  )
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(2)} s`
}
