/** Each condition that holds a Pod back, on a real scheduler: held back with its reason, and spilled once it is over. */

import t, { type Test } from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { StoredPod } from '../helpers/placed-pods.ts'
import { vnodeTolerations } from '../helpers/pod-story.ts'
import { makeContainer } from '../helpers/pods.ts'
import { setRules } from '../helpers/rules.ts'
import { SpillScene } from '../helpers/spill-scene.ts'
import { TestSpiller } from '../helpers/spiller.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'

const rule = (name: string, policy: object = {}) => ({
  name,
  objectSelector: { matchLabels: { rule: name } },
  policy: { normalNodePrefer: policy },
})
const RULES = [
  rule('web'),
  rule('patient', { spillAfter: '30s' }),
  rule('canary', { spillAfter: '10s' }),
  rule('ratio', { cpuRatio: 80 }),
]
const TIMEOUT = { timeout: 15_000 }
const MERGE = { contentType: 'application/merge-patch+json' }
const DISKS = '/apis/storage.k8s.io/v1/storageclasses'

const controlPlane = await controlPlaneOrSkip(t, { scheduler: true, controllerManager: true })

if (controlPlane !== undefined) {
  await startRealNode(controlPlane, { name: 'real-1', cpu: '2' })
  await startRealNode(controlPlane, { name: 'real-2', cpu: '2' })
  let vnode = await startVnode(controlPlane)
  await setRules(controlPlane, RULES)
  const spiller = await TestSpiller.start(t, { controlPlane, name: 'conditions' })

  const make = (t: Test) => SpillScene.make(t, { controlPlane, spiller })
  const { ask } = { ask: controlPlane.ask.bind(controlPlane) as typeof controlPlane.ask }

  t.test('nothing in the way: it spills, an Event tells, and it runs on the VNode', async t => {
    const scene = await make(t)
    await scene.create()
    const pod = await scene.bound()
    t.equal(pod.spec.nodeName, vnode.name)
    t.match(
      await spiller.event(scene.namespace, 'app', 'Spilled'),
      /^rule web lets it go to a VNode from now on/,
    )
  })

  t.test('while spillAfter runs a real node that joins takes the Pod', async t => {
    const scene = await make(t)
    await scene.create({ labels: { rule: 'patient' } })
    t.match(await scene.heldBack('waiting'), /a real node has 30s to take it/)
    const joined = await startRealNode(controlPlane, { name: 'joined', cpu: '20' })
    const pod = await scene.bound()
    t.equal(pod.spec.nodeName, 'joined')
    t.equal(vnodeTolerations(pod), 0)
    await joined.remove()
  })

  t.test('a Pod whose scheduling gate goes after an hour waits from then', async t => {
    const scene = await make(t)
    const spec = { schedulingGates: [{ name: 'example.com/quota' }] }
    await scene.create({ labels: { rule: 'patient' }, spec })
    await scene.becomes('app', ({ status }) => JSON.stringify(status).includes('SchedulingGated'))
    spiller.clock.jump(3_600_000)
    await ask('PATCH', scene.path(), { body: { spec: { schedulingGates: null } }, ...MERGE })
    await scene.heldBack('waiting')
    await scene.create({ name: 'canary', labels: { rule: 'canary' } })
    await scene.heldBack('waiting', 'canary')
    spiller.clock.jump(11_000)
    await scene.spills('canary')
    t.equal(vnodeTolerations(await scene.get()), 0, 'eleven seconds are not thirty')
    spiller.clock.jump(19_000)
    await scene.spills()
  })

  t.test('preemption under way: one victim, the real node, no spill', async t => {
    const scene = await make(t)
    const classes = '/apis/scheduling.k8s.io/v1/priorityclasses'
    await ask('POST', classes, { body: { metadata: { name: 'high' }, value: 1000 } })
    t.teardown(() => controlPlane.request('DELETE', `${classes}/high`))
    for (const [index, nodeName] of ['real-1', 'real-2'].entries())
      await scene.create({
        name: `low-${index}`,
        labels: { rule: 'none' },
        spec: { nodeName, containers: [makeContainer({ cpu: '1500m' })] },
      })
    await scene.create({ spec: { priorityClassName: 'high', containers: [makeContainer({ cpu: '1' })] } })
    const pod = await scene.bound()
    t.match(pod.spec.nodeName, /^real-/)
    t.equal(vnodeTolerations(pod), 0)
    const { items } = await ask<{ items: StoredPod[] }>('GET', scene.pods)
    t.equal(items.filter(({ metadata }) => metadata.name.startsWith('low-')).length, 1, 'one victim')
  })

  t.test('a nomination that comes to nothing: held back, and spilled once it is cleared', async t => {
    const scene = await make(t)
    await ask('PATCH', `/api/v1/nodes/${vnode.name}`, { body: { spec: { unschedulable: true } }, ...MERGE })
    await scene.create()
    await scene.heldBack('vnode-cordoned')
    controlPlane.pause('kube-scheduler')
    t.teardown(() => controlPlane.resume('kube-scheduler'))
    const nominate = (nominatedNodeName: string | null) =>
      ask('PATCH', `${scene.path()}/status`, { body: { status: { nominatedNodeName } }, ...MERGE })
    await nominate('real-1')
    await scene.heldBack('preempting')
    await ask('PATCH', `/api/v1/nodes/${vnode.name}`, { body: { spec: { unschedulable: null } }, ...MERGE })
    // Another Pod shows that the VNode is open again, and that the nomination alone is in the way.
    await scene.create({ name: 'other' })
    await scene.reportUnschedulable('other')
    await scene.spills('other')
    t.equal(vnodeTolerations(await scene.get()), 0)
    await nominate(null)
    await scene.spills()
  })

  for (const [reason, component] of [
    ['TriggeredScaleUp', 'cluster-autoscaler'],
    ['Nominated', 'karpenter'],
  ] as const) {
    t.test(`an autoscaler says ${reason}: fresh, it is waited for; old, it is not`, async t => {
      const scene = await make(t)
      const say = (pod: StoredPod, ageMs: number) => scene.eventAbout(pod, { reason, component, ageMs })
      // Gated, so that the Event is there before the first failure.
      const gated = { spec: { schedulingGates: [{ name: 'example.com/hold' }] } }
      const open = (name: string) =>
        ask('PATCH', scene.path(name), { body: { spec: { schedulingGates: null } }, ...MERGE })
      await say(await scene.create({ name: 'fresh', ...gated }), 0)
      await say(await scene.create({ name: 'old', ...gated }), 660_000)
      await spillerHeard(scene, 'fresh')
      await open('fresh')
      await open('old')
      t.match(
        await scene.heldBack('scale-up', 'fresh'),
        /an autoscaler makes a real node for it, and has 10m/,
      )
      await scene.spills('old')
    })
  }

  /** The spiller's watches are behind by some milliseconds; its own Event about a third Pod says how far it has come. */
  const spillerHeard = async (scene: SpillScene, name: string) => {
    await controlPlane.waitForAll(
      `/api/v1/namespaces/${scene.namespace}/events?fieldSelector=involvedObject.name=${name}`,
      events => events.length > 0,
      TIMEOUT,
    )
    await scene.create({ name: 'third', labels: { 'scheduling.x-k8s.io/pod-group': 'g' } })
    await scene.heldBack('pod-group', 'third')
  }

  t.test('a Pod group: held back', async t => {
    const scene = await make(t)
    await scene.create({ labels: { 'scheduling.x-k8s.io/pod-group': 'training' } })
    t.match(await scene.heldBack('pod-group'), /label scheduling\.x-k8s\.io\/pod-group=training/)
  })

  t.test('a claim that is missing, then unbound, then bound', async t => {
    const scene = await make(t)
    await ask('POST', DISKS, {
      body: {
        metadata: { name: 'immediate' },
        provisioner: 'example.com/none',
        volumeBindingMode: 'Immediate',
      },
    })
    await ask('POST', DISKS, {
      body: {
        metadata: { name: 'late' },
        provisioner: 'example.com/none',
        volumeBindingMode: 'WaitForFirstConsumer',
      },
    })
    t.teardown(async () => {
      for (const name of ['immediate', 'late']) await controlPlane.request('DELETE', `${DISKS}/${name}`)
    })
    const claims = `/api/v1/namespaces/${scene.namespace}/persistentvolumeclaims`
    const claim = (name: string, storageClassName: string) => ({
      metadata: { name },
      spec: { storageClassName, accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    })
    const mount = (claimName: string) => ({
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
    })
    await scene.create({ spec: mount('data') })
    t.match(await scene.heldBack('claim-missing'), /PersistentVolumeClaim data is not there/)
    await ask('POST', claims, { body: claim('data', 'immediate') })
    await scene.heldBack('claim-unbound')
    await ask('POST', '/api/v1/persistentvolumes', {
      body: {
        metadata: { name: 'data' },
        spec: {
          storageClassName: 'immediate',
          accessModes: ['ReadWriteOnce'],
          capacity: { storage: '1Gi' },
          hostPath: { path: '/nonexistent' },
        },
      },
    })
    t.teardown(() => controlPlane.request('DELETE', '/api/v1/persistentvolumes/data'))
    await scene.spills()
    await ask('POST', claims, { body: claim('late', 'late') })
    await scene.create({ name: 'late', spec: mount('late') })
    await scene.spills('late')
  })

  t.test(
    'the VNode is not Ready, cordoned, gone: held back each time, and spilled when it is there again',
    async t => {
      const scene = await make(t)
      await vnode.setReady(false)
      await scene.create()
      t.match(await scene.heldBack('vnode-not-ready'), /VNode .* is not Ready/)
      await ask('PATCH', `/api/v1/nodes/${vnode.name}`, { body: { spec: { unschedulable: true } }, ...MERGE })
      await vnode.setReady(true)
      await scene.heldBack('vnode-cordoned')
      await vnode.remove()
      t.match(await scene.heldBack('vnode-absent'), /there is no VNode/)
      vnode = await startVnode(controlPlane)
      await scene.spills()
      await spiller.metric('held_back_pods_total', { rule: 'web', reason: 'vnode-absent' }, 1)
    },
  )

  t.test(
    'a ratio: a Pod stuck for a reason of its own does not spill while real nodes have room',
    async t => {
      const scene = await make(t)
      const label = (node: string, disk: string | null) =>
        ask('PATCH', `/api/v1/nodes/${node}`, { body: { metadata: { labels: { disk } } }, ...MERGE })
      const containers = [makeContainer({ cpu: '800m' })]
      for (const nodeName of ['real-1', 'real-2'])
        await scene.create({ name: nodeName, labels: { rule: 'none' }, spec: { nodeName, containers } })
      await scene.create({ labels: { rule: 'ratio' }, spec: { nodeSelector: { disk: 'ssd' }, containers } })
      t.match(await scene.heldBack('vnode-mismatch'), /no VNode satisfies its node selector/)
      await label(vnode.name, 'ssd')
      t.match(
        await scene.heldBack('real-nodes-have-room'),
        /the 2 real nodes that it could run on have room: requested are 40 % of CPU \(the rule says 80 %\)/,
      )
      for (const nodeName of ['real-1', 'real-2'])
        await scene.create({
          name: `more-${nodeName}`,
          labels: { rule: 'none' },
          spec: { nodeName, containers },
        })
      await scene.spills()
      await label(vnode.name, null)
    },
  )
}
