import t from 'tap'
import { asArray, asRecord, asString, own } from '../../../../src/core/kubernetes/objects.ts'

const values: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['undefined', undefined],
  ['a number', 1],
  ['a boolean', true],
]

for (const [name, value] of values) {
  t.test(`${name} is no object, no string, and an empty array`, async t => {
    t.equal(asRecord(value), undefined)
    t.equal(asString(value), undefined)
    t.same(asArray(value), [])
  })
}

t.test('each kind is itself and none of the others', async t => {
  const object = { a: 1 }
  const array = [1]
  t.equal(asRecord(object), object)
  t.equal(asRecord(array), undefined)
  t.equal(asRecord('text'), undefined)
  t.equal(asArray(array), array)
  t.same(asArray(object), [])
  t.same(asArray('text'), [])
  t.equal(asString('text'), 'text')
  t.equal(asString(''), '')
  t.equal(asString(object), undefined)
})

t.test('own finds what the sender wrote and nothing that every object has', async t => {
  t.equal(own({ a: 1 }, 'a'), 1)
  t.equal(own({ a: 1 }, 'constructor'), undefined)
  t.equal(own({}, 'toString'), undefined)
  t.equal(own({}, '__proto__'), undefined)
  t.equal(own(asRecord(JSON.parse('{"__proto__": "x", "constructor": "y"}')), '__proto__'), 'x')
  t.equal(own(asRecord(JSON.parse('{"__proto__": "x", "constructor": "y"}')), 'constructor'), 'y')
  t.equal(own(undefined, 'a'), undefined)
})
