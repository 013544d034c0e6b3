/**
 * Groups of Pods that are scheduled all together or not at all. Part of a group on a VNode would cost money and run nothing, so none of
 * them spills. Sources: the documentation of each project.
 */
import { asRecord, asString, own } from '../kubernetes/objects.ts'

/** The scheduler plugins of Kubernetes (coscheduling, its older name too), Kueue, Koordinator, Volcano, YuniKorn, KAI. */
const LABELS = [
  'scheduling.x-k8s.io/pod-group',
  'pod-group.scheduling.sigs.k8s.io',
  'pod-group.scheduling.sigs.k8s.io/name',
  'kueue.x-k8s.io/pod-group-name',
  'pod-group.scheduling.koordinator.sh/name',
]
const ANNOTATIONS = [
  'scheduling.k8s.io/group-name',
  'gang.scheduling.koordinator.sh/name',
  'yunikorn.apache.org/task-group-name',
  'pod-group-name',
]
/** Kubernetes' own: 1.35, and 1.36 and newer. */
const FIELDS = ['workloadRef', 'schedulingGroup']

/** What says that the Pod is one of a group; undefined if nothing does. */
export function podGroupOf(
  metadata: Record<string, unknown>,
  spec: Record<string, unknown>,
): string | undefined {
  const field = FIELDS.find(name => asRecord(own(spec, name)) !== undefined)
  if (field !== undefined) return `field spec.${field}`
  return found('label', LABELS, metadata.labels) ?? found('annotation', ANNOTATIONS, metadata.annotations)
}

function found(what: string, keys: readonly string[], entries: unknown): string | undefined {
  const key = keys.find(one => (asString(own(asRecord(entries), one)) ?? '') !== '')
  return key === undefined ? undefined : `${what} ${key}=${asString(own(asRecord(entries), key))}`
}
