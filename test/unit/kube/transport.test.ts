import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'tap'
import { ApiError, isStatus } from '../../../src/kube/api.ts'
import { Transport } from '../../../src/kube/transport.ts'
import { FakeApi, makeClient } from '../../helpers/fake-api.ts'

const get = (path: string) => ({ method: 'GET', path }) as const

/** What a promise rejects with. */
const errorOf = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => new Error('it did not fail'),
    error => error,
  )

const ENDPOINT = {
  ca: undefined,
  cert: undefined,
  key: undefined,
  servername: undefined,
  rejectUnauthorized: undefined,
  proxyUrl: undefined,
}

test('a request', async t => {
  t.test('carries what it was given', async t => {
    const api = await FakeApi.start(t)
    const answer = makeClient(t, api).request<{ ok: boolean }>({
      method: 'POST',
      path: '/api/v1/things',
      query: { a: 'b&c=d', n: 1, yes: true, none: undefined },
      body: { name: 'größe' },
      contentType: 'application/json-patch+json',
    })
    const exchange = await api.next()
    t.equal(exchange.method, 'POST')
    t.strictSame(exchange.query, { a: 'b&c=d', n: '1', yes: 'true' })
    t.strictSame(JSON.parse(exchange.body), { name: 'größe' })
    t.match(exchange.headers, {
      'content-type': 'application/json-patch+json',
      'user-agent': 'test/0',
      accept: 'application/json',
    })
    exchange.json({ ok: true }, 201)
    t.strictSame(await answer, { ok: true })
  })

  t.test('uses the connections of those before it', async t => {
    const api = await FakeApi.start(t)
    api.answer(exchange => exchange.json({}))
    const client = makeClient(t, api)
    for (let i = 0; i < 100; i += 1) await client.request(get('/version'))
    t.equal(api.seen.length, 100)
    // The first is not quite free when its answer is complete.
    t.ok(api.connections <= 2, `${api.connections} connections`)
  })

  t.test('that is refused tells why', async t => {
    const api = await FakeApi.start(t)
    const failed = errorOf(
      makeClient(t, api).request({ ...get('/api/v1/things/a'), query: { secret: 'hunter2' } }),
    )
    const exchange = await api.next()
    exchange.refuse(429, 'TooManyRequests', { 'retry-after': '3' })
    const error = await failed
    t.type(error, ApiError)
    t.match(error, { code: 'API', status: 429, reason: 'TooManyRequests', retryAfterSeconds: 3 })
    t.equal(error.message, `GET ${api.url}/api/v1/things/a: 429 said 429`, 'without the query')
    t.ok(isStatus(error, 429))
    t.notOk(isStatus(error, 404))
    t.notOk(isStatus(new Error('x'), 429))
  })

  t.test(
    'does not quote the document that the server could not read, nor a page of somebody else',
    async t => {
      const api = await FakeApi.start(t)
      const client = makeClient(t, api)
      const message =
        'Secret in version "v1" cannot be handled: illegal base64, error found in #10 byte of ...|"hunter2"|...'
      for (const body of [{ kind: 'Status', message }, 'password is hunter2']) {
        const failed = errorOf(client.request(get('/x')))
        const exchange = await api.next()
        exchange.json(body, 400)
        t.notMatch((await failed).message, /hunter2/)
      }
    },
  )

  t.test('is not redirected: credentials go to one server', async t => {
    const api = await FakeApi.start(t)
    const failed = errorOf(makeClient(t, api).request(get('/x')))
    const exchange = await api.next()
    exchange.json({}, 302, { location: `${api.url}/elsewhere` })
    t.match(await failed, { code: 'API', status: 302 })
    t.equal(api.seen.length, 1)
  })

  t.test('whose answer is not JSON fails without quoting it', async t => {
    const api = await FakeApi.start(t)
    const failed = errorOf(makeClient(t, api).request(get('/x')))
    const exchange = await api.next()
    exchange.open()
    exchange.raw('hunter2')
    exchange.end()
    const error = await failed
    t.match(error, { code: 'API', message: /not JSON/ })
    t.notMatch(error.message, /hunter2/)
  })

  t.test('that finds nobody, or is cut, is an error of the network', async t => {
    const api = await FakeApi.start(t)
    const client = makeClient(t, api)
    const cut = errorOf(client.request(get('/x')))
    const exchange = await api.next()
    exchange.reset()
    t.match(await cut, { code: 'NETWORK', message: `GET ${api.url}/x: ` })
    const halfway = errorOf(client.request(get('/x')))
    const half = await api.next()
    half.open()
    half.raw('{"a":')
    await turn()
    half.reset()
    t.match(await halfway, { code: 'NETWORK' })
    const nobody = makeClient(t, Object.assign(Object.create(api), { url: 'http://127.0.0.1:1' }))
    t.match(await errorOf(nobody.request(get('/x'))), { code: 'NETWORK', message: /ECONNREFUSED/ })
  })

  t.test('ends with its time, also in the middle of the answer', async t => {
    const api = await FakeApi.start(t)
    const client = makeClient(t, api)
    for (const isHalf of [false, true]) {
      const failed = errorOf(client.request({ ...get('/x'), timeoutMs: 40 }))
      const exchange = await api.next()
      if (isHalf) exchange.open()
      t.match(await failed, { code: 'NETWORK', message: `GET ${api.url}/x: no answer within 0.04 s` })
      await exchange.closed
    }
  })

  t.test('ends with its signal, with the reason of it', async t => {
    const api = await FakeApi.start(t)
    const client = makeClient(t, api)
    const abort = new AbortController()
    const failed = errorOf(client.request({ ...get('/x'), signal: abort.signal }))
    const exchange = await api.next()
    const reason = new Error('changed my mind')
    abort.abort(reason)
    t.equal(await failed, reason)
    await exchange.closed
    t.equal(await errorOf(client.request({ ...get('/x'), signal: abort.signal })), reason)
    t.equal(api.seen.length, 1)
  })

  t.test('goes below the path of the server, as behind Rancher', async t => {
    const api = await FakeApi.start(t)
    const credentials = { headers: {}, endpoint: ENDPOINT }
    const access = {
      server: `${api.url}/k8s/clusters/c-1/`,
      namespace: undefined,
      credentials: async () => credentials,
      renew: async () => credentials,
    }
    const client = new Transport(access, 'test')
    t.teardown(() => client.close())
    const answer = client.request(get('/version'))
    const exchange = await api.next()
    t.equal(exchange.path, '/k8s/clusters/c-1/version')
    exchange.json({})
    await answer
    t.equal(client.server, api.url)
  })

  t.test('does not wait for credentials that do not come', async t => {
    const api = await FakeApi.start(t)
    const never = () => new Promise<never>(() => {})
    const client = new Transport(
      { server: api.url, namespace: undefined, credentials: never, renew: never },
      'test',
    )
    t.match(await errorOf(client.request({ ...get('/x'), timeoutMs: 20 })), { code: 'NETWORK' })
  })
})

