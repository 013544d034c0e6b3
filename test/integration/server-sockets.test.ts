/** What comes over the wire that no apiserver would send. The process survives it, and meanwhile serves everybody else. */
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { Answers } from '../helpers/load-client.ts'
import { answerTo, headOf, REQUEST, REVIEW, tcpTo, tlsTo } from '../helpers/raw-requests.ts'
import { PODS } from '../helpers/review-app.ts'
import { startProcess } from '../helpers/webhook-process.ts'

const webhook = await startProcess(t, { args: ['--shutdown-delay', '0'] })
const { port, pid } = { port: webhook.port, pid: webhook.process.pid }
const START = `POST ${PODS} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`

/** Seconds until the connection has ended; whatever arrives is read. */
async function secondsOpen(socket: Socket): Promise<number> {
  const begun = performance.now()
  socket.resume()
  if (!socket.closed) await new Promise(resolve => socket.once('close', resolve))
  return (performance.now() - begun) / 1000
}

// These take some seconds: they wait while the other tests run.
const slowHeader = await tlsTo(t, webhook)
slowHeader.write('POST /mutate/pods HTTP/1.1\r\n')
const slowHeaderAnswer = new Answers(slowHeader).next()
// The connection may also be reset, as something is written to it when it has just been ended.
const slowHeaderEnd = secondsOpen(slowHeader)
const unused = await tlsTo(t, webhook)
const silentHandshake = secondsOpen(await tcpTo(t, webhook))
const halfHandshake = secondsOpen(await tcpTo(t, webhook, Buffer.from('160301', 'hex')))
const begun = performance.now()
const trickle = setInterval(() => {
  if (slowHeader.writable) slowHeader.write('x-more: 1\r\n')
}, 500)
t.teardown(() => clearInterval(trickle))

