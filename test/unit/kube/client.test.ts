import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect as dial } from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { type ConnectOptions, connect } from '../../../src/kube/client.ts'
import { makeAuthority } from '../../helpers/authority.ts'
import { FakeApi } from '../../helpers/fake-api.ts'

const VERSION = { method: 'GET', path: '/version' } as const

interface ConfigParts {
  readonly server: string
  readonly cluster?: object
  readonly user?: object
}

/** As JSON, which is YAML too. A plain server needs the word that no TLS is meant. */
function kubeconfig({ server, cluster = {}, user = {} }: ConfigParts): string {
  return JSON.stringify({
    clusters: [
      { name: 'c', cluster: { server, 'insecure-skip-tls-verify': server.startsWith('http:'), ...cluster } },
    ],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'ns' } }],
    'current-context': 'x',
  })
}

async function connectTo(t: Test, text: string, options: Partial<ConnectOptions> = {}) {
  const file = join(t.testdir({ config: text }), 'config')
  const client = await connect({ kubeconfig: file, userAgent: 'vnode-profile/0.0 (test)', ...options })
  t.teardown(() => client.close())
  return client
}

const errorOf = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => new Error('it did not fail'),
    error => error,
  )

test('credentials', async t => {
  const basic = `Basic ${Buffer.from('me:hunter2').toString('base64')}`
  const cases: [title: string, user: object, headers: object][] = [
    ['a token', { token: 'abc' }, { authorization: 'Bearer abc' }],
    ['a name and password', { username: 'me', password: 'hunter2' }, { authorization: basic }],
    ['somebody else by impersonation', { token: 'abc', as: 'jane' }, { 'impersonate-user': 'jane' }],
    ['nobody', {}, { authorization: undefined }],
  ]
  for (const [title, user, headers] of cases) {
    t.test(title, async t => {
      const api = await FakeApi.start(t)
      const client = await connectTo(t, kubeconfig({ server: api.url, user }))
      const answer = client.request(VERSION)
      const exchange = await api.next()
      t.match(exchange.headers, { 'user-agent': 'vnode-profile/0.0 (test)', ...headers })
      exchange.json({})
      await answer
      t.equal(client.namespace, 'ns')
    })
  }

  t.test('a token file beside the kubeconfig, also when it changes', async t => {
    const api = await FakeApi.start(t)
    const user = { tokenFile: 'token', token: 'stale' }
    const dir = t.testdir({ config: kubeconfig({ server: api.url, user }), token: 'first\n' })
    const client = await connect({ kubeconfig: join(dir, 'config'), userAgent: 'test' })
    t.teardown(() => client.close())
    const answer = client.request(VERSION)
    const first = await api.next()
    t.equal(first.headers.authorization, 'Bearer first')
    await writeFile(join(dir, 'token'), 'second\n')
    first.refuse(401, 'Unauthorized')
    const second = await api.next()
    t.equal(second.headers.authorization, 'Bearer second')
    second.json({})
    await answer
  })

  t.test('those of the Pod', async t => {
    const api = await FakeApi.start(t, { tls: await serverTls() })
    const { hostname, port } = new URL(api.url)
    const dir = t.testdir({
      token: 'pod-token',
      'ca.crt': (await authority).certPem,
      namespace: 'vnode-system\n',
    })
    const env = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port }
    const client = await connect({ env, serviceAccountDir: dir, userAgent: 'test' })
    t.teardown(() => client.close())
    t.equal(client.namespace, 'vnode-system')
    t.equal(client.server, api.url)
    const answer = client.request(VERSION)
    const first = await api.next()
    t.equal(first.headers.authorization, 'Bearer pod-token')
    await writeFile(join(dir, 'token'), 'rotated')
    first.refuse(401, 'Unauthorized')
    const second = await api.next()
    t.equal(second.headers.authorization, 'Bearer rotated')
    second.json({})
    await answer
  })
})

const authority = makeAuthority()

