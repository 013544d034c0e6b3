import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { KubeClient } from '../../src/kube/api.ts'
import { connect } from '../../src/kube/client.ts'
import { type ServedResource, servedPath } from '../../src/kube/discovery.ts'
import { type EventRecord, EventWriter, eventName } from '../../src/kube/event.ts'
import { Reflector } from '../../src/kube/reflector.ts'
import type { ReflectorOptions } from '../../src/kube/reflector-options.ts'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeList, KubeObject } from '../helpers/kube-http.ts'
import { Diary } from '../helpers/reflectors.ts'
import { TcpGate } from '../helpers/tcp-gate.ts'

interface Kept {
  readonly version: string
  readonly data: string
}

const keep = (raw: unknown): Kept => {
  const { metadata, data, spec } = raw as KubeObject & { data?: Record<string, string> }
  return { version: metadata.resourceVersion, data: JSON.stringify(data ?? spec ?? metadata.labels ?? {}) }
}

async function connectTo(t: Test, kubeconfig: string): Promise<KubeClient> {
  const client = await connect({ kubeconfig, userAgent: 'vnode-profile/0 (integration test)' })
  t.teardown(() => client.close())
  return client
}

type Path = ReflectorOptions<Kept>['path']

function follow(t: Test, client: KubeClient, path: Path, options: Partial<ReflectorOptions<Kept>> = {}) {
  const diary = new Diary()
  const reflector = new Reflector<Kept>({
    client,
    path,
    keep,
    onChange: ({ type, key, value }) => diary.add(`${type} ${key} ${value.data}`),
    onState: state => diary.add(`is ${state}`),
    onError: (error, during) =>
      diary.add(`error in ${during}: ${'status' in error ? error.status : 'network'}`),
    ...options,
  })
  t.teardown(() => reflector.stop())
  reflector.start()
  return { diary, reflector }
}

