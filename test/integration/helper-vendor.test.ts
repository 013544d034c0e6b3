import t from 'tap'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { install, REGISTRATIONS } from '../helpers/helper.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { installSelectorCrd } from '../helpers/rules.ts'
import { holds } from '../helpers/webhook.ts'

const MUTATING = `${REGISTRATIONS}/mutatingwebhookconfigurations`
const CRD = 'selectors.eci.aliyun.com'

/** As the vendor's programs register themselves. */
function registration(name: string, webhook: string): object {
  const clientConfig = { service: { namespace: 'kube-system', name: 'eci-profile', path: '/webhook' } }
  const never = { namespaceSelector: { matchLabels: { never: 'true' } } }
  const common = { sideEffects: 'None', admissionReviewVersions: ['v1'], failurePolicy: 'Ignore' }
  return { metadata: { name }, webhooks: [{ name: webhook, clientConfig, rules: [], ...common, ...never }] }
}

async function toldOf(controlPlane: ControlPlane, name: string): Promise<string> {
  const path = `/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=${name},reason=VendorFound`
  const [event] = await controlPlane.waitForAll<KubeObject>(path, events => events.length > 0)
  return String(event?.message)
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  await installSelectorCrd(t, controlPlane, { scope: 'Cluster' })
  await controlPlane.ask('POST', MUTATING, { body: registration('vk-webhook', 'a.example.com') })
  const { helper } = await install(t, { controlPlane, name: 'beside' })

  t.test(
    'what was there before is found: a registration by its name, the cluster-scoped Selector type',
    async t => {
      await helper.metric('vendor_objects', { kind: 'MutatingWebhookConfiguration', name: 'vk-webhook' }, 1)
      await helper.metric('vendor_objects', { kind: 'CustomResourceDefinition', name: CRD }, 1)
      t.match(
        await toldOf(controlPlane, 'vk-webhook'),
        /the vendor's eci-profile is registered as vk-webhook; remove it/,
      )
      t.match(
        await toldOf(controlPlane, CRD),
        /cluster-scoped; it is used as it is: each Selector acts on all namespaces/,
      )
      const told = helper.log
        .filter(({ level, msg }) => level === 'warn' && msg.startsWith("the vendor's"))
        .map(({ kind, name }) => `${kind} ${name}`)
      t.same(told.toSorted(), [`CustomResourceDefinition ${CRD}`, 'MutatingWebhookConfiguration vk-webhook'])
    },
  )

  t.test('one that comes later is found by the name of its webhook, and forgotten when it goes', async t => {
    await controlPlane.ask('POST', MUTATING, { body: registration('whatever', 'eci-profile.eci.aliyun.com') })
    await controlPlane.ask('POST', MUTATING, { body: registration('harmless', 'pods.example.com') })
    t.match(await toldOf(controlPlane, 'whatever'), /registered as whatever/)
    await helper.metric('vendor_objects', {}, 3)
    await controlPlane.ask('DELETE', `${MUTATING}/whatever`)
    await controlPlane.ask('DELETE', `${MUTATING}/vk-webhook`)
    const isGone = async () => (await helper.metrics()).sum('vnode_profile_helper_vendor_objects') === 1
    await holds(isGone, 10_000)
  })
}
