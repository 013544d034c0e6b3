import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import t, { type Test } from 'tap'
import { makePki } from '../helpers/certificates.ts'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { freePorts } from '../helpers/free-ports.ts'
import { startTestHelper } from '../helpers/helper.ts'
import { startTestWebhook, type TestWebhook } from '../helpers/webhook.ts'
import { applyObject, ensureNamespace } from '../helpers/webhook-rights.ts'

const NAME = 'served'
const SERVICE = `${NAME}-webhook`
const SLICES = `/apis/discovery.k8s.io/v1/namespaces/${NAME}/endpointslices`

/** An address of this machine that a Service may have: loopback is refused. */
function ownAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap(found => found ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address
}

interface Endpoint {
  readonly address: string
  readonly isReady: boolean
}

async function setEndpoints(
  controlPlane: ControlPlane,
  port: number,
  endpoints: readonly Endpoint[],
  number = 1,
): Promise<void> {
  await applyObject(controlPlane, `${SLICES}/${SERVICE}-${number}`, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${SERVICE}-${number}`, labels: { 'kubernetes.io/service-name': SERVICE } },
    addressType: 'IPv4',
    ports: [
      { name: 'ops', port: 1, protocol: 'TCP' },
      { name: 'https', port, protocol: 'TCP' },
    ],
    endpoints: endpoints.map(({ address, isReady }) => ({
      addresses: [address],
      conditions: { ready: isReady },
    })),
  })
}

const address = ownAddress()
// Else the API server would dial the Service's own address, which only kube-proxy makes real.
const flags = { apiserverFlags: ['--enable-aggregator-routing=true'] }
const controlPlane = address === undefined ? undefined : await controlPlaneOrSkip(t, flags)
if (address === undefined) t.comment('this machine has no address but loopback')

if (controlPlane !== undefined && address !== undefined) {
  const [port = 0] = await freePorts(1)
  await ensureNamespace(controlPlane, NAME)
  const ports = [
    { name: 'ops', port: 8080, targetPort: 1 },
    { name: 'https', port: 443, targetPort: port },
  ]
  await applyObject(controlPlane, `/api/v1/namespaces/${NAME}/services/${SERVICE}`, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: SERVICE },
    spec: { ports },
  })
  const helper = await startTestHelper(t, {
    controlPlane,
    name: NAME,
    graceMs: 1000,
    periodMs: 500,
    probeIntervalMs: 1000,
  })
  const startWebhook = (t: Test): Promise<TestWebhook> =>
    startTestWebhook(t, {
      controlPlane,
      port,
      host: '0.0.0.0',
      certSecret: `${NAME}-tls`,
      settings: { installNamespace: NAME },
    })

  t.test(
    'through its Service: registered while an endpoint is ready and serves, and called there',
    async t => {
      const webhook = await startWebhook(t)
      await webhook.ready()
      await setEndpoints(controlPlane, port, [{ address, isReady: false }])
      await helper.metric('webhook_replicas', { state: 'unready' }, 1)
      t.equal((await controlPlane.request('GET', helper.path('mutating'))).status, 404)
      await setEndpoints(controlPlane, port, [{ address, isReady: true }])
      const { webhooks } = await helper.registered('mutating')
      t.match(webhooks[0]?.clientConfig, {
        service: { namespace: NAME, name: SERVICE, path: '/mutate/pods', port: 443 },
        url: undefined,
      })
      await helper.metric('probes_total', { outcome: 'ok' }, 1)
      t.ok((await webhook.reviews('probe', 'patched')) > 0)
      await helper.metric('webhook_replicas', { state: 'serving' }, 1)
      const unready = performance.now()
      await setEndpoints(controlPlane, port, [{ address, isReady: false }])
      await controlPlane.waitForGone(helper.path('mutating'))
      t.comment(`withdrawn ${((performance.now() - unready) / 1000).toFixed(2)} s after nobody was ready`)
      await helper.event('WebhookWithdrawn', /not ready/)
    },
  )

  t.test('a replica that is ready and does not answer does not matter beside one that does', async t => {
    const webhook = await startWebhook(t)
    await webhook.ready()
    await setEndpoints(controlPlane, port, [
      { address, isReady: true },
      { address: '192.0.2.1', isReady: true },
    ])
    await helper.registered('mutating')
    await helper.metric('webhook_replicas', { state: 'unreachable' }, 1)
    await helper.metric('webhook_replicas', { state: 'serving' }, 1)
  })
  t.test('registered anew, it waits for a replica with another certificate, but not for ever', async t => {
    await setEndpoints(controlPlane, port, [])
    await controlPlane.waitForGone(helper.path('mutating'))
    const { leaf } = makePki()
    const stranger = createServer({ cert: leaf.certPem, key: leaf.keyPem })
    stranger.listen(0, '0.0.0.0')
    await once(stranger, 'listening')
    t.teardown(() => stranger.close())
    const { port: foreign } = stranger.address() as AddressInfo
    const webhook = await startWebhook(t)
    await webhook.ready()
    const before = performance.now()
    await setEndpoints(controlPlane, foreign, [{ address, isReady: true }], 2)
    await helper.metric('webhook_replicas', { state: 'distrusted' }, 1)
    await setEndpoints(controlPlane, port, [{ address, isReady: true }])
    await helper.registered('mutating')
    const seconds = (performance.now() - before) / 1000
    t.comment(`registered after ${seconds.toFixed(2)} s; the grace is 1 s`)
    t.ok(seconds >= 1)
  })
}
