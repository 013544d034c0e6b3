import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { startTestHelper, type WebhookConfiguration } from '../helpers/helper.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

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
  const inject = async (bundle: string): Promise<void> => {
    for (const kind of ['mutating', 'validating'] as const) {
      const { webhooks } = await helper.registered(kind)
      const body = {
        webhooks: webhooks.map(({ name }) => ({ name, clientConfig: { caBundle: bundle } })),
      }
      await controlPlane.ask('PATCH', `${helper.path(kind)}?fieldManager=cainjector`, {
        body,
        contentType: 'application/strategic-merge-patch+json',
      })
    }
  }

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
}
