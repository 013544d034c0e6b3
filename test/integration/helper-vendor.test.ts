import t from 'tap'
import { probeProgramAccess } from '../../src/core/rbac.ts'
import { runVnode } from '../helpers/cli.ts'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { install, REGISTRATIONS } from '../helpers/helper.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { installSelectorCrd } from '../helpers/rules.ts'
import { holds } from '../helpers/webhook.ts'
import { grantAccess } from '../helpers/webhook-rights.ts'

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

  t.test('vnode probe, and so helm test, tells them too, with the one right that this takes', async t => {
    const probe = async (user: string) => {
      const kubeconfig = await controlPlane.kubeconfig({ user })
      const flags = ['--install-namespace', 'beside', '--name', 'beside', '--wait', '0s']
      return await runVnode(['probe', ...flags, '--kubeconfig', kubeconfig])
    }
    await grantAccess(controlPlane, 'prober', probeProgramAccess('beside', 'beside-probe'))
    const { stderr } = await probe('prober')
    t.match(
      stderr,
      "warning: the vendor's eci-profile is registered as vk-webhook; remove it, or take this one out",
    )
    t.match(stderr, "warning: the vendor's Selector CRD is cluster-scoped; it is used as it is")
    const blind = probeProgramAccess('beside', 'beside-probe').filter(({ role }) => role !== 'cluster')
    await grantAccess(controlPlane, 'blind-prober', blind)
    t.match(
      (await probe('blind-prober')).stderr,
      /note: the vendor's eci-profile could not be looked for: .*403.*\n.*the probe failed \(missed\)/,
      'what it may not look for does not hide what it is run for',
    )
  })

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

  t.test('a registration of our name that is somebody else’s is left alone, and told', async t => {
    const path = `${MUTATING}/taken`
    await controlPlane.ask('POST', MUTATING, { body: registration('taken', 'pods.example.com') })
    const theirs = await controlPlane.ask<KubeObject>('GET', path)
    const { helper, startWebhook } = await install(t, { controlPlane, name: 'taken', graceMs: 500 })
    const webhook = await startWebhook()
    await webhook.ready()
    await helper.metric('webhook_replicas', { state: 'serving' }, 1)
    const involved = 'involvedObject.name=taken-helper,reason=WebhookNotRegistered'
    await controlPlane.waitForAll(`/api/v1/namespaces/default/events?fieldSelector=${involved}`, events =>
      events.some(({ message }) => /^MutatingWebhookConfiguration taken is there/.test(String(message))),
    )
    await webhook.stop()
    await helper.metric('webhook_replicas', { state: 'serving' }, 0)
    const rounds = (await helper.metrics()).sum('vnode_profile_helper_rounds_total', { outcome: 'ok' }) ?? 0
    await helper.metric('rounds_total', { outcome: 'ok' }, rounds + 3)
    t.strictSame(await controlPlane.ask('GET', path), theirs, 'neither written nor withdrawn')
    t.equal((await controlPlane.request('GET', helper.path('validating'))).status, 404)
    await (await startWebhook()).ready()
    await controlPlane.ask('DELETE', path)
    const ours = await helper.registered('mutating')
    t.match(ours.metadata.labels, { 'app.kubernetes.io/managed-by': 'vnode-helper' })
  })
}
