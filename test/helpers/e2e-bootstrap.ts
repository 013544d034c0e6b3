/** A VNode by the chart's values: ECI is played in this process, where Pods reach it, and nobody else plays VNodes meanwhile. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'
import { bootstrapTokenId, bootstrapTokenSecretName, vnodeNames } from '../../src/core/vnode/identity.ts'
import { type E2e, RELEASE, SYSTEM } from './e2e.ts'
import { vnodesOf } from './e2e-daemons.ts'
import type { E2eNode } from './e2e-node.ts'
import { type FakeEci, fakeEci, TEST_ACCOUNT, TEST_NETWORK } from './fake-eci/server.ts'
import type { KubeObject } from './kube-http.ts'

const CREDENTIALS = 'alibaba-cloud'
/** Seconds; with the minute that the Job has besides, less than Helm waits. */
const WAIT = 80
/** What the chart leaves for the VNode's sake when the release goes. */
const KEPT = `app.kubernetes.io/instance=${RELEASE},app.kubernetes.io/component=vnode`
/** What is no secret to whoever works with the cluster. */
const SHOWN = [
  '/api/v1/configmaps',
  '/api/v1/events',
  '/api/v1/nodes',
  '/api/v1/pods',
  '/apis/batch/v1/jobs',
  '/apis/certificates.k8s.io/v1/certificatesigningrequests',
]

export const RECORD = `/api/v1/namespaces/${SYSTEM}/secrets/${vnodeNames(RELEASE).record}`
export const TOKEN = `/api/v1/namespaces/kube-system/secrets/${bootstrapTokenSecretName(bootstrapTokenId(SYSTEM, RELEASE))}`

interface Node extends KubeObject {
  readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] }
}

/** A Job of the release, whose Pod is gone as soon as it has done its work. */
export interface Sighting {
  /** All that it said, once it has ended. */
  readonly log: () => Promise<string>
  /** While ECI had its call: itself, as JSON, and how every process on the node was called. */
  readonly pod: string
  readonly commandLines: string
}

export class BootstrapScene {
  readonly fake: FakeEci
  readonly #e2e: E2e
  readonly #node: E2eNode

  private constructor(e2e: E2e, node: E2eNode, fake: FakeEci) {
    this.#e2e = e2e
    this.#node = node
    this.fake = fake
  }

