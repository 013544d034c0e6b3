import t from 'tap'
import { VnodeError } from '../../../src/core/errors.ts'
import { HeldTerm } from '../../../src/kube/term.ts'
import { clientOf } from '../../../src/kube/term-client.ts'
import { FakeApi, makeClient } from '../../helpers/fake-api.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'

const NOT_LEADER = { code: 'NOT_LEADER' }

function makeTerm(clock: FakeClock): HeldTerm {
  return new HeldTerm({ number: 1, clock, holdMs: 1000, sentAt: clock.now(), onEnd: () => {} })
}

t.test('while the term is held, requests go through', async t => {
  const api = await FakeApi.start(t)
  api.answer(exchange => exchange.json({ seen: exchange.method }))
  const client = clientOf(makeTerm(new FakeClock()), makeClient(t, api))
  t.strictSame(await client.request({ method: 'GET', path: '/a' }), { seen: 'GET' })
  t.strictSame(await client.request({ method: 'DELETE', path: '/a' }), { seen: 'DELETE' })
  t.strictSame(await client.apply('/a', {}), { seen: 'PATCH' })
  await client.close()
  t.strictSame(await client.apply('/a', {}), { seen: 'PATCH' }, 'the connection is shared with the election')
})

t.test('a process that was paused writes nothing, although no timer has told it yet', async t => {
  const api = await FakeApi.start(t)
  const clock = new FakeClock()
  const term = makeTerm(clock)
  const client = clientOf(term, makeClient(t, api))
  // Time passes without a turn of the event loop.
  const paused = new FakeClock()
  paused.advance(5000)
  clock.now = () => paused.now()
  t.notOk(term.signal.aborted)
  await t.rejects(client.apply('/a', {}), NOT_LEADER)
  await t.rejects(client.request({ method: 'PATCH', path: '/a' }), NOT_LEADER)
  await t.rejects(client.request({ method: 'DELETE', path: '/a' }), NOT_LEADER)
  t.strictSame(api.seen, [])
})

t.test('what is under way ends with the term', async t => {
  const api = await FakeApi.start(t)
  const clock = new FakeClock()
  const client = clientOf(makeTerm(clock), makeClient(t, api))
  const own = new AbortController()
  const waiting = [
    client.request({ method: 'GET', path: '/a' }),
    client.request({ method: 'GET', path: '/b', signal: own.signal }),
    client.apply('/c', {}),
    client.stream({ path: '/d', signal: own.signal }),
  ]
  for (const _ of waiting) await api.next()
  clock.advance(1000)
  for (const one of waiting) await t.rejects(one, NOT_LEADER)
})

t.test('a request may be ended before the term', async t => {
  const api = await FakeApi.start(t)
  const client = clientOf(makeTerm(new FakeClock()), makeClient(t, api))
  const own = new AbortController()
  const asked = client.apply('/a', {}, { signal: own.signal })
  await api.next()
  own.abort(new VnodeError('NETWORK', 'enough'))
  await t.rejects(asked, { message: 'enough' })
})
