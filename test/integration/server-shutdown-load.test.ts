/** The webhook is told to stop while sixteen clients send all they can: nothing that was sent is lost. */
import t from 'tap'
import { LoadClient } from '../helpers/load-client.ts'
import { REVIEW } from '../helpers/raw-requests.ts'
import { PODS } from '../helpers/review-app.ts'
import { holds } from '../helpers/webhook.ts'
import { readiness, startProcess } from '../helpers/webhook-process.ts'

const CLIENTS = 16
const END: Readonly<Record<string, readonly string[]>> = {
  'at once': ['--shutdown-delay', '0', '--drain-limit', '60'],
  'a second later': ['--shutdown-delay', '1', '--drain-limit', '60'],
  'two seconds later': ['--shutdown-delay', '2', '--drain-limit', '60'],
}

for (const [signal, when] of [
  ['SIGTERM', 'at once'],
  ['SIGTERM', 'a second later'],
  ['SIGTERM', 'two seconds later'],
  ['SIGINT', 'a second later'],
] as const) {
  t.test(
    `${signal} under load, ports closed ${when}: every request is answered, then it exits with 0`,
    async t => {
      const webhook = await startProcess(t, { args: END[when] ?? [] })
      t.equal(await readiness(webhook), 200)
      const clients = Array.from({ length: CLIENTS }, (_, index) => {
        // Half of them send without a break, the others as an apiserver with less to do.
        const pause = index % 2 === 0 ? {} : { pause: () => (index * 7) % 30 }
        return new LoadClient({ ...webhook, path: PODS, body: REVIEW, ...pause })
      })
      await holds(() => clients.every(({ answered }) => answered > 5), 20_000)
      const before = clients.reduce((sum, { answered }) => sum + answered, 0)
      webhook.process.signal(signal)
      await webhook.process.logged('told to stop; no longer ready, finishing what is under way')
      t.equal(await readiness(webhook), 503, 'not ready at once')
      await Promise.all(clients.map(({ done }) => done))
      t.strictSame(
        clients.flatMap(({ lost }) => lost),
        [],
        'no request is lost',
      )
      const answered = clients.reduce((sum, one) => sum + one.answered, 0)
      const closing = clients.reduce((sum, one) => sum + one.closing, 0)
      t.ok(answered > before, `${answered - before} more answers`)
      t.ok(closing >= CLIENTS, `${closing} answers ended their connection`)
      t.comment(`${answered} answers, ${closing} of them the last on their connection`)
      t.strictSame(await webhook.process.exited, { status: 0, signal: null })
      t.equal(webhook.process.stderrText, '')
      const { log } = webhook.process
      t.equal(log.at(-1)?.msg, 'stopped', 'the last line is written')
      t.equal(log.filter(({ msg }) => msg === 'Pod changed').length, answered, 'a line for each answer')
    },
  )
}
