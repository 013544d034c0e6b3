/** `vnode daemonsets` on a cluster with a real DaemonSet controller, and beside a webhook. */
import t, { type Test } from 'tap'
import type { DaemonSetFacts } from '../../src/core/daemonset/daemon-set.ts'
import { planFence } from '../../src/core/daemonset/plan.ts'
import { DEFAULT_SETTINGS } from '../../src/core/settings.ts'
import { VnodeSet } from '../../src/core/vnode/vnode-set.ts'
import type { ApiRequest, KubeClient } from '../../src/kube/api.ts'
import { connect } from '../../src/kube/client.ts'
import { changeDaemonSet } from '../../src/kube/daemonsets.ts'
import { runVnode } from '../helpers/cli.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { Daemons, EVERYTHING, FENCE, FENCE_KEY, required } from '../helpers/daemons.ts'
import { makeDaemonSet } from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const LINUX = { matchExpressions: [{ key: 'kubernetes.io/os', operator: 'In', values: ['linux'] }] }
const NOT_REAL_2 = { matchFields: [{ key: 'metadata.name', operator: 'NotIn', values: ['real-2'] }] }
const REAL = ['real-1']

const controlPlane = await controlPlaneOrSkip(t, { scheduler: true, controllerManager: true })

if (controlPlane !== undefined) {
  await startRealNode(controlPlane)
  const vnode = await startVnode(controlPlane)
  const BOTH = [vnode.name, ...REAL].sort()
  const vnodeCli = (...argv: string[]) =>
    runVnode(['daemonsets', ...argv], { env: { KUBECONFIG: controlPlane.kubeconfigPath } })
  const daemon = (name: string, affinity?: Record<string, unknown>, more: object = {}) =>
    makeDaemonSet({
      name,
      ...more,
      pod: {
        spec: { tolerations: EVERYTHING, ...(affinity === undefined ? {} : { affinity }) },
      },
    })
  const open = async (t: Test) => new Daemons(controlPlane, await controlPlane.namespace(t))

  t.test('list', async t => {
    const daemons = await open(t)
    await daemons.make(daemon('open'))
    await daemons.make(daemon('fenced', required({ matchExpressions: [FENCE] })))
    await daemons.make(daemon('out', undefined, { labels: { [FENCE_KEY]: 'off' } }))
    await daemons.make(makeDaemonSet({ name: 'plain', annotations: { 'meta.helm.sh/release-name': 'web' } }))
    for (const name of ['open', 'fenced', 'out', 'plain']) await daemons.nodes(name)
    const { namespace } = daemons
    const { status, stdout, stderr } = await vnodeCli('list', '-n', namespace)
    t.strictSame([status, stderr], [0, ''])
    t.equal(
      stdout.replaceAll(namespace, 'NS').replaceAll(/ {2,}/g, '  '),
      [
        'NAMESPACE  NAME  TOLERATES  KEPT OFF VNODES BY  PODS THERE  MANAGED BY',
        'NS  fenced  yes  a fence of its author  0  -',
        'NS  open  yes  nothing  1  -',
        'NS  out  yes  nothing: it is opted out  1  -',
        "NS  plain  no  the VNodes' taint  0  Helm release web",
        '',
        '4 DaemonSets, 1 VNode: 2 get a Pod on every VNode.',
        'See what a fence changes: vnode daemonsets fence NS/open --dry-run',
        '',
      ].join('\n'),
    )
    const rows = JSON.parse((await vnodeCli('list', '-n', namespace, '-o', 'json')).stdout)
    t.match(rows[1], {
      namespace,
      name: 'open',
      landing: 'lands',
      toleratesVnode: true,
      isOptedOut: false,
      podsOnVnodes: 1,
      managedBy: null,
    })
    t.match(rows[0], { landing: 'fenced', fencedBy: 'author', podsOnVnodes: 0 })
    t.match(await vnodeCli('list', '-n', 'nowhere'), { status: 0, stdout: 'There are no DaemonSets.\n' })
    t.match((await vnodeCli('list', '-n', namespace, '-o', 'yaml')).stdout, /^- namespace: /)
  })

  t.test('fence and unfence give back what the author wrote, byte for byte', async t => {
    const shapes = {
      none: undefined,
      own: required(LINUX, NOT_REAL_2),
      pods: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
      preferred: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference: LINUX }],
        },
      },
    }
    for (const [name, affinity] of Object.entries(shapes)) {
      const daemons = await open(t)
      await daemons.make(daemon(name, affinity))
      t.strictSame(await daemons.nodes(name), BOTH)
      const ref = `${daemons.namespace}/${name}`
      const before = await daemons.get(name)
      const fence = await vnodeCli('fence', ref)
      t.match(fence, { status: 0, stdout: `DaemonSet ${ref}: fenced\n` })
      t.match(
        fence.stdout,
        /WARNING: the Pod template has changed, so this daemon restarts on every node, at most 1 node at a time\./,
      )
      t.strictSame(await daemons.nodes(name), REAL, 'the Pod on the VNode is gone')
      t.equal((await daemons.revisions()).length, 2)
      t.match(
        (await vnodeCli('fence', ref)).stdout,
        /left as it is: its required node affinity has type NotIn/,
      )
      t.match(await vnodeCli('unfence', ref), { status: 0, stdout: `DaemonSet ${ref}: unfenced\n` })
      const after = await daemons.get(name)
      t.equal(JSON.stringify(after.spec), JSON.stringify(before.spec), name)
      t.strictSame(after.metadata.labels, { [FENCE_KEY]: 'off' })
      t.equal(after.metadata.annotations?.[FENCE_KEY], undefined)
      t.strictSame(await daemons.nodes(name), BOTH)
      t.equal((await daemons.revisions()).length, 2, 'it is the old revision again')
      t.match((await vnodeCli('unfence', ref)).stdout, /left as it is: no fence of ours is recorded on it/)
      t.match(
        (await vnodeCli('fence', ref)).stdout,
        /left as it is: it has the label .*\nTo fence it all the same, and remove that label: --opt-in\n/,
      )
      t.match((await vnodeCli('fence', ref, '--opt-in')).stdout, /: fenced\n/)
      t.strictSame((await daemons.get(name)).metadata.labels ?? {}, {}, 'the label is gone')
    }
  })

  t.test('a dry run says what would be done', async t => {
    const daemons = await open(t)
    await daemons.make(daemon('app', required(LINUX)))
    const ref = `${daemons.namespace}/app`
    const before = await daemons.get()
    const { status, stdout } = await vnodeCli('fence', 'app', '-n', daemons.namespace, '--dry-run')
    t.equal(status, 0)
    t.match(stdout, `DaemonSet ${ref}: would be fenced; nothing was changed\n`)
    t.match(stdout, /^\+ +- key: type\n\+ +operator: NotIn\n\+ +values:\n\+ +- virtual-kubelet\n/m)
    t.notMatch(stdout, /^-/m, 'nothing is taken away')
    t.match(stdout, /WARNING: the Pod template would change, so this daemon would restart on every node/)
    const json = JSON.parse((await vnodeCli('fence', ref, '--dry-run', '-o', 'json')).stdout)
    t.match(json, [
      { name: 'app', outcome: 'fenced', isDryRun: true, patch: [{ op: 'replace' }, { op: 'add' }] },
    ])
    const { metadata, spec } = await daemons.get()
    t.strictSame(
      [metadata.annotations, metadata.generation, spec],
      [before.metadata.annotations, before.metadata.generation, before.spec],
    )
  })

  t.test('what is not there, and what is wrong', async t => {
    const daemons = await open(t)
    await daemons.make(daemon('app'))
    const { namespace } = daemons
    const some = await vnodeCli('fence', `${namespace}/none`, `${namespace}/app`)
    t.match(some, { status: 1, stderr: `vnode: ${namespace}/none: there is no such DaemonSet\n` })
    t.match(some.stdout, `DaemonSet ${namespace}/app: fenced`)
    t.match(await vnodeCli('fence', `${namespace}/none`, '--ignore-not-found'), {
      status: 0,
      stdout: `DaemonSet ${namespace}/none: absent\n`,
    })
    t.match(await vnodeCli('fence', '--all', '-n', namespace), {
      status: 0,
      stdout: 'There is nothing to fence.\n',
    })
    t.match(await vnodeCli('fence'), { status: 2, stderr: /name DaemonSets, or give --all/ })
    t.match(await vnodeCli('unfence', 'a', '--all'), { status: 2 })
    t.match(await vnodeCli('fence', 'a/b/c'), { status: 2, stderr: /neither NAMESPACE\/NAME nor NAME/ })
    const unfenced = await vnodeCli('unfence', '--all', '-n', namespace, '-o', 'json')
    t.match(JSON.parse(unfenced.stdout), [{ name: 'app', outcome: 'unfenced', isDryRun: false }])
  })

  t.test('opting in again what its author keeps off by now', async t => {
    const daemons = await open(t)
    const labels = { [FENCE_KEY]: 'off' }
    await daemons.make(daemon('app', required({ matchExpressions: [FENCE] }), { labels }))
    const ref = `${daemons.namespace}/app`
    const { stdout } = await vnodeCli('fence', ref, '--opt-in', '--dry-run')
    t.match(stdout, `DaemonSet ${ref}: would be opted in; nothing was changed\n`)
    t.match(JSON.parse((await vnodeCli('fence', '--all', '-n', daemons.namespace, '-o', 'json')).stdout), [])
    const { generation } = (await daemons.get()).metadata
    const done = await vnodeCli('fence', '--all', '--opt-in', '-n', daemons.namespace)
    t.match(done, { status: 0, stdout: `DaemonSet ${ref}: opted in\n` })
    t.match(done.stdout, 'No fence is put up: its required node affinity has type NotIn [virtual-kubelet].\n')
    t.notMatch(done.stdout, 'WARNING', 'it restarts nothing')
    const { metadata } = await daemons.get()
    t.strictSame([metadata.labels ?? {}, metadata.generation], [{}, generation])
  })

  t.test('a fence without room for its record says what that means', async t => {
    const daemons = await open(t)
    const note = 'x'.repeat(256 * 1024 - 'note'.length)
    await daemons.make({ ...daemon('app'), metadata: { name: 'app', annotations: { note } } })
    const ref = `${daemons.namespace}/app`
    const [told] = JSON.parse((await vnodeCli('fence', ref, '-o', 'json')).stdout)
    t.match(told, { outcome: 'fenced', notes: [/not recorded, and unfence cannot take it away/] })
    t.match(await vnodeCli('unfence', ref), { status: 0, stdout: /no fence of ours is recorded on it/ })
  })

  t.test('OnDelete: only the Pod on the VNode goes', async t => {
    const daemons = await open(t)
    await daemons.make(daemon('app', undefined, { spec: { updateStrategy: { type: 'OnDelete' } } }))
    const body = await daemons.nodes()
    t.strictSame(body, BOTH)
    const kept = (await daemons.pods()).find(({ spec }) => spec?.nodeName === 'real-1')?.metadata.uid
    t.match((await vnodeCli('fence', `${daemons.namespace}/app`)).stdout, /until somebody deletes them/)
    await controlPlane.waitForAll(
      `/api/v1/namespaces/${daemons.namespace}/pods`,
      pods => pods.length === 1 && pods[0]?.metadata.uid === kept,
      { timeout: 60_000 },
    )
  })

  t.test('nobody who applies his own terms is refused afterwards', async t => {
    const daemons = await open(t)
    const input = JSON.stringify(daemon('app', required(LINUX)))
    const apply = () =>
      controlPlane.kubectl(['-n', daemons.namespace, 'apply', '--server-side', '-f', '-'], { input })
    t.match(await apply(), { code: 0 })
    t.match(await vnodeCli('fence', `${daemons.namespace}/app`), { status: 0 })
    t.match(await apply(), { code: 0, stderr: '' })
  })

  t.test('somebody who is faster is heeded, and nobody is waited for without end', async t => {
    const daemons = await open(t)
    await daemons.make(daemon('app'))
    const client = await connect({ kubeconfig: controlPlane.kubeconfigPath, userAgent: 'test' })
    t.teardown(() => client.close())
    const ref = { namespace: daemons.namespace, name: 'app' }
    const environment = { settings: DEFAULT_SETTINGS, vnodes: new VnodeSet() }
    /** Before each of so many patches somebody adds a term. */
    const racing = (times: number): Pick<KubeClient, 'request'> => {
      let raced = 0
      return {
        request: async <T>(request: ApiRequest): Promise<T> => {
          if (request.method === 'PATCH' && raced < times) {
            raced += 1
            const spec = {
              affinity: required({ matchExpressions: [{ key: `k${raced}`, operator: 'DoesNotExist' }] }),
            }
            const body = { spec: { template: { spec } } }
            await controlPlane.ask('PATCH', `${daemons.path}/app`, {
              body,
              contentType: 'application/merge-patch+json',
            })
          }
          return await client.request<T>(request)
        },
      }
    }
    const plan = (one: DaemonSetFacts) => planFence(one, { environment })
    const changed = await changeDaemonSet(racing(2), ref, { plan })
    t.equal(changed.kind, 'changed')
    t.strictSame(
      (await daemons.get()).spec.template.spec.affinity,
      required({ matchExpressions: [{ key: 'k2', operator: 'DoesNotExist' }, FENCE] }),
      "the other's term is in it",
    )
    t.match((await vnodeCli('unfence', `${ref.namespace}/app`)).stdout, /: unfenced/)
    const optIn = (one: DaemonSetFacts) => planFence(one, { environment, optIn: true })
    await t.rejects(changeDaemonSet(racing(99), ref, { plan: optIn }), {
      code: 'API',
      message: `DaemonSet ${ref.namespace}/app changes all the time`,
    })
    t.match(await changeDaemonSet(client, { ...ref, name: 'none' }, { plan }), { kind: 'absent' })
  })

  t.test('beside a webhook', async t => {
    const webhook = await startTestWebhook(t, { controlPlane })
    await webhook.ready()
    await registerWebhook(t, controlPlane, webhook, { daemonSets: true })
    const daemons = await open(t)
    const ref = `${daemons.namespace}/app`
    const made = daemon('app', required(LINUX))
    await daemons.make(made)
    t.strictSame(await daemons.nodes(), REAL, 'fenced by admission')
    t.match(JSON.parse((await vnodeCli('list', '-n', daemons.namespace, '-o', 'json')).stdout), [
      { fencedBy: 'admission', landing: 'fenced' },
    ])
    t.match(await vnodeCli('unfence', ref), { status: 0, stdout: /: unfenced\n/ })
    const { spec } = await daemons.get()
    t.strictSame(spec.template.spec.affinity, required(LINUX), 'the fence of admission goes to the letter')
    t.strictSame(await daemons.nodes(), BOTH)
    const args = ['-n', daemons.namespace, 'set', 'image', 'daemonset/app', 'app=localhost/app:2']
    t.match(await controlPlane.kubectl(args), { code: 0 })
    t.strictSame(await daemons.nodes(), BOTH, 'stays unfenced')
    t.match(await vnodeCli('fence', ref, '--opt-in'), { status: 0, stdout: /: fenced\n/ })
    t.strictSame(await daemons.nodes(), REAL)
    const label = await controlPlane.kubectl(['-n', daemons.namespace, 'label', 'daemonset/app', 'a=b'])
    t.match(label, { code: 0 })
    t.strictSame(await daemons.nodes(), REAL)
    const input = JSON.stringify(made)
    t.match(await controlPlane.kubectl(['-n', daemons.namespace, 'replace', '-f', '-'], { input }), {
      code: 0,
    })
    t.equal((await daemons.get()).metadata.annotations?.[FENCE_KEY], '{"by":"command","terms":[0]}')
  })
}
