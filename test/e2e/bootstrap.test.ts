/** A VNode by Helm's values alone: a real Job registers it, the real approver lets it in, Pods go there, and it goes when it is told to. */
import { X509Certificate } from 'node:crypto'
import t, { type Test } from 'tap'
import { messageOf } from '../../src/core/errors.ts'
import { FENCE_KEY } from '../helpers/daemons.ts'
import { type E2e, e2eOrSkip, LABELS, RELEASE, USERS } from '../helpers/e2e.ts'
import { BootstrapScene, RECORD, type Sighting, TOKEN } from '../helpers/e2e-bootstrap.ts'
import { E2eDaemons, idle } from '../helpers/e2e-daemons.ts'
import { secondsSince } from '../helpers/e2e-load.ts'
import { nodeOrSkip } from '../helpers/e2e-node.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { makeDeployment, type Pod } from '../helpers/pods.ts'
import { readShape } from '../helpers/recipes.ts'

const APPROVER = ['--set', 'approver.enabled=true']
const DELETE = ['--set', 'bootstrap.deleteOnUninstall=true']
const UNFENCED = ['--set-json', 'daemonSets.fence=[]']
const CSRS = '/apis/certificates.k8s.io/v1/certificatesigningrequests'

interface SigningRequest extends KubeObject {
  readonly spec: { readonly username: string }
  readonly status: {
    readonly certificate?: string
    readonly conditions?: readonly { readonly type: string; readonly message: string }[]
  }
}

interface Lease {
  readonly spec: { readonly renewTime: string }
}

const node = nodeOrSkip(t)
const e2e = node === undefined ? undefined : await e2eOrSkip(t)

