/** Before Kubernetes 1.18 EndpointSlices may not be served, or not be written: there the Service's Endpoints say where the webhook answers. */
import { networkInterfaces } from 'node:os'
import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { freePorts } from '../helpers/free-ports.ts'
import { startTestHelper } from '../helpers/helper.ts'
import { startTestWebhook } from '../helpers/webhook.ts'
import { applyObject } from '../helpers/webhook-rights.ts'

const NAME = 'aged'
const SERVICE = `${NAME}-webhook`
const ENDPOINTS = `/api/v1/namespaces/${NAME}/endpoints/${SERVICE}`

// Loopback is refused as the address of a Service.
const address = Object.values(networkInterfaces())
  .flatMap(found => found ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address
const controlPlane = address === undefined ? undefined : await controlPlaneOrSkip(t)
if (address === undefined) t.comment('this machine has no address but loopback')

if (controlPlane !== undefined) {
  const [port = 0] = await freePorts(1)
  const setEndpoints = (subset: object) =>
    applyObject(controlPlane, ENDPOINTS, {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name: SERVICE },
      subsets: [{ ports: [{ name: 'https', port }], ...subset }],
    })

  t.test('Kubernetes 1.17: registered while an address is ready, withdrawn when none is', async t => {
    const helper = await startTestHelper(t, {
      controlPlane,
      name: NAME,
      minor: 17,
      graceMs: 1000,
      periodMs: 500,
    })
    const settings = { installNamespace: NAME }
    const certSecret = `${NAME}-tls`
    const webhook = await startTestWebhook(t, { controlPlane, port, host: '0.0.0.0', certSecret, settings })
    await webhook.ready()
    await setEndpoints({ notReadyAddresses: [{ ip: address }] })
    await helper.metric('webhook_replicas', { state: 'unready' }, 1)
    t.equal((await controlPlane.request('GET', helper.path('mutating'))).status, 404)
    await setEndpoints({ addresses: [{ ip: address }] })
    const { webhooks } = await helper.registered('mutating')
    t.match(webhooks[0]?.clientConfig, { service: { namespace: NAME, name: SERVICE } })
    await helper.metric('webhook_replicas', { state: 'serving' }, 1)
    await setEndpoints({ notReadyAddresses: [{ ip: address }] })
    await controlPlane.waitForGone(helper.path('mutating'))
    t.same(
      helper.log.filter(({ msg }) => msg === 'watching had a fault'),
      [],
      'its rights, which are those of the chart for that age, suffice',
    )
  })
}
