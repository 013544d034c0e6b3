/** Ways in which webhooks of this kind have stopped clusters, tried with ours: docs/outages.md has the list. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { ANNOTATION_RULES } from '../../src/core/names.ts'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { type Installed, install } from '../helpers/helper.ts'
import type { KubeList, KubeObject } from '../helpers/kube-http.ts'
import { makePod, type Pod } from '../helpers/pods.ts'
import { setRules } from '../helpers/rules.ts'
import { holds } from '../helpers/webhook.ts'
import { ensureNamespace } from '../helpers/webhook-rights.ts'

const LABELS = { eci: 'true' }
const RULE = {
  name: 'to-eci',
  objectSelector: { matchLabels: LABELS },
  effect: { labels: { 'billing.example.com/on': 'eci' } },
}
const MERGE = 'application/merge-patch+json'

const controlPlane = await controlPlaneOrSkip(t, { controllerManager: true })

/** Registered and serving. */
async function serve(controlPlane: ControlPlane, { helper, startWebhook }: Installed) {
  const webhook = await startWebhook()
  await webhook.ready()
  await helper.registered('mutating')
  await helper.registered('validating')
  await controlPlane.waitFor(`/api/v1/namespaces/default/serviceaccounts/default`, () => true)
  return webhook
}

function tryPod(controlPlane: ControlPlane, namespace: string) {
  const path = `/api/v1/namespaces/${namespace}/pods?dryRun=All`
  return controlPlane.request<Pod & { readonly message?: string }>('POST', path, {
    body: makePod({ name: 'tried', labels: LABELS }),
  })
}

/** Until Pods are sent to the webhook: an API server hears of a registration a moment later. */
function untilCalled(controlPlane: ControlPlane) {
  const isMarked = async () => {
    const { body } = await tryPod(controlPlane, 'default')
    return body.metadata?.annotations?.[ANNOTATION_RULES] !== undefined
  }
  return holdsSoon(isMarked)
}

const holdsSoon = (isSo: () => Promise<boolean>) => holds(isSo, 20_000)

