import t from 'tap'
import { type Judge, SpillBook } from '../../../../src/core/spill/book.ts'
import type { PendingPod } from '../../../../src/core/spill/pending-pod.ts'
import { type SpillVerdict, spillVerdict } from '../../../../src/core/spill/verdict.ts'
import { makePending, makeSituation, UNSCHEDULABLE } from '../../../helpers/spill.ts'

const situation = makeSituation({ policy: { spillAfter: '30s' } })
const judge: Judge = (pod, waitedMs) => spillVerdict(pod, { ...situation, waitedMs })
const now = { ...makeSituation() }
const judgeNow: Judge = pod => spillVerdict(pod, now)
const GATED = { spec: { schedulingGates: [{ name: 'quota' }] }, status: { phase: 'Pending' } }

const pod = (name: string, createdAt = '2026-05-06T07:00:00Z', more: object = {}): PendingPod => ({
  ...makePending({ name, uid: `uid-${name}`, ...more }),
  createdAt,
})
const outcomes = (book: SpillBook, by: Judge, at: number) =>
  book.review(by, at).map(({ key, verdict }) => [key, (verdict as SpillVerdict).outcome])
/** Takes all that may spill. */
const drain = (book: SpillBook, at = 0): string[] => {
  const keys: string[] = []
  for (let next = book.next(at); next !== undefined; next = book.next(at)) {
    keys.push(next.key)
    next.isDone = true
  }
  return keys
}

t.test('the wait counts from when the Pod is first seen as unschedulable', async t => {
  const book = new SpillBook()
  book.set('a', pod('a'), 1000)
  t.strictSame(outcomes(book, judge, 1000), [['a', 'held']])
  t.equal(book.dueIn(1000), 30_000)
  t.strictSame(outcomes(book, judge, 30_999), [])
  t.strictSame(outcomes(book, judge, 31_000), [['a', 'spill']])
  t.strictSame(drain(book), ['a'])
})

t.test(
  'of a Pod whose gate goes after an hour, it counts from then, whatever the condition says',
  async t => {
    const book = new SpillBook()
    const hour = 3_600_000
    book.set('a', pod('a', undefined, GATED), 0)
    t.strictSame(outcomes(book, judge, 0), [['a', 'idle']])
    book.set('a', pod('a'), hour)
    t.strictSame(outcomes(book, judge, hour), [['a', 'held']])
    t.equal(book.dueIn(hour), 30_000)
    t.strictSame(outcomes(book, judge, hour + 30_000), [['a', 'spill']])
  },
)

t.test('the order is that of creation, and of first sight within a second', async t => {
  const book = new SpillBook()
  book.set('late', pod('late', '2026-05-06T07:00:02Z'), 0)
  book.set('z', pod('z'), 0)
  book.set('a', pod('a'), 0)
  book.review(judgeNow, 0)
  t.strictSame(drain(book), ['z', 'a', 'late'])
  book.set('early', pod('early', '2026-05-06T06:00:00Z'), 0)
  book.set('mid', pod('mid', '2026-05-06T07:00:01Z'), 0)
  book.review(judgeNow, 0)
  t.strictSame(drain(book), ['early', 'mid'])
})

t.test(
  'a change that says nothing to a decision costs no review, but the next patch is made on it',
  async t => {
    const book = new SpillBook()
    book.set('a', pod('a'), 0)
    t.equal(book.review(judgeNow, 0).length, 1)
    const status = {
      conditions: [{ ...UNSCHEDULABLE.conditions[0], message: 'another node joined' }],
    }
    book.set('a', pod('a', undefined, { status, resourceVersion: '8' }), 0)
    t.equal(book.review(judgeNow, 0).length, 0)
    t.equal(book.next(0)?.pod.resourceVersion, '8')
  },
)

t.test('one that may not spill any more is not the next one', async t => {
  const book = new SpillBook()
  book.set('a', pod('a'), 0)
  book.set('b', pod('b'), 0)
  book.review(judgeNow, 0)
  t.equal(book.ready(0), 2)
  book.set('a', pod('a', undefined, { status: { ...UNSCHEDULABLE, nominatedNodeName: 'n' } }), 0)
  book.review(judgeNow, 0)
  t.strictSame(drain(book), ['b'])
  book.set('a', pod('a', undefined, { resourceVersion: '9' }), 0)
  book.review(judgeNow, 0)
  t.strictSame(drain(book), ['a'], 'and is again, once the nomination is cleared')
})

