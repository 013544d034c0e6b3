import t from 'tap'
import { probeProgramAccess } from '../../src/core/rbac.ts'
import { runVnode } from '../helpers/cli.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { install } from '../helpers/helper.ts'
import { grantAccess } from '../helpers/webhook-rights.ts'

const NAME = 'probed'
const NAMESPACE = `/api/v1/namespaces/${NAME}`
const MERGE = { contentType: 'application/merge-patch+json' }

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const { helper, startWebhook } = await install(t, {
    controlPlane,
    name: NAME,
    graceMs: 600_000,
    probeIntervalMs: 1000,
  })
  await grantAccess(controlPlane, 'prober', probeProgramAccess(NAME, `${NAME}-probe`))
  const kubeconfig = await controlPlane.kubeconfig({ user: 'prober' })
  const probe = (wait = '0s') =>
    runVnode([
      'probe',
      '--install-namespace',
      NAME,
      '--name',
      NAME,
      '--kubeconfig',
      kubeconfig,
      '--wait',
      wait,
    ])

  t.test(
    'before anything is registered the probe is missed, which vnode probe tells with status 1',
    async t => {
      const { status, stderr } = await probe()
      t.equal(status, 1)
      t.match(
        stderr,
        /the probe failed \(missed\): the probe was admitted, but the API server did not call the webhook/,
      )
      t.match(stderr, /See the helper's Events and log/)
      t.notMatch(helper.log, [{ msg: 'the probe failed: Pods may be created without us' }])
    },
  )

  t.test('registered, it succeeds, in the strictest of namespaces too, and nothing is stored', async t => {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
    await controlPlane.ask('PATCH', NAMESPACE, { body: { metadata: { labels } }, ...MERGE })
    const webhook = await startWebhook()
    await webhook.ready()
    const { status, stdout, stderr } = await probe('30s')
    t.strictSame([status, stderr], [0, ''])
    t.equal(stdout, 'ok: the API server called the webhook, and applied its answer\n')
    await helper.metric('probes_total', { outcome: 'ok' }, 2)
    const { items } = await controlPlane.ask<{ items: unknown[] }>('GET', `${NAMESPACE}/pods`)
    t.strictSame(items, [])
    await webhook.stop()
  })

  t.test(
    'a webhook that does not answer is told by vnode probe, Event, metric and log; its return as well',
    async t => {
      const { status, stderr } = await probe()
      t.equal(status, 1)
      t.match(
        stderr,
        /the probe failed \(failed\): .*failed calling webhook "probe.vnode-profile.io".*connection refused/,
      )
      t.match(stderr, /See whether the webhook is ready/)
      await helper.metric('probes_total', { outcome: 'failed' }, 1)
      await helper.event('ProbeFailed', /the probe failed \(failed\): .*connection refused/)
      const webhook = await startWebhook()
      await webhook.ready()
      await helper.event('ProbeSucceeded', /the API server called the webhook/, 'registration', 30_000)
      t.ok(
        ((await helper.metrics()).sum('vnode_profile_helper_probe_last_success_timestamp_seconds') ?? 0) >
          1e9,
      )
    },
  )

  t.test('what is refused for another reason is told as such', async t => {
    const spec = { hard: { pods: '0' } }
    const body = { metadata: { name: 'none' }, spec, status: { hard: spec.hard, used: { pods: '0' } } }
    await controlPlane.ask('POST', `${NAMESPACE}/resourcequotas`, { body: { ...body, status: undefined } })
    await controlPlane.ask('PATCH', `${NAMESPACE}/resourcequotas/none/status`, {
      body: { status: body.status },
      ...MERGE,
    })
    await helper.metric('probes_total', { outcome: 'refused' }, 1)
    const { status, stderr } = await probe()
    t.equal(status, 1)
    t.match(stderr, /the probe failed \(refused\): .*exceeded quota/)
  })

  t.test('vnode probe tells what the cluster cannot be reached by, and what it may not do', async t => {
    const stranger = await controlPlane.kubeconfig({ user: 'stranger' })
    const refused = await runVnode([
      'probe',
      '--install-namespace',
      NAME,
      '--kubeconfig',
      stranger,
      '--wait',
      '0s',
    ])
    t.equal(refused.status, 1)
    t.match(refused.stderr, /\(refused\): .*403 .*cannot patch resource "pods"/)
    const nowhere = await runVnode(['probe', '--kubeconfig', '/no/such/file'])
    t.equal(nowhere.status, 2)
  })
}
