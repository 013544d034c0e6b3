import { test } from 'tap'
import { makeObject } from '../../helpers/fake-api.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import { startScene } from '../../helpers/reflectors.ts'

test('a list', async t => {
  t.test('is consistent and paged, and told when it is complete', async t => {
    const { api, diary, reflector } = await startScene(t, {
      labelSelector: 'a=b,c!=d',
      fieldSelector: 'spec.nodeName=',
      timings: { pageSize: 2 },
    })
    const first = await api.next()
    t.strictSame(first.query, { labelSelector: 'a=b,c!=d', fieldSelector: 'spec.nodeName=', limit: '2' })
    t.equal(first.path, '/api/v1/things')
    t.equal(first.headers.accept, 'application/json')
    first.list([makeObject('a'), makeObject('b', '2', { namespace: 'n' })], '10', 'more==')
    const second = await api.next()
    t.equal(second.query.continue, 'more==')
    t.equal(reflector.objects.size, 0, 'half a list is not shown')
    t.equal(reflector.synced, false)
    second.list([makeObject('c', '3')], '10')
    await diary.until('synced')
    t.strictSame(diary.take().slice(0, 5), ['is listing', 'added a@1', 'added n/b@2', 'added c@3', 'synced'])
    t.strictSame([...reflector.objects.keys()], ['a', 'n/b', 'c'])
    t.strictSame(reflector.objects.get('n/b'), {
      uid: 'uid-b',
      resourceVersion: '2',
      value: { version: '2' },
    })
    const watch = await api.next()
    t.match(watch.query, {
      watch: 'true',
      resourceVersion: '10',
      allowWatchBookmarks: 'true',
      labelSelector: 'a=b,c!=d',
      fieldSelector: 'spec.nodeName=',
    })
  })

  t.test('that expires between two pages is asked for anew, in one piece', async t => {
    const { api, diary } = await startScene(t)
    const first = await api.next()
    first.list([makeObject('a')], '10', 'more')
    const second = await api.next()
    second.refuse(410, 'Expired')
    const whole = await api.next()
    t.strictSame(whole.query, {}, 'no limit')
    whole.list([makeObject('a'), makeObject('b')], '11')
    await diary.until('added b@1')
    const watch = await api.next()
    t.equal(watch.query.resourceVersion, '11')
    watch.open()
    watch.send('ERROR', { code: 410 })
    const next = await api.next()
    t.equal(next.query.limit, '500', 'the next one is paged again')
  })

  t.test('after an expired watch is told by difference', async t => {
    const { api, diary } = await startScene(t)
    const first = await api.next()
    first.list(['gone', 'kept', 'changed', 'reborn'].map(name => makeObject(name)))
    const watch = await api.next()
    diary.take()
    watch.refuse(410, 'Expired')
    const list = await api.next()
    t.notOk(list.isWatch)
    list.list([
      makeObject('kept'),
      makeObject('changed', '7'),
      makeObject('reborn', '8', { uid: 'another' }),
      makeObject('new', '9'),
    ])
    await api.next()
    t.strictSame(
      diary.take().filter(line => /^(added|modified|deleted)/.test(line)),
      ['deleted gone@1', 'modified changed@7', 'deleted reborn@1', 'added reborn@8', 'added new@9'],
    )
  })

  t.test('of metadata alone asks for that, and takes whole objects as well', async t => {
    const { api } = await startScene(t, { metadataOnly: true })
    const list = await api.next()
    t.equal(
      list.headers.accept,
      'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json',
    )
    list.list([])
    const watch = await api.next()
    t.equal(
      watch.headers.accept,
      'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json',
    )
  })

  t.test('that is refused is tried again, and nothing is lost by it', async t => {
    for (const [status, reason] of [
      [401, 'Unauthorized'],
      [403, 'Forbidden'],
      [429, 'TooManyRequests'],
      [500, 'InternalError'],
      [503, 'ServiceUnavailable'],
    ] as const) {
      const { api, diary, reflector } = await startScene(t)
      const refused = await api.next()
      refused.refuse(status, reason)
      await diary.until('is backoff')
      t.match(reflector.lastError, { code: 'API', status, reason })
      t.equal(reflector.synced, false)
      const again = await api.next()
      again.list([makeObject('a')])
      await diary.until('synced')
      t.equal(reflector.lastError, undefined)
      t.strictSame(
        diary.lines.filter(line => !line.startsWith('is ')),
        [`error in list: ${status} said ${status}`, 'added a@1', 'synced'],
      )
    }
  })

  t.test('that is refused with Retry-After is not tried before', async t => {
    const clock = new FakeClock()
    const { api, diary } = await startScene(t, { clock, random: () => 0 })
    const refused = await api.next()
    refused.refuse(429, 'TooManyRequests', { 'retry-after': '7' })
    await diary.until('is backoff')
    while (clock.pending.length === 0) await new Promise(resolve => setImmediate(resolve))
    t.strictSame(clock.pending, [7005])
    clock.advance(7004)
    t.equal(api.seen.length, 1)
    clock.advance(1)
    const again = await api.next()
    t.notOk(again.isWatch)
  })

  t.test('that is cut or is not JSON is tried again', async t => {
    const { api, diary } = await startScene(t)
    const cut = await api.next()
    cut.reset()
    const page = await api.next()
    page.open()
    page.raw('<html>')
    page.end()
    const good = await api.next()
    good.list([makeObject('a')])
    await diary.until('synced')
    t.equal(diary.lines.filter(line => line.startsWith('error in list')).length, 2)
  })
})

test('waiting for the first list', async t => {
  t.test('ends with it, or at once after it', async t => {
    const { api, reflector } = await startScene(t)
    const waiting = reflector.waitForSync()
    const list = await api.next()
    list.list([])
    await waiting
    await reflector.waitForSync({ timeoutMs: 1 })
  })

  t.test('ends with the time, saying what failed last', async t => {
    const { api, diary, reflector } = await startScene(t, {
      timings: { minBackoffMs: 10_000, maxBackoffMs: 10_000 },
    })
    const list = await api.next()
    list.refuse(403, 'Forbidden')
    await diary.until('is backoff')
    await t.rejects(reflector.waitForSync({ timeoutMs: 10 }), {
      code: 'NETWORK',
      message: /\/api\/v1\/things not loaded within 0.01 s: .*403 said 403/,
    })
  })

  t.test('ends with the signal', async t => {
    const { reflector } = await startScene(t)
    const abort = new AbortController()
    const waiting = reflector.waitForSync({ signal: abort.signal })
    abort.abort(new Error('enough'))
    await t.rejects(waiting, { message: 'enough' })
    await t.rejects(reflector.waitForSync({ signal: abort.signal }), { message: 'enough' })
  })

  t.test('ends when the reflector is stopped', async t => {
    const { reflector } = await startScene(t)
    const waiting = reflector.waitForSync()
    void reflector.stop()
    await t.rejects(waiting, { code: 'INTERNAL' })
  })
})
