import t, { type Test } from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { StoredPod } from '../helpers/placed-pods.ts'
import { makePod, type Pod } from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { setRules } from '../helpers/rules.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const LABELS = { wanted: 'yes' }
/** Annotations of which none can have the value `wrong`. */
const WRONG = [
  'auto-imc',
  'custom-hosts',
  'data-cache-pl',
  'ephemeral-storage-options',
  'eviction-enable',
  'extra-ephemeral-storage',
  'fail-strategy',
  'host-sysctls',
  'max-pending-minute',
  'schedule-strategy',
  'sls-enable',
  'with-eip',
]
const objectSelector = { matchLabels: LABELS }

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const webhook = await startTestWebhook(t, { controlPlane })
  await registerWebhook(t, controlPlane, webhook)
  const create = async (t: Test, namespace: string, pod: Pod) => {
    const input = JSON.stringify(pod)
    const { code, stderr } = await controlPlane.kubectl(['create', '-n', namespace, '-f', '-'], { input })
    t.equal(code, 0)
    return stderr.split('\n').filter(line => line !== '')
  }

  const names = {
    'of another alphabet': '夜间批处理 Größe',
    'with quotes and a backslash': 'say "hello" \\ world',
    'of 253 characters': 'x'.repeat(253),
    'of 253 characters beyond the basic plane': '🚚'.repeat(126),
  }
  for (const [what, name] of Object.entries(names)) {
    t.test(`kubectl shows a warning that names a rule ${what}`, async t => {
      const namespace = await controlPlane.namespace(t)
      await setRules(controlPlane, [{ name, objectSelector }])
      await webhook.inForce(name)
      const conflicting = makePod({ labels: LABELS, spec: { nodeSelector: { type: 'real' } } })
      const [warning, ...others] = await create(t, namespace, conflicting)
      t.match(warning, `Warning: rule ${JSON.stringify(name).slice(0, 60)}`)
      t.match(warning, / it is left as it is: its nodeSelector wants type=real/, 'the reason has room')
      t.strictSame(others, [])
      await create(t, namespace, makePod({ name: 'sent', labels: LABELS }))
      const sent = await controlPlane.ask<StoredPod>('GET', `/api/v1/namespaces/${namespace}/pods/sent`)
      t.equal(sent.metadata.annotations?.['vnode-profile.io/rules'], name)
    })
  }

  t.test('kubectl shows ten warnings at most, and the Pod says the rest by codes', async t => {
    const namespace = await controlPlane.namespace(t)
    await setRules(controlPlane, [{ name: 'one', objectSelector }])
    await webhook.inForce('one')
    const annotations = Object.fromEntries(WRONG.map(key => [`k8s.aliyun.com/eci-${key}`, 'wrong']))
    const lines = await create(
      t,
      namespace,
      makePod({ labels: LABELS, annotations, spec: { hostNetwork: true } }),
    )
    t.ok(lines.every(line => line.startsWith('Warning: ')))
    t.equal(lines.length, 10)
    t.match(lines[9], /and 4 more; vnode explain shows all of them/)
    t.ok(lines.every(line => line.length < 'Warning: '.length + 200))
    const pod = await controlPlane.ask<StoredPod>('GET', `/api/v1/namespaces/${namespace}/pods/app`)
    t.equal(pod.metadata.annotations?.['vnode-profile.io/warnings'], 'host-network,annotation-value')
  })
}
