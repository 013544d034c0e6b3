import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { type Listening, openPort } from '../../../src/serving/listening.ts'
import { makePki } from '../../helpers/certificates.ts'

const HOST = '127.0.0.1'
const open = (server: Server, port = 0, host: string | undefined = HOST) =>
  openPort(server, { host, port, flag: 'some-port' })

interface Scene {
  readonly listening: Listening
  /** The answers that are not given yet. */
  readonly pending: (() => void)[]
  dial(bytes?: string): Promise<Socket>
}

/** A server that answers `/now` at once, and others when it is told. */
async function start(t: Test): Promise<Scene> {
  const pending: (() => void)[] = []
  const server = createServer((request, response) => {
    if (request.url === '/now') response.end('now')
    else pending.push(() => response.setHeader('connection', 'close').end('later'))
  })
  const listening = await open(server)
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const dial = async (bytes?: string) => {
    const socket = connect({ host: HOST, port: listening.address.port })
    socket.on('error', () => undefined)
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    if (bytes !== undefined) socket.write(bytes)
    return socket
  }
  return { listening, pending, dial }
}

const ask = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`

async function seconds(work: Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work
  return (performance.now() - begun) / 1000
}

t.test('with nobody there it ends soon', async t => {
  const { listening } = await start(t)
  t.ok((await seconds(listening.drain({ delayMs: 0, limitMs: 30_000 }))) < 5)
})

t.test('who is idle, or never said anything, is sent away', async t => {
  const { listening, dial } = await start(t)
  const idle = await dial(ask('/now'))
  await once(idle, 'data')
  const silent = await dial()
  const ends = [text(idle), text(silent)]
  t.ok((await seconds(listening.drain({ delayMs: 0, limitMs: 30_000 }))) < 5)
  t.strictSame(await Promise.all(ends), ['', ''])
})

t.test('who has shaken hands, and never said anything inside, is sent away', async t => {
  const { authority, leaf } = makePki()
  const server = createSecureServer({ key: leaf.keyPem, cert: leaf.certPem })
  const listening = await open(server)
  const socket = connectTls({ host: HOST, port: listening.address.port, ca: authority.certPem })
  t.teardown(() => socket.destroy())
  await Promise.all([once(socket, 'secureConnect'), once(server, 'secureConnection')])
  const end = text(socket)
  t.ok((await seconds(listening.drain({ delayMs: 0, limitMs: 30_000 }))) < 15)
  t.equal(await end.catch(() => ''), '')
})

t.test('during the delay new connections are taken', async t => {
  const { listening, dial } = await start(t)
  const drained = listening.drain({ delayMs: 400, limitMs: 5000 })
  const late = await dial(ask('/now'))
  const [answer] = await once(late, 'data')
  t.match(String(answer), /^HTTP\/1\.1 200 /)
  late.destroy()
  await drained
  const refused = connect({ host: HOST, port: listening.address.port })
  const [error] = await once(refused, 'error')
  t.match(error, { code: 'ECONNREFUSED' })
})

t.test('who is connected may send one more request, within a moment after the ports are closed', async t => {
  const { listening, dial } = await start(t)
  const idle = await dial(ask('/now'))
  await once(idle, 'data')
  const silent = await dial()
  const drained = listening.drain({ delayMs: 0, limitMs: 30_000 })
  await new Promise(resolve => setTimeout(resolve, 50))
  for (const socket of [idle, silent]) {
    socket.write(ask('/now'))
    const [answer] = await once(socket, 'data')
    t.match(String(answer), /^HTTP\/1\.1 200 /)
  }
  await drained
})

t.test('what is under way is finished', async t => {
  const { listening, dial, pending } = await start(t)
  const slow = await dial(ask('/later'))
  while (pending.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
  const drained = listening.drain({ delayMs: 0, limitMs: 30_000 })
  setTimeout(() => pending.forEach(answer => void answer()), 500)
  t.match(await text(slow), /later$/)
  await drained
})

t.test('an answer that is read slowly arrives whole', async t => {
  const size = 30 * 2 ** 20
  const { leaf } = makePki()
  for (const isSecure of [false, true]) {
    const answer = (_request: IncomingMessage, response: ServerResponse) => {
      // As the webhook answers that was told to stop, and as it answered just before.
      if (isSecure) response.setHeader('connection', 'close')
      response.end('x'.repeat(size))
    }
    const server = isSecure
      ? createSecureServer({ cert: leaf.certPem, key: leaf.keyPem }, answer)
      : createServer(answer)
    const { address, drain } = await open(server)
    const place = { host: HOST, port: address.port }
    const socket = isSecure ? connectTls({ ...place, rejectUnauthorized: false }) : connect(place)
    t.teardown(() => socket.destroy())
    await once(socket, isSecure ? 'secureConnect' : 'connect')
    socket.write(ask('/'))
    await once(socket, 'readable')
    const drained = drain({ delayMs: 0, limitMs: 30_000 })
    await new Promise(resolve => setTimeout(resolve, 600))
    const received = await text(socket)
    t.ok(received.length > size, `${received.length} of ${size}`)
    await drained
  }
})

t.test('what takes longer than the limit is cut off', async t => {
  const { listening, dial, pending } = await start(t)
  const stuck = await dial(ask('/later'))
  const half = await dial('GET /now HTT')
  while (pending.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
  const taken = await seconds(listening.drain({ delayMs: 0, limitMs: 500 }))
  t.ok(taken >= 0.5 && taken < 5, `${taken} s`)
  t.strictSame(await Promise.all([text(stuck), text(half)]), ['', ''])
})

t.test('a TLS handshake that does not end is cut off as well', async t => {
  const { leaf } = makePki()
  const server = createSecureServer({ cert: leaf.certPem, key: leaf.keyPem })
  const listening = await open(server)
  const socket = connect({ host: HOST, port: listening.address.port })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(Buffer.from('160301', 'hex'))
  const taken = await seconds(listening.drain({ delayMs: 0, limitMs: 300 }))
  t.ok(taken >= 0.3 && taken < 5, `${taken} s`)
})

t.test('a port that cannot be had is told by its flag, an address by its own', async t => {
  const { listening } = await start(t)
  await t.rejects(open(createServer(), listening.address.port), {
    code: 'USAGE',
    message: /^cannot listen on 127\.0\.0\.1, port \d+ \(EADDRINUSE\)$/,
    next: 'Choose another one with --some-port.',
  })
  for (const host of ['192.0.2.1', 'no-such-host.invalid'])
    await t.rejects(open(createServer(), 0, host), { code: 'USAGE', next: 'Choose another one with --host.' })
})

t.test('without a host it is on all addresses', async t => {
  const server = createServer((_, response) => response.end('here'))
  const { address, drain } = await openPort(server, { host: undefined, port: 0, flag: 'port' })
  const answer = await fetch(`http://127.0.0.1:${address.port}`)
  t.equal(await answer.text(), 'here')
  await drain({ delayMs: 0, limitMs: 0 })
})
