/** A daemon like kube-proxy on a cluster with a real kubelet: off the VNode it goes, and on the real node it restarts once. */
import t from 'tap'
import { podFacts } from '../../src/core/pod/facts.ts'
import { runVnode } from '../helpers/cli.ts'
import { type E2e, e2eOrSkip, USERS } from '../helpers/e2e.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { makeDaemonSet } from '../helpers/pods.ts'

const VNODE = 'vnode-e2e-daemons'
const NODE = `/api/v1/nodes/${VNODE}`
const DAEMONSETS = `/apis/apps/v1/namespaces/${USERS}/daemonsets`
const PODS = `/api/v1/namespaces/${USERS}/pods`
const FENCE_KEY = 'vnode-profile.io/fence'

interface DaemonSet extends KubeObject {
  metadata: KubeObject['metadata'] & { generation: number }
  status: {
    observedGeneration?: number
    desiredNumberScheduled: number
    updatedNumberScheduled?: number
    numberReady: number
  }
}

/** Tolerates everything, in the node's own network, on Linux only. */
function makeDaemon(name: string): object {
  const { VNODE_E2E_IMAGE: image = '' } = process.env
  const stop = "process.on('SIGTERM', () => process.exit()); setInterval(() => {}, 1e6)"
  return makeDaemonSet({
    name,
    pod: {
      spec: {
        hostNetwork: true,
        nodeSelector: { 'kubernetes.io/os': 'linux' },
        tolerations: [{ operator: 'Exists' }],
        containers: [{ name: 'app', image, command: ['node', '-e', stop] }],
      },
    },
  })
}

async function addVnode(e2e: E2e): Promise<void> {
  const room = { cpu: '1000', memory: '4000Gi', pods: '5000' }
  await e2e.kube.request({
    method: 'POST',
    path: '/api/v1/nodes',
    body: {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name: VNODE,
        labels: {
          type: 'virtual-kubelet',
          'k8s.aliyun.com/vnode': 'true',
          'kubernetes.io/hostname': VNODE,
          'kubernetes.io/os': 'linux',
        },
      },
      spec: { taints: [{ key: 'k8s.aliyun.com/vnode', value: 'true', effect: 'NoSchedule' }] },
      status: { allocatable: room, capacity: room },
    },
  })
}

/** Names of all nodes that are VNodes. */
async function vnodesOf(e2e: E2e): Promise<string[]> {
  return (await e2e.list('/api/v1/nodes', 'type=virtual-kubelet')).map(({ metadata }) => metadata.name)
}

/** The daemon's Pods, but for those that are on their way out. */
async function podsOf(e2e: E2e, name: string): Promise<{ node: string; uid: string }[]> {
  const pods = await e2e.list(PODS, `app=${name}`)
  return pods
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(pod => ({ node: podFacts(pod).nodeName ?? '', uid: pod.metadata.uid }))
}

/** The daemon, once its controller has seen its newest state and all its Pods run that and are ready. */
async function settled(e2e: E2e, name: string): Promise<DaemonSet> {
  return await e2e.waitFor(`DaemonSet ${name} has settled`, async () => {
    const daemonSet = await e2e.find<DaemonSet>(`${DAEMONSETS}/${name}`)
    if (daemonSet === undefined) return undefined
    const { desiredNumberScheduled: wanted, numberReady, ...status } = daemonSet.status
    const isSeen = status.observedGeneration === daemonSet.metadata.generation
    const pods = await podsOf(e2e, name)
    const isDone =
      status.updatedNumberScheduled === wanted && numberReady === wanted && pods.length === wanted
    return isSeen && isDone && wanted > 0 ? daemonSet : undefined
  })
}

