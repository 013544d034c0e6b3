/** DaemonSets in the shape of the usual add-ons: what admission does with them, and that every recipe of docs/daemonsets.md keeps them off. */
import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { Daemons, FENCE_KEY } from '../helpers/daemons.ts'
import {
  kustomize,
  type Manifest,
  patchLocally,
  readRecipes,
  readShape,
  setAffinity,
} from '../helpers/recipes.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const controlPlane = await controlPlaneOrSkip(t, {
  scheduler: true,
  controllerManager: true,
  apiserverFlags: ['--allow-privileged=true'],
})
const REAL = ['real-1', 'real-2']

/** Without the expression the daemon gets a Pod on the VNode, unless its author has thought of it. */
const SHAPES: Readonly<Record<string, { readonly isFencedByAuthor: boolean }>> = {
  'kube-proxy': { isFencedByAuthor: false },
  flannel: { isFencedByAuthor: false },
  'calico-node': { isFencedByAuthor: false },
  'csi-node-driver': { isFencedByAuthor: false },
  cilium: { isFencedByAuthor: false },
  'cilium-envoy': { isFencedByAuthor: false },
  'csi-node': { isFencedByAuthor: false },
  'csi-plugin': { isFencedByAuthor: true },
  'node-exporter': { isFencedByAuthor: true },
}

if (controlPlane !== undefined) {
  for (const name of REAL) await startRealNode(controlPlane, { name })
  const vnode = await startVnode(controlPlane, { labels: { 'kubernetes.io/os': 'linux' } })
  const webhook = await startTestWebhook(t, { controlPlane })
  await webhook.ready()
  await registerWebhook(t, controlPlane, webhook, { daemonSets: true })
  await webhook.until('the VNode is known', ({ environment }) => environment.vnodes.all.length === 1)
  const recipes = await readRecipes()
  const recipe = (name: string) => recipes.get(name) ?? ''
  const tried = new Set<string>()

  /** Finds the Pods of a manifest by the one label that its selector has. */
  const make = async (daemons: Daemons, manifest: Manifest, labels: Record<string, string> = {}) => {
    const { metadata, ...rest } = manifest
    const made = await daemons.make({
      ...rest,
      metadata: { ...metadata, labels: { ...metadata.labels, ...labels } },
    })
    return { made, nodes: await daemons.nodes(metadata.name) }
  }

  for (const [shape, { isFencedByAuthor }] of Object.entries(SHAPES)) {
    t.test(`${shape}, as it is shipped`, async t => {
      const manifest = await readShape(shape)
      const without = await make(new Daemons(controlPlane, await controlPlane.namespace(t)), manifest, {
        [FENCE_KEY]: 'off',
      })
      t.strictSame(without.nodes, isFencedByAuthor ? REAL : [vnode.name, ...REAL].sort())
      const { made, nodes } = await make(new Daemons(controlPlane, await controlPlane.namespace(t)), manifest)
      t.strictSame(nodes, REAL)
      t.equal(made.metadata.annotations?.[FENCE_KEY] === undefined, isFencedByAuthor, 'fenced where needed')
    })
  }

  const RECIPES: Readonly<Record<string, readonly [recipe: string, carryOut: () => Promise<Manifest>]>> = {
    'kube-proxy by a patch of kubeadm': [
      'kubeadm',
      async () => patchLocally(controlPlane, recipe('kubeadm'), await readShape('kube-proxy')),
    ],
    'flannel by kustomize': [
      'flannel',
      async () => kustomize(controlPlane, recipe('flannel'), await readShape('flannel')),
    ],
    'calico-node by kustomize': [
      'calico',
      async () => kustomize(controlPlane, recipe('calico'), await readShape('calico-node')),
    ],
    'calico-node by its operator': [
      'calico-operator',
      async () =>
        setAffinity(await readShape('calico-node'), recipe('calico-operator'), {
          path: ['spec', 'calicoNodeDaemonSet', 'spec', 'template', 'spec', 'affinity'],
          isMerged: false,
        }),
    ],
    'csi-node-driver by its operator': [
      'calico-operator',
      async () =>
        setAffinity(await readShape('csi-node-driver'), recipe('calico-operator'), {
          path: ['spec', 'csiNodeDriverDaemonSet', 'spec', 'template', 'spec', 'affinity'],
          isMerged: false,
        }),
    ],
    'cilium by values': [
      'cilium',
      async () =>
        setAffinity(await readShape('cilium'), recipe('cilium'), { path: ['affinity'], isMerged: true }),
    ],
    'cilium-envoy by values': [
      'cilium',
      async () =>
        setAffinity(await readShape('cilium-envoy'), recipe('cilium'), {
          path: ['envoy', 'affinity'],
          isMerged: true,
        }),
    ],
    'a CSI driver by kustomize': [
      'csi',
      async () => kustomize(controlPlane, recipe('csi'), await readShape('csi-node')),
    ],
  }

  for (const [name, [which, carryOut]] of Object.entries(RECIPES)) {
    t.test(name, async t => {
      tried.add(which)
      const { made, nodes } = await make(
        new Daemons(controlPlane, await controlPlane.namespace(t)),
        await carryOut(),
      )
      t.strictSame(nodes, REAL)
      t.equal(made.metadata.annotations?.[FENCE_KEY], undefined, 'admission has nothing to add')
    })
  }

  t.test('no recipe is left untried', async t => t.strictSame([...tried].sort(), [...recipes.keys()].sort()))
}
