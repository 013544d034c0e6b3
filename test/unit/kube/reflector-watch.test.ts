import type { Test } from 'tap'
import { test } from 'tap'
import type { ReflectorOptions } from '../../../src/kube/reflector-options.ts'
import { makeObject } from '../../helpers/fake-api.ts'
import { FakeClock, HastyClock } from '../../helpers/fake-clock.ts'
import { type Kept, type Scene, startScene } from '../../helpers/reflectors.ts'

/** A scene whose list (one object `a`, version 10) is given and whose watch is open. */
async function startWatching(t: Test, options: Partial<ReflectorOptions<Kept>> = {}) {
  const scene = await startScene(t, options)
  const list = await scene.api.next()
  list.list([makeObject('a')], '10')
  const watch = await scene.api.next()
  watch.open()
  await scene.diary.until('is watching')
  scene.diary.take()
  return { ...scene, watch }
}

const changes = ({ diary }: Pick<Scene, 'diary'>) =>
  diary.take().filter(line => /^(added|modified|deleted)/.test(line))

test('a watch', async t => {
  t.test('tells what happens', async t => {
    const scene = await startWatching(t)
    const { watch, diary, reflector } = scene
    watch.send('ADDED', makeObject('b', '11'))
    watch.send('MODIFIED', makeObject('a', '12'))
    watch.send('DELETED', makeObject('b', '13'))
    watch.send('ADDED', makeObject('c', '14', { namespace: 'n' }))
    await diary.until('added n/c@14')
    t.strictSame(changes(scene), ['added b@11', 'modified a@12', 'deleted b@11', 'added n/c@14'])
    t.strictSame([...reflector.objects.keys()], ['a', 'n/c'])
  })

  t.test('shows an object that was deleted and made anew unseen as both', async t => {
    const scene = await startWatching(t)
    scene.watch.send('MODIFIED', makeObject('a', '11', { uid: 'another' }))
    await scene.diary.until('added a@11')
    t.strictSame(changes(scene), ['deleted a@1', 'added a@11'])
  })

  t.test('passes over what it does not know', async t => {
    const scene = await startWatching(t)
    scene.watch.send('SOMETHING', makeObject('x', '11'))
    scene.watch.send('ADDED', { metadata: {} })
    scene.watch.raw('null\n')
    scene.watch.send('ADDED', makeObject('b', '12'))
    await scene.diary.until('added b@12')
    t.strictSame(scene.diary.take(), ['added b@12'])
  })

  t.test('reads lines however they are cut, in the middle of a character too', async t => {
    const { watch, diary, reflector } = await startWatching(t, {
      keep: raw => ({
        version: (raw as { metadata: { labels: { city: string } } }).metadata.labels?.city ?? '',
      }),
    })
    const bytes = Buffer.from(
      `${JSON.stringify({ type: 'ADDED', object: makeObject('b', '11', { labels: { city: '杭州 🏞' } }) })}\n`,
    )
    for (const byte of bytes) {
      watch.raw(Uint8Array.of(byte))
      await new Promise(resolve => setImmediate(resolve))
    }
    await diary.until('added b@杭州 🏞')
    t.equal(reflector.objects.get('b')?.value.version, '杭州 🏞')
  })

  t.test('gives up a line that has no end, and lists', async t => {
    const { watch, diary, api } = await startWatching(t)
    const chunk = Buffer.alloc(1024 * 1024, 'x')
    for (let sent = 0; sent < 17; sent += 1) watch.raw(chunk)
    await diary.until('error in watch: the server sent a line of more than 16777216 bytes')
    const list = await api.next()
    t.notOk(list.isWatch)
    await watch.closed
  })

  for (const [title, cut] of [
    ['a reset', 'reset'],
    ['a clean close', 'end'],
  ] as const) {
    t.test(`resumes after ${title} where it was`, async t => {
      const scene = await startWatching(t)
      scene.watch.send('ADDED', makeObject('b', '11'))
      await scene.diary.until('added b@11')
      scene.watch[cut]()
      const again = await scene.api.next()
      t.equal(again.query.resourceVersion, '11')
      t.ok(again.isWatch)
      again.open()
      again.send('ADDED', makeObject('c', '12'))
      await scene.diary.until('added c@12')
      t.strictSame(changes(scene), ['added b@11', 'added c@12'], 'nothing is told twice')
      t.equal(scene.reflector.objects.size, 3)
      t.equal(scene.reflector.lastError, undefined)
    })
  }

  t.test('resumes from the last bookmark', async t => {
    const { watch, api, reflector } = await startWatching(t)
    const before = reflector.lastEventAt ?? 0
    watch.bookmark('4711')
    watch.end()
    const again = await api.next()
    t.equal(again.query.resourceVersion, '4711')
    t.ok((reflector.lastEventAt ?? 0) > before)
  })

  for (const [title, fail] of [
    ['410 Gone by status', 'refuse'],
    ['410 Gone by event', 'send'],
  ] as const) {
    t.test(`lists after ${title}, and keeps what it has meanwhile`, async t => {
      const { watch, api, diary, reflector } = await startWatching(t)
      if (fail === 'send')
        watch.send('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' })
      else {
        watch.end()
        const again = await api.next()
        again.refuse(410, 'Expired')
      }
      const list = await api.next()
      t.notOk(list.isWatch)
      t.strictSame([...reflector.objects.keys()], ['a'])
      t.match(reflector.lastError, { status: 410, reason: 'Expired' })
      list.list([makeObject('b', '20')], '30')
      const last = await api.next()
      t.equal(last.query.resourceVersion, '30')
      t.strictSame(changes({ diary }), ['deleted a@1', 'added b@20'])
    })
  }

  t.test('tells of any other error in it, waits and lists', async t => {
    const { watch, api, diary, reflector } = await startWatching(t)
    watch.send('ERROR', { kind: 'Status', code: 500, reason: 'InternalError', message: 'etcd is sad' })
    await diary.until('is backoff')
    t.strictSame(diary.take(), ['error in watch: the watch ended: etcd is sad', 'is backoff'])
    t.match(reflector.lastError, { status: 500 })
    const list = await api.next()
    t.notOk(list.isWatch)
  })

  t.test('does not trust its version for ever when it cannot be resumed', async t => {
    const { watch, api } = await startWatching(t)
    watch.reset()
    const kinds: string[] = []
    for (let i = 0; i < 3; i += 1) {
      const next = await api.next()
      kinds.push(next.isWatch ? 'watch' : 'list')
      next.refuse(504, 'Timeout')
    }
    t.strictSame(kinds, ['watch', 'watch', 'list'])
  })

  t.test('that goes silent is ended and resumed', async t => {
    const { watch, api, diary, reflector } = await startWatching(t, { timings: { idleMs: 60 } })
    watch.bookmark('12')
    await watch.closed
    await diary.until('error in watch: no sign of life on the watch of /api/v1/things for 0.06 s')
    const again = await api.next()
    t.equal(again.query.resourceVersion, '12')
    t.equal(reflector.objects.size, 1)
    t.equal(reflector.synced, true)
  })

  t.test('is kept alive by bookmarks alone', async t => {
    const clock = new FakeClock()
    const { watch, api, reflector } = await startWatching(t, { clock })
    for (let minute = 1; minute <= 10; minute += 1) {
      clock.advance(60_000)
      const version = `${100 + minute}`
      watch.bookmark(version)
      while (reflector.lastEventAt !== clock.now()) await new Promise(resolve => setImmediate(resolve))
    }
    t.equal(api.seen.length, 2, 'one list, one watch')
    t.strictSame(clock.pending.length, 1, 'one timer however many events')
    clock.advance(89_000)
    t.equal(reflector.state, 'watching')
    clock.advance(2_000)
    await watch.closed
  })

  t.test('asks for another end each time, so that the watches of many clients spread', async t => {
    for (const [random, seconds] of [
      [0, '240'],
      [0.999, '300'],
    ] as const) {
      const { api } = await startScene(t, { random: () => random })
      const list = await api.next()
      list.list([])
      const watch = await api.next()
      t.equal(watch.query.timeoutSeconds, seconds)
    }
  })

  t.test('whose answer never begins is asked for again', async t => {
    const { api, diary } = await startScene(t, { timings: { idleMs: 40 } })
    const list = await api.next()
    list.list([makeObject('a')], '10')
    const watch = await api.next()
    await watch.closed
    await diary.until('error in watch: no answer within 0.04 s')
    const again = await api.next()
    t.equal(again.query.resourceVersion, '10')
  })
})

