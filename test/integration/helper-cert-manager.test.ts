import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { DryRunLoad } from '../helpers/dry-run-load.ts'
import { install, startTestHelper, type TestHelper, type WebhookConfiguration } from '../helpers/helper.ts'
import { makePod } from '../helpers/pods.ts'
import { holds, startTestWebhook } from '../helpers/webhook.ts'

const NAME = 'injected'
const base64 = (text: string) => Buffer.from(text).toString('base64')
const bundlesOf = ({ webhooks }: WebhookConfiguration) =>
  webhooks.map(({ clientConfig }) => clientConfig.caBundle)

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  // The certificate is one that the helper did not make.
  const webhook = await startTestWebhook(t, { controlPlane, settings: { installNamespace: NAME } })
  await webhook.ready()
  const helper = await startTestHelper(t, {
    controlPlane,
    name: NAME,
    url: webhook.url,
    certSource: 'cert-manager',
    probeIntervalMs: 1000,
    periodMs: 500,
  })
  const caBundle = base64(webhook.caPem)
  /** Plays cert-manager's injector. */
  const injectInto = async (of: TestHelper, bundle: string): Promise<void> => {
    for (const kind of ['mutating', 'validating'] as const) {
      const { webhooks } = await of.registered(kind)
      const body = {
        webhooks: webhooks.map(({ name }) => ({ name, clientConfig: { caBundle: bundle } })),
      }
      await controlPlane.ask('PATCH', `${of.path(kind)}?fieldManager=cainjector`, {
        body,
        contentType: 'application/strategic-merge-patch+json',
      })
    }
  }
  const inject = (bundle: string) => injectInto(helper, bundle)

  t.test('the caBundle is left to the injector, and there is no Secret of ours', async t => {
    const configuration = await helper.registered('mutating')
    t.strictSame(configuration.metadata.annotations, {
      'cert-manager.io/inject-ca-from': `${NAME}/${NAME}-webhook`,
    })
    t.strictSame(bundlesOf(configuration), [undefined, undefined, undefined], 'Pods, DaemonSets, the probe')
    t.equal((await controlPlane.request('GET', helper.secretPath)).status, 404)
    await inject(caBundle)
    await helper.metric('probes_total', { outcome: 'ok' }, 1)
    t.strictSame(bundlesOf(await helper.registered('mutating')), [caBundle, caBundle, caBundle])
    t.equal(
      (await helper.metrics()).sum('vnode_profile_helper_registration_writes_total', { cause: 'edited' }),
      undefined,
    )
  })

  t.test('healing keeps what was injected', async t => {
    const entry = {
      name: 'foreign.example.com',
      clientConfig: { url: 'https://127.0.0.1:1/' },
      sideEffects: 'None',
    }
    await controlPlane.ask('PATCH', helper.path('mutating'), {
      body: { webhooks: [{ ...entry, admissionReviewVersions: ['v1'] }] },
      contentType: 'application/strategic-merge-patch+json',
    })
    await helper.event('RegistrationHealed', /foreign.example.com is not ours/)
    const healed = await helper.registered('mutating', ({ webhooks }) => webhooks.length === 3)
    t.strictSame(bundlesOf(healed), [caBundle, caBundle, caBundle])
    await controlPlane.ask('PATCH', helper.path('mutating'), {
      body: { metadata: { annotations: null } },
      contentType: 'application/merge-patch+json',
    })
    await helper.event('RegistrationHealed', /annotation cert-manager.io\/inject-ca-from is not/)
  })

  t.test('from the helper’s certificates to cert-manager’s under Fail, and no Pod is refused', async t => {
    const options = { controlPlane, name: 'switched', failurePolicy: 'Fail', periodMs: 500 } as const
    // Left behind under Fail, it would refuse the Pods of other tests.
    t.teardown(() => controlPlane.ask('DELETE', before.path('mutating')))
    const { helper: before, startWebhook } = await install(t, options)
    const served = await startWebhook()
    await served.ready()
    await before.metric('webhook_replicas', { state: 'serving' }, 1)
    const [bundle] = bundlesOf(await before.registered('mutating'))
    const load = new DryRunLoad(controlPlane, await controlPlane.namespace(t))
    t.teardown(() => load.stop())
    const more = async () => {
      const least = load.created + 40
      await holds(async () => load.created >= least, 20_000)
    }
    await more()
    await before.stop()
    const after = await startTestHelper(t, { ...options, url: served.url, certSource: 'cert-manager' })
    const isAnnotated = ({ metadata }: WebhookConfiguration) => metadata.annotations !== undefined
    t.strictSame(bundlesOf(await after.registered('mutating', isAnnotated)), [bundle, bundle, bundle])
    await more()
    // The injector's own, from now on.
    const both = base64(`${Buffer.from(bundle ?? '', 'base64').toString('utf8')}${webhook.caPem}`)
    await injectInto(after, both)
    await after.metric('rounds_total', { outcome: 'ok' }, 3)
    await more()
    t.strictSame(bundlesOf(await after.registered('mutating')), [both, both, both])
    await load.stop()
    t.strictSame(load.failures, [])
  })

  t.test('while no CA is injected nobody is trusted, which is told, and refuses no Pod', async t => {
    t.teardown(() => controlPlane.ask('DELETE', uninjected.path('mutating')))
    const uninjected = await startTestHelper(t, {
      controlPlane,
      name: 'uninjected',
      url: webhook.url,
      certSource: 'cert-manager',
      failurePolicy: 'Fail',
      periodMs: 500,
      graceMs: 1000,
    })
    const [pods] = (await uninjected.registered('mutating')).webhooks
    t.equal(pods?.failurePolicy, 'Ignore')
    await uninjected.metric('webhook_replicas', { state: 'distrusted' }, 1)
    const involved = 'involvedObject.name=uninjected-helper,reason=CertificateNotInjected'
    const [event] = await controlPlane.waitForAll(
      `/api/v1/namespaces/default/events?fieldSelector=${involved}`,
      events => events.length > 0,
    )
    t.match(event?.message, /fills in the CA of Certificate uninjected\/uninjected-webhook$/)
    const pod = { body: makePod({ name: 'let-through' }) }
    const path = `/api/v1/namespaces/${await controlPlane.namespace(t)}/pods?dryRun=All`
    t.equal((await controlPlane.request('POST', path, pod)).status, 201)
    const { uid } = (await uninjected.registered('mutating')).metadata
    await injectInto(uninjected, caBundle)
    const isFail = ({ webhooks: [pods] }: WebhookConfiguration) => pods?.failurePolicy === 'Fail'
    const injected = await uninjected.registered('mutating', isFail)
    t.equal(injected.metadata.uid, uid, 'it was not withdrawn meanwhile')
    t.strictSame(bundlesOf(injected), [caBundle, caBundle, caBundle])
    await uninjected.metric('webhook_replicas', { state: 'serving' }, 1)
    await injectInto(uninjected, '')
    await uninjected.registered('mutating', configuration => !isFail(configuration))
  })
}
