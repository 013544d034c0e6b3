import type { ControlPlane } from './control-plane.ts'

export interface CrowdOptions {
  readonly namespace: string
  readonly count: number
  /** The Pod of this name. */
  readonly pod: (name: string) => object
  /** Number of the first one. */
  readonly from?: number
}

const CREATORS = 16

/** Creates so many Pods, in the order of their names: `app-00000` and so on. */
export async function createPods(controlPlane: ControlPlane, options: CrowdOptions): Promise<void> {
  const { namespace, count, pod, from = 0 } = options
  const path = `/api/v1/namespaces/${namespace}/pods`
  let next = from
  const create = async (): Promise<void> => {
    while (next < from + count) {
      const name = `app-${String(next).padStart(5, '0')}`
      next += 1
      await controlPlane.ask('POST', path, { body: pod(name) })
    }
  }
  await Promise.all(Array.from({ length: CREATORS }, create))
}
