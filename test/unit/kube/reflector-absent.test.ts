import { test } from 'tap'
import { servedPath } from '../../../src/kube/discovery.ts'
import { makeClient, makeObject } from '../../helpers/fake-api.ts'
import { startScene } from '../../helpers/reflectors.ts'

test('a type that is not installed', async t => {
  t.test('counts as known to be empty, and is looked for until it is there', async t => {
    const { api, diary, reflector } = await startScene(t, { timings: { absentGraceMs: 60_000 } })
    for (let i = 0; i < 3; i += 1) {
      const list = await api.next()
      list.refuse(404, 'NotFound')
    }
    const list = await api.next()
    t.equal(reflector.state, 'absent')
    t.equal(reflector.synced, true)
    t.equal(reflector.lastError, undefined)
    t.strictSame(diary.take(), ['is listing', 'is absent', 'synced'], 'said once')
    list.list([makeObject('a')])
    const watch = await api.next()
    watch.open()
    await diary.until('is watching')
    t.strictSame(diary.take(), ['added a@1', 'is watching'])
  })

  t.test('takes its objects along', async t => {
    const { api, diary, reflector } = await startScene(t)
    const list = await api.next()
    list.list([makeObject('a'), makeObject('b')])
    const watch = await api.next()
    watch.refuse(404, 'NotFound')
    diary.take()
    const again = await api.next()
    t.notOk(again.isWatch, 'looks once more before it believes')
    t.equal(reflector.objects.size, 2)
    again.refuse(404, 'NotFound')
    await diary.until('is absent')
    t.strictSame(diary.take().slice(-3), ['deleted a@1', 'deleted b@1', 'is absent'])
    t.equal(reflector.objects.size, 0)
  })

  t.test('may be missing for a moment, as it is while an apiserver starts', async t => {
    const { api, diary, reflector } = await startScene(t, { timings: { absentGraceMs: 60_000 } })
    const list = await api.next()
    list.list([makeObject('a')])
    const watch = await api.next()
    watch.refuse(404, 'NotFound')
    for (let i = 0; i < 3; i += 1) {
      const missing = await api.next()
      t.notOk(missing.isWatch)
      missing.refuse(404, 'NotFound')
    }
    const back = await api.next()
    t.equal(reflector.objects.size, 1)
    back.list([makeObject('a')])
    await api.next()
    t.notOk(diary.lines.some(line => line.startsWith('deleted') || line === 'is absent'))
  })
})

test('a custom resource is followed through discovery', async t => {
  const versions = (...names: string[]) => ({ versions: names.map(version => ({ version })) })
  const resources = { resources: [{ name: 'selectors', namespaced: true }] }
  const found: (string | undefined)[] = []
  const scene = await startScene(t, {
    path: signal => {
      const resource = { group: 'eci.aliyun.com', plural: 'selectors' }
      return servedPath(makeClient(t, scene.api), resource, served => found.push(served?.version))(signal)
    },
  })
  const { api, diary, reflector } = scene

  const early = await api.next()
  t.equal(early.path, '/apis/eci.aliyun.com')
  early.refuse(404, 'NotFound')
  await diary.until('is absent')

  const group = await api.next()
  group.json(versions('v1beta1'))
  const version = await api.next()
  t.equal(version.path, '/apis/eci.aliyun.com/v1beta1')
  version.json(resources)
  const list = await api.next()
  t.equal(list.path, '/apis/eci.aliyun.com/v1beta1/selectors')
  list.list([makeObject('a')])
  const watch = await api.next()
  t.equal(watch.path, '/apis/eci.aliyun.com/v1beta1/selectors')
  watch.open()
  await diary.until('is watching')
  diary.take()

  // The CRD serves another version now: watches of the old one are ended and answered with 404.
  watch.end()
  const gone = await api.next()
  gone.refuse(404, 'NotFound')
  const newGroup = await api.next()
  newGroup.json(versions('v1'))
  const newVersion = await api.next()
  newVersion.json(resources)
  const newList = await api.next()
  t.equal(newList.path, '/apis/eci.aliyun.com/v1/selectors')
  newList.list([makeObject('a')])
  await api.next()
  t.equal(reflector.objects.size, 1)
  t.notOk(
    diary.lines.some(line => line.startsWith('deleted')),
    'its objects never vanish',
  )
  t.strictSame(found, [undefined, 'v1beta1', 'v1'])
})

test('a discovery that fails is no absence', async t => {
  const { diary, reflector } = await startScene(t, {
    path: async () => {
      throw new Error('discovery is down')
    },
  })
  await diary.until('error in list: discovery is down')
  t.equal(reflector.synced, false)
  t.equal(reflector.state, 'backoff')
})
