import { test } from 'tap'
import { identify, ObjectStore, type StoredObject } from '../../../src/kube/store.ts'

const object = (
  uid: string,
  resourceVersion: string,
  value = `${uid}@${resourceVersion}`,
): StoredObject<string> => ({
  uid,
  resourceVersion,
  value,
})

test('a store says what changed', async t => {
  const store = new ObjectStore<string>()
  t.strictSame(store.put('a', object('1', '1')), [{ type: 'added', key: 'a', value: '1@1' }])
  t.strictSame(store.put('a', object('1', '1')), [], 'the same version again is no change')
  t.strictSame(store.put('a', object('1', '2')), [
    { type: 'modified', key: 'a', value: '1@2', previous: '1@1' },
  ])
  t.strictSame(
    store.put('a', object('2', '3')),
    [
      { type: 'deleted', key: 'a', value: '1@2', previous: '1@2' },
      { type: 'added', key: 'a', value: '2@3' },
    ],
    'another uid is another object',
  )
  t.strictSame(store.remove('b'), [], 'what was never there')
  t.strictSame(store.remove('a'), [{ type: 'deleted', key: 'a', value: '2@3', previous: '2@3' }])
  t.equal(store.objects.size, 0)
})

test('a store is replaced by difference', async t => {
  const store = new ObjectStore<string>()
  for (const key of ['kept', 'changed', 'gone', 'reborn']) store.put(key, object(key, '1'))
  const changes = store.replace(
    new Map([
      ['kept', object('kept', '1')],
      ['changed', object('changed', '2')],
      ['reborn', object('reborn-2', '3')],
      ['new', object('new', '4')],
    ]),
  )
  t.strictSame(
    changes.map(({ type, key }) => `${type} ${key}`),
    ['deleted gone', 'modified changed', 'deleted reborn', 'added reborn', 'added new'],
  )
  t.strictSame([...store.objects.keys()].sort(), ['changed', 'kept', 'new', 'reborn'])
})

test('objects are known by namespace and name', async t => {
  const cases: [string, unknown, string | undefined][] = [
    ['a namespaced object', { metadata: { name: 'a', namespace: 'b' } }, 'b/a'],
    ['a cluster-scoped object', { metadata: { name: 'a' } }, 'a'],
    ['a name that objects inherit', { metadata: { name: 'constructor' } }, 'constructor'],
    ['no name', { metadata: {} }, undefined],
    ['no metadata', {}, undefined],
    ['no object', null, undefined],
  ]
  for (const [title, raw, key] of cases) t.equal(identify(raw)?.key, key, title)
})
