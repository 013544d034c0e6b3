import type { Test } from 'tap'
import type { ControlPlane } from './control-plane.ts'
import type { StoredPod } from './placed-pods.ts'

export interface PodChange {
  readonly at: number
  readonly type: string
  readonly pod: StoredPod & { status: { conditions?: readonly Condition[]; nominatedNodeName?: string } }
}

interface Condition {
  readonly type: string
  readonly status: string
  readonly reason?: string
}

/** Everything that happened to the Pods of a namespace, in order, from when it was begun. */
export class PodStory {
  readonly changes: PodChange[] = []

  static async follow(t: Test, controlPlane: ControlPlane, namespace: string): Promise<PodStory> {
    const story = new PodStory()
    const path = `/api/v1/namespaces/${namespace}/pods`
    const stop = await controlPlane.watch<PodChange['pod']>(path, ({ type, object }) => {
      if (type !== 'ERROR' && type !== 'BOOKMARK')
        story.changes.push({ at: performance.now(), type, pod: object })
    })
    t.teardown(stop)
    return story
  }

  /** What happened to one Pod. */
  of(name: string): PodChange['pod'][] {
    return this.changes.flatMap(({ pod }) => (pod.metadata.name === name ? [pod] : []))
  }

  /** Had the scheduler reported that no node can take the Pod, before it got its node? */
  wasUnschedulable(name: string): boolean {
    const before = this.of(name).filter(({ spec }) => spec.nodeName === undefined)
    return before.some(({ status }) =>
      (status.conditions ?? []).some(
        ({ type, status, reason }) =>
          type === 'PodScheduled' && status === 'False' && reason === 'Unschedulable',
      ),
    )
  }

  /** How often the Pod got a toleration of the VNodes' taint. */
  spills(name: string): number {
    const counts = this.of(name).map(pod => vnodeTolerations(pod))
    return counts.filter((count, index) => index > 0 && count > (counts[index - 1] ?? 0)).length
  }
}

export function vnodeTolerations({ spec }: Pick<StoredPod, 'spec'>): number {
  return (spec.tolerations ?? []).filter(({ key }) => key === 'k8s.aliyun.com/vnode').length
}