test('a 401', async t => {
  const access = (api: FakeApi, tokens: string[]) => {
    const make = (token: string) => ({ headers: { authorization: `Bearer ${token}` }, endpoint: ENDPOINT })
    let current = make(tokens.shift() ?? '')
    return {
      server: api.url,
      namespace: undefined,
      credentials: async () => current,
      renew: async () => {
        const next = tokens.shift()
        if (next !== undefined) current = make(next)
        return current
      },
    }
  }

  t.test('is tried once more when there are newer credentials', async t => {
    const api = await FakeApi.start(t)
    const client = new Transport(access(api, ['old', 'new']), 'test')
    t.teardown(() => client.close())
    const answer = client.request({ method: 'PATCH', path: '/x', body: { a: 1 } })
    const first = await api.next()
    t.equal(first.headers.authorization, 'Bearer old')
    first.refuse(401, 'Unauthorized')
    const second = await api.next()
    t.equal(second.headers.authorization, 'Bearer new')
    t.strictSame(JSON.parse(second.body), { a: 1 })
    second.json({ ok: 1 })
    t.strictSame(await answer, { ok: 1 })
  })

  t.test('is final when there are none, or when they do not help', async t => {
    const api = await FakeApi.start(t)
    api.answer(exchange => exchange.refuse(401, 'Unauthorized'))
    for (const [tokens, requests] of [
      [['only'], 1],
      [['old', 'new', 'newer'], 2],
    ] as const) {
      api.seen.length = 0
      const client = new Transport(access(api, [...tokens]), 'test')
      t.teardown(() => client.close())
      const error = await errorOf(client.request(get('/x')))
      t.match(error, { status: 401 })
      t.notMatch(error.message, /only|old|new/)
      t.equal(api.seen.length, requests)
    }
  })
})

