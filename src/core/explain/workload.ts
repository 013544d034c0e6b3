/** The Pods that manifests stand for: a Pod itself, or what a workload's controller would create from its template. */
import { asRecord, asString } from '../kubernetes/objects.ts'

export interface Workload {
  readonly kind: string
  readonly name: string
  readonly namespace: string
  /** As the webhook would see it. Of a Pod the very object that was given; of others without the defaults of the apiserver. */
  readonly pod: Record<string, unknown>
  /** The manifest itself. */
  readonly object: Record<string, unknown>
  /** Why its controller can make no Pods of it; `pod` is the manifest then. */
  readonly flaw?: string
  /** False of a Pod's own manifest. */
  readonly isTemplate: boolean
}

/** The workload that an object is; undefined for objects that no Pods come from. One of Kubernetes' own kinds is one even where its template is flawed. */
export function workloadOf(object: Record<string, unknown>, defaultNamespace: string): Workload | undefined {
  const kind = asString(object.kind) ?? ''
  const metadata = asRecord(object.metadata)
  const generateName = asString(metadata?.generateName)
  const identity = {
    kind,
    name: asString(metadata?.name) ?? (generateName === undefined ? '(no name)' : `${generateName}…`),
    namespace: asString(metadata?.namespace) ?? defaultNamespace,
  }
  if (kind === 'Pod' && (object.apiVersion ?? 'v1') === 'v1')
    return { ...identity, object, pod: object, isTemplate: false }
  const template = templateOf(kind, asRecord(object.spec))
  if (template === undefined) {
    if (BUILT_IN.get(kind)?.includes(groupOf(object)) !== true) return undefined
    const path = kind === 'CronJob' ? 'spec.jobTemplate.spec.template.spec' : 'spec.template.spec'
    return {
      ...identity,
      object,
      pod: object,
      flaw: `${path}.containers is missing, or no list`,
      isTemplate: true,
    }
  }
  return { ...identity, object, pod: podOf(template, identity, object), isTemplate: true }
}

/** The groups that Kubernetes' own kinds are, or were, in; other projects have a StatefulSet or a Job too, of another shape. */
const BUILT_IN: ReadonlyMap<string, readonly string[]> = new Map([
  ['Deployment', ['apps', 'extensions']],
  ['DaemonSet', ['apps', 'extensions']],
  ['ReplicaSet', ['apps', 'extensions']],
  ['StatefulSet', ['apps']],
  ['ReplicationController', ['']],
  ['Job', ['batch']],
  ['CronJob', ['batch']],
])

/** Empty of what is in none, as `v1` is. */
function groupOf({ apiVersion }: Record<string, unknown>): string {
  const [group = '', version] = (asString(apiVersion) ?? '').split('/')
  return version === undefined ? '' : group
}

/**
 * By shape, not by a list of kinds: workloads that other projects define (Rollout, CloneSet …) keep their template in the same place.
 */
function templateOf(
  kind: string,
  spec: Record<string, unknown> | undefined,
): Record<string, unknown> | undefined {
  const holder = kind === 'CronJob' ? asRecord(asRecord(spec?.jobTemplate)?.spec) : spec
  const template = asRecord(holder?.template)
  return Array.isArray(asRecord(template?.spec)?.containers) ? template : undefined
}

interface Identity {
  readonly kind: string
  readonly name: string
  readonly namespace: string
}

/** Stand for what only a controller knows; valid as the values they stand for. */
const HASH = 'hash'
const UID = '00000000-0000-4000-8000-000000000000'

interface Made {
  /** The direct owner of the Pod. */
  readonly owner: { readonly apiVersion: string; readonly kind: string; readonly name: string }
  readonly labels: Readonly<Record<string, string>>
  /** Pods with a name of their own rather than a generated one. */
  readonly podName?: string
}

/** What each controller adds to the template, which rules can match. */
const MAKERS: ReadonlyMap<string, (name: string, apiVersion: string) => Made> = new Map([
  [
    'Deployment',
    (name: string): Made => ({
      owner: { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${name}-${HASH}` },
      labels: { 'pod-template-hash': HASH },
    }),
  ],
  [
    'StatefulSet',
    (name: string, apiVersion: string): Made => ({
      owner: { apiVersion, kind: 'StatefulSet', name },
      labels: {
        'apps.kubernetes.io/pod-index': '0',
        'controller-revision-hash': `${name}-${HASH}`,
        'statefulset.kubernetes.io/pod-name': `${name}-0`,
      },
      podName: `${name}-0`,
    }),
  ],
  [
    'DaemonSet',
    (name: string, apiVersion: string): Made => ({
      owner: { apiVersion, kind: 'DaemonSet', name },
      labels: { 'controller-revision-hash': HASH, 'pod-template-generation': '1' },
    }),
  ],
  ['Job', (name: string): Made => madeByJob(name)],
  ['CronJob', (name: string): Made => madeByJob(`${name}-time`)],
])

function madeByJob(name: string): Made {
  return {
    owner: { apiVersion: 'batch/v1', kind: 'Job', name },
    labels: {
      'batch.kubernetes.io/controller-uid': UID,
      'batch.kubernetes.io/job-name': name,
      'controller-uid': UID,
      'job-name': name,
    },
  }
}

function podOf(
  template: Record<string, unknown>,
  { kind, name, namespace }: Identity,
  object: Record<string, unknown>,
): Record<string, unknown> {
  const apiVersion = asString(object.apiVersion) ?? ''
  const made = MAKERS.get(kind)?.(name, apiVersion) ?? { owner: { apiVersion, kind, name }, labels: {} }
  const { name: _, generateName: __, namespace: ___, ...metadata } = asRecord(template.metadata) ?? {}
  const podName =
    made.podName === undefined ? { generateName: `${made.owner.name}-` } : { name: made.podName }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...podName,
      namespace,
      ...metadata,
      labels: { ...asRecord(metadata.labels), ...made.labels },
      ownerReferences: [{ ...made.owner, uid: UID, controller: true, blockOwnerDeletion: true }],
    },
    spec: template.spec,
  }
}
