import { type Test, test } from 'tap'
import {
  cutUtf8,
  type EventRecord,
  EventWriter,
  type EventWriterOptions,
  eventName,
} from '../../../src/kube/event.ts'
import { FakeApi, makeClient } from '../../helpers/fake-api.ts'
import { HastyClock } from '../../helpers/fake-clock.ts'

const makeEvent = (given: Partial<EventRecord> = {}): EventRecord => ({
  involved: {
    apiVersion: 'v1',
    kind: 'Pod',
    namespace: 'shop',
    name: 'web-1',
    uid: 'u-1',
    resourceVersion: '5',
  },
  type: 'Warning',
  reason: 'NotOnEci',
  message: 'hostNetwork is not possible on ECI',
  key: 'rule-a',
  ...given,
})

async function startWriter(t: Test, options: Partial<EventWriterOptions> = {}) {
  const api = await FakeApi.start(t)
  const lost: string[] = []
  const writer = new EventWriter({
    client: makeClient(t, api),
    onLost: (event, error) => lost.push(`${event.key}: ${error instanceof Error ? error.name : error}`),
    clock: new HastyClock(60_000),
    random: () => 0,
    today: () => new Date('2026-05-06T07:08:09.123Z'),
    ...options,
  })
  t.teardown(() => writer.stop())
  return { api, writer, lost }
}

test('an event', async t => {
  t.test('is written by server-side apply under a name that follows from it', async t => {
    const { api, writer } = await startWriter(t)
    writer.emit(makeEvent())
    const exchange = await api.next()
    const name = eventName(makeEvent())
    t.match(name, /^web-1\.[0-9a-f]{16}$/)
    t.equal(exchange.method, 'PATCH')
    t.equal(exchange.path, `/api/v1/namespaces/shop/events/${name}`)
    t.strictSame(exchange.query, { fieldManager: 'vnode-profile', force: 'true' })
    t.strictSame(JSON.parse(exchange.body), {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace: 'shop' },
      involvedObject: makeEvent().involved,
      type: 'Warning',
      reason: 'NotOnEci',
      message: 'hostNetwork is not possible on ECI',
      source: { component: 'vnode-profile' },
      reportingComponent: 'vnode-profile',
      reportingInstance: 'vnode-profile',
      firstTimestamp: '2026-05-06T07:08:09Z',
      lastTimestamp: '2026-05-06T07:08:09Z',
      count: 1,
    })
    exchange.json({})
    await writer.idle()
  })

  t.test('is made, or changed, by hand where the API server is too old for server-side apply', async t => {
    const { api, writer, lost } = await startWriter(t)
    const collection = '/api/v1/namespaces/shop/events'
    writer.emit(makeEvent())
    ;(await api.next()).refuse(415, 'UnsupportedMediaType')
    const made = await api.next()
    t.equal(`${made.method} ${made.path}`, `POST ${collection}`)
    const object = JSON.parse(made.body)
    t.match(object, { metadata: { name: eventName(makeEvent()) }, reason: 'NotOnEci', count: 1 })
    made.json(object, 201)
    await writer.idle()
    writer.emit(makeEvent())
    const again = await api.next()
    t.equal(`${again.method} ${again.path}`, `POST ${collection}`, 'apply is not tried again')
    again.refuse(409, 'AlreadyExists')
    const changed = await api.next()
    t.equal(`${changed.method} ${changed.path}`, `PATCH ${collection}/${eventName(makeEvent())}`)
    t.equal(changed.headers['content-type'], 'application/merge-patch+json')
    const patch = JSON.parse(changed.body)
    t.match(patch, { count: 2, lastTimestamp: '2026-05-06T07:08:09Z' })
    t.notOk('firstTimestamp' in patch, 'when it was first seen stays')
    changed.json({})
    await writer.idle()
    t.same(lost, [])
  })

  t.test('of a cluster-scoped object goes to the namespace default', async t => {
    const { api, writer } = await startWriter(t)
    writer.emit(makeEvent({ involved: { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'n1' } }))
    const exchange = await api.next()
    t.match(exchange.path, /^\/api\/v1\/namespaces\/default\/events\/n1\./)
    exchange.json({})
    await writer.idle()
  })

  t.test('that is said again keeps its name and beginning, and counts', async t => {
    let now = 0
    const { api, writer } = await startWriter(t, { today: () => new Date(Date.UTC(2026, 0, 1, 0, 0, now++)) })
    const bodies: { firstTimestamp: string; count: number; metadata: { name: string } }[] = []
    api.answer(exchange => {
      bodies.push(JSON.parse(exchange.body))
      exchange.json({})
    })
    writer.emit(makeEvent())
    await writer.idle()
    for (let i = 0; i < 3; i += 1) writer.emit(makeEvent({ message: `again ${i}` }))
    await writer.idle()
    t.equal(bodies.length, 2, 'three at once are one write')
    t.strictSame(
      bodies.map(({ count }) => count),
      [1, 4],
    )
    t.match(bodies[1], {
      firstTimestamp: bodies[0]?.firstTimestamp,
      metadata: bodies[0]?.metadata,
      message: 'again 2',
    })
  })

  t.test('is another one for another object, reason or key', async t => {
    const names = [
      makeEvent(),
      makeEvent({ reason: 'Other' }),
      makeEvent({ key: 'rule-b' }),
      makeEvent({ involved: { ...makeEvent().involved, uid: 'u-2' } }),
    ].map(eventName)
    t.equal(new Set(names).size, 4)
    t.equal(eventName(makeEvent({ message: 'x', type: 'Normal' })), names[0])
  })

  t.test('has a name that the apiserver takes, whatever the object is called', async t => {
    const cases: [string, RegExp][] = [
      ['web', /^web\.[0-9a-f]{16}$/],
      ['system:Node-Reader', /^system-node-reader\./],
      ['a:.b..c', /^a\.b\.c\./],
      [`${'x'.repeat(235)}.y`, /^x{235}\.[0-9a-f]{16}$/],
      ['x'.repeat(300), /^x{236}\.[0-9a-f]{16}$/],
      ['::', /^event\.[0-9a-f]{16}$/],
    ]
    for (const [name, expected] of cases) {
      const result = eventName(makeEvent({ involved: { ...makeEvent().involved, name } }))
      t.match(result, expected)
      t.match(result, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/)
      t.ok(result.length <= 253)
    }
  })

  t.test('has a message of 1024 bytes at most, in whole characters', async t => {
    t.equal(cutUtf8('x'.repeat(1024), 1024), 'x'.repeat(1024))
    t.equal(cutUtf8('x'.repeat(1025), 1024), `${'x'.repeat(1021)}…`)
    for (let extra = 0; extra < 5; extra += 1) {
      const cut = cutUtf8(`${'x'.repeat(1015 + extra)}${'杭🏞'.repeat(20)}`, 1024)
      t.ok(Buffer.byteLength(cut) <= 1024)
      t.notMatch(cut, /\uFFFD/)
    }
  })
})