const configMaps = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps`

const writer = (controlPlane: ControlPlane, namespace: string) => ({
  create: (name: string, value: string) =>
    controlPlane.ask('POST', configMaps(namespace), { body: { metadata: { name }, data: { value } } }),
  replace: (name: string, value: string) =>
    controlPlane.ask('PUT', `${configMaps(namespace)}/${name}`, {
      body: { metadata: { name }, data: { value } },
    }),
  remove: (name: string) => controlPlane.ask('DELETE', `${configMaps(namespace)}/${name}`),
})

const changes = (diary: Diary) => diary.take().filter(line => /^(added|modified|deleted)/.test(line))

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  const admin = await connectTo(t, controlPlane.kubeconfigPath)

  t.test('a reflector follows ConfigMaps, page by page and change by change', async t => {
    const namespace = await controlPlane.namespace(t)
    const { create, replace, remove } = writer(controlPlane, namespace)
    for (const name of ['a', 'b', 'c', 'd', 'e']) await create(name, '1')
    const { diary, reflector } = follow(t, admin, configMaps(namespace), { timings: { pageSize: 2 } })
    await diary.until('is watching')
    t.equal(reflector.objects.size, 5)
    diary.take()
    await replace('a', '2')
    await remove('b')
    await create('b', '3')
    await create('f', '1')
    await diary.until(`added ${namespace}/f {"value":"1"}`)
    t.strictSame(changes(diary), [
      `modified ${namespace}/a {"value":"2"}`,
      `deleted ${namespace}/b {"value":"1"}`,
      `added ${namespace}/b {"value":"3"}`,
      `added ${namespace}/f {"value":"1"}`,
    ])
  })

  t.test('a reflector of metadata follows the labels of Namespaces', async t => {
    const { diary } = follow(t, admin, '/api/v1/namespaces', { metadataOnly: true, labelSelector: 'team' })
    await diary.until('is watching')
    const namespace = await controlPlane.namespace(t, { labels: { team: 'red' } })
    const labels = (team: string) => `{"kubernetes.io/metadata.name":"${namespace}","team":"${team}"}`
    await diary.until(`added ${namespace} ${labels('red')}`)
    const patch = (team: string | null) =>
      controlPlane.ask('PATCH', `/api/v1/namespaces/${namespace}`, {
        body: { metadata: { labels: { team } } },
        contentType: 'application/merge-patch+json',
      })
    await patch('blue')
    await diary.until(`modified ${namespace} ${labels('blue')}`)
    await patch(null)
    await diary.until(`deleted ${namespace} ${labels('blue')}`)
    t.pass()
  })

  t.test('a reflector waits for the right to look', async t => {
    const namespace = await controlPlane.namespace(t)
    await writer(controlPlane, namespace).create('a', '1')
    const client = await connectTo(t, await controlPlane.kubeconfig({ namespace, serviceAccount: 'default' }))
    const { diary, reflector } = follow(t, client, configMaps(namespace), {
      timings: { maxBackoffMs: 400, stableMs: 400 },
    })
    await diary.until('error in list: 403')
    t.match(reflector.lastError?.message, /cannot list resource "configmaps"/)
    t.equal(reflector.synced, false)
    const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`
    const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list', 'watch'] }]
    await controlPlane.ask('POST', `${rbac}/roles`, { body: { metadata: { name: 'look' }, rules } })
    await controlPlane.ask('POST', `${rbac}/rolebindings`, {
      body: {
        metadata: { name: 'look' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'look' },
        subjects: [{ kind: 'ServiceAccount', name: 'default', namespace }],
      },
    })
    await reflector.waitForSync({ timeoutMs: 5000 })
    t.equal(reflector.objects.size, 1)
  })

  t.test('apply owns what it names, and meets other owners', async t => {
    const namespace = await controlPlane.namespace(t)
    const path = `${configMaps(namespace)}/a`
    const object = (value: string) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a' },
      data: { value },
    })
    const made = await admin.apply<KubeObject>(path, object('1'))
    t.equal(made.metadata.name, 'a')
    await t.rejects(admin.apply(path, object('2'), { fieldManager: 'another' }), {
      code: 'API',
      message: /409/,
    })
    await admin.apply(path, object('3'), { fieldManager: 'another', force: true, dryRun: true })
    t.strictSame((await admin.request<KubeObject>({ method: 'GET', path })).data, { value: '1' })
    await admin.apply(path, object('4'), { fieldManager: 'another', force: true })
    t.strictSame((await admin.request<KubeObject>({ method: 'GET', path })).data, { value: '4' })
  })

  const event = (namespace: string, uid: string, message: string): EventRecord => ({
    involved: { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: 'a', uid },
    type: 'Warning',
    reason: 'BadRules',
    message,
    key: 'a',
  })

  t.test('two writers of the same event make one, with the least rights', async t => {
    const namespace = await controlPlane.namespace(t)
    const { metadata } = await writer(controlPlane, namespace).create('a', '1')
    const rules = [{ apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] }]
    const rbac = '/apis/rbac.authorization.k8s.io/v1'
    await controlPlane.ask('POST', `${rbac}/clusterroles`, { body: { metadata: { name: 'events' }, rules } })
    await controlPlane.ask('POST', `${rbac}/clusterrolebindings`, {
      body: {
        metadata: { name: 'events' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'events' },
        subjects: [{ kind: 'ServiceAccount', name: 'default', namespace }],
      },
    })
    const kubeconfig = await controlPlane.kubeconfig({ namespace, serviceAccount: 'default' })
    const lost: unknown[] = []
    const writers = []
    for (let replica = 0; replica < 2; replica += 1) {
      const client = await connectTo(t, kubeconfig)
      writers.push(new EventWriter({ client, onLost: (_, error) => lost.push(error) }))
    }
    const message = `line 3: ${'错'.repeat(600)}`
    for (const writer of writers) writer.emit(event(namespace, metadata.uid, message))
    await Promise.all(writers.map(writer => writer.idle()))
    writers[0]?.emit(event(namespace, metadata.uid, message))
    await writers[0]?.idle()
    t.strictSame(lost, [])
    const { items } = await controlPlane.ask<KubeList>('GET', `/api/v1/namespaces/${namespace}/events`)
    t.equal(items.length, 1)
    t.match(items[0], {
      metadata: { name: eventName(event(namespace, metadata.uid, '')) },
      count: 2,
      reportingComponent: 'vnode-profile',
      source: { component: 'vnode-profile' },
    })
    const { stdout } = await controlPlane.kubectl(['describe', 'configmap', 'a', '-n', namespace])
    t.match(stdout, /Warning +BadRules .*vnode-profile +line 3: 错/)
  })

  t.test('events of cluster-scoped objects are taken too', async t => {
    const lost: unknown[] = []
    const writer = new EventWriter({ client: admin, onLost: (_, error) => lost.push(error) })
    const involved = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      name: 'system:aggregate-to-Edit',
      uid: 'u',
    }
    const record: EventRecord = { involved, type: 'Normal', reason: 'Seen', message: 'hello', key: '' }
    writer.emit(record)
    await writer.idle()
    t.strictSame(lost, [])
    const found = await controlPlane.ask('GET', `/api/v1/namespaces/default/events/${eventName(record)}`)
    t.equal(found.message, 'hello')
  })

  const resource = { group: 'eci.aliyun.com', plural: 'selectors' }
  const crdPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  const crdName = 'selectors.eci.aliyun.com'
  const crd = (scope: string, served: Record<string, boolean>) => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: crdName },
    spec: {
      group: resource.group,
      scope,
      names: { plural: 'selectors', singular: 'selector', kind: 'Selector' },
      versions: Object.entries(served).map(([name, isServed], i) => ({
        name,
        served: isServed,
        storage: i === 0,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        },
      })),
    },
  })
  const selector = (version: string, name: string) => ({
    apiVersion: `eci.aliyun.com/${version}`,
    kind: 'Selector',
    metadata: { name },
    spec: { priority: 1 },
  })

  t.test('a CRD is picked up when it comes, in either scope, and let go when it goes', async t => {
    const namespace = await controlPlane.namespace(t)
    const found: (ServedResource | undefined)[] = []
    const path = servedPath(admin, resource, served => found.push(served))
    const { diary, reflector } = follow(t, admin, path, {
      timings: { absentRetryMs: 100, absentGraceMs: 500 },
    })
    await reflector.waitForSync({ timeoutMs: 5000 })
    t.equal(reflector.state, 'absent')
    t.equal(reflector.objects.size, 0)
    for (const [scope, version, collection, key] of [
      ['Cluster', 'v1', '/apis/eci.aliyun.com/v1/selectors', 'to-eci'],
      [
        'Namespaced',
        'v1beta1',
        `/apis/eci.aliyun.com/v1beta1/namespaces/${namespace}/selectors`,
        `${namespace}/to-eci`,
      ],
    ] as const) {
      diary.take()
      await controlPlane.ask('POST', crdPath, { body: crd(scope, { [version]: true }) })
      await diary.until('is watching')
      t.match(found.at(-1), { scope, version })
      await controlPlane.ask('POST', collection, { body: selector(version, 'to-eci') })
      await diary.until(`added ${key} {"priority":1}`)
      t.match(reflector.objects.get(key)?.value, { data: '{"priority":1}' })
      await controlPlane.ask('DELETE', `${crdPath}/${crdName}`)
      await diary.until('is absent')
      await controlPlane.waitForGone(`${crdPath}/${crdName}`)
      t.ok(diary.lines.includes(`deleted ${key} {"priority":1}`))
      t.equal(reflector.objects.size, 0)
    }
  })

  t.test('a CRD may change the version that it serves, and its objects stay', async t => {
    await controlPlane.ask('POST', crdPath, { body: crd('Cluster', { v1beta1: true }) })
    t.teardown(() => controlPlane.ask('DELETE', `${crdPath}/${crdName}`))
    const found: (ServedResource | undefined)[] = []
    const path = servedPath(admin, resource, served => found.push(served))
    const { diary, reflector } = follow(t, admin, path, { timings: { absentRetryMs: 100 } })
    await diary.until('is watching')
    await controlPlane.ask('POST', '/apis/eci.aliyun.com/v1beta1/selectors', {
      body: selector('v1beta1', 'to-eci'),
    })
    await diary.until('added to-eci {"priority":1}')
    diary.take()
    await admin.apply(`${crdPath}/${crdName}`, crd('Cluster', { v1beta1: false, v1: true }), { force: true })
    await diary.until('is watching')
    t.match(found.at(-1), { version: 'v1' })
    await controlPlane.ask('POST', '/apis/eci.aliyun.com/v1/selectors', { body: selector('v1', 'second') })
    await diary.until('added second {"priority":1}')
    t.equal(reflector.objects.size, 2)
    t.notOk(diary.lines.some(line => line.startsWith('deleted')))
  })

  t.test('a watch that the server ends goes on, and bookmarks keep it fresh', async t => {
    const namespace = await controlPlane.namespace(t)
    const { create } = writer(controlPlane, namespace)
    const { diary, reflector } = follow(t, admin, configMaps(namespace), {
      timings: { watchSeconds: 3, stableMs: 2000, maxBackoffMs: 2000 },
    })
    await diary.until('is watching')
    await create('a', '1')
    await diary.until(`added ${namespace}/a {"value":"1"}`)
    const heard = new Set<number | undefined>()
    for (let i = 0; i < 50; i += 1) {
      await delay(100)
      heard.add(reflector.lastEventAt)
    }
    t.ok(heard.size > 1, 'it heard something though nothing happened')
    await create('b', '1')
    await diary.until(`added ${namespace}/b {"value":"1"}`)
    t.notOk(
      diary.lines.some(line => line.startsWith('error')),
      diary.lines.join(', '),
    )
    t.notOk(diary.lines.includes('is backoff'))
  })

  t.test('an apiserver that restarts is found again, and what was known stays', async t => {
    const namespace = await controlPlane.namespace(t)
    const { create } = writer(controlPlane, namespace)
    await create('a', '1')
    const { diary, reflector } = follow(t, admin, configMaps(namespace), { timings: { maxBackoffMs: 500 } })
    await diary.until('is watching')
    diary.take()
    await controlPlane.stopApiserver()
    await diary.until('is backoff')
    t.strictSame([...reflector.objects.keys()], [`${namespace}/a`])
    t.equal(reflector.synced, true)
    t.match(reflector.lastError, { code: 'NETWORK' })
    await controlPlane.startApiserver()
    await diary.until('is watching')
    await create('b', '1')
    await diary.until(`added ${namespace}/b {"value":"1"}`)
    t.notOk(diary.lines.some(line => line.startsWith('deleted')))
    t.equal(reflector.lastError, undefined)
  })

  t.test('an apiserver that hangs is noticed, and caught up with', async t => {
    const namespace = await controlPlane.namespace(t)
    const { create } = writer(controlPlane, namespace)
    await create('a', '1')
    const { diary, reflector } = follow(t, admin, configMaps(namespace), {
      timings: { idleMs: 1500, stableMs: 500, maxBackoffMs: 500 },
    })
    await diary.until('is watching')
    diary.take()
    controlPlane.pauseApiserver()
    t.teardown(() => controlPlane.resumeApiserver())
    await diary.until('error in watch: network')
    t.match(reflector.lastError?.message, /no sign of life/)
    await diary.until('is backoff')
    await delay(1000)
    t.not(reflector.state, 'watching')
    t.equal(reflector.objects.has(`${namespace}/a`), true)
    controlPlane.resumeApiserver()
    await create('b', '1')
    await diary.until(`added ${namespace}/b {"value":"1"}`)
  })

  t.test('history that was compacted is made up for by a list', async t => {
    const namespace = await controlPlane.namespace(t)
    const { create, replace, remove } = writer(controlPlane, namespace)
    await create('changed', '1')
    await create('gone', '1')
    await create('kept', '1')
    const gate = await TcpGate.start(t, Number(new URL(controlPlane.url).port))
    const text = await readFile(controlPlane.kubeconfigPath, 'utf8')
    const dir = t.testdir({ config: text.replace(controlPlane.url, `https://127.0.0.1:${gate.port}`) })
    const client = await connectTo(t, `${dir}/config`)
    const { diary, reflector } = follow(t, client, configMaps(namespace))
    await diary.until('is watching')
    diary.take()
    gate.close()
    await diary.until('error in watch: network')
    await replace('changed', '2')
    await remove('gone')
    await create('new', '1')
    await controlPlane.stopApiserver()
    await controlPlane.compactEtcd()
    await controlPlane.startApiserver()
    gate.open()
    // It may come inside a watch that was accepted.
    await diary.until('error in watch: 410')
    await diary.until(`added ${namespace}/new {"value":"1"}`)
    t.strictSame(changes(diary), [
      `deleted ${namespace}/gone {"value":"1"}`,
      `modified ${namespace}/changed {"value":"2"}`,
      `added ${namespace}/new {"value":"1"}`,
    ])
    t.equal(reflector.objects.size, 3)
  })
}