if (node !== undefined && e2e !== undefined) {
  const daemons = new E2eDaemons(e2e, 'kube-system')
  await daemons.make(await kubeProxy(e2e))
  t.teardown(() => daemons.remove('kube-proxy'))
  const before = await daemons.settled('kube-proxy')
  const scene = await BootstrapScene.start(t, e2e, node)
  const created = () => scene.fake.callsOf('CreateVirtualNode').length

  await t.test(
    'what cannot work fails the installation with the reason, and nothing is paid for',
    async t => {
      const wrong = ['--set', 'bootstrap.securityGroupId=sg-7xvnowhere00000000001']
      const start = performance.now()
      const reason = await e2e
        .install(...scene.flags, ...APPROVER, ...UNFENCED, ...wrong)
        .then(() => 'it is installed', messageOf)
      t.comment(`helm install failed after ${secondsSince(start)} s`)
      t.match(reason, /there is no security group sg-7xvnowhere00000000001 in cn-hangzhou/)
      t.match(reason, /Correct the security group \(--security-group-id, bootstrap\.securityGroupId\)/)
      t.strictSame([created(), scene.fake.virtualNodes], [0, []])
      t.equal(await e2e.find(TOKEN), undefined, 'nor is a token made')
      await e2e.uninstall()
    },
  )

  await t.test('helm install registers a VNode, whose Node is Ready', async t => {
    const sighting = scene.sight('CreateVirtualNode', 'bootstrap')
    const { installed } = await e2e.install(...scene.flags, ...APPROVER, ...UNFENCED)
    t.comment(`helm install --wait: ${installed} s`)
    const { nodeName } = scene
    await checkReady(t, e2e, nodeName)
    const log = await (await sighting).log()
    t.match(log, `is registered; its Node ${nodeName} is Ready.\n`)
    const request = (await e2e.list<SigningRequest>(CSRS)).find(({ status: { certificate } }) =>
      nameIn(certificate).includes(`CN=system:vnode:${nodeName}`),
    )
    t.match(
      request?.spec.username,
      /^system:bootstrap:/,
      'it asked for its certificate with a bootstrap token',
    )
    t.match(request?.status.conditions, [
      { type: 'Approved', message: /^vnode-profile: system:bootstrap:\w+ may create/ },
    ])
    await checkSecrets(t, scene, await sighting)
  })

  await t.test('a Pod with the default label runs there', async t => {
    await e2e.kube.apply(
      `/apis/apps/v1/namespaces/${USERS}/deployments/web`,
      makeDeployment({
        name: 'web',
        namespace: USERS,
        replicas: 1,
        pod: { labels: LABELS, spec: { containers: [idle(e2e)] } },
      }),
    )
    const pod = await runningPod(e2e, ({ spec }) => spec.nodeName !== undefined)
    t.equal(pod.spec.nodeName, scene.nodeName)
  })

  await t.test('a DaemonSet as kube-proxy was there before, and its Pod goes with helm upgrade', async t => {
    const { nodeName } = scene
    const isThere = async () => (await daemons.podsOf('kube-proxy')).some(pod => pod.node === nodeName)
    t.ok(await isThere(), `daemonSets.fence=[] leaves it on ${nodeName}`)
    const notes = await e2e.upgrade(...scene.flags, ...APPROVER)
    t.match(notes, /^DaemonSet kube-system\/kube-proxy, if there is one, is kept off VNodes/m)
    const { metadata } = await daemons.settled('kube-proxy')
    t.notOk(await isThere(), 'by default it is kept off')
    t.match(metadata.annotations?.[FENCE_KEY], /"by":"command"/)
    t.equal(metadata.generation, before.metadata.generation + 1)
    t.equal(scene.nodeName, nodeName, 'it is the one VNode still')
    t.equal(created(), 1, 'and ECI was asked for one, once')
  })

  await t.test('helm uninstall keeps the VNode, which can do what it could', async t => {
    const { nodeName } = scene
    await e2e.uninstall()
    const since = Date.now()
    t.equal(scene.nodeName, nodeName)
    const lease = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${nodeName}`
    await e2e.waitFor('it goes on reporting', async () => {
      const { spec } = (await e2e.find<Lease>(lease)) ?? {}
      return Date.parse(spec?.renewTime ?? '') > since || undefined
    })
    await checkReady(t, e2e, nodeName)
  })

  await t.test('the next installation uses it, and changes no fence', async t => {
    const { nodeName } = scene
    await e2e.install(...scene.flags, ...APPROVER, ...DELETE)
    t.equal(scene.nodeName, nodeName)
    t.equal(created(), 1)
    await checkReady(t, e2e, nodeName)
    const { metadata } = await daemons.settled('kube-proxy')
    t.equal(metadata.generation, before.metadata.generation + 1)
  })

  await t.test('with bootstrap.deleteOnUninstall its Pods move away, and it is deleted', async t => {
    const { nodeName } = scene
    await checkRemoval(t, scene, e2e)
    t.equal(await e2e.find(`/api/v1/nodes/${nodeName}`), undefined, 'its Node is gone')
    const pod = await runningPod(e2e, ({ spec }) => spec.nodeName !== nodeName)
    t.notMatch(pod.spec.nodeName, /\.vnd-/)
  })

  await t.test('one that shows who it is by a ServiceAccount, without an approver', async t => {
    const sighting = scene.sight('CreateVirtualNode', 'bootstrap')
    await e2e.install(...scene.flags, ...DELETE, '--set', 'bootstrap.identity.kind=service-account')
    await checkReady(t, e2e, scene.nodeName)
    t.equal((await e2e.podsOf('approver')).length, 0)
    await checkSecrets(t, scene, await sighting)
    await checkRemoval(t, scene, e2e)
  })
}

async function checkReady(t: Test, e2e: E2e, nodeName: string): Promise<void> {
  const line = await e2e.kubectl('get', 'node', nodeName, '--no-headers')
  t.match(line, new RegExp(`^${nodeName} +Ready +agent `))
}

/** What is secret is shown nowhere, where what is not is; neither by the Job nor in the cluster. */
async function checkSecrets(
  t: Test,
  scene: BootstrapScene,
  { log, pod, commandLines }: Sighting,
): Promise<void> {
  const shown = await scene.shown()
  shown
    .set('log', await log())
    .set('Pod', pod)
    .set('command lines', commandLines)
  const placesOf = (texts: readonly string[]) =>
    [...shown].filter(([, text]) => texts.some(one => text.includes(one))).map(([place]) => place)
  t.strictSame(placesOf(scene.secrets()), [])
  shown.set('Secrets', await scene.stored())
  t.strictSame(placesOf(scene.secrets()), ['Secrets'], 'they are found where they are')
  const known = placesOf([scene.nodeName, '--credentials-secret=', `${RELEASE}-eci-ca`])
  for (const place of ['log', 'Pod', 'command lines', 'helm get all', '/api/v1/events', '/api/v1/configmaps'])
    t.ok(known.includes(place), `${place} would show it`)
}

/** The release goes, and all that was made for its VNode. */
async function checkRemoval(t: Test, scene: BootstrapScene, e2e: E2e): Promise<void> {
  const sighting = scene.sight('DeleteVirtualNode', 'removal')
  await e2e.uninstall()
  t.strictSame(scene.fake.virtualNodes, [], 'ECI has none any more')
  const { log, pod, commandLines } = await sighting
  const text = await log()
  t.match(text, /is deleted\.\n$/)
  const all = [text, pod, commandLines].join('\n')
  t.notOk(
    scene.secrets().some(secret => all.includes(secret)),
    'no secret is shown',
  )
  for (const path of [RECORD, TOKEN]) t.equal(await e2e.find(path), undefined, `no ${path}`)
  const kinds =
    'clusterroles,clusterrolebindings,roles,rolebindings,validatingadmissionpolicies,serviceaccounts'
  const ours = ['--selector', `app.kubernetes.io/instance=${RELEASE}`, '--all-namespaces', '--output', 'name']
  t.equal(await e2e.kubectl('get', kinds, ...ours), '', 'no right is left')
}

/** The stand-in has its name, and runs as it does wherever it is let. */
async function kubeProxy(e2e: E2e): Promise<object> {
  const { spec, ...shape } = await readShape('kube-proxy')
  const { template, ...rest } = spec as { template: { spec: object; metadata: object } }
  const containers = [{ ...idle(e2e, 'kube-proxy'), securityContext: { privileged: true } }]
  return { ...shape, spec: { ...rest, template: { ...template, spec: { ...template.spec, containers } } } }
}

type RunningPod = Pod & KubeObject & { spec: Pod['spec'] & { nodeName: string } }

function runningPod(e2e: E2e, isWanted: (pod: RunningPod) => boolean): Promise<RunningPod> {
  return e2e.waitFor('the Pod runs', async () => {
    const pods = await e2e.list<RunningPod>(`/api/v1/namespaces/${USERS}/pods`, 'app=web')
    return pods.find(pod => pod.status?.phase === 'Running' && isWanted(pod))
  })
}

/** The subject of a certificate in base64 of PEM; empty where there is none. */
function nameIn(certificate: string | undefined): string {
  return certificate === undefined ? '' : new X509Certificate(Buffer.from(certificate, 'base64')).subject
}