/** By what is sent: the start of the answer. */
const ODD: Readonly<Record<string, readonly [bytes: () => string | Buffer, status: number | undefined]>> = {
  '10,000 headers': [() => START + 'x: y\r\n'.repeat(10_000), 431],
  'one header of 100 KB': [() => `${START}x: ${'y'.repeat(100_000)}\r\n\r\n`, 431],
  'a path of 100 KB': [() => `POST /${'y'.repeat(100_000)} HTTP/1.1\r\n\r\n`, 431],
  'a path of 10 KB': [
    () => `POST /${'y'.repeat(10_000)} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n`,
    404,
  ],
  'bytes that are no HTTP': [() => Buffer.alloc(10_000, 0xff), 400],
  'a TLS handshake inside of TLS': [() => Buffer.from('16030102000100', 'hex'), 400],
  'the preface of HTTP/2': [() => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  'no Host': [() => REQUEST.replace('host: localhost\r\n', ''), 400],
  'a length that is none': [() => `${START}content-length: many\r\n\r\n${REVIEW}`, 400],
  'a length below zero': [() => `${START}content-length: -1\r\n\r\n${REVIEW}`, 400],
  'two lengths': [() => `${START}content-length: 1\r\ncontent-length: 2\r\n\r\n${REVIEW}`, 400],
  'a length and chunks': [
    () => `${START}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  'a length of 9 GB': [() => headOf(9e9), 413],
  'chunks that are none': [() => `${START}transfer-encoding: chunked\r\n\r\nxyz\r\n`, 400],
  'a header that is none': [() => `${START}no colon\r\n\r\n`, 400],
  'a method that is none': [() => REQUEST.replace('POST', 'SEND'), 400],
  'an unknown expectation': [() => `${START}expect: a-miracle\r\ncontent-length: 0\r\n\r\n`, 417],
  'a tunnel': [() => 'CONNECT localhost:443 HTTP/1.1\r\nhost: localhost:443\r\n\r\n', undefined],
  'an upgrade': [() => 'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n', 404],
  'HTTP/1.0 without a body': [() => 'POST /mutate/pods HTTP/1.0\r\ncontent-length: 0\r\n\r\n', 400],
}

for (const [what, [bytes, status]] of Object.entries(ODD)) {
  t.test(`${what}: ${status ?? 'closed'}`, async t => {
    const answer = await answerTo(t, webhook, bytes())
    t.equal(answer.status, status)
    await serves(t)
  })
}

/** By what is sent: ordinary requests in unusual shapes. */
const FINE: Readonly<Record<string, () => string>> = {
  chunks: () => `${START}transfer-encoding: chunked\r\n\r\n${chunksOf(REVIEW, 7)}0\r\n\r\n`,
  'chunks and a trailer': () =>
    `${START}transfer-encoding: chunked\r\n\r\n${chunksOf(REVIEW, 100)}0\r\nx: y\r\n\r\n`,
  'an expectation to go on': () => REQUEST.replace('host:', 'expect: 100-continue\r\nhost:'),
  'a hundred headers': () => REQUEST.replace('host:', `${'x: y\r\n'.repeat(100)}host:`),
  'an upgrade that is not ours': () =>
    REQUEST.replace('host:', 'connection: upgrade\r\nupgrade: h2c\r\nhost:'),
}

for (const [what, bytes] of Object.entries(FINE)) {
  t.test(`${what}: answered`, async t => {
    const socket = await tlsTo(t, webhook)
    const answers = new Answers(socket)
    socket.write(bytes())
    let answer = await answers.next()
    if (answer.status === 100) answer = await answers.next()
    t.equal(answer.status, 200)
  })
}

t.test('HTTP/1.0 is answered, and its connection ended', async t => {
  const socket = await tlsTo(t, webhook)
  socket.write(REQUEST.replace('HTTP/1.1', 'HTTP/1.0'))
  t.match(await text(socket), /^HTTP\/1\.1 200 OK\r\n.*\r\nconnection: close\r\n.*"allowed":true/is)
})

t.test('requests one right after the other are answered in their order', async t => {
  const socket = await tlsTo(t, webhook)
  const uids = Array.from({ length: 50 }, (_, index) => `uid-${index}`)
  const reviews = uids.map(uid => REVIEW.replace(/"uid":"[^"]*"/, `"uid":"${uid}"`))
  socket.write(reviews.map(review => headOf(review.length) + review).join(''))
  const answers = new Answers(socket)
  for (const uid of uids) t.match(JSON.parse((await answers.next()).text), { response: { uid } })
})

t.test('a review byte by byte', async t => {
  const socket = await tlsTo(t, webhook)
  socket.setNoDelay(true)
  for (const byte of REQUEST) socket.write(byte)
  t.match(await new Answers(socket).next(), { status: 200 })
})

t.test('8.1 MB that do not say so beforehand: 413', async t => {
  const socket = await tlsTo(t, webhook)
  const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`
  socket.write(`${START}transfer-encoding: chunked\r\n\r\n`)
  for (let sent = 0; sent < 8.1 * 2 ** 20; sent += 0x10000) socket.write(chunk)
  t.equal((await new Answers(socket).next()).status, 413)
  await serves(t)
})

const NO_TLS: Readonly<Record<string, string | Buffer>> = {
  'plain HTTP': REQUEST,
  'bytes that are no TLS': Buffer.alloc(100_000, 0x2a),
  'a ClientHello that is cut short': Buffer.from('16030100050100000100', 'hex'),
  'an alert': Buffer.from('15030100020228', 'hex'),
}

for (const [what, bytes] of Object.entries(NO_TLS)) {
  t.test(`${what} in place of TLS: closed`, async t => {
    const socket = await tcpTo(t, webhook, bytes)
    socket.end()
    t.ok((await secondsOpen(socket)) < 9)
    await serves(t)
  })
}

t.test('clients that leave in the middle, politely and not', async t => {
  const cuts = [1, 20, headOf(REVIEW.length).length, headOf(REVIEW.length).length + 10, REQUEST.length - 1]
  for (const [index, cut] of [...cuts, ...cuts, ...cuts, ...cuts].entries()) {
    const socket = await tlsTo(t, webhook)
    socket.write(REQUEST.slice(0, cut))
    const raw = await tcpTo(t, webhook, Buffer.from('160301', 'hex'))
    if (index % 2 === 0) {
      socket.destroy()
      raw.resetAndDestroy()
    } else {
      socket.end()
      raw.end()
    }
    // The whole request was sent, and nobody waits for the answer.
    const hasty = await tlsTo(t, webhook)
    hasty.write(REQUEST, () => hasty.destroy())
  }
  await serves(t)
})

t.test('300 clients that only connect and 100 that send a byte now and then', async t => {
  const silent = await Promise.all(Array.from({ length: 300 }, () => tcpTo(t, webhook)))
  const slow = await Promise.all(Array.from({ length: 100 }, () => tlsTo(t, webhook)))
  for (const socket of slow) socket.write(headOf(REVIEW.length))
  for (let at = 0; at < 10; at += 1) {
    for (const socket of slow) socket.write(REVIEW.charAt(at))
    await serves(t)
  }
  for (const socket of silent) socket.destroy()
  const answers = slow.map(async socket => {
    socket.write(REVIEW.slice(10))
    return (await new Answers(socket).next()).status
  })
  t.strictSame(new Set(await Promise.all(answers)), new Set([200]), 'and those are answered too')
})

t.test('a header that takes longer than 10 seconds ends its connection within 16', async t => {
  const [answer] = await Promise.all([slowHeaderAnswer, slowHeaderEnd])
  t.ok(performance.now() - begun < 16_000)
  t.equal(answer.status, 408)
})

t.test('a connection that nobody has used yet is not slow: it stays, and serves', async t => {
  // By now others have been ended for being slow, which were opened at the same time.
  await slowHeaderEnd
  t.notOk(unused.closed)
  unused.write(REQUEST)
  t.match(await new Answers(unused).next(), { status: 200, isLast: false })
  unused.destroy()
})

t.test('a handshake that takes longer than 10 seconds ends its connection', async t => {
  for (const seconds of [await silentHandshake, await halfHandshake])
    t.ok(seconds > 9 && seconds < 13, `${seconds.toFixed(1)} s`)
})

t.test('after all this it is the same process, ready, and has nothing to say on stderr', async t => {
  await serves(t)
  t.equal((await fetch(`${webhook.opsUrl}/readyz`)).status, 200)
  t.equal(webhook.process.pid, pid)
  t.equal(webhook.process.stderrText, '')
  t.strictSame(
    webhook.process.log.filter(({ level }) => level === 'error'),
    [],
  )
  webhook.process.signal('SIGTERM')
  t.strictSame(await webhook.process.exited, { status: 0, signal: null })
})

async function serves(t: Test): Promise<void> {
  t.match(await answerTo(t, { port, caPem: webhook.caPem }), { status: 200 }, 'others are served')
}

function chunksOf(body: string, size: number): string {
  const chunks = body.match(new RegExp(`.{1,${size}}`, 'gs')) ?? []
  return chunks.map(chunk => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
}
