import t, { type Test } from 'tap'
import { ApiError, type KubeClient } from '../../../src/kube/api.ts'
import { type LastGoodOptions, LastGoodStore } from '../../../src/rules/last-good.ts'
import { createLogger } from '../../../src/telemetry/json-log.ts'
import { type Exchange, FakeApi, makeClient } from '../../helpers/fake-api.ts'
import { HastyClock } from '../../helpers/fake-clock.ts'
import { holds, type LogLine } from '../../helpers/webhook.ts'

const PATH = '/api/v1/namespaces/vnode-system/configmaps/vnode-profile-last-good-rules'

const object = (text: string, resourceVersion: string, source = 'kube-system/eci-profile') => ({
  metadata: { resourceVersion, annotations: { 'vnode-profile.io/source': source } },
  data: { selectors: text },
})

/** What is asked to be kept, and on which version of the object. */
function wantedOf({ method, path, body }: Exchange) {
  const { metadata, data } = JSON.parse(body)
  return { request: `${method} ${path}`, version: metadata.resourceVersion, text: data.selectors }
}

async function startStore(t: Test, options: Partial<LastGoodOptions> = {}) {
  const api = await FakeApi.start(t)
  const log: LogLine[] = []
  const store = new LastGoodStore({
    client: makeClient(t, api),
    namespace: 'vnode-system',
    name: 'vnode-profile-last-good-rules',
    source: 'kube-system/eci-profile',
    isKeeper: true,
    log: createLogger('debug', { write: text => void log.push(JSON.parse(text)) }),
    clock: new HastyClock(60_000),
    ...options,
  })
  t.teardown(() => store.stop())
  return { api, store, log }
}

t.test('each write stands on the version that was read or written last', async t => {
  const { api, store } = await startStore(t)
  store.keep('one')
  const first = await api.next()
  t.strictSame(wantedOf(first), { request: `PATCH ${PATH}`, version: undefined, text: 'one' })
  store.keep('two')
  first.json(object('one', '5'))
  const second = await api.next()
  t.strictSame(wantedOf(second), { request: `PATCH ${PATH}`, version: '5', text: 'two' })
  t.equal(store.read(object('two', '7')), 'two')
  second.json(object('two', '6'))
  store.keep('three')
  const third = await api.next()
  t.equal(wantedOf(third).version, '7', 'an answer does not undo what the watch has told since')
  third.json(object('three', '8'))
})

t.test('where somebody wrote meanwhile, it is refused, and tried on what the watch tells', async t => {
  const { api, store, log } = await startStore(t)
  store.read(object('old', '5'))
  store.keep('mine')
  const first = await api.next()
  t.equal(wantedOf(first).version, '5')
  store.read(object('theirs', '6'))
  first.refuse(409, 'Conflict')
  const second = await api.next()
  t.equal(wantedOf(second).version, '6')
  second.refuse(409, 'Conflict')
  // They wrote the same: nothing is left to do.
  store.read(object('mine', '7'))
  await store.stop()
  t.same(log, [])
})

t.test("another ConfigMap's last good text is none, and is replaced", async t => {
  const { api, store } = await startStore(t)
  t.equal(store.read(object('foreign', '5', 'elsewhere/rules')), undefined)
  store.keep('foreign')
  const exchange = await api.next()
  t.match(wantedOf(exchange), { version: '5', text: 'foreign' })
  exchange.json(object('foreign', '6'))
})

t.test('an API server without server-side apply: said once, and never tried again', async t => {
  const { api, store, log } = await startStore(t)
  store.keep('one')
  ;(await api.next()).refuse(415, 'UnsupportedMediaType')
  await holds(() => log.length > 0, 5000)
  store.keep('two')
  store.keep('three')
  await store.stop()
  t.equal(api.seen.length, 1)
  t.match(log, [{ level: 'warn', msg: /no server-side apply \(Kubernetes 1\.16 and newer have\)/ }])
  t.equal(log.length, 1)
})

t.test('another fault is said, and tried again', async t => {
  const { api, store, log } = await startStore(t)
  store.keep('one')
  ;(await api.next()).refuse(403, 'Forbidden')
  const again = await api.next()
  t.equal(wantedOf(again).text, 'one')
  again.json(object('one', '5'))
  t.match(log, [{ level: 'warn', msg: 'the last good rules could not be kept; trying again' }])
})

t.test('what is deleted is kept anew, without a version to stand on', async t => {
  const { api, store } = await startStore(t)
  store.read(object('one', '5'))
  store.lost()
  const exchange = await api.next()
  t.match(wantedOf(exchange), { version: undefined, text: 'one' })
  exchange.json(object('one', '9'))
})

t.test('a reader reads, and never writes', async t => {
  const refuse: Pick<KubeClient, 'apply'> = {
    apply: async () => {
      throw new ApiError('a reader wrote', { status: 403 })
    },
  }
  const { store, log } = await startStore(t, { client: refuse, isKeeper: false })
  t.equal(store.read(object('one', '5')), 'one')
  store.keep('two')
  store.lost()
  await store.stop()
  t.same(log, [])
})