/** Takes connections, and never says a word. */
async function hang(t: Test, port: number): Promise<{ readonly taken: number }> {
  const sockets = new Set<Socket>()
  const seen = { taken: 0 }
  const server = createServer(socket => {
    seen.taken += 1
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return seen
}

/** What a cluster lives on besides new Pods. Each is done with the answer 200 or 201. */
const TRAFFIC: Readonly<Record<string, readonly [method: string, path: string, body: object]>> = {
  'a Lease by which a scheduler leads': [
    'POST',
    '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases',
    { metadata: { name: 'some-scheduler' }, spec: { holderIdentity: 'a', leaseDurationSeconds: 15 } },
  ],
  "a Node's heartbeat": [
    'POST',
    '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases',
    { metadata: { name: 'some-node' }, spec: { holderIdentity: 'some-node' } },
  ],
  'a Node': ['POST', '/api/v1/nodes', { metadata: { name: 'some-node' } }],
  "a Node's status": ['PATCH', '/api/v1/nodes/some-node/status', { status: { capacity: { cpu: '1' } } }],
  'a Namespace': ['POST', '/api/v1/namespaces', { metadata: { name: 'some-namespace' } }],
  'a ConfigMap beside the rules': [
    'POST',
    '/api/v1/namespaces/kube-system/configmaps',
    { metadata: { name: 'old-style-leader' } },
  ],
  'a Deployment': ['POST', '/apis/apps/v1/namespaces/default/deployments', quietDeployment()],
  'the question who somebody is': [
    'POST',
    '/apis/authentication.k8s.io/v1/tokenreviews',
    { spec: { token: 'a' } },
  ],
  'the question what somebody may': [
    'POST',
    '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    { spec: { user: 'a', resourceAttributes: { verb: 'get', resource: 'pods' } } },
  ],
  'a Pod of kube-system': [
    'POST',
    '/api/v1/namespaces/kube-system/pods?dryRun=All',
    makePod({ name: 'a', labels: LABELS }),
  ],
  'the binding of a Pod': [
    'POST',
    '/api/v1/namespaces/default/pods/waiting/binding',
    { metadata: { name: 'waiting' }, target: { kind: 'Node', name: 'some-node' } },
  ],
  "a Pod's labels": [
    'PATCH',
    '/api/v1/namespaces/default/pods/waiting',
    { metadata: { labels: { a: 'b' } } },
  ],
  "a Pod's status": [
    'PATCH',
    '/api/v1/namespaces/default/pods/waiting/status',
    { status: { phase: 'Running' } },
  ],
  "a Pod's end": ['DELETE', '/api/v1/namespaces/default/pods/waiting', { gracePeriodSeconds: 0 }],
}

function quietDeployment(): object {
  const labels = { app: 'quiet' }
  const template = { metadata: { labels }, spec: makePod({ name: 'quiet' }).spec }
  // No replicas, so that nobody creates Pods meanwhile.
  return {
    metadata: { name: 'quiet' },
    spec: { replicas: 0, selector: { matchLabels: labels }, template },
  }
}

if (controlPlane !== undefined) {
  await setRules(controlPlane, [RULE])

  await t.test('failurePolicy Fail and nobody there: what the webhook itself needs can start', async t => {
    await ensureNamespace(controlPlane, 'cni')
    const name = 'strict'
    const options = { controlPlane, name, failurePolicy: 'Fail', excludedNamespaces: ['cni'] } as const
    const installed = await install(t, { ...options, graceMs: 600_000 })
    const webhook = await serve(controlPlane, installed)
    await untilCalled(controlPlane)
    await installed.helper.stop()
    await webhook.stop()
    await holdsSoon(async () => (await tryPod(controlPlane, 'default')).status === 500)
    t.match(
      (await tryPod(controlPlane, 'default')).body.message,
      /failed calling webhook "pods\.vnode-profile\.io"/,
    )
    for (const namespace of ['kube-system', name, 'cni']) {
      await controlPlane.waitFor(`/api/v1/namespaces/${namespace}/serviceaccounts/default`, () => true)
      t.equal((await tryPod(controlPlane, namespace)).status, 201, `a Pod of ${namespace} is created`)
    }
    await controlPlane.ask('DELETE', installed.helper.path('mutating'))
    await controlPlane.ask('DELETE', installed.helper.path('validating'))
    await holdsSoon(async () => (await tryPod(controlPlane, 'default')).status === 201)
  })

  await t.test(
    'a webhook that hangs holds up new Pods for its timeout, and nothing else of the cluster',
    async t => {
      const installed = await install(t, { controlPlane, name: 'hanging', graceMs: 600_000 })
      const webhook = await serve(controlPlane, installed)
      await untilCalled(controlPlane)
      const waiting = makePod({ name: 'waiting' })
      await controlPlane.ask('POST', '/api/v1/namespaces/default/pods', { body: waiting })
      // The helper would dial it as well.
      await installed.helper.stop()
      await webhook.stop()
      const server = await hang(t, installed.port)
      for (const [what, [method, path, body]] of Object.entries(TRAFFIC)) {
        const contentType = method === 'PATCH' ? { contentType: MERGE } : {}
        const { status } = await controlPlane.request(method, path, { body, ...contentType })
        t.ok(status === 200 || status === 201, `${what}: ${status}`)
      }
      t.equal(server.taken, 0, 'for none of this the webhook was asked')
      const start = performance.now()
      const { status, body } = await tryPod(controlPlane, 'default')
      t.comment(`a new Pod took ${((performance.now() - start) / 1000).toFixed(2)} s; the timeout is 2 s`)
      t.equal(status, 201, 'it is created, without placement')
      t.equal(body.metadata.annotations?.[ANNOTATION_RULES], undefined)
      t.ok(server.taken > 0)
      await controlPlane.ask('DELETE', installed.helper.path('mutating'))
      await controlPlane.ask('DELETE', installed.helper.path('validating'))
    },
  )

  await t.test(
    'a Deployment whose Pods get labels: one ReplicaSet, and as many Pods as it wants',
    async t => {
      const installed = await install(t, { controlPlane, name: 'steady' })
      const webhook = await serve(controlPlane, installed)
      await untilCalled(controlPlane)
      const namespace = await controlPlane.namespace(t)
      const root = `/apis/apps/v1/namespaces/${namespace}`
      const labels = { app: 'web', ...LABELS }
      const { spec } = makePod({ name: 'web' })
      const wanted = {
        metadata: { name: 'web' },
        spec: { replicas: 3, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
      }
      await controlPlane.ask('POST', `${root}/deployments`, { body: wanted })
      const settled = (generation: number) =>
        controlPlane.waitFor<KubeObject & { status: Record<string, unknown> }>(
          `${root}/deployments/web`,
          ({ status }) => status?.observedGeneration === generation && status?.updatedReplicas === 3,
        )
      const made = await settled(1)
      t.notOk(JSON.stringify(made.spec).includes('vnode'), "the template is its author's")
      // The controllers look at everything again.
      const body = { spec: { minReadySeconds: 1 } }
      await controlPlane.ask('PATCH', `${root}/deployments/web`, { body, contentType: MERGE })
      await settled(2)
      const count = async (path: string) => (await controlPlane.ask<KubeList>('GET', path)).items.length
      t.equal(await count(`${root}/replicasets`), 1)
      const { items } = await controlPlane.ask<KubeList<Pod>>('GET', `/api/v1/namespaces/${namespace}/pods`)
      t.equal(items.length, 3)
      for (const pod of items) t.match(pod.metadata.labels, { 'billing.example.com/on': 'eci', app: 'web' })
      t.equal(await webhook.reviews('pods', 'error'), 0)
    },
  )
}
