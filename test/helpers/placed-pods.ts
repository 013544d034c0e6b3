import type { KubeObject } from './kube-http.ts'
import type { PodSpec, Toleration } from './pods.ts'

export interface StoredPod extends KubeObject {
  spec: PodSpec & Record<string, unknown>
  status: { phase?: string }
}

export const VNODE_SELECTOR = { 'k8s.aliyun.com/vnode': 'true' }
export const VNODE_TOLERATION = {
  key: 'k8s.aliyun.com/vnode',
  operator: 'Equal',
  value: 'true',
  effect: 'NoSchedule',
}

/** The tolerations that the apiserver gives every Pod, with these seconds. */
export function awayTolerations(tolerationSeconds: number): Toleration[] {
  return ['not-ready', 'unreachable'].map(state => ({
    key: `node.kubernetes.io/${state}`,
    operator: 'Exists',
    effect: 'NoExecute',
    tolerationSeconds,
  }))
}

/** What of a Pod is ours to change; of its annotations and labels all. */
export interface Placement {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly nodeSelector: Readonly<Record<string, string>>
  readonly tolerations: readonly Toleration[]
  readonly affinity: Readonly<Record<string, unknown>>
}

export function placementOf({ metadata, spec }: StoredPod): Placement {
  return {
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    nodeSelector: spec.nodeSelector ?? {},
    tolerations: spec.tolerations ?? [],
    affinity: spec.affinity ?? {},
  }
}

/** The placement of a Pod that nobody has touched. */
export const UNTOUCHED: Placement = {
  labels: {},
  annotations: {},
  nodeSelector: {},
  tolerations: awayTolerations(300),
  affinity: {},
}

/** The placement of a Pod that these rules send to VNodes only. */
export function sentToVnodes(...rules: readonly string[]): Placement {
  return {
    labels: {},
    annotations: { 'vnode-profile.io/rules': rules.join(','), 'vnode-profile.io/policy': 'virtualNodeOnly' },
    nodeSelector: VNODE_SELECTOR,
    tolerations: [...awayTolerations(86_400), VNODE_TOLERATION],
    affinity: {},
  }
}