test('a stream', async t => {
  t.test('gives each line as it comes, and ends with the answer', async t => {
    const api = await FakeApi.start(t)
    const client = makeClient(t, api)
    const opening = client.stream<number>({
      path: '/x',
      query: { watch: true },
      signal: new AbortController().signal,
    })
    const exchange = await api.next()
    exchange.open()
    const values: number[] = []
    const stream = await opening
    exchange.raw('1\n2\n3')
    for await (const value of stream) {
      values.push(value)
      if (value === 2) exchange.raw('4\n5\n')
      if (value === 34) exchange.raw('6')
      if (value === 5) exchange.end()
    }
    t.strictSame(values, [1, 2, 34, 5], 'but not a torn line')
  })

  t.test('that is refused is an error like a request', async t => {
    const api = await FakeApi.start(t)
    const failed = errorOf(makeClient(t, api).stream({ path: '/x', signal: new AbortController().signal }))
    const exchange = await api.next()
    exchange.refuse(410, 'Expired')
    t.match(await failed, { status: 410, reason: 'Expired' })
  })

  t.test('that is aborted ends with the reason, and its connection with it', async t => {
    const api = await FakeApi.start(t)
    const client = makeClient(t, api)
    const abort = new AbortController()
    const opening = client.stream({ path: '/x', signal: abort.signal })
    const exchange = await api.next()
    exchange.open()
    const lines = (await opening)[Symbol.asyncIterator]()
    const failed = errorOf(lines.next())
    const reason = new Error('enough')
    abort.abort(reason)
    t.equal(await failed, reason)
    await exchange.closed
  })

  t.test('that nobody reads any more ends its connection', async t => {
    const api = await FakeApi.start(t)
    const opening = makeClient(t, api).stream({ path: '/x', signal: new AbortController().signal })
    const exchange = await api.next()
    exchange.open()
    exchange.raw('1\n2\n')
    for await (const _ of await opening) break
    await exchange.closed
    t.pass()
  })

  t.test('that is cut is an error of the network', async t => {
    const api = await FakeApi.start(t)
    const opening = makeClient(t, api).stream({ path: '/x', signal: new AbortController().signal })
    const exchange = await api.next()
    exchange.open()
    const lines = (await opening)[Symbol.asyncIterator]()
    const failed = errorOf(lines.next())
    exchange.reset()
    t.match(await failed, { code: 'NETWORK' })
  })

  t.test('has no limit of time once its head is there', async t => {
    const api = await FakeApi.start(t)
    const opening = makeClient(t, api).stream<number>({
      path: '/x',
      signal: new AbortController().signal,
      timeoutMs: 30,
    })
    const exchange = await api.next()
    exchange.open()
    const lines = (await opening)[Symbol.asyncIterator]()
    setTimeout(() => exchange.raw('1\n'), 80)
    t.strictSame(await lines.next(), { value: 1, done: false })
  })

  t.test('leaves room for requests beside it', async t => {
    const api = await FakeApi.start(t)
    api.answer(exchange => (exchange.isWatch ? exchange.open() : exchange.json({})))
    const client = makeClient(t, api)
    const { signal } = new AbortController()
    for (let i = 0; i < 5; i += 1) await client.stream({ path: '/x', query: { watch: true }, signal })
    for (let i = 0; i < 20; i += 1) await client.request(get('/y'))
    t.ok(api.connections <= 7, `${api.connections} connections`)
  })
})

test('apply is server-side apply', async t => {
  const api = await FakeApi.start(t)
  const client = makeClient(t, api)
  const first = client.apply('/api/v1/namespaces/a/configmaps/b', { kind: 'ConfigMap' })
  const plain = await api.next()
  t.equal(plain.method, 'PATCH')
  t.equal(plain.headers['content-type'], 'application/apply-patch+yaml')
  t.strictSame(plain.query, { fieldManager: 'vnode-profile' })
  t.strictSame(JSON.parse(plain.body), { kind: 'ConfigMap' })
  plain.json({})
  await first
  const second = client.apply('/x', {}, { force: true, dryRun: true, fieldManager: 'attempt-1' })
  const full = await api.next()
  t.strictSame(full.query, { fieldManager: 'attempt-1', force: 'true', dryRun: 'All' })
  full.json({})
  await second
})

test('close ends everything, and nothing begins after it', async t => {
  const api = await FakeApi.start(t)
  const client = makeClient(t, api)
  const running = errorOf(client.request(get('/x')))
  const exchange = await api.next()
  await client.close()
  t.match(await running, { code: 'NETWORK' })
  await exchange.closed
  t.match(await errorOf(client.request(get('/x'))), { code: 'NETWORK', message: /was closed/ })
  await client.close()
})

test('a changed certificate has connections of its own, while old watches go on', async t => {
  const api = await FakeApi.start(t)
  let credentials = { headers: {}, endpoint: { ...ENDPOINT, key: 'one' } }
  const access = {
    server: api.url,
    namespace: undefined,
    credentials: async () => credentials,
    renew: async () => credentials,
  }
  const client = new Transport(access, 'test')
  t.teardown(() => client.close())
  const opening = client.stream<number>({ path: '/watch', signal: new AbortController().signal })
  const watch = await api.next()
  watch.open()
  const lines = (await opening)[Symbol.asyncIterator]()
  api.answer(exchange => exchange.json({}))
  const ask = async (key: string) => {
    credentials = { headers: {}, endpoint: { ...ENDPOINT, key } }
    const before = api.connections
    await client.request(get('/x'))
    return api.connections - before
  }
  await ask('one')
  await ask('one')
  t.equal(await ask('one'), 0, 'the same material is the same connection')
  t.equal(await ask('two'), 1)
  watch.raw('7\n')
  t.strictSame(await lines.next(), { value: 7, done: false })
})