test('back-off', async t => {
  t.test('holds against a server that ends each watch after one event', async t => {
    const clock = new HastyClock(10_000)
    const times: number[] = []
    const scene = await startScene(t, {
      clock,
      random: () => 0.5,
      timings: { minBackoffMs: 200, maxBackoffMs: 10_000, stableMs: 10_000, idleMs: 90_000 },
    })
    const done = new Promise<void>(resolve => {
      scene.api.answer(exchange => {
        if (!exchange.isWatch) return exchange.list([], '1')
        times.push(clock.now())
        if (times.length > 100) resolve()
        if (times.length > 100) return
        exchange.open()
        exchange.send('ADDED', makeObject(`o${times.length}`, `${10 + times.length}`))
        exchange.end()
      })
    })
    await done
    const gaps = times.slice(1).map((time, i) => Math.round(time - (times[i] ?? 0)))
    t.strictSame(gaps.slice(0, 7), [300, 500, 900, 1700, 3300, 5100, 5100])
    t.ok(
      gaps.slice(5).every(gap => gap === 5100),
      'and never less again',
    )
    t.equal(scene.reflector.objects.size, 100, 'every event arrived')
    t.equal(scene.api.seen.filter(line => !line.includes('watch=')).length, 1, 'one list')
  })

  t.test('is forgotten after a watch that lived for some time', async t => {
    const clock = new FakeClock()
    const { api, diary } = await startScene(t, { clock, random: () => 0.5, timings: { stableMs: 50 } })
    const list = await api.next()
    list.list([])
    const wait = async () => {
      while (clock.pending.length === 0) await new Promise(resolve => setImmediate(resolve))
      const [ms = 0] = clock.pending
      clock.advance(ms)
      return ms
    }
    const endAfter = async (ms: number) => {
      const watch = await api.next()
      watch.open()
      await diary.until('is watching')
      diary.take()
      clock.advance(ms)
      watch.reset()
      await diary.until('is backoff')
    }
    await endAfter(49)
    t.equal(await wait(), 7.5)
    await endAfter(49)
    t.equal(await wait(), 12.5)
    await endAfter(50)
    t.equal(await wait(), 7.5)
  })

  t.test('is none after the ordinary end of a watch', async t => {
    const clock = new FakeClock()
    const { api, diary } = await startScene(t, { clock, timings: { stableMs: 50 } })
    const list = await api.next()
    list.list([])
    const watch = await api.next()
    watch.open()
    await diary.until('is watching')
    clock.advance(60)
    watch.end()
    const again = await api.next()
    t.ok(again.isWatch)
    t.notOk(diary.lines.includes('is backoff'))
  })
})