  /** The end of the test leaves the cluster as it was. */
  static async start(t: Test, e2e: E2e, node: E2eNode): Promise<BootstrapScene> {
    await setVnodesAside(t, e2e, node)
    const scene = new BootstrapScene(e2e, node, await fakeEci(t, { host: await addressOf(e2e) }))
    t.teardown(() => scene.#clear())
    for (const [path, object] of credentials()) await e2e.kube.apply(path, object)
    return scene
  }

  /** Of Helm: what registers a VNode. */
  get flags(): readonly string[] {
    const { vSwitches, securityGroups } = TEST_NETWORK
    const values = {
      enabled: true,
      regionId: this.fake.world.options.regionId,
      vSwitchIds: `{${vSwitches[0]?.vSwitchId}}`,
      securityGroupId: securityGroups[0]?.securityGroupId,
      'credentials.secretName': CREDENTIALS,
      apiserver: this.#e2e.kube.server,
      endpoint: this.fake.url,
      waitSeconds: WAIT,
    }
    const sets = Object.entries(values).flatMap(([key, value]) => ['--set', `bootstrap.${key}=${value}`])
    return [...this.#e2e.image, ...sets, '--set-file', `bootstrap.endpointCA=${this.fake.caFile}`]
  }

  /** The name of the one VNode's Node. Throws if there is another number of them. */
  get nodeName(): string {
    const [virtualNode, ...more] = this.fake.virtualNodes
    if (virtualNode === undefined || more.length > 0)
      throw new Error(`ECI has ${this.fake.virtualNodes.length} VNodes`)
    return `${this.fake.world.options.regionId}.${virtualNode.id}`
  }

  /** Looks at the Job while ECI has its next call of this action, and holds the answer back until its log is followed. */
  sight(action: string, component: 'bootstrap' | 'removal'): Promise<Sighting> {
    const { promise, resolve, reject } = Promise.withResolvers<Sighting>()
    const wait = () => this.#look(component).then(resolve, reject)
    this.fake.plan(action, { kind: 'after', wait })
    return promise
  }

  async #look(component: string): Promise<Sighting> {
    const commandLines = this.#node.commandLines().join('\n')
    // The kubelet tells of a start a moment after it.
    const running = await this.#e2e.waitFor(`the Pod of the Job ${component} runs`, async () =>
      (await this.#e2e.podsOf(component)).find(({ status }) => status?.phase === 'Running'),
    )
    return { commandLines, pod: JSON.stringify(running), log: await follow(running.metadata.name) }
  }

  /** What only programs and ECI may know, of every VNode that there was. */
  secrets(): string[] {
    const { accessKeyId, accessKeySecret } = TEST_ACCOUNT
    const kubeconfigs = this.fake.world.virtualNodes.map(({ kubeconfig }) => kubeconfig)
    // What comes before the last dot of a token is no secret.
    const tokens = kubeconfigs.map(text => tokenOf(text).slice(tokenOf(text).lastIndexOf('.') + 1))
    const plain = [accessKeyId, accessKeySecret, ...tokens]
    const secrets = [...plain, ...[...plain, ...kubeconfigs].map(encode)]
    if (secrets.some(({ length }) => length < 16)) throw new Error('a secret is too short to be looked for')
    return secrets
  }

  /** Of an installation: the text of each place where it can be read without a right to read Secrets. */
  async shown(): Promise<Map<string, string>> {
    const e2e = this.#e2e
    const shown = new Map([['helm get all', await e2e.helm('get', 'all', RELEASE)]])
    for (const path of SHOWN) shown.set(path, JSON.stringify(await e2e.list(path)))
    // Those of Jobs are on their way out.
    const pods = await Promise.all(['webhook', 'helper', 'approver'].map(component => e2e.podsOf(component)))
    for (const { metadata } of pods.flat())
      shown.set(`log of ${metadata.name}`, await e2e.kubectl('logs', '--all-containers', metadata.name))
    return shown
  }

  /** All Secrets, as JSON. */
  async stored(): Promise<string> {
    return JSON.stringify(await this.#e2e.list('/api/v1/secrets'))
  }

  async #clear(): Promise<void> {
    const e2e = this.#e2e
    const remove = (kinds: string, namespace: string) =>
      e2e.kubectl('delete', kinds, '--selector', KEPT, '--ignore-not-found', '--namespace', namespace)
    await remove(
      'clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings',
      SYSTEM,
    )
    await remove('roles,rolebindings', 'kube-node-lease')
    for (const { id } of this.fake.world.virtualNodes) {
      const name = `${this.fake.world.options.regionId}.${id}`
      await e2e.remove(`/api/v1/nodes/${name}`)
      await e2e.remove(`/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${name}`)
    }
    await e2e.remove(TOKEN)
  }
}

/** Nothing more is scheduled on VNodes that are there, and what plays them does not play that of the test. */
async function setVnodesAside(t: Test, e2e: E2e, node: E2eNode): Promise<void> {
  const names = await vnodesOf(e2e)
  const setAside = async (unschedulable: true | null) => {
    const patch = { body: { spec: { unschedulable } }, contentType: 'application/merge-patch+json' }
    for (const name of names)
      await e2e.kube.request({ method: 'PATCH', path: `/api/v1/nodes/${name}`, ...patch })
  }
  const player = node.program('kwok')
  t.teardown(async () => {
    await node.program('kwok').kill()
    player.start()
    await setAside(null)
  })
  await setAside(true)
  await player.kill()
  player.start({ '--manage-nodes-with-label-selector': `kubernetes.io/hostname in (${names.join(',')})` })
}

/** Of a real node, where this process is too. */
async function addressOf(e2e: E2e): Promise<string> {
  const [real] = await e2e.list<Node>('/api/v1/nodes', 'type!=virtual-kubelet')
  const internal = real?.status.addresses.find(({ type }) => type === 'InternalIP')
  if (internal === undefined) throw new Error('the cluster has no real node with an address')
  return internal.address
}

function credentials(): readonly (readonly [path: string, object: object])[] {
  const { accessKeyId, accessKeySecret } = TEST_ACCOUNT
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: SYSTEM } }
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: CREDENTIALS },
    data: { 'access-key-id': encode(accessKeyId), 'access-key-secret': encode(accessKeySecret) },
  }
  return [
    [`/api/v1/namespaces/${SYSTEM}`, namespace],
    [`/api/v1/namespaces/${SYSTEM}/secrets/${CREDENTIALS}`, secret],
  ]
}

/** Resolves when the first of it has come, so that no end of the Pod can take the rest away. */
async function follow(podName: string): Promise<() => Promise<string>> {
  const args = ['--namespace', SYSTEM, 'logs', '--follow', podName]
  const child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', chunk => {
    text += chunk
  })
  const ended = once(child, 'close').then(() => text)
  await Promise.race([once(child.stdout, 'data'), ended])
  return () => ended
}

function tokenOf(kubeconfig: string): string {
  const { users } = JSON.parse(kubeconfig) as { users: { user: { token: string } }[] }
  return users[0]?.user.token ?? ''
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64')
}
