import { existsSync } from 'node:fs'
import t from 'tap'
import { kubeVersion } from '../../scripts/kube-programs.ts'
import { isAlive } from '../helpers/child-process.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeList, WatchEvent } from '../helpers/kube-http.ts'
import { makeDeployment, makePod } from '../helpers/pods.ts'
import { type BoundPod, startRealNode, startVnode } from '../helpers/vnode.ts'

const isRunning = (pod: BoundPod): boolean => pod.status.phase === 'Running'

const controlPlane = await controlPlaneOrSkip(t, { scheduler: true, controllerManager: true })

if (controlPlane !== undefined) {
  const realNode = await startRealNode(controlPlane)
  const vnode = await startVnode(controlPlane)

  t.test('it is of the version that was asked for', async t => {
    if (process.env.KUBEBUILDER_ASSETS) t.match(controlPlane.version, /^1\.\d+\.\d+/)
    else t.equal(controlPlane.version, kubeVersion())
    const { stdout } = await controlPlane.kubectl(['get', '--raw', '/version'])
    t.equal(JSON.parse(stdout).gitVersion, `v${controlPlane.version}`)
  })

  t.test('Pods of a Deployment run on the real node', async t => {
    const namespace = await controlPlane.namespace(t)
    const body = makeDeployment({ replicas: 2 })
    await controlPlane.ask('POST', `/apis/apps/v1/namespaces/${namespace}/deployments`, { body })
    const pods = await controlPlane.waitForAll<BoundPod>(
      `/api/v1/namespaces/${namespace}/pods`,
      pods => pods.length === 2 && pods.every(isRunning),
    )
    t.same(
      pods.map(({ spec }) => spec.nodeName),
      [realNode.name, realNode.name],
    )
    const { code } = await controlPlane.kubectl([
      'rollout',
      'status',
      'deployment/app',
      '-n',
      namespace,
      '--timeout=10s',
    ])
    t.equal(code, 0)
  })

  t.test('a Pod that selects and tolerates the VNode runs there, and ends when it is deleted', async t => {
    const namespace = await controlPlane.namespace(t)
    const pods = `/api/v1/namespaces/${namespace}/pods`
    const body = makePod({
      spec: {
        nodeSelector: { 'k8s.aliyun.com/vnode': 'true' },
        tolerations: [
          { key: 'k8s.aliyun.com/vnode', operator: 'Equal', value: 'true', effect: 'NoSchedule' },
        ],
      },
    })
    await controlPlane.ask('POST', pods, { body })
    const pod = await controlPlane.waitFor<BoundPod>(`${pods}/app`, isRunning)
    t.equal(pod.spec.nodeName, vnode.name)
    await controlPlane.ask('DELETE', `${pods}/app`)
    await controlPlane.waitForGone(`${pods}/app`)
  })

  t.test('others than the administrator may do what RBAC says', async t => {
    const namespace = await controlPlane.namespace(t)
    const list = ['get', 'pods', '-n', namespace]
    const kubeconfig = await controlPlane.kubeconfig({ user: 'alice', groups: ['dev'] })
    t.match(await controlPlane.kubectl(list, { kubeconfig }), { code: 1, stderr: /User "alice" cannot list/ })
    const path = `/api/v1/namespaces/${namespace}/pods`
    t.equal((await controlPlane.request('GET', path, { as: { user: 'alice', groups: ['dev'] } })).status, 403)
    const account = await controlPlane.kubeconfig({ serviceAccount: 'default', namespace })
    t.match(await controlPlane.kubectl(list, { kubeconfig: account }), { stderr: /system:serviceaccount:/ })
  })

  t.test('a restart keeps the data, and watches go on', async t => {
    const namespace = await controlPlane.namespace(t)
    const configMaps = `/api/v1/namespaces/${namespace}/configmaps`
    await controlPlane.ask('POST', configMaps, { body: { metadata: { name: 'before' } } })
    const seen = Promise.withResolvers<WatchEvent>()
    const stopWatch = await controlPlane.watch(configMaps, event => {
      if (event.object.metadata.name === 'after') seen.resolve(event)
    })
    t.teardown(stopWatch)
    await controlPlane.stopApiserver()
    await t.rejects(controlPlane.request('GET', configMaps), { code: 'ECONNREFUSED' })
    await controlPlane.startApiserver()
    t.equal((await controlPlane.request('GET', `${configMaps}/before`)).status, 200)
    await controlPlane.ask('POST', configMaps, { body: { metadata: { name: 'after' } } })
    t.equal((await seen.promise).type, 'ADDED')
  })

  t.test('a paused apiserver is silent', async t => {
    controlPlane.pauseApiserver()
    const ask = () => controlPlane.request('GET', '/version', { timeout: 200 })
    // A thread that runs while the signal is on its way may give one more answer.
    await ask().catch(() => undefined)
    await t.rejects(ask(), { name: 'AbortError' })
    controlPlane.resumeApiserver()
    t.equal((await controlPlane.request('GET', '/version')).status, 200)
  })

  t.test('history that etcd has forgotten is gone after a restart', async t => {
    const namespace = await controlPlane.namespace(t)
    const configMaps = `/api/v1/namespaces/${namespace}/configmaps`
    const { metadata } = await controlPlane.ask<KubeList>('GET', configMaps)
    await controlPlane.ask('POST', configMaps, { body: { metadata: { name: 'later' } } })
    await controlPlane.stopApiserver()
    await controlPlane.compactEtcd()
    await controlPlane.startApiserver()
    const event = Promise.withResolvers<WatchEvent<unknown>>()
    t.teardown(
      await controlPlane.watch(`${configMaps}?resourceVersion=${metadata.resourceVersion}`, event.resolve),
    )
    t.match(await event.promise, { type: 'ERROR', object: { code: 410 } })
  })

  t.test('nothing is left after its end', async t => {
    const { pids, kubeconfigPath, url } = controlPlane
    t.equal(pids.length, 4)
    await controlPlane.stop()
    t.notOk(pids.some(isAlive), 'no process')
    t.notOk(existsSync(kubeconfigPath), 'no file')
    await t.rejects(fetch(url), 'no server')
  })
}
