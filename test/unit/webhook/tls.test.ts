import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { Agent, createServer, request, type Server } from 'node:https'
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { mergeBundles } from '../../../src/core/certificate/bundle.ts'
import { handshake } from '../../../src/serving/handshake.ts'
import {
  type CertificateSource,
  DirectoryCertificateSource,
  type ServingCertificate,
} from '../../../src/webhook/certificate.ts'
import { followCertificate, secureContextOptions } from '../../../src/webhook/tls.ts'
import { makePki, type Pki, until, writePki } from '../../helpers/certificates.ts'

const CLIENTS = 16
const ROTATIONS = 10
const HOST = '127.0.0.1'
const fingerprintOf = ({ leaf }: Pki) => new X509Certificate(leaf.certPem).fingerprint256

t.test(
  'files replaced ten times under load: no request fails, new connections see the new certificate',
  async t => {
    const dir = t.testdir({})
    const first = makePki()
    await writePki(dir, first)
    const source = await startSource(t, dir)
    const { server, port } = await serve(t, source)
    let connections = 0
    server.on('secureConnection', () => {
      connections += 1
    })
    const load = startLoad({ port, caPem: first.authority.certPem })
    await until('all clients have had an answer', () => load.answered.every(count => count > 0))
    t.equal(connections, CLIENTS)

    for (let rotation = 0; rotation < ROTATIONS; rotation += 1) {
      const pki = makePki()
      await writePki(dir, pki)
      // Read between two of the files, it is for a moment the old pair with the new CA.
      const isNew = () => source.current()?.caPem === pki.authority.certPem
      await until(
        'the new certificate',
        () => isNew() && source.current()?.fingerprint === fingerprintOf(pki),
      )
      const seen = await handshake({
        host: HOST,
        port,
        caPem: pki.authority.certPem,
        servername: 'localhost',
      })
      t.equal(seen.fingerprint, fingerprintOf(pki))
      const before = [...load.answered]
      await until('every client goes on', () => load.answered.every((count, i) => count > (before[i] ?? 0)))
    }
    t.same(await load.stop(), [], 'no failed request')
    t.equal(connections, CLIENTS + ROTATIONS, 'the clients kept their connections')
  },
)

t.test('a server without a certificate gets the one that is there', async t => {
  const pki = makePki()
  const server = createServer()
  followCertificate(server, makeFixedSource(toServing(pki)))
  const port = await listen(t, server)
  const seen = await handshake({ host: HOST, port, caPem: pki.authority.certPem, servername: 'localhost' })
  t.equal(seen.fingerprint, fingerprintOf(pki))
})

t.test('a pair that does not fit leaves the one before in place', async t => {
  const dir = t.testdir({})
  const first = makePki()
  await writePki(dir, first)
  const source = await startSource(t, dir)
  const { port } = await serve(t, source)
  const second = makePki()
  await writeFile(join(dir, 'tls.key'), second.leaf.keyPem)
  await until('the mismatch is seen', () => source.healthy().reason.includes('does not belong'))
  const seen = await handshake({ host: HOST, port, caPem: first.authority.certPem, servername: 'localhost' })
  t.equal(seen.fingerprint, fingerprintOf(first))
})

t.test('a pair that the server refuses is logged and leaves the one before in place', async t => {
  const first = makePki()
  const source = makeFixedSource(toServing(first))
  const warned: object[] = []
  const log = { info: () => {}, warn: (fields: object) => warned.push(fields) }
  const { server, port } = await serve(t, source)
  const unfollow = followCertificate(server, source, log)
  const trusting = { host: HOST, port, caPem: first.authority.certPem, servername: 'localhost' }
  source.change({ ...toServing(makePki()), keyPem: first.leaf.keyPem })
  t.match(warned, [{ error: /mismatch/ }])
  t.equal((await handshake(trusting)).fingerprint, fingerprintOf(first))
  unfollow()
  source.change({ ...toServing(makePki()), keyPem: first.leaf.keyPem })
  t.equal(warned.length, 1, 'not followed any more')
})

t.test('a handshake proves chain and name', async t => {
  const pki = makePki()
  const stranger = makePki()
  const { server, port } = await serve(t, makeFixedSource(toServing(pki)))
  server.on('tlsClientError', () => {})
  const caPem = pki.authority.certPem
  const bundle = mergeBundles([stranger.authority.certPem, caPem], new Date()).pem
  const own = { host: HOST, port, caPem, servername: 'localhost' }
  const good: [sentence: string, change: object][] = [
    ['by name', {}],
    ['by address', { servername: '127.0.0.1' }],
    ['by any name', { servername: undefined }],
    ['with a bundle', { caPem: bundle }],
    ['without a CA, whoever answers', { caPem: undefined, servername: undefined }],
  ]
  for (const [sentence, change] of good) {
    t.same(await handshake({ ...own, ...change }), { fingerprint: fingerprintOf(pki) }, sentence)
  }
  const bad: [sentence: string, change: object, message: RegExp][] = [
    ['another name', { servername: 'other' }, /does not match/],
    ['another address', { servername: '127.0.0.2' }, /does not match|not in the cert/],
    ['another CA', { caPem: stranger.authority.certPem }, /unable to verify/],
  ]
  for (const [sentence, change, message] of bad) {
    const error = { code: 'BAD_CERTIFICATE', message, next: /CA/ }
    await t.rejects(handshake({ ...own, ...change }), error, sentence)
  }
})

