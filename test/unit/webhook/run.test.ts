import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { makePod } from '../../helpers/pods.ts'
import { isSent, podReview, sendReview } from '../../helpers/reviews.ts'
import { holds, startTestWebhook } from '../../helpers/webhook.ts'

const rulesOf = (label: string) =>
  JSON.stringify([{ name: label, objectSelector: { matchLabels: { [label]: 'true' } } }])

/** What keeps a process alive, by kind; what ends by itself is waited for. */
const resources = () =>
  process.getActiveResourcesInfo().filter(kind => /FSEvent|TCPServer|Timeout/.test(kind))

t.test('two webhooks in one process have each their rules, numbers and certificates', async t => {
  const folder = t.testdir({ 'a.yaml': rulesOf('a'), 'b.yaml': rulesOf('b') })
  const [a, b] = await Promise.all(
    ['a', 'b'].map(name => startTestWebhook(t, { files: [join(folder, `${name}.yaml`)] })),
  )
  if (a === undefined || b === undefined) return
  t.not(a.caPem, b.caPem)
  const pod = podReview(makePod({ labels: { a: 'true' } }))
  t.equal(isSent(await sendReview(a, '/mutate/pods', pod)), true)
  t.equal(isSent(await sendReview(b, '/mutate/pods', pod)), false)
  t.equal(await a.reviews('pods', 'patched'), 1)
  t.equal(await b.reviews('pods', 'patched'), 0)
  await a.stop()
  t.equal((await fetch(`${b.opsUrl}/readyz`)).status, 200, 'the end of one is not that of the other')
})

t.test('a start that fails leaves nothing running', async t => {
  const holder = createServer().listen({ host: '127.0.0.1', port: 0 })
  await once(holder, 'listening')
  t.teardown(() => holder.close())
  const { port } = holder.address() as AddressInfo
  const files = [join(t.testdir({ 'a.yaml': rulesOf('a') }), 'a.yaml')]
  const before = resources().length
  for (const place of [{ port }, { opsPort: port }])
    await t.rejects(startTestWebhook(t, { files, ...place }), { code: 'USAGE', message: /EADDRINUSE/ })
  await holds(() => resources().length <= before, 5000).catch(() => undefined)
  t.ok(resources().length <= before, `${before} before, now ${resources().join(', ')}`)
})

t.test('an end leaves nothing running', async t => {
  const files = [join(t.testdir({ 'a.yaml': rulesOf('a') }), 'a.yaml')]
  const before = resources().length
  const webhook = await startTestWebhook(t, { files })
  await webhook.ready()
  await webhook.stop()
  await holds(() => resources().length <= before, 5000).catch(() => undefined)
  t.ok(resources().length <= before, `${before} before, now ${resources().join(', ')}`)
})
