/**
 * Builders of the objects that tests send: valid as they come, so that a case shows only what differs.
 * A new plain object each time; nothing is shared between two of them.
 */

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export interface Metadata {
  name?: string
  generateName?: string
  namespace?: string
  uid?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
}

export interface Toleration {
  key?: string
  operator?: string
  value?: string
  effect?: string
  tolerationSeconds?: number
}

export interface Container {
  name: string
  image?: string
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> }
  [field: string]: unknown
}

export interface PodSpec {
  containers: Container[]
  initContainers?: Container[]
  nodeSelector?: Record<string, string>
  nodeName?: string
  schedulerName?: string
  tolerations?: Toleration[]
  affinity?: Record<string, unknown>
}

export interface Pod {
  apiVersion: 'v1'
  kind: 'Pod'
  metadata: Metadata
  spec: PodSpec
}

export interface PodOverrides extends Metadata {
  /** Merged, field by field, over one container `app`. Fields that {@link PodSpec} does not name go in as they are. */
  spec?: Partial<PodSpec> & Record<string, unknown>
}

/** The uid is fixed, so that a snapshot of the owner does not change from run to run. */
const OWNER_UID = '00000000-0000-4000-8000-000000000001'

export function makeOwner(kind = 'ReplicaSet', name = 'app-5d4f8'): OwnerReference {
  const apiVersion = kind === 'Job' || kind === 'CronJob' ? 'batch/v1' : 'apps/v1'
  return { apiVersion, kind, name, uid: OWNER_UID, controller: true, blockOwnerDeletion: true }
}

/** A Pod named `app`, unless it is given a name or a generateName. */
export function makePod(overrides: PodOverrides = {}): Pod {
  const { spec, ...metadata } = structuredClone(overrides)
  const name = metadata.generateName === undefined ? { name: 'app' } : {}
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...name, ...metadata }, spec: makePodSpec(spec) }
}

function makePodSpec(overrides: PodOverrides['spec'] = {}): PodSpec {
  return { containers: [{ name: 'app', image: 'localhost/app:1' }], ...overrides }
}

/** A container with requests alone, for cases about resources. */
export function makeContainer(requests: Record<string, string>, name = 'app'): Container {
  return { name, image: 'localhost/app:1', resources: { requests } }
}

export interface Workload {
  apiVersion: string
  kind: string
  metadata: Metadata
  spec: Record<string, unknown> & { template: { metadata: Metadata; spec: PodSpec } }
}

export interface WorkloadOverrides extends Metadata {
  replicas?: number
  /** Labels, annotations and spec of its Pods; the label `app: NAME` is added, and selected by. */
  pod?: PodOverrides
  /** Merged over the rest of its spec. */
  spec?: Record<string, unknown>
}

export function makeDeployment(overrides: WorkloadOverrides = {}): Workload {
  return makeWorkload('apps/v1', 'Deployment', overrides)
}

export function makeStatefulSet(overrides: WorkloadOverrides = {}): Workload {
  const { name = 'app', spec } = overrides
  return makeWorkload('apps/v1', 'StatefulSet', { ...overrides, spec: { serviceName: name, ...spec } })
}

export function makeDaemonSet(overrides: Omit<WorkloadOverrides, 'replicas'> = {}): Workload {
  return makeWorkload('apps/v1', 'DaemonSet', overrides)
}

/** A Job whose Pods are not restarted; it has no selector, as the apiserver makes one itself. */
export function makeJob(overrides: Omit<WorkloadOverrides, 'replicas'> = {}): Workload {
  const pod = { ...overrides.pod, spec: { restartPolicy: 'Never', ...overrides.pod?.spec } }
  const job = makeWorkload('batch/v1', 'Job', { ...overrides, pod })
  const { selector: _, ...spec } = job.spec
  return { ...job, spec: { ...spec, template: job.spec.template } }
}

function makeWorkload(apiVersion: string, kind: string, overrides: WorkloadOverrides): Workload {
  const { replicas, pod = {}, spec, ...metadata } = structuredClone(overrides)
  const { spec: podSpec, ...podMetadata } = pod
  const matchLabels = { app: metadata.name ?? 'app' }
  return {
    apiVersion,
    kind,
    metadata: { name: 'app', ...metadata },
    spec: {
      ...(replicas === undefined ? {} : { replicas }),
      selector: { matchLabels },
      template: {
        metadata: { ...podMetadata, labels: { ...matchLabels, ...podMetadata.labels } },
        spec: makePodSpec(podSpec),
      },
      ...spec,
    },
  }
}
