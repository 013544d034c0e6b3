import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { eciClient } from '../../helpers/eci-client.ts'
import { fakeEci } from '../../helpers/fake-eci/server.ts'

const PASSWORD = 'password-of-the-proxy'

/** A proxy that tunnels for whoever knows the password, and counts. */
async function startProxy(t: Test) {
  const tunnels: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer()
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    tunnels.push(request.url ?? '')
    sockets.add(socket)
    socket.on('error', () => undefined)
    const wanted = `Basic ${Buffer.from(`user:${PASSWORD}`).toString('base64')}`
    if (request.headers['proxy-authorization'] !== wanted) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
      return
    }
    const [host, port] = (request.url ?? '').split(':')
    const target = connect(Number(port), host, () => socket.write('HTTP/1.1 200 Connected\r\n\r\n'))
    sockets.add(target)
    target.on('error', () => undefined)
    socket.pipe(target).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const one of sockets) one.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { tunnels, url: (user: string) => `http://${user}@127.0.0.1:${port}` }
}

t.test('calls go through the proxy, TLS and signature unbroken', async t => {
  const fake = await fakeEci(t, { joins: false })
  const proxy = await startProxy(t)
  const client = eciClient(t, fake, { proxy: proxy.url(`user:${PASSWORD}`) })
  t.strictSame(await client.describeVirtualNodes(), [])
  t.strictSame(proxy.tunnels, [new URL(fake.url).host])
})

t.test('hosts of NO_PROXY are reached without it', async t => {
  const fake = await fakeEci(t, { joins: false })
  const proxy = await startProxy(t)
  const client = eciClient(t, fake, { proxy: proxy.url('nobody'), noProxy: 'example.com,127.0.0.1' })
  t.strictSame(await client.describeVirtualNodes(), [])
  t.strictSame(proxy.tunnels, [])
})

t.test('a proxy that refuses is named, its password is not', async t => {
  const fake = await fakeEci(t, { joins: false })
  const proxy = await startProxy(t)
  const client = eciClient(t, fake, { proxy: proxy.url(`user:${PASSWORD}x`), retrying: { attempts: 1 } })
  const error = await client.describeVirtualNodes().catch(error => error)
  t.match(error.message, /no answer from 127\.0\.0\.1:\d+: .*407/)
  t.match(error.next, /HTTPS_PROXY/)
  t.notOk(JSON.stringify([error.message, error.next, error.stack]).includes(PASSWORD))
  t.equal(fake.calls.length, 0)
})