async function serverTls() {
  const { leafKeyPem, certPem, issueServer } = await authority
  return { cert: issueServer(), key: leafKeyPem, ca: certPem }
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

test('TLS', async t => {
  const { certPem, leafKeyPem, issueClient } = await authority
  const ca = { 'certificate-authority-data': base64(certPem) }
  const client = {
    'client-certificate-data': base64(issueClient({ user: 'me' })),
    'client-key-data': base64(leafKeyPem),
  }

  t.test('a client certificate opens the door, and few connections serve many requests', async t => {
    const api = await FakeApi.start(t, {
      tls: { ...(await serverTls()), requestCert: true, rejectUnauthorized: true },
    })
    api.answer(exchange => exchange.json({ ok: true }))
    const kube = await connectTo(t, kubeconfig({ server: api.url, cluster: ca, user: client }), {
      credentialsTtlMs: 0,
    })
    for (let i = 0; i < 50; i += 1) await kube.request(VERSION)
    t.ok(api.connections <= 2, `${api.connections} connections`)
    const stranger = await connectTo(t, kubeconfig({ server: api.url, cluster: ca }))
    t.match(await errorOf(stranger.request(VERSION)), { code: 'NETWORK' })
  })

  t.test('an unknown authority is refused before anything is sent', async t => {
    const api = await FakeApi.start(t, { tls: await serverTls() })
    api.answer(exchange => exchange.json({}))
    const kube = await connectTo(t, kubeconfig({ server: api.url, user: { token: 'abc' } }))
    t.match(await errorOf(kube.request(VERSION)), { code: 'NETWORK', message: /certificate/ })
    t.strictSame(api.seen, [])
  })

  t.test('the authority counts for a context without a user, too', async t => {
    const api = await FakeApi.start(t, { tls: await serverTls() })
    api.answer(exchange => exchange.json({}))
    const config = JSON.parse(kubeconfig({ server: api.url, cluster: ca }))
    delete config.contexts[0].context.user
    await (await connectTo(t, JSON.stringify(config))).request(VERSION)
    t.equal(api.seen.length, 1)
  })

  t.test('tls-server-name is what the certificate must say', async t => {
    const api = await FakeApi.start(t, { tls: await serverTls() })
    api.answer(exchange => exchange.json({}))
    const named = (name: string) =>
      kubeconfig({ server: api.url, cluster: { ...ca, 'tls-server-name': name } })
    await (await connectTo(t, named('localhost'))).request(VERSION)
    const other = await connectTo(t, named('example.com'))
    t.match(await errorOf(other.request(VERSION)), { code: 'NETWORK' })
  })

  t.test('proxy-url is a proxy, which sees no credentials', async t => {
    const api = await FakeApi.start(t, { tls: await serverTls() })
    api.answer(exchange => exchange.json({ user: exchange.headers.authorization }))
    const asked: string[] = []
    const proxy = createServer()
    proxy.on('connect', (request, socket) => {
      asked.push(`${request.url} ${request.headers.authorization}`)
      const [host = '', port = ''] = (request.url ?? '').split(':')
      const upstream = dial(Number(port), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        upstream.pipe(socket).pipe(upstream)
      })
      upstream.on('error', () => {})
      socket.on('error', () => {})
    })
    await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
    t.teardown(() => proxy.close())
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const text = kubeconfig({ server: api.url, cluster: { ...ca, 'proxy-url': url }, user: { token: 'abc' } })
    const kube = await connectTo(t, text)
    t.strictSame(await kube.request(VERSION), { user: 'Bearer abc' })
    t.strictSame(asked, [`${new URL(api.url).host} undefined`])
    await kube.close()
  })
})

test('a credential plugin', async t => {
  const plugin = (dir: string, script: string) => ({
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: ['-e', script, dir],
    },
  })
  const prints = (token: string) =>
    `require('fs').appendFileSync(process.argv[1] + '/runs', process.env.KUBERNETES_EXEC_INFO + '\\n');` +
    `console.log(JSON.stringify({status: {token: ${token}}}))`

  t.test('runs once for requests at the same time, and again after a 401', async t => {
    const { readFile } = await import('node:fs/promises')
    const dir = t.testdir({ runs: '' })
    const runs = async () => (await readFile(join(dir, 'runs'), 'utf8')).trim().split('\n')
    const token = `'t' + require('fs').readFileSync(process.argv[1] + '/runs', 'utf8').trim().split('\\n').length`
    const api = await FakeApi.start(t)
    let isRevoked = false
    api.answer(exchange => {
      if (isRevoked && exchange.headers.authorization === 'Bearer t1') return exchange.refuse(401)
      exchange.json({ user: exchange.headers.authorization })
    })
    const client = await connectTo(t, kubeconfig({ server: api.url, user: plugin(dir, prints(token)) }))
    const answers = await Promise.all(Array.from({ length: 5 }, () => client.request(VERSION)))
    t.strictSame(answers, Array(5).fill({ user: 'Bearer t1' }))
    t.match(JSON.parse((await runs())[0] ?? ''), {
      kind: 'ExecCredential',
      apiVersion: 'client.authentication.k8s.io/v1',
      spec: { interactive: false },
    })
    isRevoked = true
    const later = await Promise.all(Array.from({ length: 3 }, () => client.request(VERSION)))
    t.strictSame(later, Array(3).fill({ user: 'Bearer t2' }))
    t.equal((await runs()).length, 2)
  })

  const secret = 'eyJhbGciOiJSUzI1NiIsImtpZCI6IlRlc3QifQ'
  const failures: [title: string, script: string][] = [
    ['that fails', `console.error('login expired for ${secret}'); process.exit(1)`],
    ['that prints something else', `console.log('${secret}')`],
  ]
  for (const [title, script] of failures) {
    t.test(`${title} is an error without secrets`, async t => {
      const api = await FakeApi.start(t)
      const client = await connectTo(t, kubeconfig({ server: api.url, user: plugin('.', script) }))
      const error = await errorOf(client.request(VERSION))
      t.match(error, { code: 'KUBECONFIG', message: `no credentials for ${api.url}: ` })
      t.notMatch(`${error.stack} ${String(error.cause)}`, /eyJ/)
    })
  }
})

