import t from 'tap'
import { createMetrics, OUTCOMES } from '../../../src/telemetry/metrics.ts'

t.test('two sets in one process share nothing and clash in nothing', async t => {
  const [one, other] = [createMetrics(), createMetrics()]
  one.admissions.inc({ resource: 'pods', outcome: 'patched' })
  one.rulesLoaded.set({ origin: 'ConfigMap' }, 3)
  t.match(
    await one.registry.metrics(),
    'vnode_profile_admissions_total{resource="pods",outcome="patched"} 1\n',
  )
  t.notMatch(await other.registry.metrics(), 'outcome="patched"')
  for (const { registry } of [one, other]) t.match(await registry.metrics(), /^process_cpu_seconds_total /m)
})

t.test('refused edits are counted from 0, before there is one', async t => {
  const text = await createMetrics().registry.metrics()
  for (const origin of ['ConfigMap', 'Selector'])
    t.match(text, `vnode_profile_refused_edits_total{origin="${origin}"} 0\n`)
})

t.test('names and labels keep to the rules of Prometheus', async t => {
  const metrics = await createMetrics().registry.getMetricsAsJSON()
  const ours = metrics.filter(({ name }) => name.startsWith('vnode_profile_'))
  t.equal(ours.length, 11)
  for (const { name, type, help } of ours) {
    t.match(name, /^vnode_profile_[a-z_]+$/)
    t.equal(
      String(type) === 'counter',
      name.endsWith('_total'),
      `${name}: a counter, and only that, is a total`,
    )
    t.match(help, /^[A-Z0-9]/)
  }
})

t.test('outcomes are few, and words that need no quoting', async t => {
  t.ok(OUTCOMES.length < 12)
  for (const outcome of OUTCOMES) t.match(outcome, /^[a-z-]+$/)
})

t.test('a duration of 40 ms is in the bucket for 50', async t => {
  const { duration, registry } = createMetrics()
  duration.observe({ resource: 'pods' }, 0.04)
  const text = await registry.metrics()
  t.match(text, '_duration_seconds_bucket{le="0.025",resource="pods"} 0\n')
  t.match(text, '_duration_seconds_bucket{le="0.05",resource="pods"} 1\n')
})
