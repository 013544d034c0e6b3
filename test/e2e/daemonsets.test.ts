/** A daemon like kube-proxy on a cluster with a real kubelet: off the VNode it goes, and on the real node it restarts once. */
import t from 'tap'
import { podFacts } from '../../src/core/pod/facts.ts'
import { runVnode } from '../helpers/cli.ts'
import { FENCE_KEY } from '../helpers/daemons.ts'
import { type E2e, e2eOrSkip, USERS } from '../helpers/e2e.ts'
import { E2eDaemons, idle, vnodesOf } from '../helpers/e2e-daemons.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { makeDaemonSet } from '../helpers/pods.ts'

const VNODE = 'vnode-e2e-daemons'
const NODE = `/api/v1/nodes/${VNODE}`
const PODS = `/api/v1/namespaces/${USERS}/pods`

/** Tolerates everything, in the node's own network, on Linux only. */
function makeDaemon(e2e: E2e, name: string): object {
  return makeDaemonSet({
    name,
    pod: {
      spec: {
        hostNetwork: true,
        nodeSelector: { 'kubernetes.io/os': 'linux' },
        tolerations: [{ operator: 'Exists' }],
        containers: [idle(e2e)],
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
  const daemons = new E2eDaemons(e2e, USERS)
  t.teardown(async () => {
    for (const name of ['proxy', 'named', 'fresh']) await daemons.remove(name)
    await e2e.remove(NODE)
  })
  await e2e.remove(NODE)

  await t.test('a daemon that was there before, and the command', async t => {
    await daemons.make(makeDaemon(e2e, 'proxy'))
    await daemons.settled('proxy')
    await addVnode(e2e)
    await e2e.waitFor(`a Pod on ${VNODE}`, async () =>
      (await daemons.podsOf('proxy')).find(({ node }) => node === VNODE),
    )
    const { metadata } = await daemons.settled('proxy')
    const vnodes = await vnodesOf(e2e)
    const before = (await daemons.podsOf('proxy')).filter(({ node }) => !vnodes.includes(node))
    t.ok(before.length > 0, 'it runs on real nodes')
    const { uids, stop } = await followRealPods(e2e, 'proxy')
    const { status, stdout, stderr } = await vnodeCli('fence', `${USERS}/proxy`)
    t.strictSame([status, stderr], [0, ''])
    t.match(stdout, /: fenced\n/)
    const after = await daemons.settled('proxy')
    t.equal(after.metadata.generation, metadata.generation + 1)
    const now = await daemons.podsOf('proxy')
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
    await daemons.make(makeDaemon(e2e, 'named'))
    await daemons.settled('named')
    const flags = ['--set', `daemonSets.fence={${USERS}/named,${USERS}/absent,nowhere/agent}`]
    await e2e.install(...flags)
    const named = await daemons.settled('named')
    t.match(named.metadata.annotations?.[FENCE_KEY], /"by":"command"/)
    await e2e.upgrade(...e2e.image, ...flags, '--set', 'webhook.logLevel=debug')
    const again = await daemons.settled('named')
    t.equal(again.metadata.generation, named.metadata.generation, 'an upgrade changes nothing more')
    await daemons.make(makeDaemon(e2e, 'fresh'))
    const fresh = await daemons.settled('fresh')
    t.match(fresh.metadata.annotations?.[FENCE_KEY], /"by":"admission"/)
    const vnodes = await vnodesOf(e2e)
    for (const name of ['named', 'fresh'])
      t.notOk(
        (await daemons.podsOf(name)).some(({ node }) => vnodes.includes(node)),
        `${name} has no Pod on a VNode`,
      )
  })
}