test('a kubeconfig', async t => {
  t.test('of several files: the first that defines a name wins, as in kubectl', async t => {
    const api = await FakeApi.start(t)
    api.answer(exchange => exchange.json({ user: exchange.headers.authorization }))
    const one = JSON.parse(kubeconfig({ server: api.url, user: { token: 'one' } }))
    const two = JSON.parse(kubeconfig({ server: 'https://127.0.0.1:1', user: { token: 'two' } }))
    two.users.push({ name: 'second', user: { token: 'second' } })
    two.contexts.push({ name: 'y', context: { cluster: 'c', user: 'second' } })
    two['current-context'] = 'y'
    delete one['current-context']
    const dir = t.testdir({ one: JSON.stringify(one), two: JSON.stringify(two) })
    const env = { KUBECONFIG: `${join(dir, 'one')}:${join(dir, 'two')}` }
    const options = { env, serviceAccountDir: join(dir, 'none'), userAgent: 'test' }
    for (const [context, user] of [
      [undefined, 'Bearer second'],
      ['x', 'Bearer one'],
    ] as const) {
      const client = await connect({ ...options, context })
      t.teardown(() => client.close())
      t.strictSame(await client.request(VERSION), { user })
    }
  })

  const good = JSON.parse(kubeconfig({ server: 'https://127.0.0.1:6443' }))
  const cases: [title: string, text: string, context: string | undefined, message: RegExp][] = [
    ['that is empty', '', undefined, /is not a kubeconfig/],
    ['that is not YAML', 'users:\n - token: hunter2\n  x: [', undefined, /is not a kubeconfig/],
    [
      'without a current context',
      JSON.stringify({ ...good, 'current-context': '' }),
      undefined,
      /no current-context; contexts: x/,
    ],
    ['without the context that is wanted', JSON.stringify(good), 'prod', /no context "prod"; contexts: x/],
    ['whose cluster is missing', JSON.stringify({ ...good, clusters: [] }), undefined, /names cluster "c"/],
    ['whose user is missing', JSON.stringify({ ...good, users: [] }), undefined, /names user "u"/],
    ['whose server is no URL', kubeconfig({ server: 'me:hunter2@host' }), undefined, /is not a URL/],
  ]
  for (const [title, text, context, message] of cases) {
    t.test(title, async t => {
      const error = await errorOf(connectTo(t, text, { context }))
      t.match(error, { code: 'KUBECONFIG', message })
      t.notMatch(error.stack, /hunter2/)
    })
  }

  t.test('with plain HTTP must say that it means it', async t => {
    const api = await FakeApi.start(t)
    const text = kubeconfig({
      server: api.url,
      cluster: { 'insecure-skip-tls-verify': false },
      user: { token: 'abc' },
    })
    const client = await connectTo(t, text)
    t.match(await errorOf(client.request(VERSION)), { code: 'KUBECONFIG', message: /HTTP/ })
    t.strictSame(api.seen, [])
  })

  t.test('with a proxy of an unknown kind', async t => {
    const client = await connectTo(
      t,
      kubeconfig({ server: 'https://127.0.0.1:6443', cluster: { 'proxy-url': 'ftp://x' } }),
    )
    t.match(await errorOf(client.request(VERSION)), { code: 'KUBECONFIG', message: /proxy-url/ })
  })
})