t.test('a handshake leaves nothing behind on the server', async t => {
  const pki = makePki()
  const { server, port } = await serve(t, makeFixedSource(toServing(pki)))
  const troubles: string[] = []
  for (const event of ['tlsClientError', 'clientError']) server.on(event, () => troubles.push(event))
  const open = trackSockets(server)
  for (let round = 0; round < 20; round += 1) {
    await handshake({ host: HOST, port, caPem: pki.authority.certPem, servername: 'localhost' })
  }
  await until('all connections are closed', () => open.size === 0)
  t.same(troubles, [])
})

t.test('no server, no TLS and no answer are told apart from a bad certificate', async t => {
  const { authority } = makePki()
  const open: Set<Socket>[] = []
  const serveTcp = async (answer: (socket: Socket) => void) => {
    const server = createTcpServer(socket => answer(socket.on('error', () => {}).resume()))
    open.push(trackSockets(server))
    t.teardown(() => server.close())
    server.listen(0, HOST)
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const silent = await serveTcp(() => {})
  const plain = await serveTcp(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const closing = await serveTcp(socket => socket.end())
  const closed = createTcpServer().listen(0, HOST)
  await once(closed, 'listening')
  const nobody = (closed.address() as AddressInfo).port
  closed.close()
  const cases: [sentence: string, port: number, message: RegExp][] = [
    ['nobody listens', nobody, /ECONNREFUSED/],
    ['plain HTTP', plain, /failed: ./],
    ['closed at once', closing, /failed: ./],
    ['silence', silent, /no answer in 100 ms/],
  ]
  for (const [sentence, port, message] of cases) {
    const request = { host: HOST, port, caPem: authority.certPem, servername: 'localhost', timeoutMs: 100 }
    await t.rejects(handshake(request), { code: 'NETWORK', message, next: /listens/ }, sentence)
  }
  await until('all sockets are closed', () => open.every(sockets => sockets.size === 0))
})

function trackSockets(server: TcpServer): Set<Socket> {
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  return open
}

async function startSource(t: Test, dir: string): Promise<DirectoryCertificateSource> {
  const source = new DirectoryCertificateSource(dir)
  t.teardown(() => source.stop())
  await source.start()
  return source
}

async function serve(t: Test, source: CertificateSource): Promise<{ server: Server; port: number }> {
  const certificate = source.current()
  if (certificate === undefined) throw new Error('no certificate')
  const server = createServer(secureContextOptions(certificate), (_, response) => response.end('ok'))
  t.teardown(followCertificate(server, source))
  return { server, port: await listen(t, server) }
}

async function listen(t: Test, server: Server): Promise<number> {
  t.teardown(() => server.close().closeAllConnections())
  server.listen(0, HOST)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function toServing({ authority, leaf }: Pki): ServingCertificate {
  const { validFromDate, validToDate, fingerprint256 } = new X509Certificate(leaf.certPem)
  const times = { notBefore: validFromDate, notAfter: validToDate }
  return { ...leaf, ...times, caPem: authority.certPem, fingerprint: fingerprint256 }
}

/** A source that has what the test gives it. */
function makeFixedSource(first: ServingCertificate) {
  let current = first
  const listeners = new Set<(certificate: ServingCertificate) => void>()
  return {
    start: async () => {},
    stop: () => {},
    current: () => current,
    healthy: () => ({ ok: true, reason: 'fixed' }),
    onChange(listener: (certificate: ServingCertificate) => void) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    change(next: ServingCertificate) {
      current = next
      for (const listener of listeners) listener(next)
    },
  }
}

/** Clients that each ask again as soon as they are answered, over one kept connection. */
function startLoad({ port, caPem }: { port: number; caPem: string }) {
  const failures: string[] = []
  const answered = Array.from({ length: CLIENTS }, () => 0)
  let isStopping = false
  const runClient = async (client: number) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: caPem, servername: 'localhost' })
    while (!isStopping) {
      try {
        await askOnce(port, agent)
        answered[client] = (answered[client] ?? 0) + 1
      } catch (error) {
        failures.push(String(error))
      }
    }
    agent.destroy()
  }
  const clients = answered.map((_, client) => runClient(client))
  const stop = async () => {
    isStopping = true
    await Promise.all(clients)
    return failures
  }
  return { answered, stop }
}

async function askOnce(port: number, agent: Agent): Promise<void> {
  const asked = request({ host: HOST, port, agent, method: 'POST', headers: { 'content-length': 2 } })
  asked.end('{}')
  const [response] = await once(asked, 'response')
  response.resume()
  await once(response, 'end')
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`)
}
