/** Everything is down, Pods are refused without us, and we cannot start before others have: the cluster comes back all the same. */
import t from 'tap'
import { type E2e, e2eOrSkip, FAIL, FAIL_EXCLUDED, SYSTEM } from '../helpers/e2e.ts'
import { secondsSince } from '../helpers/e2e-load.ts'
import { kill, nodeOrSkip } from '../helpers/e2e-node.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { makeDeployment } from '../helpers/pods.ts'

/** Stands for a network that nothing else can start without: its own Pods tolerate the taint and then take it away. */
const NO_NETWORK = { key: 'vnode-e2e.example.com/no-network', value: 'true', effect: 'NoSchedule' }
const NAME = 'vnode-e2e-network'
const SYSTEM_NAMESPACES = ['kube-system', FAIL_EXCLUDED]
const CONTROLLERS = ['kube-controller-manager', 'kube-scheduler', 'kubelet']
const LIMIT_SECONDS = 240

const node = nodeOrSkip(t)
const e2e = node === undefined ? undefined : await e2eOrSkip(t)

if (node !== undefined && e2e !== undefined) {
  const deploymentOf = (namespace: string) => `/apis/apps/v1/namespaces/${namespace}/deployments/${NAME}`
  const podsIn = (namespace: string) => `/api/v1/namespaces/${namespace}/pods`
  const [realNode] = (await e2e.list<Node>('/api/v1/nodes')).filter(
    ({ metadata }) => metadata.labels?.type !== 'virtual-kubelet',
  )
  if (realNode === undefined) throw new Error('the cluster has no real node')
  const taint = (taints: readonly object[]) =>
    e2e.kube.request({
      method: 'PATCH',
      path: `/api/v1/nodes/${realNode.metadata.name}`,
      body: { spec: { taints } },
      contentType: 'application/merge-patch+json',
    })
  t.teardown(async () => {
    await taint(realNode.spec.taints ?? [])
    for (const namespace of SYSTEM_NAMESPACES) await e2e.remove(deploymentOf(namespace))
  })

  await e2e.install(...FAIL)
  for (const namespace of SYSTEM_NAMESPACES)
    await e2e.kube.apply(deploymentOf(namespace), networkDeployment(e2e, namespace))
  const networkPods = async () =>
    (await Promise.all(SYSTEM_NAMESPACES.map(name => e2e.list(podsIn(name), `app=${NAME}`)))).flat()
  const ownPods = async () => [...(await e2e.podsOf('webhook')), ...(await e2e.podsOf('helper'))]
  const areReady = async (pods: () => Promise<KubeObject[]>, count: number) => {
    // The API server may just be starting.
    const found = await pods().catch(() => [])
    return (found.length === count && found.every(isReady)) || undefined
  }
  await e2e.waitFor('the system Pods run', () => areReady(networkPods, 2))

  await t.test('kubelet and control plane are started again, and find no Pod of anybody', async t => {
    const names = ['kube-apiserver', 'etcd']
    const [apiserver, etcd] = names.map(name => node.program(name))
    const controllers = CONTROLLERS.map(name => node.program(name))
    await taint([...(realNode.spec.taints ?? []), NO_NETWORK])
    for (const program of controllers) await program.kill()
    const pods = [...(await networkPods()), ...(await ownPods())]
    t.equal(pods.length, 6)
    for (const { metadata } of pods)
      await e2e.kube.request({
        method: 'DELETE',
        path: `${podsIn(metadata.namespace ?? '')}/${metadata.name}`,
        body: { gracePeriodSeconds: 0 },
      })
    await kill(pods.flatMap(pod => node.processesOf(pod)))
    for (const program of [apiserver, etcd]) await program?.kill()

    for (const program of [etcd, apiserver]) program?.start()
    const answer = await e2e.waitFor('what becomes of a Pod', async () => {
      const text = await e2e.isMarked('alone').then(String, String)
      return /webhook/.test(text) ? text : undefined
    })
    t.match(answer, /failed calling webhook "pods\.vnode-profile\.io"/, 'people’s Pods are refused')
    for (const program of controllers) program.start()
  })

  await t.test('system Pods come back by themselves, while ours cannot run', async t => {
    const start = performance.now()
    await e2e.waitFor('the system Pods run', () => areReady(networkPods, 2), LIMIT_SECONDS)
    t.comment(`the system Pods run ${secondsSince(start)} s after kubelet and controllers were started`)
    t.notOk((await ownPods()).some(isReady), 'not one of ours runs')
    await t.rejects(e2e.isMarked('still-alone'), { message: /failed calling webhook/ })
  })

  await t.test('then ours come back, and Pods are created again', async t => {
    await taint(realNode.spec.taints ?? [])
    const start = performance.now()
    await e2e.waitFor('our Pods run', () => areReady(ownPods, 4), LIMIT_SECONDS)
    await e2e.waitForMark()
    t.comment(`Pods are created and marked ${secondsSince(start)} s after the network was there`)
    t.strictSame(
      (await e2e.list(podsIn(SYSTEM))).filter(pod => !isReady(pod)).map(pod => pod.metadata.name),
      [],
      'none of the old Pods is left',
    )
  })
}

function networkDeployment(e2e: E2e, namespace: string): object {
  const { key, effect } = NO_NETWORK
  return makeDeployment({
    name: NAME,
    namespace,
    replicas: 1,
    pod: {
      spec: {
        tolerations: [{ key, operator: 'Exists', effect }],
        terminationGracePeriodSeconds: 0,
        containers: [
          { name: 'idle', image: e2e.imageName, command: ['node', '--eval', 'setInterval(() => {}, 1e9)'] },
        ],
      },
    },
  })
}

function isReady({ metadata, status }: KubeObject): boolean {
  const { conditions = [] } = (status ?? {}) as {
    conditions?: readonly { readonly type: string; readonly status: string }[]
  }
  const isTrue = conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
  return isTrue && metadata.deletionTimestamp === undefined
}

interface Node extends KubeObject {
  readonly spec: { readonly taints?: readonly object[] }
}
