/** DaemonSets of the end-to-end tests' cluster, followed until their controller has done its work. */
import { ownerOf, podFacts } from '../../src/core/pod/facts.ts'
import type { DaemonSet } from './daemons.ts'
import type { E2e } from './e2e.ts'
import type { Container } from './pods.ts'

/** A container that does nothing, and ends at once when it is told to. */
export function idle({ imageName: image }: E2e, name = 'app'): Container {
  const program = "process.on('SIGTERM', () => process.exit()); setInterval(() => {}, 1e6)"
  return { name, image, command: ['node', '-e', program] }
}

/** Names of all nodes that are VNodes. */
export async function vnodesOf(e2e: E2e): Promise<string[]> {
  return (await e2e.list('/api/v1/nodes', 'type=virtual-kubelet')).map(({ metadata }) => metadata.name)
}

export interface DaemonPod {
  readonly node: string
  readonly uid: string
}

/** Those of a namespace. */
export class E2eDaemons {
  readonly #e2e: E2e
  readonly #path: string
  readonly #pods: string

  constructor(e2e: E2e, namespace: string) {
    this.#e2e = e2e
    this.#path = `/apis/apps/v1/namespaces/${namespace}/daemonsets`
    this.#pods = `/api/v1/namespaces/${namespace}/pods`
  }

  make(body: object): Promise<DaemonSet> {
    return this.#e2e.kube.request<DaemonSet>({ method: 'POST', path: this.#path, body })
  }

  /** Waits until its Pods are gone, too. */
  async remove(name: string): Promise<void> {
    await this.#e2e.remove(`${this.#path}/${name}`)
    const isGone = async () => (await this.#e2e.list(this.#pods)).every(pod => ownerOf(pod)?.name !== name)
    await this.#e2e.waitFor(`no Pod of DaemonSet ${name} is left`, async () => (await isGone()) || undefined)
  }

  /** Its Pods, but for those that are on their way out. */
  async podsOf(name: string): Promise<DaemonPod[]> {
    const pods = await this.#e2e.list(this.#pods)
    return pods
      .filter(pod => ownerOf(pod)?.name === name && pod.metadata.deletionTimestamp === undefined)
      .map(pod => ({ node: podFacts(pod).nodeName ?? '', uid: pod.metadata.uid }))
  }

  /** The daemon, once its controller has seen its newest state and all its Pods run that and are ready. */
  settled(name: string): Promise<DaemonSet> {
    return this.#e2e.waitFor(`DaemonSet ${name} has settled`, async () => {
      const daemonSet = await this.#e2e.find<DaemonSet>(`${this.#path}/${name}`)
      if (daemonSet === undefined) return undefined
      const { desiredNumberScheduled: wanted, numberReady, ...status } = daemonSet.status
      const isSeen = status.observedGeneration === daemonSet.metadata.generation
      const pods = await this.podsOf(name)
      const isDone =
        status.updatedNumberScheduled === wanted && numberReady === wanted && pods.length === wanted
      return isSeen && isDone && wanted > 0 ? daemonSet : undefined
    })
  }
}
