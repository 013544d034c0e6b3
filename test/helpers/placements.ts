import type { ControlPlane } from './control-plane.ts'
import { patience } from './patience.ts'
import type { StoredPod } from './placed-pods.ts'
import { makePod, type PodOverrides } from './pods.ts'

/** Sends a Pod to the apiserver and gives back what it would store; nothing is stored. */
export async function tryPod(
  controlPlane: ControlPlane,
  namespace: string,
  overrides: PodOverrides = {},
): Promise<StoredPod> {
  const path = `/api/v1/namespaces/${namespace}/pods?dryRun=All`
  return await controlPlane.ask<StoredPod>('POST', path, { body: makePod(overrides) })
}

/** The rules that applied to a Pod, by its annotation; empty for one that was left alone. */
export function rulesOn(pod: StoredPod): string {
  return pod.metadata.annotations?.['vnode-profile.io/rules'] ?? ''
}

/** Whether it can only run on a VNode. */
export function isPlaced({ spec }: StoredPod): boolean {
  return spec.nodeSelector?.['k8s.aliyun.com/vnode'] === 'true'
}

export interface Followed {
  /** The first Pod that was as wanted. */
  readonly pod: StoredPod
  /** From the call to the apiserver's answer with that Pod. */
  readonly ms: number
  /** How many Pods were not, before it. */
  readonly tries: number
}

/** Sends Pods one right after the other until one comes back as wanted. */
export async function firstPod(
  send: () => Promise<StoredPod>,
  isWanted: (pod: StoredPod) => boolean,
  timeout = 10_000,
): Promise<Followed> {
  const start = performance.now()
  for (let tries = 0; ; tries += 1) {
    const pod = await send()
    const ms = performance.now() - start
    if (isWanted(pod)) return { pod, ms, tries }
    if (ms > patience(timeout))
      throw new Error(`no Pod as wanted in ${patience(timeout) / 1000} s; the last: ${JSON.stringify(pod)}`)
  }
}
