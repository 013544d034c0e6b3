import t from 'tap'
import { memoize, memoizeByObject } from '../../../src/core/memo.ts'

function counted() {
  const calls: string[] = []
  const read = memoize((text: string) => {
    calls.push(text)
    return text === '' ? undefined : text.length
  })
  return { calls, read }
}

t.test('an answer is worked out once, undefined too', async t => {
  const { calls, read } = counted()
  t.equal(read('abc'), 3)
  t.equal(read('abc'), 3)
  t.equal(read(''), undefined)
  t.equal(read(''), undefined)
  t.strictSame(calls, ['abc', ''])
})

t.test('keys of Object.prototype are ordinary texts', async t => {
  const { read } = counted()
  t.equal(read('constructor'), 11)
  t.equal(read('__proto__'), 9)
})

t.test('a long text is worked out each time', async t => {
  const { calls, read } = counted()
  const long = 'x'.repeat(257)
  t.equal(read(long), 257)
  t.equal(read(long), 257)
  t.equal(calls.length, 2)
})

t.test('many texts: the answers stay right, and old ones are forgotten', async t => {
  const { calls, read } = counted()
  for (let index = 0; index < 5000; index++) read(`text ${index}`)
  t.equal(read('text 0'), 6)
  t.equal(calls.length, 5001)
})

t.test('of an object too an answer is worked out once, and equal objects are not the same', async t => {
  const asked: object[] = []
  const read = memoizeByObject((object: { readonly size?: number }) => {
    asked.push(object)
    return object.size
  })
  const [one, other, empty] = [{ size: 1 }, { size: 1 }, {}]
  t.strictSame([read(one), read(other), read(empty)], [1, 1, undefined])
  t.strictSame([read(one), read(other), read(empty)], [1, 1, undefined])
  t.equal(asked.length, 3)
})
