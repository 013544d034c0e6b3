import { test } from 'tap'
import { FakeApi, makeClient, makeObject } from '../../helpers/fake-api.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import { startScene } from '../../helpers/reflectors.ts'

test('stop', async t => {
  t.test('during the list: no watch follows, and nothing is told', async t => {
    const { api, diary, reflector } = await startScene(t)
    const list = await api.next()
    const stopped = reflector.stop()
    t.equal(reflector.state, 'stopped', 'at once')
    await stopped
    await list.closed
    list.list([makeObject('a')])
    t.strictSame(diary.lines, ['is listing', 'is stopped'])
    t.equal(api.seen.length, 1)
    t.equal(reflector.objects.size, 0)
  })

  t.test('during a list whose answer comes all the same: it is not taken', async t => {
    const api = await FakeApi.start(t)
    const deaf = makeClient(t, api)
    const { reflector } = await startScene(t, {
      client: { request: ({ signal: _, ...rest }) => deaf.request(rest), stream: deaf.stream.bind(deaf) },
    })
    const list = await api.next()
    const stopped = reflector.stop()
    list.list([makeObject('a')])
    await stopped
    t.equal(reflector.objects.size, 0)
    t.equal(reflector.synced, false)
    t.equal(api.seen.length, 1)
  })

  t.test('during the watch: it ends without an error', async t => {
    const { api, diary, reflector } = await startScene(t)
    const list = await api.next()
    list.list([makeObject('a')])
    const watch = await api.next()
    watch.open()
    await diary.until('is watching')
    diary.take()
    await reflector.stop()
    await watch.closed
    t.strictSame(diary.lines, ['is stopped'])
    t.equal(reflector.objects.size, 1, 'what it knew stays')
  })

  t.test('during a wait: the wait ends', async t => {
    const clock = new FakeClock()
    const { api, diary, reflector } = await startScene(t, { clock })
    const list = await api.next()
    list.refuse(500)
    await diary.until('is backoff')
    await reflector.stop()
    t.strictSame(clock.pending, [])
    t.equal(api.seen.length, 1)
  })

  t.test('by a handler: it hears nothing more', async t => {
    const { api, diary, reflector } = await startScene(t, {
      onChange: ({ key }) => {
        diary.add(key)
        void reflector.stop()
      },
    })
    const list = await api.next()
    list.list([makeObject('a'), makeObject('b')])
    await diary.until('is stopped')
    await reflector.stop()
    t.strictSame(diary.lines, ['is listing', 'a', 'is stopped'])
  })

  t.test('before anything was sent: nothing is', async t => {
    const { api, reflector, diary } = await startScene(t)
    await reflector.stop()
    t.strictSame(api.seen, [])
    t.equal(diary.lines.at(-1), 'is stopped')
  })

  t.test('twice, or without a start, does nothing', async t => {
    const { reflector } = await startScene(t)
    await reflector.stop()
    await reflector.stop()
    t.equal(reflector.state, 'stopped')
  })

  t.test('and start: lists anew and tells the difference', async t => {
    const { api, diary, reflector } = await startScene(t)
    const list = await api.next()
    list.list([makeObject('a'), makeObject('b')])
    const watch = await api.next()
    watch.open()
    await diary.until('is watching')
    const stopped = reflector.stop()
    reflector.start()
    reflector.start()
    diary.take()
    const again = await api.next()
    t.notOk(again.isWatch)
    again.list([makeObject('b', '5'), makeObject('c')])
    const next = await api.next()
    next.open()
    await diary.until('is watching')
    await stopped
    t.strictSame(diary.take(), ['is listing', 'deleted a@1', 'modified b@5', 'added c@1', 'is watching'])
    t.equal(api.seen.length, 4, 'one loop runs')
  })
})

test('what handlers throw', async t => {
  t.test('is reported and of no effect', async t => {
    const errors: string[] = []
    const { api, diary, reflector } = await startScene(t, {
      onChange: ({ key }) => {
        diary.add(key)
        throw new Error(`change ${key}`)
      },
      onSynced: () => {
        throw new Error('synced')
      },
      onState: () => {
        throw new Error('state')
      },
      onError: (error, during) => {
        if (error.message !== 'state') errors.push(`${during}: ${error.message}`)
        throw new Error('even here')
      },
    })
    const list = await api.next()
    list.list([makeObject('a'), makeObject('b')])
    const watch = await api.next()
    watch.open()
    watch.send('ADDED', makeObject('c', '7'))
    await diary.until('c')
    watch.end()
    const again = await api.next()
    t.equal(again.query.resourceVersion, '7', 'the event that failed is not asked for again')
    t.equal(reflector.objects.size, 3)
    t.strictSame(errors, ['handler: change a', 'handler: change b', 'handler: synced', 'handler: change c'])
  })

  t.test('is reported of async handlers too', async t => {
    const { api, diary } = await startScene(t, {
      onChange: async () => {
        throw new Error('later')
      },
    })
    const list = await api.next()
    list.list([makeObject('a')])
    await diary.until('error in handler: later')
    t.pass()
  })

  t.test('of an object that cannot be reduced: it keeps its last value, or is left out', async t => {
    const { api, diary, reflector } = await startScene(t, {
      keep: raw => {
        const { metadata } = raw as ReturnType<typeof makeObject> & { metadata: { labels?: unknown } }
        if (metadata.labels !== undefined) throw new Error(`bad ${metadata.name}`)
        return { version: metadata.resourceVersion }
      },
    })
    const bad = { labels: {} }
    const list = await api.next()
    list.list([makeObject('a'), makeObject('b', '1', bad)], '10')
    const watch = await api.next()
    watch.open()
    watch.send('MODIFIED', makeObject('a', '11', bad))
    watch.send('ERROR', { code: 410 })
    await diary.until('error in handler: bad a')
    t.strictSame([...reflector.objects.keys()], ['a'])
    const again = await api.next()
    again.list([makeObject('a', '12', bad), makeObject('b', '13')])
    await diary.until('added b@13')
    t.equal(reflector.objects.get('a')?.value.version, '1')
  })
})
