import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { keepUnused } from '../../../src/serving/unused-connections.ts'

/** In place of ten seconds; Node looks every 50 ms. */
const HEADERS_MS = 300
const REQUEST = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'

interface Scene {
  dial(): Promise<Socket>
  /** Resolves when Node has called a connection slow. */
  readonly slow: () => Promise<unknown>
}

async function start(t: Test, idleMs: number): Promise<Scene> {
  const options = { headersTimeout: HEADERS_MS, requestTimeout: HEADERS_MS, connectionsCheckingInterval: 50 }
  const server = createServer(options, (_request, response) => response.end('served'))
  server.on('clientError', (_error, socket: Socket) => socket.end('HTTP/1.1 408 Request Timeout\r\n\r\n'))
  keepUnused(server, idleMs)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const dial = async () => {
    const socket = connect({ host: '127.0.0.1', port })
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  return { dial, slow: () => once(server, 'clientError') }
}

t.test('a connection that is not used yet is left alone, and serves when it is', async t => {
  const { dial, slow } = await start(t, 60_000)
  const wasSlow = slow()
  const socket = await dial()
  await wasSlow
  socket.write(REQUEST)
  const [answer] = await once(socket, 'data')
  t.match(String(answer), /^HTTP\/1\.1 200 /)
})

t.test('a request of which a part has come is slow all the same, also on such a connection', async t => {
  const { dial, slow } = await start(t, 60_000)
  const wasSlow = slow()
  const socket = await dial()
  await wasSlow
  socket.write(REQUEST.slice(0, 10))
  t.match(await text(socket), /^HTTP\/1\.1 408 /)
})

t.test('one that is never used ends in the end, without a word', async t => {
  const { dial } = await start(t, 100)
  t.equal(await text(await dial()), '')
})