/** Every Pod of the daemon on real nodes from now on, by its uid, until it is told to stop. */
async function followRealPods(e2e: E2e, name: string): Promise<{ uids: Set<string>; stop: () => void }> {
  const vnodes = new Set(await vnodesOf(e2e))
  const uids = new Set<string>()
  const aborted = new AbortController()
  const query = { watch: true, labelSelector: `app=${name}` }
  const events = await e2e.kube.stream<{ object: KubeObject }>({
    path: PODS,
    query,
    signal: aborted.signal,
  })
  const follow = async () => {
    for await (const { object } of events) {
      const { nodeName } = podFacts(object)
      if (nodeName !== undefined && !vnodes.has(nodeName)) uids.add(object.metadata.uid)
    }
  }
  void follow().catch(() => undefined)
  return { uids, stop: () => aborted.abort() }
}

const e2e = await e2eOrSkip(t)

if (e2e !== undefined) {
  const vnodeCli = (...argv: string[]) =>
    runVnode(['daemonsets', ...argv], { env: { KUBECONFIG: process.env.KUBECONFIG ?? '' } })
  t.teardown(async () => {
    for (const name of ['proxy', 'named', 'fresh']) await e2e.remove(`${DAEMONSETS}/${name}`)
    await e2e.waitFor('no daemon is left', async () => (await e2e.list(PODS)).length === 0 || undefined)
    await e2e.remove(NODE)
  })
  await e2e.remove(NODE)

  await t.test('a daemon that was there before, and the command', async t => {
    await e2e.kube.request({ method: 'POST', path: DAEMONSETS, body: makeDaemon('proxy') })
    await settled(e2e, 'proxy')
    await addVnode(e2e)
    await e2e.waitFor(`a Pod on ${VNODE}`, async () =>
      (await podsOf(e2e, 'proxy')).find(({ node }) => node === VNODE),
    )
    const { metadata } = await settled(e2e, 'proxy')
    const vnodes = await vnodesOf(e2e)
    const before = (await podsOf(e2e, 'proxy')).filter(({ node }) => !vnodes.includes(node))
    t.ok(before.length > 0, 'it runs on real nodes')
    const { uids, stop } = await followRealPods(e2e, 'proxy')
    const { status, stdout, stderr } = await vnodeCli('fence', `${USERS}/proxy`)
    t.strictSame([status, stderr], [0, ''])
    t.match(stdout, /: fenced\n/)
    const after = await settled(e2e, 'proxy')
    t.equal(after.metadata.generation, metadata.generation + 1)
    const now = await podsOf(e2e, 'proxy')
    t.ok(
      now.every(({ node }) => !vnodes.includes(node)),
      'no Pod on a VNode',
    )
    t.strictSame(
      now.map(({ node }) => node).sort(),
      before.map(({ node }) => node).sort(),
      'the same real nodes',
    )
    await e2e.waitFor(
      'the watch has told of the new Pods',
      async () => now.every(({ uid }) => uids.has(uid)) || undefined,
    )
    stop()
    t.equal(uids.size, 2 * before.length, 'each old Pod and one new one: it restarted once')
    t.match((await vnodeCli('list', '-n', USERS)).stdout, /proxy +yes +our fence, by command +0/)
  })

  await t.test('a daemon that the values name, and one that is new', async t => {
    await e2e.kube.request({ method: 'POST', path: DAEMONSETS, body: makeDaemon('named') })
    await settled(e2e, 'named')
    const flags = ['--set', `daemonSets.fence={${USERS}/named,${USERS}/absent,nowhere/agent}`]
    await e2e.install(...flags)
    const named = await settled(e2e, 'named')
    t.match(named.metadata.annotations?.[FENCE_KEY], /"by":"command"/)
    await e2e.upgrade(...e2e.image, ...flags, '--set', 'webhook.logLevel=debug')
    const again = await settled(e2e, 'named')
    t.equal(again.metadata.generation, named.metadata.generation, 'an upgrade changes nothing more')
    await e2e.kube.request({ method: 'POST', path: DAEMONSETS, body: makeDaemon('fresh') })
    const fresh = await settled(e2e, 'fresh')
    t.match(fresh.metadata.annotations?.[FENCE_KEY], /"by":"admission"/)
    const vnodes = await vnodesOf(e2e)
    for (const name of ['named', 'fresh'])
      t.notOk(
        (await podsOf(e2e, name)).some(({ node }) => vnodes.includes(node)),
        `${name} has no Pod on a VNode`,
      )
  })
}
