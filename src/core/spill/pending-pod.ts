/** A Pod without a node, reduced to what a decision about its spill reads: thousands of them are kept in memory. */
import { asArray, asRecord, asRecords, asString, own } from '../kubernetes/objects.ts'
import { type PodFacts, podFacts } from '../pod/facts.ts'
import { podGroupOf } from './pod-group.ts'

export interface PendingPod {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  readonly createdAt: string
  /** What rules look at. Its `object` is shaped like the Pod as far as a patch reaches, so that a patch made for it applies to the Pod. */
  readonly facts: PodFacts
  readonly isTerminating: boolean
  readonly gates: readonly string[]
  /** The node that preemption makes room on for it. */
  readonly nominatedNode?: string
  /** Present while the scheduler reports that no node can take it. */
  readonly unschedulable?: Unschedulable
  /** Names of the PersistentVolumeClaims that it mounts. */
  readonly claims: readonly string[]
  /** What makes it one of a group that is scheduled together, such as `label scheduling.x-k8s.io/pod-group=training`. */
  readonly podGroup?: string
}

export interface Unschedulable {
  /** Since when, by the scheduler's clock, in milliseconds of Unix time. It does not change when a scheduling gate goes (observed). */
  readonly transitionMs?: number
}

/** Reads a Pod of the API; what has the wrong type counts as absent. */
export function pendingPod(raw: unknown): PendingPod {
  const pod = asRecord(raw) ?? {}
  const metadata = asRecord(pod.metadata) ?? {}
  const spec = asRecord(pod.spec) ?? {}
  const status = asRecord(pod.status) ?? {}
  const name = asString(metadata.name) ?? ''
  const nominatedNode = asString(status.nominatedNodeName) ?? ''
  const unschedulable = unschedulableOf(status)
  const podGroup = podGroupOf(metadata, spec)
  return {
    namespace: asString(metadata.namespace) ?? '',
    name,
    uid: asString(metadata.uid) ?? '',
    resourceVersion: asString(metadata.resourceVersion) ?? '',
    createdAt: asString(metadata.creationTimestamp) ?? '',
    facts: podFacts(reduce(metadata, spec)),
    isTerminating: asString(metadata.deletionTimestamp) !== undefined,
    gates: asRecords(spec.schedulingGates).map(gate => asString(gate.name) ?? ''),
    claims: claimsOf(name, spec),
    ...(nominatedNode === '' ? {} : { nominatedNode }),
    ...(unschedulable === undefined ? {} : { unschedulable }),
    ...(podGroup === undefined ? {} : { podGroup }),
  }
}

/**
 * Do both say the same to a decision? A node that joins rewrites the status of every pending Pod, with another message and nothing else:
 * such a change must cost next to nothing.
 */
export function isSameToSpill(a: PendingPod, b: PendingPod): boolean {
  return a.uid === b.uid && essenceOf(a) === essenceOf(b)
}

function essenceOf({ resourceVersion: _, facts, ...rest }: PendingPod): string {
  return JSON.stringify([rest, facts.object])
}

function reduce(metadata: Record<string, unknown>, spec: Record<string, unknown>): Record<string, unknown> {
  const { labels, annotations } = metadata
  const { nodeName, nodeSelector, tolerations } = spec
  const nodeAffinity = asRecord(spec.affinity)?.nodeAffinity
  const owners = asRecords(metadata.ownerReferences).filter(owner => owner.controller === true)
  return {
    metadata: { ...present({ labels, annotations }), ownerReferences: owners.map(ownerPart) },
    spec: {
      ...present({ nodeName, nodeSelector, tolerations }),
      ...(nodeAffinity === undefined ? {} : { affinity: { nodeAffinity } }),
    },
  }
}

function ownerPart({ apiVersion, kind, name, uid, controller }: Record<string, unknown>): object {
  return { apiVersion, kind, name, uid, controller }
}

/** Members that are undefined would look as if they were there. */
function present(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}

/** PodScheduled is False with the reason Unschedulable; a Pod with a scheduling gate has SchedulingGated. The message is never read. */
function unschedulableOf(status: Record<string, unknown>): Unschedulable | undefined {
  const condition = asRecords(status.conditions).find(one => one.type === 'PodScheduled')
  if (condition?.status !== 'False' || condition.reason !== 'Unschedulable') return undefined
  const transitionMs = Date.parse(asString(condition.lastTransitionTime) ?? '')
  return Number.isNaN(transitionMs) ? {} : { transitionMs }
}

/** Claims by name, and those that Kubernetes makes for generic ephemeral volumes, which are called after Pod and volume. */
function claimsOf(podName: string, spec: Record<string, unknown>): string[] {
  return asArray(spec.volumes).flatMap(item => {
    const volume = asRecord(item)
    const claimName = asString(asRecord(volume?.persistentVolumeClaim)?.claimName)
    if (claimName !== undefined) return [claimName]
    return own(volume, 'ephemeral') === undefined ? [] : [`${podName}-${asString(volume?.name) ?? ''}`]
  })
}
