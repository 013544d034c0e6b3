import t from 'tap'
import { TokenBucket } from '../../../src/scheduler/token-bucket.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'

const takeAll = (bucket: TokenBucket) => {
  let taken = 0
  while (bucket.take()) taken += 1
  return taken
}

t.test('so many at once, then so many a second', async t => {
  const clock = new FakeClock()
  const bucket = new TokenBucket(clock, 20, 100)
  t.equal(takeAll(bucket), 100)
  t.equal(bucket.waitMs, 50)
  clock.advance(49)
  t.notOk(bucket.take())
  clock.advance(1)
  t.ok(bucket.take())
  t.notOk(bucket.take())
  clock.advance(1000)
  t.equal(takeAll(bucket), 20)
})

t.test('it holds no more than the burst, however long nothing is taken', async t => {
  const clock = new FakeClock()
  const bucket = new TokenBucket(clock, 20, 3)
  clock.advance(3_600_000)
  t.equal(bucket.waitMs, 0)
  t.equal(takeAll(bucket), 3)
})

t.test('what is given back can be taken again', async t => {
  const bucket = new TokenBucket(new FakeClock(), 1, 1)
  t.ok(bucket.take())
  bucket.giveBack()
  bucket.giveBack()
  t.equal(takeAll(bucket), 1)
})
