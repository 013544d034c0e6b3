import t from 'tap'
import { judgeProbe, judgeRefusal, renderProbe } from '../../../../src/core/registration/probe.ts'
import { isVendor, mutatingFactsOf } from '../../../../src/core/registration/vendor.ts'

t.test('a probe is judged by the mark that the webhook puts on it', async t => {
  const pod = renderProbe('vnode-system', 'probe')
  t.match(judgeProbe(pod), { outcome: 'missed' })
  t.match(judgeProbe({ metadata: { annotations: { 'vnode-profile.io/probe': 'ok' } } }), { outcome: 'ok' })
  for (const other of [{ 'vnode-profile.io/probe': 'no' }, { probe: 'ok' }])
    t.match(judgeProbe({ metadata: { annotations: other } }), { outcome: 'missed' })
  t.match(judgeProbe(undefined), { outcome: 'missed' })
})

t.test('a refusal is ours if it names our entry', async t => {
  const failed =
    'Internal error occurred: failed calling webhook "probe.vnode-profile.io": x509: unknown authority'
  t.strictSame(judgeRefusal(failed), { outcome: 'failed', reason: failed })
  t.match(judgeRefusal('admission webhook "images.example.com" denied the request'), { outcome: 'refused' })
  t.match(judgeRefusal('pods "probe" is forbidden: exceeded quota'), { outcome: 'refused' })
})

t.test('the vendor is known by the name of a registration or of a webhook in it', async t => {
  const facts = (name: string, ...webhooks: string[]) =>
    mutatingFactsOf({ metadata: { name }, webhooks: webhooks.map(webhook => ({ name: webhook })) })
  t.ok(isVendor(facts('vk-webhook')))
  t.ok(isVendor(facts('eci-profile')))
  t.ok(isVendor(facts('a', 'pods.example.com', 'autoscaler.eci.aliyun.com')))
  t.notOk(isVendor(facts('vnode-profile', 'pods.vnode-profile.io')))
  t.notOk(isVendor(facts('a', 'eci.aliyun.com.example.com')))
  t.notOk(isVendor(mutatingFactsOf(undefined)))
})