test('a writer', async t => {
  t.test('sends one at a time', async t => {
    const { api, writer } = await startWriter(t)
    writer.emit(makeEvent({ key: 'a' }))
    writer.emit(makeEvent({ key: 'b' }))
    const first = await api.next()
    await new Promise(resolve => setTimeout(resolve, 30))
    t.equal(api.seen.length, 1)
    first.json({})
    const second = await api.next()
    second.json({})
    await writer.idle()
  })

  t.test('tries again when the server is busy or away, and gives up in the end', async t => {
    const { api, writer, lost } = await startWriter(t)
    writer.emit(makeEvent())
    for (const fail of [503, 429, 0]) {
      const exchange = await api.next()
      if (fail === 0) exchange.reset()
      else exchange.refuse(fail)
    }
    const fourth = await api.next()
    fourth.json({})
    await writer.idle()
    t.strictSame(lost, [])
    api.answer(exchange => exchange.refuse(500))
    writer.emit(makeEvent())
    await writer.idle()
    t.equal(api.seen.length, 4 + 5)
    t.strictSame(lost, ['rule-a: ApiError'])
    t.equal(writer.lost, 1)
  })

  t.test('does not repeat what the server refuses', async t => {
    const { api, writer, lost } = await startWriter(t)
    api.answer(exchange => exchange.refuse(403, 'Forbidden'))
    writer.emit(makeEvent())
    await writer.idle()
    t.equal(api.seen.length, 1)
    t.strictSame(lost, ['rule-a: ApiError'])
  })

  t.test('holds so many, and drops the oldest', async t => {
    const { api, writer, lost } = await startWriter(t, { capacity: 3 })
    for (let i = 0; i < 6; i += 1) writer.emit(makeEvent({ key: `k${i}` }))
    t.strictSame(lost, ['k0: undefined', 'k1: undefined', 'k2: undefined'])
    api.answer(exchange => exchange.json({}))
    await writer.idle()
    t.equal(api.seen.length, 3)
    t.equal(writer.lost, 3)
  })

  t.test('never throws, whatever its own callback does', async t => {
    const { api, writer } = await startWriter(t, {
      onLost: () => {
        throw new Error('no')
      },
      capacity: 1,
    })
    api.answer(exchange => exchange.refuse(400))
    writer.emit(makeEvent({ key: 'a' }))
    writer.emit(makeEvent({ key: 'b' }))
    await writer.idle()
    t.equal(writer.lost, 2)
  })

  t.test('that is stopped sends no more', async t => {
    const { api, writer, lost } = await startWriter(t)
    writer.emit(makeEvent({ key: 'a' }))
    writer.emit(makeEvent({ key: 'b' }))
    const first = await api.next()
    await writer.stop()
    await first.closed
    writer.emit(makeEvent({ key: 'c' }))
    await writer.idle()
    t.equal(api.seen.length, 1)
    t.strictSame(lost, [])
  })
})
