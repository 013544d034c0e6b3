/** How the webhook ends: what was begun is finished, nobody can hold it up, and every line of the log is written. */
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { Answers, LoadClient } from '../helpers/load-client.ts'
import { accepts, answerTo, headOf, REQUEST, REVIEW, tcpTo, tlsTo } from '../helpers/raw-requests.ts'
import { PODS } from '../helpers/review-app.ts'
import { holds } from '../helpers/webhook.ts'
import { readiness, type ServingProcess, startProcess } from '../helpers/webhook-process.ts'

// Most of the time is spent waiting.
t.jobs = 3

t.test('after the signal, answers end their connections, old and new ones alike', async t => {
  const webhook = await startProcess(t, { args: ['--shutdown-delay', '2'] })
  const old = await tlsTo(t, webhook)
  const answers = new Answers(old)
  old.write(REQUEST)
  t.match(await answers.next(), { status: 200, isLast: false })
  webhook.process.signal('SIGTERM')
  await webhook.process.logged('told to stop; no longer ready, finishing what is under way')
  old.write(REQUEST)
  t.match(await answers.next(), { status: 200, isLast: true })
  const fresh = await tlsTo(t, webhook)
  fresh.write(REQUEST)
  t.match(await new Answers(fresh).next(), { status: 200, isLast: true })
  t.strictSame(await webhook.process.exited, { status: 0, signal: null })
})

t.test('a request that is under way is finished, also after the ports are closed', async t => {
  const webhook = await startProcess(t, { args: ['--shutdown-delay', '0', '--drain-limit', '20'] })
  const slow = await tlsTo(t, webhook)
  slow.write(headOf(REVIEW.length) + REVIEW.slice(0, 100))
  t.match(await answerTo(t, webhook), { status: 200 })
  webhook.process.signal('SIGTERM')
  await holds(async () => !(await accepts(webhook.port)), 10_000)
  slow.write(REVIEW.slice(100))
  t.match(await new Answers(slow).next(), { status: 200, isLast: true })
  t.strictSame(await webhook.process.exited, { status: 0, signal: null })
})

/** Whoever holds a connection, by how far they got. */
const HOLDERS: Readonly<Record<string, (t: Test, webhook: ServingProcess) => Promise<Socket>>> = {
  'half a request': async (t, webhook) => {
    const socket = await tlsTo(t, webhook)
    socket.write(headOf(REVIEW.length) + REVIEW.slice(0, 100))
    return socket
  },
  'half a header': async (t, webhook) => {
    const socket = await tlsTo(t, webhook)
    socket.write('POST /mutate/pods HTTP/1.1\r\nhost: loc')
    return socket
  },
  'half a TLS handshake': (t, webhook) => tcpTo(t, webhook, Buffer.from('1603010200010001', 'hex')),
}

for (const [what, hold] of Object.entries(HOLDERS)) {
  t.test(
    `a client that never gets further than ${what} holds it for the drain limit, and no longer`,
    async t => {
      const webhook = await startProcess(t, { args: ['--shutdown-delay', '0', '--drain-limit', '2'] })
      const socket = await hold(t, webhook)
      t.match(await answerTo(t, webhook), { status: 200 })
      const begun = performance.now()
      webhook.process.signal('SIGTERM')
      t.strictSame(await webhook.process.exited, { status: 0, signal: null })
      const seconds = (performance.now() - begun) / 1000
      t.ok(seconds > 2 && seconds < 8, `${seconds.toFixed(1)} s`)
      socket.destroy()
    },
  )
}

for (const [what, bytes] of [
  ['says nothing', undefined],
  ['shakes hands and says nothing', ''],
  ['is idle between two requests', REQUEST],
] as const) {
  t.test(`a client that ${what} does not hold it at all`, async t => {
    const webhook = await startProcess(t, { args: ['--shutdown-delay', '0', '--drain-limit', '30'] })
    if (bytes === undefined) await tcpTo(t, webhook)
    else if (bytes === '') await tlsTo(t, webhook)
    else {
      const socket = await tlsTo(t, webhook)
      socket.write(bytes)
      t.match(await new Answers(socket).next(), { status: 200, isLast: false })
    }
    const begun = performance.now()
    webhook.process.signal('SIGTERM')
    t.strictSame(await webhook.process.exited, { status: 0, signal: null })
    t.ok(performance.now() - begun < 8_000)
  })
}

for (const [first, second] of [
  ['SIGTERM', 'SIGTERM'],
  ['SIGINT', 'SIGINT'],
  ['SIGTERM', 'SIGINT'],
] as const) {
  t.test(`${second} after ${first} ends it at once, with the lines of the log written`, async t => {
    const webhook = await startProcess(t, { args: ['--shutdown-delay', '60', '--drain-limit', '60'] })
    t.match(await answerTo(t, webhook), { status: 200 })
    webhook.process.signal(first)
    await holds(async () => (await readiness(webhook)) === 503, 10_000)
    const begun = performance.now()
    webhook.process.signal(second)
    t.strictSame(await webhook.process.exited, { status: 130, signal: null })
    t.ok(performance.now() - begun < 5_000)
    t.match(webhook.process.log.slice(-2), [{ msg: 'Pod changed' }, { msg: /^told to stop/ }])
  })
}

t.test('a reader of stdout that is gone ends nothing', async t => {
  const webhook = await startProcess(t, { args: ['--shutdown-delay', '0'] })
  webhook.process.stdout.destroy()
  for (let count = 0; count < 50; count += 1) t.match(await answerTo(t, webhook), { status: 200 })
  t.equal(await readiness(webhook), 200)
  webhook.process.signal('SIGTERM')
  t.strictSame(await webhook.process.exited, { status: 0, signal: null })
  t.equal(webhook.process.stderrText, '')
})

t.test('a reader of stdout that is stuck holds up neither answers nor the end', async t => {
  const webhook = await startProcess(t, { args: ['--shutdown-delay', '0'] })
  webhook.process.stdout.pause()
  const client = new LoadClient({ ...webhook, path: PODS, body: REVIEW })
  // Some 200 bytes a line; a pipe holds 64 KiB, and what reads it as much again.
  await holds(() => client.answered > 2000, 30_000)
  t.strictSame((await client.stop()).lost, [])
  webhook.process.signal('SIGTERM')
  await holds(async () => !isRunning(webhook), 10_000)
  webhook.process.stdout.resume()
  t.strictSame(await webhook.process.exited, { status: 0, signal: null })
})

function isRunning({ process: { pid } }: ServingProcess): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
