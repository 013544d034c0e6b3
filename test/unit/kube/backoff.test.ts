import { test } from 'tap'
import { Backoff } from '../../../src/kube/backoff.ts'
import { sleep } from '../../../src/kube/clock.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'

const waits = (backoff: Backoff, count: number) =>
  Array.from({ length: count }, () => Math.round(backoff.next()))

test('back-off', async t => {
  t.test('grows to its ceiling', async t => {
    const high = new Backoff({ minMs: 200, maxMs: 10_000, random: () => 0.999999 })
    t.strictSame(waits(high, 8), [400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000])
  })

  t.test('never falls below its floor', async t => {
    const low = new Backoff({ minMs: 200, maxMs: 10_000, random: () => 0 })
    t.strictSame(waits(low, 3), [200, 200, 200])
  })

  t.test('begins anew after a reset', async t => {
    const backoff = new Backoff({ minMs: 200, maxMs: 10_000, random: () => 0.5 })
    t.strictSame(waits(backoff, 3), [300, 500, 900])
    t.equal(backoff.failures, 3)
    backoff.reset()
    t.strictSame(waits(backoff, 1), [300])
  })

  t.test('stays finite for ever', async t => {
    const backoff = new Backoff({ minMs: 200, maxMs: 10_000, random: () => 0.999999 })
    t.equal(waits(backoff, 5000).at(-1), 10_000)
  })
})

test('sleep ends with its time or with the signal, and leaves no timer', async t => {
  const clock = new FakeClock()
  const abort = new AbortController()
  const first = sleep(clock, 50, abort.signal)
  clock.advance(50)
  await first
  const second = sleep(clock, 50, abort.signal)
  abort.abort()
  await second
  await sleep(clock, 50, abort.signal)
  t.strictSame(clock.pending, [])
})
