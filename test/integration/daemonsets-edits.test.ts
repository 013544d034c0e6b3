/** What becomes of the fence when a DaemonSet is edited, and how many ControllerRevisions that makes: never more than the edit itself. */
import t, { type Test } from 'tap'
import { runVnode } from '../helpers/cli.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { Daemons, EVERYTHING, FENCE, FENCE_KEY, required } from '../helpers/daemons.ts'
import { makeDaemonSet } from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const LINUX = { matchExpressions: [{ key: 'kubernetes.io/os', operator: 'In', values: ['linux'] }] }
const REAL = ['real-1']

const controlPlane = await controlPlaneOrSkip(t, { scheduler: true, controllerManager: true })

if (controlPlane !== undefined) {
  await startRealNode(controlPlane)
  const vnode = await startVnode(controlPlane)
  const BOTH = [vnode.name, ...REAL].sort()
  const webhook = await startTestWebhook(t, { controlPlane })
  await webhook.ready()
  await webhook.until('the VNode is known', ({ environment }) => environment.vnodes.all.length === 1)

  const manifest = (image: string, affinity?: Record<string, unknown>) =>
    makeDaemonSet({
      pod: {
        spec: {
          tolerations: EVERYTHING,
          containers: [{ name: 'app', image: `localhost/app:${image}` }],
          ...(affinity === undefined ? {} : { affinity }),
        },
      },
    })
  const kubectl = async (daemons: Daemons, args: readonly string[], input = ''): Promise<string> => {
    const { code, stdout, stderr } = await controlPlane.kubectl(['-n', daemons.namespace, ...args], { input })
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  /** Makes it while nobody hears of DaemonSets. */
  const withoutFence = async (t: Test, image = '1', affinity?: Record<string, unknown>) => {
    const daemons = new Daemons(controlPlane, await controlPlane.namespace(t))
    await daemons.make(manifest(image, affinity))
    t.strictSame(await daemons.nodes(), BOTH, 'a Pod on the VNode')
    return daemons
  }
  /** Nobody is told of the edit's own count: it says how many it makes where there is no fence. */
  const counted = async (t: Test, daemons: Daemons, what: string, edit: () => Promise<unknown>) => {
    const before = await daemons.revisions()
    await edit()
    const nodes = await daemons.nodes()
    const added = (await daemons.revisions()).length - before.length
    t.comment(`${what}: ${added} new ControllerRevision${added === 1 ? '' : 's'}`)
    return { nodes, added }
  }
  const register = (t: Test) => registerWebhook(t, controlPlane, webhook, { daemonSets: true })
  const fenced = async (daemons: Daemons) => (await daemons.get()).metadata.annotations?.[FENCE_KEY]

  t.test('a new image brings the fence along', async t => {
    const daemons = await withoutFence(t)
    await register(t)
    const { nodes, added } = await counted(t, daemons, 'kubectl set image', () =>
      kubectl(daemons, ['set', 'image', 'daemonset/app', 'app=localhost/app:2']),
    )
    t.strictSame(nodes, REAL)
    t.equal(added, 1)
    t.equal(await fenced(daemons), '{"by":"admission","terms":[0],"created":"affinity"}')
  })

  t.test('a label, an annotation, another pace: no fence, and nothing restarts', async t => {
    const daemons = await withoutFence(t)
    await register(t)
    const { uid } = (await daemons.pods())[0]?.metadata ?? {}
    const { nodes, added } = await counted(t, daemons, 'labels and updateStrategy', async () => {
      await kubectl(daemons, ['label', 'daemonset/app', 'team=a'])
      await kubectl(daemons, ['annotate', 'daemonset/app', 'note=b'])
      const patch = '{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":"50%"}}}}'
      await kubectl(daemons, ['patch', 'daemonset/app', '--type=merge', '-p', patch])
    })
    t.strictSame(nodes, BOTH)
    t.equal(added, 0)
    t.equal(await fenced(daemons), undefined)
    t.ok((await daemons.pods()).some(pod => pod.metadata.uid === uid))
  })

  for (const [kind, flags] of [
    ['client-side', []],
    ['server-side', ['--server-side']],
  ] as const) {
    for (const [shape, affinity] of [
      ['without affinity', undefined],
      ["with its author's term", required(LINUX)],
    ] as const) {
      t.test(`kubectl apply, ${kind}, of a manifest ${shape}`, async t => {
        await register(t)
        const daemons = new Daemons(controlPlane, await controlPlane.namespace(t))
        const apply = (image: string) =>
          kubectl(daemons, ['apply', ...flags, '-f', '-'], JSON.stringify(manifest(image, affinity)))
        await apply('1')
        t.strictSame(await daemons.nodes(), REAL)
        const { metadata, spec } = await daemons.get()
        const again = await counted(t, daemons, 'the same manifest again', () => apply('1'))
        t.strictSame([again.nodes, again.added], [REAL, 0])
        const now = await daemons.get()
        t.equal(now.metadata.generation, metadata.generation, 'nothing has changed')
        t.strictSame(now.spec.template, spec.template)
        t.equal(now.metadata.annotations?.[FENCE_KEY], metadata.annotations?.[FENCE_KEY])
        const next = await counted(t, daemons, 'with another image', () => apply('2'))
        t.strictSame([next.nodes, next.added], [REAL, 1])
        t.ok(await fenced(daemons))
      })
    }
  }

  t.test('rollout undo, to a revision from before the fence and to one with it', async t => {
    const daemons = await withoutFence(t)
    await register(t)
    await kubectl(daemons, ['set', 'image', 'daemonset/app', 'app=localhost/app:2'])
    t.strictSame(await daemons.nodes(), REAL)
    const undo = () => kubectl(daemons, ['rollout', 'undo', 'daemonset/app'])
    const image = async () => JSON.stringify((await daemons.get()).spec.template.spec.containers)
    const back = await counted(t, daemons, 'undo to a revision from before the fence', undo)
    t.match(await image(), /app:1/)
    t.strictSame([back.nodes, back.added], [REAL, 1], 'the one that the fence costs')
    const forth = await counted(t, daemons, 'undo of that', undo)
    t.match(await image(), /app:2/)
    t.strictSame([forth.nodes, forth.added], [REAL, 0])
    const again = await counted(t, daemons, 'undo between revisions with the fence', undo)
    t.match(await image(), /app:1/)
    t.strictSame([again.nodes, again.added], [REAL, 0])
  })

  t.test('rollout undo between revisions with other terms, and the fence taken away after it', async t => {
    const OTHER = { matchExpressions: [{ key: 'example.com/other', operator: 'Exists' }] }
    const affinities = { fewer: required(LINUX), more: required(LINUX, OTHER) }
    const unfence = (daemons: Daemons) =>
      runVnode(['daemonsets', 'unfence', `${daemons.namespace}/app`], {
        env: { KUBECONFIG: controlPlane.kubeconfigPath },
      })
    const affinityOf = async (daemons: Daemons) => (await daemons.get()).spec.template.spec.affinity
    await register(t)
    const undone = async (first: keyof typeof affinities, second: keyof typeof affinities) => {
      const daemons = new Daemons(controlPlane, await controlPlane.namespace(t))
      for (const shape of [first, second]) {
        await kubectl(daemons, ['apply', '-f', '-'], JSON.stringify(manifest('1', affinities[shape])))
        t.strictSame(await daemons.nodes(), REAL)
      }
      await kubectl(daemons, ['rollout', 'undo', 'daemonset/app'])
      t.strictSame(await daemons.nodes(), REAL)
      return daemons
    }
    const fewer = await undone('fewer', 'more')
    t.equal(await fenced(fewer), '{"by":"admission","terms":[0]}')
    t.match(await unfence(fewer), { status: 0, stdout: /: unfenced\n/ })
    t.strictSame(await affinityOf(fewer), affinities.fewer)
    t.equal((await fewer.get()).metadata.labels?.[FENCE_KEY], 'off')
    const more = await undone('more', 'fewer')
    const { status, stdout } = await unfence(more)
    t.equal(status, 0)
    t.match(stdout, 'still keeps off VNodes in term 1, by an expression that is not recorded as ours')
    t.match(await affinityOf(more), required(LINUX, { matchExpressions: [{}, FENCE] }))
    t.strictSame(await more.nodes(), BOTH)
  })

  t.test('a replacement without fence and record, as kubeadm upgrade makes it', async t => {
    await register(t)
    const daemons = new Daemons(controlPlane, await controlPlane.namespace(t))
    await daemons.make(manifest('1', required(LINUX)))
    t.strictSame(await daemons.nodes(), REAL)
    const { nodes, added } = await counted(t, daemons, 'kubectl replace', () =>
      kubectl(daemons, ['replace', '-f', '-'], JSON.stringify(manifest('2', required(LINUX)))),
    )
    t.strictSame([nodes, added], [REAL, 1])
    t.equal(await fenced(daemons), '{"by":"admission","terms":[0]}')
  })

  t.test('opting out in the edit that takes the fence away', async t => {
    await register(t)
    const daemons = new Daemons(controlPlane, await controlPlane.namespace(t))
    await daemons.make(manifest('1'))
    t.strictSame(await daemons.nodes(), REAL)
    const labels = { [FENCE_KEY]: 'off' }
    const body = { ...manifest('1'), metadata: { name: 'app', labels } }
    await kubectl(daemons, ['replace', '-f', '-'], JSON.stringify(body))
    t.strictSame(await daemons.nodes(), BOTH)
    t.equal((await daemons.get()).spec.template.spec.affinity, undefined)
  })

  t.test('the edits are counted by outcome', async t => {
    for (const outcome of ['patched', 'skipped']) t.ok(await webhook.reviews('daemonsets', outcome), outcome)
    t.equal(await webhook.reviews('daemonsets', 'error'), 0)
  })
}
