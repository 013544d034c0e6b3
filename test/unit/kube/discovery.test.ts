import { test } from 'tap'
import { servedResource } from '../../../src/kube/discovery.ts'
import { resourcePath } from '../../../src/kube/path.ts'
import { FakeApi, makeClient } from '../../helpers/fake-api.ts'

test('discovery', async t => {
  const resource = { group: 'eci.aliyun.com', plural: 'selectors' }
  const cases: [
    title: string,
    served: Record<string, boolean>,
    version: string | undefined,
    scope?: string,
  ][] = [
    ['prefers v1', { v1beta1: true, v1: false, v2: true }, 'v1', 'Cluster'],
    ['takes the first when there is no v1', { v1beta1: true, v1alpha1: false }, 'v1beta1', 'Namespaced'],
    ['finds nothing in a group without versions', {}, undefined],
  ]
  for (const [title, served, version, scope] of cases) {
    t.test(title, async t => {
      const api = await FakeApi.start(t)
      api.answer(exchange => {
        const name = exchange.path.split('/')[3]
        if (name === undefined)
          return exchange.json({ versions: Object.keys(served).map(version => ({ version })) })
        exchange.json({
          resources: [
            { name: 'selectors/status', namespaced: true },
            { name: 'selectors', namespaced: served[name] },
          ],
        })
      })
      const found = await servedResource(makeClient(t, api), resource)
      t.equal(found?.version, version)
      t.equal(found?.scope, scope)
      if (found !== undefined) t.strictSame(found.versions, Object.keys(served))
    })
  }

  t.test('passes over a version that lacks the resource or has just gone', async t => {
    const api = await FakeApi.start(t)
    api.answer(exchange => {
      if (exchange.path.endsWith('/v1'))
        return exchange.json({ resources: [{ name: 'others', namespaced: true }] })
      if (exchange.path.endsWith('/v2')) return exchange.refuse(404)
      if (exchange.path.endsWith('/v3'))
        return exchange.json({ resources: [{ name: 'selectors', namespaced: true }] })
      exchange.json({ versions: [{ version: 'v2' }, { version: 'v1' }, { version: 'v3' }] })
    })
    t.match(await servedResource(makeClient(t, api), resource), { version: 'v3', scope: 'Namespaced' })
  })

  t.test('knows no group from a group it may not see', async t => {
    const api = await FakeApi.start(t)
    const first = servedResource(makeClient(t, api), resource)
    const missing = await api.next()
    missing.refuse(404)
    t.equal(await first, undefined)
    const second = servedResource(makeClient(t, api), resource)
    const forbidden = await api.next()
    forbidden.refuse(403)
    await t.rejects(second, { code: 'API', message: /403/ })
  })
})

test('paths', async t => {
  const cases: [Parameters<typeof resourcePath>[0], string][] = [
    [{ version: 'v1', plural: 'namespaces' }, '/api/v1/namespaces'],
    [
      { version: 'v1', plural: 'pods', namespace: 'a', name: 'b', subresource: 'status' },
      '/api/v1/namespaces/a/pods/b/status',
    ],
    [
      { group: 'apps', version: 'v1', plural: 'daemonsets', namespace: 'a' },
      '/apis/apps/v1/namespaces/a/daemonsets',
    ],
    [
      { group: 'rbac.authorization.k8s.io', version: 'v1', plural: 'clusterroles', name: 'Sys:A/../b' },
      '/apis/rbac.authorization.k8s.io/v1/clusterroles/Sys%3AA%2F..%2Fb',
    ],
  ]
  for (const [address, path] of cases) t.equal(resourcePath(address), path)
})
