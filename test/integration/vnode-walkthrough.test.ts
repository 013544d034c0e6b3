/** The seed document's walk-through, command by command: the fake endpoint, and everything else real. */
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { CLI_FIXTURES, runVnode, transcriptOf } from '../helpers/cli.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { Goldens } from '../helpers/goldens.ts'
import { makeDaemonSet, makePod } from '../helpers/pods.ts'
import { startRealNode } from '../helpers/vnode.ts'
import { lastingAdmin, vnodeScene } from '../helpers/vnode-scene.ts'

const ID = 'vnd-7xvetkyase7gb62u0000'
const NODE = `cn-hangzhou.${ID}`

/** As the guide has it, for spec.template.spec. */
const GUIDE_AFFINITY = `
spec:
  template:
    spec:
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
            - matchExpressions:
              - key: type
                operator: NotIn
                values:
                - virtual-kubelet
`

const controlPlane = await controlPlaneOrSkip(t, { scheduler: true, controllerManager: true })
if (controlPlane !== undefined) {
  const goldens = new Goldens(join(CLI_FIXTURES, 'goldens/walkthrough'))
  const kubeconfig = await lastingAdmin(controlPlane)
  const { fake, env } = await vnodeScene(t, { controlPlane, kubeconfig, ids: [ID] })
  let transcript = ''
  const vnode = async (...argv: string[]) => {
    const result = await runVnode(argv, { env })
    transcript += transcriptOf(argv, result)
    return result
  }
  const kubectl = async (...argv: string[]) => {
    const { stdout, stderr } = await controlPlane.kubectl(argv)
    transcript += `$ kubectl ${argv.join(' ')}\n${stdout}${stderr}`
    return stdout
  }

  await t.test('from the file of contexts to a Pod on the VNode', async t => {
    const roles = { 'node-role.kubernetes.io/control-plane': '', 'node-role.kubernetes.io/master': '' }
    await startRealNode(controlPlane, { name: 'vnode-test001', kubeletVersion: 'v1.20.6', labels: roles })
    await startRealNode(controlPlane, { name: 'vnode-test002', kubeletVersion: 'v1.20.6' })
    t.equal((await vnode('config', 'set-context', 'default')).status, 0)
    const created = await vnode('create')
    t.equal(created.status, 0, created.stderr)
    t.match(created.stdout, new RegExp(`^\\{"RequestId":"[0-9A-F-]{36}","VirtualNodeId":"${ID}"\\}\n$`))
    await controlPlane.waitFor(
      `/api/v1/nodes/${NODE}`,
      ({ status }) => JSON.stringify(status?.conditions).includes('"type":"Ready"'),
      { timeout: 60_000 },
    )
    const nodes = await kubectl('get', 'node')
    t.match(nodes, new RegExp(`^${NODE} +Ready +agent +\\S+ +v1\\.20\\.6$`, 'm'))
    t.match(nodes, /^vnode-test001 +Ready +control-plane,master +\S+ +v1\.20\.6$/m)
    t.match(nodes, /^vnode-test002 +Ready +<none> +\S+ +v1\.20\.6$/m)

    const node = await controlPlane.ask('GET', `/api/v1/nodes/${NODE}`)
    t.match(node, {
      metadata: { labels: { type: 'virtual-kubelet', 'k8s.aliyun.com/vnode': 'true' } },
      spec: { taints: [{ key: 'k8s.aliyun.com/vnode', value: 'true', effect: 'NoSchedule' }] },
    })
    const namespace = await controlPlane.namespace(t)
    const toleration = { key: 'k8s.aliyun.com/vnode', operator: 'Equal', value: 'true', effect: 'NoSchedule' }
    const spec = { nodeSelector: { 'k8s.aliyun.com/vnode': 'true' }, tolerations: [toleration] }
    await controlPlane.ask('POST', `/api/v1/namespaces/${namespace}/pods`, {
      body: makePod({ name: 'test1', namespace, spec }),
    })
    const pod = await controlPlane.waitFor(
      `/api/v1/namespaces/${namespace}/pods/test1`,
      ({ status }) => status?.phase === 'Running',
      { timeout: 60_000 },
    )
    t.equal(pod.spec?.nodeName, NODE)
    await controlPlane.ask('DELETE', `/api/v1/namespaces/${namespace}/pods/test1`)
    await controlPlane.waitForGone(`/api/v1/namespaces/${namespace}/pods/test1`, { timeout: 60_000 })
  })

  await t.test("kube-proxy is kept off it by the guide's affinity", async t => {
    const path = '/apis/apps/v1/namespaces/kube-system/daemonsets'
    const tolerations = [{ operator: 'Exists' }]
    await controlPlane.ask('POST', path, {
      body: makeDaemonSet({ name: 'kube-proxy', namespace: 'kube-system', pod: { spec: { tolerations } } }),
    })
    const untilOn = (nodes: number) =>
      controlPlane.waitFor(
        `${path}/kube-proxy`,
        ({ status }) => status?.desiredNumberScheduled === nodes && status.updatedNumberScheduled === nodes,
        { timeout: 60_000 },
      )
    await untilOn(3)
    const patch = ['patch', 'ds', 'kube-proxy', '--patch', JSON.stringify(parse(GUIDE_AFFINITY))]
    t.match(await kubectl('-n', 'kube-system', ...patch), /patched/)
    await untilOn(2)
    const bound = `/api/v1/namespaces/kube-system/pods?fieldSelector=spec.nodeName=${NODE}`
    const left = await controlPlane.waitForAll(bound, pods => pods.length === 0, { timeout: 60_000 })
    t.strictSame(left, [])
  })

  await t.test('a Pod that names the Node runs there', async t => {
    const namespace = await controlPlane.namespace(t)
    const path = `/api/v1/namespaces/${namespace}/pods`
    await controlPlane.ask('POST', path, {
      body: makePod({ name: 'named', namespace, spec: { nodeName: NODE } }),
    })
    const { status } = await controlPlane.waitFor(
      `${path}/named`,
      ({ status }) => status?.phase === 'Running',
      {
        timeout: 60_000,
      },
    )
    t.equal(status?.phase, 'Running')
    await controlPlane.ask('DELETE', `${path}/named`)
    await controlPlane.waitForGone(`${path}/named`, { timeout: 60_000 })
  })

  await t.test('what was created is listed, described, changed and deleted', async t => {
    const again = await vnode('create', '--wait')
    t.equal(again.status, 0)
    t.match(again.stdout, `"VirtualNodeId":"${ID}"`)
    t.equal(fake.virtualNodes.length, 1)
    t.equal(fake.callsOf('CreateVirtualNode').length, 1, 'asked once')
    for (const argv of [
      ['list'],
      ['describe', ID],
      ['update', ID, '--custom-resources', 'example.com/gpu=4'],
      ['delete', ID],
    ])
      t.equal((await vnode(...argv)).status, 0, argv.join(' '))
    t.equal(fake.virtualNodes.length, 0)
    await kubectl('get', 'node', NODE)
  })

  await t.test('each output is as documented', async t => {
    const { metadata } = await controlPlane.ask('GET', '/api/v1/namespaces/kube-system')
    const plain = transcript
      .replaceAll(metadata.uid, 'UID-OF-KUBE-SYSTEM')
      .replaceAll(/[0-9A-F]{8}-(?:[0-9A-F]{4}-){3}[0-9A-F]{12}/g, 'REQUEST-ID')
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
      .replaceAll(/^(\S+ +\S+ +\S+ +)\d+m?\d*s( +v)/gm, '$1AGE$2')
      .replaceAll(/ +(?=AGE)/g, '  ')
    goldens.check(t, 'walkthrough', plain)
    goldens.checkUnused(t)
  })
}