t.test('what is gone is not the next one, and another of its name is another one', async t => {
  const book = new SpillBook()
  book.set('a', pod('a'), 0)
  book.set('b', pod('b'), 0)
  book.review(judgeNow, 0)
  drain(book)
  book.delete('a')
  book.set('b', pod('b', undefined, { uid: 'another' }), 5000)
  t.equal(book.get('b')?.seenAt, 5000)
  t.strictSame(outcomes(book, judgeNow, 5000), [['b', 'spill']])
  t.strictSame(drain(book), ['b'])
  t.equal(book.size, 1)
})

t.test('one that is done is never the next one again, whatever is said of it', async t => {
  const book = new SpillBook()
  book.set('a', pod('a'), 0)
  book.review(judgeNow, 0)
  drain(book)
  book.set('a', pod('a', undefined, { labels: { app: 'web', x: 'y' } }), 0)
  book.touch()
  book.review(judgeNow, 0)
  t.equal(book.next(0), undefined)
})

t.test('one that is put off comes back by itself', async t => {
  const book = new SpillBook()
  book.set('a', pod('a'), 0)
  book.set('b', pod('b'), 0)
  book.review(judgeNow, 0)
  const first = book.next(0)
  if (first === undefined) throw new Error('nobody is next')
  book.postpone(first, 1000, 0)
  t.strictSame(drain(book), ['b'])
  t.equal(book.dueIn(0), 1000)
  t.strictSame(outcomes(book, judgeNow, 999), [])
  t.strictSame(outcomes(book, judgeNow, 1000), [['a', 'spill']])
  t.strictSame(drain(book, 1000), ['a'])
  t.equal(book.dueIn(1000), Number.POSITIVE_INFINITY)
})

t.test('one that is put off stays put off, whatever there is news about', async t => {
  const book = new SpillBook()
  book.set('a', pod('a'), 0)
  book.review(judgeNow, 0)
  const first = book.next(0)
  if (first === undefined) throw new Error('nobody is next')
  book.postpone(first, 1000, 0)
  book.touch()
  book.set('a', pod('a', undefined, { labels: { app: 'web', x: 'y' } }), 10)
  t.strictSame(outcomes(book, judgeNow, 10), [['a', 'spill']])
  t.equal(book.next(10), undefined)
  t.equal(book.ready(10), 0)
  t.equal(book.dueIn(10), 990, 'and comes back by itself all the same')
  t.strictSame(outcomes(book, judgeNow, 1000), [['a', 'spill']])
  t.strictSame(drain(book, 1000), ['a'])
})

t.test('one that was denied comes after those that were not', async t => {
  const book = new SpillBook()
  book.set('old', pod('old', '2026-05-06T06:00:00Z'), 0)
  book.set('new', pod('new'), 0)
  book.review(judgeNow, 0)
  const first = book.next(0)
  t.equal(first?.key, 'old')
  if (first !== undefined) {
    book.deny(first)
    book.postpone(first, 1000, 0)
  }
  t.equal(book.next(0)?.key, 'new')
  book.set('newer', pod('newer', '2026-05-06T08:00:00Z'), 1000)
  book.review(judgeNow, 1000)
  t.strictSame(drain(book, 1000), ['new', 'newer', 'old'])
})

t.test('news about some are news about some', async t => {
  const book = new SpillBook()
  for (const name of ['a', 'b', 'c']) book.set(name, pod(name), 0)
  book.review(judgeNow, 0)
  book.touch(({ key }) => key !== 'b')
  t.strictSame(
    outcomes(book, judgeNow, 0).map(([key]) => key),
    ['a', 'c'],
  )
})

t.test('ten thousand are drained in less than a heartbeat', async t => {
  const book = new SpillBook()
  for (let i = 0; i < 10_000; i += 1)
    book.set(`p${i}`, pod(`p${i}`, new Date(1e12 - i * 1000).toISOString()), 0)
  book.review(judgeNow, 0)
  const started = performance.now()
  const order = drain(book)
  t.equal(order.length, 10_000)
  t.equal(order[0], 'p9999')
  t.ok(performance.now() - started < 10_000)
})
