import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { handshake } from '../../src/serving/handshake.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { DryRunLoad } from '../helpers/dry-run-load.ts'
import { install } from '../helpers/helper.ts'

/** The shortest life of a CA that lets the test see two of them end. */
const CA_LIFE_SECONDS = 80
const CERT_LIFE_SECONDS = 60
const RUN_MS = 125_000
const TIMEOUT_MS = RUN_MS + 60_000

t.setTimeout(TIMEOUT_MS)
const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  t.test('certificates that live for less than two minutes, CA included: no call fails', async t => {
    t.setTimeout(TIMEOUT_MS)
    const { helper, startWebhook } = await install(t, {
      controlPlane,
      name: 'rotating',
      failurePolicy: 'Fail',
      caLife: CA_LIFE_SECONDS,
      certLife: CERT_LIFE_SECONDS,
      probeIntervalMs: 5000,
      leaseDurationMs: 15_000,
    })
    const webhook = await startWebhook()
    await webhook.ready()
    await helper.registered('mutating')
    const namespace = await controlPlane.namespace(t)
    const load = new DryRunLoad(controlPlane, namespace)
    // API servers keep their connections: strangers that know only what is registered shake hands all the while.
    const strangers = { believed: 0, refused: [] as string[] }
    const end = performance.now() + RUN_MS
    while (performance.now() < end) {
      const { webhooks } = await helper.registered('mutating')
      const caPem = Buffer.from(webhooks[0]?.clientConfig.caBundle ?? '', 'base64').toString()
      const { hostname: host, port } = new URL(webhook.url)
      await handshake({ host, port: Number(port), caPem, servername: host, timeoutMs: 5000 }).then(
        () => {
          strangers.believed += 1
        },
        (error: unknown) => strangers.refused.push(`${new Date().toISOString()} ${error}`),
      )
      await delay(100)
    }
    await load.stop()
    t.strictSame(strangers.refused, [])
    t.comment(`${strangers.believed} handshakes by the registered caBundle`)
    const metrics = await helper.metrics()
    const writes = (action: string) =>
      metrics.sum('vnode_profile_helper_certificate_writes_total', { action, repair: 'false' }) ?? 0
    const [authorities, renewed] = [writes('promote'), writes('renew')]
    t.comment(
      `${load.created} Pods in ${RUN_MS / 1000} s over ${authorities} new CAs and ${authorities + renewed} new certificates`,
    )
    t.strictSame(load.failures, [])
    t.ok(authorities >= 2, `${authorities} CAs`)
    t.ok(authorities + renewed >= 4, `${authorities + renewed} certificates`)
    t.equal(metrics.sum('vnode_profile_helper_certificate_writes_total', { repair: 'true' }) ?? 0, 0)
    t.equal(metrics.sum('vnode_profile_helper_registration_writes_total', { cause: 'edited' }) ?? 0, 0)
    t.equal(metrics.sum('vnode_profile_helper_rounds_total', { outcome: 'error' }) ?? 0, 0)
    t.ok((metrics.sum('vnode_profile_helper_probes_total', { outcome: 'ok' }) ?? 0) > 10)
    t.equal(await webhook.reviews('pods', 'unmatched'), load.created, 'the webhook saw each of them once')
    const isExpected = (text: string) => text.startsWith('the webhook is not registered: ')
    const warned = helper.log.filter(
      ({ level, msg }) => level !== 'info' && level !== 'debug' && !isExpected(msg),
    )
    t.strictSame(warned, [])
  })
}
