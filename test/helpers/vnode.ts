import type { ControlPlane } from './control-plane.ts'
import type { KubeObject } from './kube-http.ts'
import type { Container, PodSpec, Toleration } from './pods.ts'

/** Kubernetes' default lease lasts 40 s, and a kubelet renews it four times within that. */
const HEARTBEAT_MS = 5000
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases'
const MERGE_PATCH = 'application/merge-patch+json'
const STRATEGIC_MERGE_PATCH = 'application/strategic-merge-patch+json'

type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed'

export interface NodeOptions {
  readonly name?: string
  /** Added to those that a node of this kind has. */
  readonly labels?: Readonly<Record<string, string>>
  /** Instead of those that a node of this kind has. */
  readonly taints?: readonly Required<Pick<Toleration, 'key' | 'value' | 'effect'>>[]
  readonly cpu?: string
  readonly memory?: string
  readonly pods?: number
  /** Besides those: `example.com/gpu: "4"`. */
  readonly resources?: Readonly<Record<string, string>>
  /** Its version, `v1.34.4` say, as `kubectl get nodes` shows it. */
  readonly kubeletVersion?: string
  /** What becomes of a Pod that is bound to the node: Running unless said otherwise. */
  readonly phase?: (pod: BoundPod) => Phase
}

export interface BoundPod extends KubeObject {
  spec: PodSpec & Record<string, unknown>
  status: { phase?: Phase }
}

/** A Node whose kubelet is played: Pods become Running and ready, and end when they are deleted. Nothing of them runs. */
export interface FakeNode {
  readonly name: string
  /** Says by the Node's status whether it is ready, and goes on saying it. */
  setReady(isReady: boolean): Promise<void>
  /** The kubelet dies: no lease is renewed, no Pod started or ended. The Node stays. */
  stop(): void
  /** {@link stop}, and removes the Node and its Pods. */
  remove(): Promise<void>
}

/** A VNode as ECI registers it, with room for whatever a test sends there. */
export function startVnode(controlPlane: ControlPlane, options: NodeOptions = {}): Promise<FakeNode> {
  const name = options.name ?? 'cn-hangzhou.vnd-test0000000000000000'
  return startNode(controlPlane, {
    cpu: '10000',
    memory: '40000Gi',
    pods: 5000,
    taints: [{ key: 'k8s.aliyun.com/vnode', value: 'true', effect: 'NoSchedule' }],
    ...options,
    name,
    labels: {
      type: 'virtual-kubelet',
      'k8s.aliyun.com/vnode': 'true',
      'node-role.kubernetes.io/agent': '',
      ...options.labels,
    },
  })
}

/** An ordinary node, small enough to be filled. */
export function startRealNode(controlPlane: ControlPlane, options: NodeOptions = {}): Promise<FakeNode> {
  return startNode(controlPlane, {
    name: 'real-1',
    cpu: '4',
    memory: '16Gi',
    pods: 110,
    taints: [],
    labels: {},
    ...options,
  })
}

export type NodeSettings = Required<Omit<NodeOptions, 'phase' | 'kubeletVersion' | 'resources'>> &
  Pick<NodeOptions, 'phase' | 'kubeletVersion' | 'resources'>

/** Whoever plays a node: the administrator of a test, or an identity of the node's own. */
export type KubeletApi = Pick<ControlPlane, 'ask' | 'request' | 'watch'>

async function startNode(controlPlane: ControlPlane, settings: NodeSettings): Promise<FakeNode> {
  // The apiserver makes this namespace a moment after it is ready.
  await controlPlane.waitFor('/api/v1/namespaces/kube-node-lease', () => true)
  const node = await playNode(controlPlane, settings)
  controlPlane.beforeStop(() => node.stop())
  return node
}

/** Registers the Node and plays its kubelet. The namespace of the leases must be there. */
export async function playNode(controlPlane: KubeletApi, settings: NodeSettings): Promise<FakeNode> {
  const { name } = settings
  const kubelet = new Kubelet(controlPlane, settings)
  const path = `/api/v1/nodes/${name}`
  await controlPlane.ask('POST', '/api/v1/nodes', { body: makeNode(settings) })
  // Admission taints every new node as not ready. The node lifecycle controller would remove that, if there is one.
  await controlPlane.ask('PATCH', path, {
    body: { spec: { taints: settings.taints } },
    contentType: MERGE_PATCH,
  })
  await kubelet.start()
  return {
    name,
    setReady: isReady => kubelet.setReady(isReady),
    stop: () => kubelet.stop(),
    remove: async () => {
      kubelet.stop()
      await kubelet.removePods()
      await controlPlane.ask('DELETE', path)
      // The node may come back.
      await controlPlane.request('DELETE', `${LEASES}/${name}`)
    },
  }
}

class Kubelet {
  readonly #controlPlane: KubeletApi
  readonly #settings: NodeSettings
  readonly #podsPath: string
  #isReady = true
  #started = 0
  #heartbeat: NodeJS.Timeout | undefined
  #stopWatch: (() => void) | undefined

  constructor(controlPlane: KubeletApi, settings: NodeSettings) {
    this.#controlPlane = controlPlane
    this.#settings = settings
    this.#podsPath = `/api/v1/pods?fieldSelector=${encodeURIComponent(`spec.nodeName=${settings.name}`)}`
  }

