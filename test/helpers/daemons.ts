/** DaemonSets on a real control plane: made, followed until their controller has done its work, and compared. */
import { ownerOf } from '../../src/core/pod/facts.ts'
import type { ControlPlane } from './control-plane.ts'
import type { KubeList, KubeObject } from './kube-http.ts'
import { holds } from './webhook.ts'

export const EVERYTHING = [{ operator: 'Exists' }]
export const FENCE = { key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }
export const FENCE_KEY = 'vnode-profile.io/fence'
export const APPLY = 'application/apply-patch+yaml'
export const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution'

/** Required node affinity of these terms. */
export function required(...nodeSelectorTerms: readonly object[]): Record<string, unknown> {
  return { nodeAffinity: { [REQUIRED]: { nodeSelectorTerms } } }
}

export interface DaemonSet extends KubeObject {
  metadata: KubeObject['metadata'] & { generation: number }
  spec: { template: { metadata: object; spec: { affinity?: object; [field: string]: unknown } } }
  status: {
    observedGeneration?: number
    desiredNumberScheduled: number
    updatedNumberScheduled?: number
    numberReady: number
  }
}

/** A namespace's DaemonSets, and what their controller makes of them. */
export class Daemons {
  readonly namespace: string
  readonly path: string
  readonly #controlPlane: ControlPlane

  constructor(controlPlane: ControlPlane, namespace: string) {
    this.#controlPlane = controlPlane
    this.namespace = namespace
    this.path = `/apis/apps/v1/namespaces/${namespace}/daemonsets`
  }

  make(body: object): Promise<DaemonSet> {
    return this.#controlPlane.ask<DaemonSet>('POST', this.path, { body })
  }

  get(name = 'app'): Promise<DaemonSet> {
    return this.#controlPlane.ask<DaemonSet>('GET', `${this.path}/${name}`)
  }

  /** The nodes that it has Pods for, once its controller has seen its newest state and all its Pods run that. */
  async nodes(name = 'app'): Promise<string[]> {
    await this.#controlPlane.waitFor<DaemonSet>(
      `${this.path}/${name}`,
      ({ metadata, status }) => status.observedGeneration === metadata.generation,
      { timeout: LIMIT_MS },
    )
    let found: string[] = []
    const areAllThere = async (): Promise<boolean> => {
      const { metadata, status } = await this.get(name)
      const pods = await this.pods(name)
      found = pods.map(({ spec }) => String(spec?.nodeName)).sort()
      const { desiredNumberScheduled: wanted, updatedNumberScheduled = 0, observedGeneration } = status
      const isSeen = observedGeneration === metadata.generation
      const areBound = pods.every(({ spec }) => spec?.nodeName !== undefined)
      return isSeen && areBound && wanted === found.length && updatedNumberScheduled === wanted
    }
    await holds(areAllThere, LIMIT_MS).catch(() => {
      throw new Error(`DaemonSet ${name} has Pods on ${found.join(', ')}, and its controller wants others`)
    })
    return found
  }

  async pods(name = 'app'): Promise<KubeObject[]> {
    const path = `/api/v1/namespaces/${this.namespace}/pods`
    const { items } = await this.#controlPlane.ask<KubeList>('GET', path)
    return items.filter(pod => ownerOf(pod)?.name === name && pod.metadata.deletionTimestamp === undefined)
  }

  /** The names of its ControllerRevisions, by the revision's number. */
  async revisions(): Promise<string[]> {
    const path = `/apis/apps/v1/namespaces/${this.namespace}/controllerrevisions`
    const { items } = await this.#controlPlane.ask<KubeList<KubeObject & { revision: number }>>('GET', path)
    return items.sort((a, b) => a.revision - b.revision).map(({ metadata }) => metadata.name)
  }
}

/** For a machine that runs everything side by side. */
export const LIMIT_MS = 60_000
