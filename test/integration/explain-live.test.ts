/** `vnode explain --live` beside a helper that spills: its words about a Pod are those of the helper's Events. */

import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { runVnode } from '../helpers/cli.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { makeContainer } from '../helpers/pods.ts'
import { setRules } from '../helpers/rules.ts'
import { SpillScene } from '../helpers/spill-scene.ts'
import { TestSpiller } from '../helpers/spiller.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'
import { grantAccess } from '../helpers/webhook-rights.ts'

const rule = (name: string, policy: object = {}) => ({
  name,
  objectSelector: { matchLabels: { rule: name } },
  policy: { normalNodePrefer: policy },
})
const RULES = [rule('web'), rule('patient', { spillAfter: '1h' }), rule('ratio', { cpuRatio: 80 })]
const MERGE = { contentType: 'application/merge-patch+json' }
const VNODE_TAINT = { key: 'k8s.aliyun.com/vnode', value: 'true', effect: 'NoSchedule' }
const DISKS = '/apis/storage.k8s.io/v1/storageclasses'

const controlPlane = await controlPlaneOrSkip(t, { scheduler: true, controllerManager: true })

if (controlPlane !== undefined) {
  await startRealNode(controlPlane, { name: 'real-1', cpu: '2' })
  let vnode = await startVnode(controlPlane)
  await setRules(controlPlane, RULES)
  const spiller = await TestSpiller.start(t, { controlPlane, name: 'live' })
  // May look and change nothing: no command of this file needs more.
  const look = { role: 'reader', verbs: ['get', 'list'], reason: 'a test' }
  await grantAccess(controlPlane, 'reader', [
    { ...look, apiGroup: '', resources: ['pods', 'nodes', 'namespaces', 'configmaps', 'events'] },
    { ...look, apiGroup: '', resources: ['persistentvolumeclaims'] },
    { ...look, apiGroup: 'storage.k8s.io', resources: ['storageclasses'] },
    { ...look, apiGroup: 'coordination.k8s.io', resources: ['leases'] },
    { ...look, apiGroup: 'apps', resources: ['deployments'] },
    { ...look, apiGroup: 'eci.aliyun.com', resources: ['selectors'] },
  ])
  const env = { KUBECONFIG: await controlPlane.kubeconfig({ user: 'reader' }) }

  const ask = controlPlane.ask.bind(controlPlane) as typeof controlPlane.ask
  const explain = (...argv: string[]) => runVnode(['explain', '--live', ...argv], { env })
  const make = (t: Test) => SpillScene.make(t, { controlPlane, spiller })
  const changeVnode = (patch: object) =>
    ask('PATCH', `/api/v1/nodes/${vnode.name}`, { body: patch, ...MERGE })
  const cordon = (unschedulable: true | null) => changeVnode({ spec: { unschedulable } })

  /** The helper holds the Pod back with this code, and the command says the same, word for word. Gives what else it says. */
  async function heldBack(t: Test, scene: SpillScene, code: string, name = 'app') {
    const message = await scene.heldBack(code, name)
    // For a moment the scheduler may say something else, when a claim has just come say.
    await scene.becomes(name, ({ status }) => JSON.stringify(status).includes('"reason":"Unschedulable"'))
    const pod = `${scene.namespace}/${name}`
    const { status, stdout, stderr } = await explain(pod, '-o', 'json')
    t.strictSame([status, stderr], [0, ''])
    const [{ live, ...workload }] = JSON.parse(stdout).workloads
    t.match(live.spill, { outcome: 'held', code, message }, `${code}: in the words of the Event`)
    t.strictSame(workload.patch, [], 'nothing is due')
    const text = (await explain(pod)).stdout
    t.ok(text.includes(`  spill       ${message}\n`), `${code}: the same for people`)
    return { live, text, workload }
  }

  await cordon(true)
  await t.test('while the VNode is cordoned', async t => {
    await t.test('a Pod says what it waits for, and how long still', async t => {
      const scene = await make(t)
      await scene.create({ labels: { rule: 'patient' } })
      const { live, text, workload } = await heldBack(t, scene, 'waiting')
      t.ok(live.spill.forMs > 3_500_000 && live.spill.forMs <= 3_600_000, `${live.spill.forMs} ms`)
      t.equal(live.spill.forMs + live.spill.waitedMs, 3_600_000)
      t.match(text, /^ {14}(?:59m\d+s|1h) more, if nothing else changes; that is by the scheduler's time/m)
      t.match(text, /^Pod \S+\/app {2}https:\S+ {2}Pending$/m)
      t.match(text, /^ {2}goes to {5}a real node$/m)
      t.match(text, /^ {14}but no helper leads, and nothing else lets it go$/m)
      t.match(workload, { outcome: 'placed', rule: 'patient', policy: { kind: 'normalNodePrefer' } })
      t.match(text, /✓ patient {2}schedules it: normalNodePrefer/)
      t.match(text, /✗ web {6}/)
    })

    await t.test('a Pod that the webhook did not see', async t => {
      const scene = await make(t)
      await scene.create()
      const { live, text } = await heldBack(t, scene, 'vnode-cordoned')
      const message = await spiller.event(scene.namespace, 'app', 'WebhookMissed')
      t.equal(live.missed.message, message)
      t.ok(text.includes(`  missed      ${message}\n`))
      t.match(text, /^ {2}made anew {3}affinity +prefers real nodes/m)
      t.strictSame(live.marks, {})
    })

    await t.test('an autoscaler', async t => {
      const scene = await make(t)
      const pod = await scene.create()
      await scene.heldBack('vnode-cordoned')
      await scene.eventAbout(pod, { reason: 'Nominated', component: 'karpenter', ageMs: 0 })
      const { live, text } = await heldBack(t, scene, 'scale-up')
      t.ok(live.spill.forMs > 500_000 && live.spill.forMs <= 600_000, `${live.spill.forMs} ms`)
      t.match(text, /^ {14}(?:9m\d+(?:\.\d+)?s|10m) more, if nothing else changes$/m)
    })

    await t.test('preemption', async t => {
      const scene = await make(t)
      await scene.create()
      await scene.heldBack('vnode-cordoned')
      controlPlane.pause('kube-scheduler')
      t.teardown(() => controlPlane.resume('kube-scheduler'))
      const body = { status: { nominatedNodeName: 'real-1' } }
      await ask('PATCH', `${scene.path()}/status`, { body, ...MERGE })
      await heldBack(t, scene, 'preempting')
    })

    await t.test('a Pod group', async t => {
      const scene = await make(t)
      await scene.create({ labels: { 'scheduling.x-k8s.io/pod-group': 'training' } })
      await heldBack(t, scene, 'pod-group')
    })

    await t.test('claims', async t => {
      for (const [name, volumeBindingMode] of [
        ['immediate', 'Immediate'],
        ['late', 'WaitForFirstConsumer'],
      ]) {
        const body = { metadata: { name }, provisioner: 'example.com/none', volumeBindingMode }
        await ask('POST', DISKS, { body })
        t.teardown(() => controlPlane.request('DELETE', `${DISKS}/${name}`))
      }
      const scene = await make(t)
      const claims = `/api/v1/namespaces/${scene.namespace}/persistentvolumeclaims`
      const claim = (name: string) =>
        ask('POST', claims, {
          body: {
            metadata: { name },
            spec: {
              storageClassName: name,
              accessModes: ['ReadWriteOnce'],
              resources: { requests: { storage: '1Gi' } },
            },
          },
        })
      const mount = (claimName: string) => ({
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
      })
      await scene.create({ spec: mount('immediate') })
      await heldBack(t, scene, 'claim-missing')
      await claim('immediate')
      await heldBack(t, scene, 'claim-unbound')
      await claim('late')
      await scene.create({ name: 'late', spec: mount('late') })
      await heldBack(t, scene, 'vnode-cordoned', 'late')
    })
  })

  await t.test('VNodes that can take no Pod', async t => {
    const scene = await make(t)
    await scene.create()
    await scene.heldBack('vnode-cordoned')
    await vnode.setReady(false)
    await heldBack(t, scene, 'vnode-not-ready')
    await vnode.remove()
    await heldBack(t, scene, 'vnode-absent')
    await scene.create({ name: 'picky', spec: { nodeSelector: { disk: 'ssd' } } })
    const taint = { key: 'example.com/full', value: 'yes', effect: 'NoSchedule' }
    vnode = await startVnode(controlPlane, { taints: [taint] })
    await heldBack(t, scene, 'vnode-tainted')
    await heldBack(t, scene, 'vnode-mismatch', 'picky')
  })

  await t.test('a ratio', async t => {
    const scene = await make(t)
    const containers = [makeContainer({ cpu: '800m' })]
    await scene.create({ name: 'other', labels: { rule: 'none' }, spec: { nodeName: 'real-1', containers } })
    const spec = { nodeSelector: { disk: 'ssd' }, containers }
    await scene.create({ labels: { rule: 'ratio' }, spec })
    await scene.heldBack('vnode-mismatch')
    await changeVnode({ metadata: { labels: { disk: 'ssd' } }, spec: { taints: [VNODE_TAINT] } })
    const { live } = await heldBack(t, scene, 'real-nodes-have-room')
    t.match(live.spill.reason, /has room: requested are 40 % of CPU \(the rule says 80 %\)/)
  })

  await t.test('what is no question, and what has been let go', async t => {
    const scene = await make(t)
    const spillOf = async (name: string) => {
      const { stdout } = await explain(`${scene.namespace}/${name}`, '-o', 'json')
      return JSON.parse(stdout).workloads[0].live.spill
    }
    await scene.create({ name: 'gated', spec: { schedulingGates: [{ name: 'example.com/quota' }] } })
    t.match(await spillOf('gated'), { outcome: 'idle', code: 'gated', reason: /example\.com\/quota/ })
    controlPlane.pause('kube-scheduler')
    await scene.create({ name: 'new' })
    t.match(await spillOf('new'), { outcome: 'idle', code: 'not-unschedulable' })
    const { stdout } = await explain(`${scene.namespace}/new`)
    t.match(
      stdout,
      /^ {2}spill {7}no question now: the scheduler has not reported that no node can take it$/m,
    )
    await scene.reportUnschedulable('new')
    await scene.spills('new')
    t.match(await spillOf('new'), { outcome: 'idle', code: 'open' })
    const open = (await explain(`${scene.namespace}/new`)).stdout
    t.match(open, /^ {2}spill {7}the helper let it go to a VNode at 20\S+Z$/m)
    t.match(open, /^ {2}goes to {5}a real node or a VNode$/m)
    controlPlane.resume('kube-scheduler')
    await scene.bound('new')
    const bound = (await explain(`${scene.namespace}/new`)).stdout
    t.match(bound, new RegExp(`^  runs on     the VNode ${vnode.name}$`, 'm'))
    t.match(bound, /^ {2}because {5}rule web matches with policy normalNodePrefer$/m)
    t.match(bound, /^ {2}marked {6}rules web, policy normalNodePrefer$/m)
    t.match(bound, /^ {2}spill {7}the helper let it go/m)
    await scene.create({ name: 'small', spec: { containers: [makeContainer({ cpu: '100m' })] } })
    await scene.bound('small')
    const real = await explain(`${scene.namespace}/small`, '-o', 'json')
    t.match(JSON.parse(real.stdout).workloads[0], {
      runsOn: { code: 'real', place: 'the real node real-1' },
      rule: 'web',
      advice: [],
      live: { node: { name: 'real-1', isVnode: false }, missed: { lost: 'it runs on the real node real-1' } },
    })
  })

  await t.test('once no helper is at work', async t => {
    await spiller.stop()
    const scene = await make(t)
    await scene.create({
      spec: {
        containers: [{ ...makeContainer({ cpu: '10' }), ports: [{ containerPort: 80, hostPort: 80 }] }],
      },
    })
    await scene.becomes('app', ({ status }) => JSON.stringify(status).includes('Unschedulable'))
    const pod = `${scene.namespace}/app`

    await t.test('a Pod that spills says so, and what ECI will refuse', async t => {
      const { status, stdout } = await explain(pod)
      t.equal(status, 0)
      t.match(
        stdout,
        /^ {2}spill {7}rule web lets it go to a VNode, and nothing holds it back: no real node can take it/m,
      )
      t.match(stdout, /^ {2}adds {8}toleration/m)
      t.match(stdout, /toleration {2}k8s\.aliyun\.com\/vnode=true:NoSchedule$/m)
      t.match(stdout, /^ {2}ECI {9}refuses {2}.*hostPort/m)
      t.match(stdout, /^ {14}but no helper leads/m)
    })

    await t.test('a helper that leads', async t => {
      const lease = {
        metadata: { name: 'vnode-profile-helper', namespace: scene.namespace },
        spec: {
          holderIdentity: 'one',
          leaseDurationSeconds: 15,
          acquireTime: new Date().toISOString().replace('Z', '000Z'),
        },
      }
      const leases = `/apis/coordination.k8s.io/v1/namespaces/${scene.namespace}/leases`
      await ask('POST', leases, { body: lease })
      const place = ['--install-namespace', scene.namespace]
      // The installation's own namespace is excluded from everything.
      t.match((await explain(pod, ...place)).stdout, /^ {2}skipped {5}namespace \S+ is excluded$/m)
      const other = await make(t)
      await other.create()
      await other.becomes('app', ({ status }) => JSON.stringify(status).includes('Unschedulable'))
      const { stdout } = await explain(`${other.namespace}/app`, ...place)
      t.match(stdout, /^ {14}the helper opens the VNodes to it when its turn comes/m)
      const { live } = JSON.parse((await explain(`${other.namespace}/app`, ...place, '-o', 'json')).stdout)
        .workloads[0]
      t.match(live, { leader: { holder: 'one' }, spill: { outcome: 'spill', rule: 'web' } })
      const body = { spec: { renewTime: '2026-01-01T00:00:00.000000Z' } }
      await ask('PATCH', `${leases}/vnode-profile-helper`, { body, ...MERGE })
      const silent = (await explain(`${other.namespace}/app`, ...place)).stdout
      t.match(
        silent,
        /^ {14}but the helper that leads has not renewed its Lease since 2026-01-01T00:00:00\.000000Z$/m,
      )
      const said = { reason: 'SpillRefused', component: 'vnode-profile', ageMs: 0 }
      await other.eventAbout(await other.get(), said)
      const refused = (await explain(`${other.namespace}/app`, ...place)).stdout
      t.match(refused, /^ {14}the helper said: SpillRefused: a test says so$/m)
    })

    await t.test('settings are those of the installation, but for flags', async t => {
      const deployment = (program: string, args: readonly string[]) => ({
        metadata: { name: `a-${program}`, labels: { 'app.kubernetes.io/name': 'vnode-profile' } },
        spec: {
          replicas: 0,
          selector: { matchLabels: { program } },
          template: {
            metadata: { labels: { program } },
            spec: { containers: [{ name: program, image: 'localhost/none', args: [program, ...args] }] },
          },
        },
      })
      const install = await controlPlane.namespace(t)
      const path = `/apis/apps/v1/namespaces/${install}/deployments`
      const own = [`--install-namespace=${install}`, '--port=8443', '--read-only']
      await ask('POST', path, { body: deployment('webhook', own) })
      await ask('POST', path, { body: deployment('helper', [...own, '--name=a', '--spill-after=1h']) })
      const first = (await explain(pod)).stdout
      t.match(
        first,
        new RegExp(
          `^3 rules in force at https:\\S+, by the settings of Deployments ${install}/a-helper and ${install}/a-webhook\\.$`,
          'm',
        ),
      )
      t.match(first, /\(waiting\): a real node has 1h to take it/)
      t.notMatch(first, /--no-spill/)
      t.match((await explain(pod, '--spill-after', '0s')).stdout, /nothing holds it back/)
      t.match((await explain(pod, '--no-installation')).stdout, /nothing holds it back/)
      const body = {
        spec: {
          template: { spec: { containers: [{ name: 'helper', args: ['helper', ...own, '--no-spill'] }] } },
        },
      }
      await ask('PATCH', `${path}/a-helper`, { body, contentType: 'application/strategic-merge-patch+json' })
      t.match((await explain(pod)).stdout, /^ {14}but the helper runs with --no-spill: nothing lets it go$/m)
      const second = await controlPlane.namespace(t)
      await ask('POST', `/apis/apps/v1/namespaces/${second}/deployments`, { body: deployment('webhook', []) })
      t.match(await explain(pod), {
        status: 2,
        stderr: /installations in several namespaces: .*\nName one: --install-namespace NAME\.\n$/,
      })
      t.match((await explain(pod, '--install-namespace', install)).stdout, /--no-spill/)
    })

    await t.test('several Pods, and one that is not there', async t => {
      const argv = ['app', 'nobody', 'app', '-n', scene.namespace, '--no-installation']
      const { status, stdout, stderr } = await explain(...argv)
      t.equal(status, 1)
      t.equal(
        stderr,
        `vnode: there is no Pod ${scene.namespace}/nobody\nSee which there are: kubectl get pods -n ${scene.namespace}\n`,
      )
      t.match(stdout, /^2 explained: 2 on real nodes, then VNodes\.$/m)
    })

    await t.test('manifests, by what the cluster has in force', async t => {
      const namespace = { metadata: { name: scene.namespace, labels: { eci: 'true' } } }
      await ask('PATCH', `/api/v1/namespaces/${scene.namespace}`, { body: namespace, ...MERGE })
      await setRules(controlPlane, [
        ...RULES,
        {
          name: 'by-namespace',
          namespaceSelector: { matchLabels: { eci: 'true' } },
          policy: { virtualNodeOnly: {} },
        },
      ])
      t.teardown(() => setRules(controlPlane, RULES))
      const manifest = JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'web' },
        spec: { containers: [] },
      })
      const argv = ['explain', '--live', '-f', '-', '--no-installation', '-n']
      const inside = await runVnode([...argv, scene.namespace], { env, stdin: manifest })
      t.match(inside.stdout, /^ {2}because {5}rule by-namespace matches with policy virtualNodeOnly$/m)
      const outside = await runVnode([...argv, 'default'], { env, stdin: manifest })
      t.match(outside.stdout, /^ {2}because {5}no rule schedules it$/m)
    })

    await t.test('a text with errors: what is in force is said', async t => {
      await setRules(controlPlane, [
        ...RULES,
        { name: 'broken', objectSelector: { matchLabels: { 'a b': '' } } },
      ])
      t.teardown(() => setRules(controlPlane, RULES))
      const { stdout, stderr } = await explain(pod, '--no-installation')
      t.match(stderr, /^ConfigMap kube-system\/eci-profile:\d+:\d+: error: /)
      t.match(stdout, /^ConfigMap kube-system\/eci-profile is refused; there are no older rules to keep/m)
    })

    await t.test('rights that are missing are said, and what does not need them is answered', async t => {
      const see = { role: 'some', verbs: ['get'], apiGroup: '', reason: 'a test' }
      await grantAccess(controlPlane, 'half', [{ ...see, resources: ['pods', 'configmaps'] }])
      await grantAccess(controlPlane, 'deaf', [
        { ...see, resources: ['pods', 'configmaps', 'namespaces'] },
        { ...look, role: 'some', apiGroup: '', resources: ['nodes'] },
      ])
      await grantAccess(controlPlane, 'blind', [{ ...see, resources: ['pods'] }])
      const as = async (user: string) =>
        runVnode(['explain', '--live', pod], { env: { KUBECONFIG: await controlPlane.kubeconfig({ user }) } })
      const half = await as('half')
      t.equal(half.status, 0)
      for (const what of ['Nodes', `Namespace ${scene.namespace}`, `Events of namespace ${scene.namespace}`])
        t.match(half.stdout, new RegExp(`^${what} may not be looked at: .*cannot`, 'm'))
      t.match(half.stdout, /whether something holds it back is not known/)
      t.match(half.stdout, /✓ web/)
      t.match(
        (await as('deaf')).stdout,
        /^ {14}unless an autoscaler makes a node for it: its Events may not be looked at$/m,
      )
      t.match(await as('blind'), {
        status: 1,
        stdout: '',
        stderr: /configmaps.*\nWithout ConfigMap kube-system\/eci-profile/,
      })
    })

    await t.test('the patch that is due sends it to the VNode, and makes of it what is printed', async t => {
      const [patch = ''] = (await explain(pod, '-o', 'patch', '--no-installation')).stdout.split('\n')
      const yaml = (await explain(pod, '-o', 'yaml', '--no-installation')).stdout
      const contentType = 'application/json-patch+json'
      await ask('PATCH', scene.path(), { body: JSON.parse(patch), contentType })
      const { spec, metadata } = await scene.bound()
      t.equal(spec.nodeName, vnode.name)
      t.match(parse(yaml), {
        metadata: { annotations: metadata.annotations },
        spec: { tolerations: spec.tolerations },
      })
      t.notMatch(yaml, /managedFields/)
      t.match((await explain(pod, '--no-installation')).stdout, /^ {2}ECI {9}refuses {2}.*hostPort/m)
    })
  })
}
