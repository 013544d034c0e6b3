/**
 * The parts of Kubernetes objects that we read: all optional, all readonly. They describe what the apiserver promises,
 * not what arrived: a value decoded from a request is `unknown` until it went through {@link asRecord} and its kin.
 */

export type StringMap = Readonly<Record<string, string>>

export interface OwnerReference {
  readonly apiVersion?: string
  readonly kind?: string
  readonly name?: string
  readonly uid?: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export interface ObjectMeta {
  readonly name?: string
  readonly generateName?: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: StringMap
  readonly annotations?: StringMap
  readonly ownerReferences?: readonly OwnerReference[]
}

export interface LabelSelectorRequirement {
  readonly key?: string
  /** In, NotIn, Exists or DoesNotExist; node selectors also know Gt and Lt. */
  readonly operator?: string
  readonly values?: readonly string[]
}

export interface LabelSelector {
  readonly matchLabels?: StringMap
  readonly matchExpressions?: readonly LabelSelectorRequirement[]
}

export interface NodeSelectorTerm {
  readonly matchExpressions?: readonly LabelSelectorRequirement[]
  readonly matchFields?: readonly LabelSelectorRequirement[]
}

export interface NodeSelector {
  /** ORed: a Pod fits a node when any one term matches. */
  readonly nodeSelectorTerms?: readonly NodeSelectorTerm[]
}

export interface PreferredSchedulingTerm {
  readonly weight?: number
  readonly preference?: NodeSelectorTerm
}

export interface NodeAffinity {
  readonly requiredDuringSchedulingIgnoredDuringExecution?: NodeSelector
  readonly preferredDuringSchedulingIgnoredDuringExecution?: readonly PreferredSchedulingTerm[]
}

export interface Affinity {
  readonly nodeAffinity?: NodeAffinity
  readonly podAffinity?: unknown
  readonly podAntiAffinity?: unknown
}

export interface Toleration {
  readonly key?: string
  /** Exists or Equal; absent means Equal. */
  readonly operator?: string
  readonly value?: string
  readonly effect?: string
  readonly tolerationSeconds?: number
}

export interface Taint {
  readonly key?: string
  readonly value?: string
  readonly effect?: string
  readonly timeAdded?: string
}

export type ResourceList = Readonly<Record<string, string | number>>

export interface ResourceRequirements {
  readonly requests?: ResourceList
  readonly limits?: ResourceList
}

export interface ContainerPort {
  readonly name?: string
  readonly containerPort?: number
  readonly hostPort?: number
  readonly hostIP?: string
  readonly protocol?: string
}

export interface EnvVar {
  readonly name?: string
  readonly value?: string
  readonly valueFrom?: unknown
}

export interface Capabilities {
  readonly add?: readonly string[]
  readonly drop?: readonly string[]
}

export interface SecurityContext {
  readonly privileged?: boolean
  readonly readOnlyRootFilesystem?: boolean
  readonly procMount?: string
  readonly capabilities?: Capabilities
}

export interface Container {
  readonly name?: string
  readonly image?: string
  readonly env?: readonly EnvVar[]
  readonly ports?: readonly ContainerPort[]
  readonly resources?: ResourceRequirements
  readonly securityContext?: SecurityContext
  /** On an init container the value Always makes it a sidecar. */
  readonly restartPolicy?: string
}

export interface Volume {
  readonly name?: string
  readonly hostPath?: { readonly path?: string; readonly type?: string }
  readonly persistentVolumeClaim?: { readonly claimName?: string }
}

export interface PodSecurityContext {
  readonly sysctls?: readonly { readonly name?: string; readonly value?: string }[]
}

export interface PodSpec {
  readonly nodeName?: string
  readonly nodeSelector?: StringMap
  readonly affinity?: Affinity
  readonly tolerations?: readonly Toleration[]
  readonly containers?: readonly Container[]
  readonly initContainers?: readonly Container[]
  readonly volumes?: readonly Volume[]
  readonly hostNetwork?: boolean
  readonly hostPID?: boolean
  readonly hostIPC?: boolean
  readonly securityContext?: PodSecurityContext
  readonly overhead?: ResourceList
  /** Resources of the Pod as a whole (1.32 and newer). */
  readonly resources?: ResourceRequirements
  readonly restartPolicy?: string
  readonly schedulerName?: string
  readonly schedulingGates?: readonly { readonly name?: string }[]
  readonly priorityClassName?: string
  readonly serviceAccountName?: string
}

export interface PodCondition {
  readonly type?: string
  readonly status?: string
  readonly reason?: string
  readonly message?: string
  readonly lastTransitionTime?: string
}

export interface PodStatus {
  readonly phase?: string
  readonly conditions?: readonly PodCondition[]
  readonly nominatedNodeName?: string
}

export interface KubeObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata?: ObjectMeta
}

export interface Pod extends KubeObject {
  readonly spec?: PodSpec
  readonly status?: PodStatus
}

export interface Namespace extends KubeObject {
  readonly status?: { readonly phase?: string }
}

export interface NodeCondition {
  readonly type?: string
  readonly status?: string
  readonly reason?: string
}

export interface Node extends KubeObject {
  readonly spec?: {
    readonly unschedulable?: boolean
    readonly taints?: readonly Taint[]
    readonly providerID?: string
  }
  readonly status?: {
    readonly conditions?: readonly NodeCondition[]
    readonly allocatable?: ResourceList
    readonly capacity?: ResourceList
  }
}

export interface DaemonSet extends KubeObject {
  readonly spec?: {
    readonly selector?: LabelSelector
    readonly template?: { readonly metadata?: ObjectMeta; readonly spec?: PodSpec }
  }
}

/** The value as an object with string keys; undefined for arrays, null and everything else. */
export function asRecord(value: unknown): Record<string, unknown> | undefined {
  return isRecord(value) ? value : undefined
}

/** The value as an array; an empty one if it is not an array. */
export function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : NOTHING
}

/** The objects among the members of an array. */
export function asRecords(value: unknown): readonly Record<string, unknown>[] {
  const items = asArray(value)
  return areRecords(items) ? items : items.filter(isRecord)
}

/** The strings among the members of an array. */
export function asStrings(value: unknown): readonly string[] {
  return asArray(value).filter(item => typeof item === 'string')
}

/** The value if it is a string. */
export function asString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The record's own member: a key such as `constructor` finds nothing unless the sender wrote it. */
export function own(record: Record<string, unknown> | undefined, key: string): unknown {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined
}

const NOTHING: readonly unknown[] = Object.freeze([])

function areRecords(items: readonly unknown[]): items is readonly Record<string, unknown>[] {
  for (const item of items) if (!isRecord(item)) return false
  return true
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