  async start(): Promise<void> {
    const { name } = this.#settings
    const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: microTime() }
    await this.#controlPlane.ask('POST', LEASES, { body: { metadata: { name }, spec } })
    const beat = async (): Promise<void> => {
      const body = { spec: { renewTime: microTime() } }
      await this.#controlPlane.request('PATCH', `${LEASES}/${name}`, { body, contentType: MERGE_PATCH })
      await this.setReady(this.#isReady)
    }
    // A beat that fails, as the apiserver is down, is like a lost one: the next may succeed.
    this.#heartbeat = setInterval(() => void beat().catch(() => undefined), HEARTBEAT_MS).unref()
    this.#stopWatch = await this.#controlPlane.watch<BoundPod>(this.#podsPath, ({ type, object }) => {
      // What fails here is tried again, as the watch begins again with all Pods when the apiserver is back.
      if (type === 'ADDED' || type === 'MODIFIED') void this.#sync(object).catch(() => undefined)
    })
  }

  stop(): void {
    clearInterval(this.#heartbeat)
    this.#stopWatch?.()
  }

  async setReady(isReady: boolean): Promise<void> {
    this.#isReady = isReady
    const body = { status: { conditions: [readyCondition(isReady)] } }
    const path = `/api/v1/nodes/${this.#settings.name}/status`
    await this.#controlPlane.request('PATCH', path, { body, contentType: STRATEGIC_MERGE_PATCH })
  }

  async removePods(): Promise<void> {
    const { items } = await this.#controlPlane.ask<{ items: BoundPod[] }>('GET', this.#podsPath)
    await Promise.all(items.map(pod => this.#end(pod)))
  }

  async #sync(pod: BoundPod): Promise<void> {
    if (pod.metadata.deletionTimestamp !== undefined) return await this.#end(pod)
    const wanted = this.#settings.phase?.(pod) ?? 'Running'
    if (pod.status.phase !== 'Pending' || wanted === 'Pending') return
    this.#started += 1
    const ip = `10.244.${Math.floor(this.#started / 256) % 256}.${this.#started % 256}`
    const body = { status: makePodStatus(pod, wanted, ip) }
    await this.#controlPlane.request('PATCH', `${pathOf(pod)}/status`, {
      body,
      contentType: STRATEGIC_MERGE_PATCH,
    })
  }

  /** Confirms that the Pod has ended, unless a new one has its name by now. */
  async #end(pod: BoundPod): Promise<void> {
    const body = { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid } }
    await this.#controlPlane.request('DELETE', pathOf(pod), { body })
  }
}

function makeNode({ name, labels, kubeletVersion, ...settings }: NodeSettings): object {
  const { cpu, memory, pods } = settings
  const resources = { cpu, memory, pods: String(pods), 'ephemeral-storage': '1000Gi', ...settings.resources }
  return {
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        ...labels,
      },
    },
    status: {
      capacity: resources,
      allocatable: resources,
      conditions: [readyCondition(true)],
      ...(kubeletVersion === undefined ? {} : { nodeInfo: nodeInfo(kubeletVersion) }),
    },
  }
}

function nodeInfo(kubeletVersion: string): object {
  const unknown = ['machineID', 'systemUUID', 'bootID', 'kernelVersion', 'osImage', 'containerRuntimeVersion']
  return {
    ...Object.fromEntries(unknown.map(name => [name, ''])),
    kubeletVersion,
    kubeProxyVersion: kubeletVersion,
    operatingSystem: 'linux',
    architecture: 'amd64',
  }
}

function readyCondition(isReady: boolean): object {
  const now = new Date().toISOString()
  const reason = isReady ? 'KubeletReady' : 'KubeletNotReady'
  const times = { lastHeartbeatTime: now, lastTransitionTime: now }
  return {
    type: 'Ready',
    status: isReady ? 'True' : 'False',
    reason,
    message: 'a test plays this node',
    ...times,
  }
}

function makePodStatus({ spec }: BoundPod, phase: Exclude<Phase, 'Pending'>, podIP: string): object {
  const now = new Date().toISOString()
  const isRunning = phase === 'Running'
  const ended = { terminated: { exitCode: phase === 'Failed' ? 1 : 0, startedAt: now, finishedAt: now } }
  const done = { terminated: { exitCode: 0, startedAt: now, finishedAt: now } }
  const running = { running: { startedAt: now } }
  const statusOf = ({ name, image }: Container, state: object) => {
    return { name, image, imageID: '', restartCount: 0, ready: isRunning, started: isRunning, state }
  }
  const conditionOf = (type: string, isTrue: boolean) => {
    return { type, status: isTrue ? 'True' : 'False', lastTransitionTime: now }
  }
  return {
    phase,
    podIP,
    podIPs: [{ ip: podIP }],
    startTime: now,
    conditions: [
      conditionOf('PodScheduled', true),
      conditionOf('Initialized', true),
      conditionOf('ContainersReady', isRunning),
      conditionOf('Ready', isRunning),
    ],
    initContainerStatuses: spec.initContainers?.map(container =>
      // One that is restarted always is a sidecar: it runs for as long as the Pod does.
      statusOf(container, container.restartPolicy === 'Always' && isRunning ? running : done),
    ),
    containerStatuses: spec.containers.map(container => statusOf(container, isRunning ? running : ended)),
  }
}

function pathOf({ metadata }: BoundPod): string {
  return `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`
}

/** Leases have microseconds, which a Date has not. */
function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z')
}
