import t from 'tap'
import { Restraint, Steady } from '../../../src/scheduler/steady.ts'
import { Wake } from '../../../src/scheduler/wake.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'

/** Lets all that waits for nothing but turns of the event loop go on. */
const settled = () => new Promise(resolve => setImmediate(resolve))

t.test('it waits for the time', async t => {
  const clock = new FakeClock()
  let isOver = false
  const waiting = new Wake(clock).wait(1000, new AbortController().signal).then(() => {
    isOver = true
  })
  clock.advance(999)
  await settled()
  t.notOk(isOver)
  clock.advance(1)
  await waiting
})

t.test('news end the wait, and what comes right after is gathered', async t => {
  const clock = new FakeClock()
  const wake = new Wake(clock)
  let isOver = false
  const waiting = wake.wait(60_000, new AbortController().signal).then(() => {
    isOver = true
  })
  wake.now()
  await settled()
  wake.now()
  t.notOk(isOver)
  clock.advance(50)
  await waiting
  t.strictSame(clock.pending, [], 'no timer is left')
})

t.test('news that come while nobody waits are not lost, and are news once', async t => {
  const clock = new FakeClock()
  const wake = new Wake(clock)
  wake.now()
  const first = wake.wait(60_000, new AbortController().signal)
  clock.advance(50)
  await first
  const second = wake.wait(60_000, new AbortController().signal)
  clock.advance(59_999)
  await settled()
  t.strictSame(clock.pending, [1])
  clock.advance(1)
  await second
})

t.test('an abort ends the wait at once', async t => {
  const clock = new FakeClock()
  const stop = new AbortController()
  const waiting = new Wake(clock).wait(60_000, stop.signal)
  stop.abort()
  await waiting
  t.strictSame(clock.pending, [])
})

t.test('how long something has stood is counted from when it was first seen so', async t => {
  const clock = new FakeClock()
  const steady = new Steady(clock)
  t.equal(steady.note('a'), 0)
  clock.advance(300)
  t.equal(steady.note('a'), 300)
  t.equal(steady.note('b'), 0)
  clock.advance(10)
  t.equal(steady.note('a'), 0, 'a break begins it anew')
})

t.test('repairs are slowed down once there are so many that somebody must be undoing them', async t => {
  const clock = new FakeClock()
  const restraint = new Restraint(clock)
  for (let repair = 0; repair < 10; repair += 1) restraint.note()
  t.equal(restraint.waitMs, 0)
  restraint.note()
  t.equal(restraint.waitMs, 250)
  for (let repair = 0; repair < 100; repair += 1) restraint.note()
  t.equal(restraint.waitMs, 10_000)
  clock.advance(60_000)
  t.equal(restraint.waitMs, 0)
})
