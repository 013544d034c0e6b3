/** Whom Events about Pods are for: what a person wrote, not what a controller made of it. */
import { asRecord, asRecords, asString } from '../../core/kubernetes/objects.ts'
import type { PendingPod } from '../../core/spill/pending-pod.ts'
import { isStatus, type KubeClient } from '../../kube/api.ts'
import type { EventSubject } from '../../kube/event.ts'
import { resourcePath } from '../../kube/path.ts'
import { podSubject } from './pod-events.ts'

/** Owners that have owners themselves, with the plural of their type. */
const MIDDLEMEN: ReadonlyMap<string, string> = new Map([
  ['apps/v1 ReplicaSet', 'replicasets'],
  ['batch/v1 Job', 'jobs'],
])
const METADATA = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json'
const MOST_KNOWN = 2_000

export class Owners {
  readonly #client: Pick<KubeClient, 'request'>
  /** By the direct owner's uid. */
  readonly #known = new Map<string, EventSubject>()

  constructor(client: Pick<KubeClient, 'request'>) {
    this.#client = client
  }

  /** The Deployment of a Pod, or whatever it comes from; the Pod itself if it comes from nothing. */
  async of(pod: PendingPod): Promise<EventSubject> {
    const owner = ownerOf(pod.facts.object, pod.namespace)
    if (owner === undefined) return podSubject(pod)
    const known = this.#known.get(owner.uid)
    if (known !== undefined) return known
    const above = await this.#above(owner)
    // The next one may be told better.
    if (above === 'unknown') return owner
    const found = above ?? owner
    if (this.#known.size >= MOST_KNOWN) this.#known.clear()
    this.#known.set(owner.uid, found)
    return found
  }

  async #above({
    apiVersion,
    kind,
    namespace,
    name,
  }: EventSubject): Promise<EventSubject | 'unknown' | undefined> {
    const plural = MIDDLEMEN.get(`${apiVersion} ${kind}`)
    if (plural === undefined) return undefined
    const [group = '', version = ''] = apiVersion.split('/')
    const path = resourcePath({ group, version, plural, namespace, name })
    try {
      const found = await this.#client.request<unknown>({ method: 'GET', path, accept: METADATA })
      return ownerOf(found, namespace ?? '')
    } catch (error) {
      // It may be gone by now, or may not be looked at; the direct owner will do.
      return isStatus(error, 403) || isStatus(error, 404) ? undefined : 'unknown'
    }
  }
}

/** What Pods of one template have in common: a ReplicaSet or Job, or of a StatefulSet one of its revisions. */
export function templateOf(pod: PendingPod): string {
  const owner = ownerOf(pod.facts.object, pod.namespace)
  return `${owner?.uid ?? pod.uid}/${pod.facts.labels.get('controller-revision-hash') ?? ''}`
}

function ownerOf(object: unknown, namespace: string): EventSubject | undefined {
  const references = asRecords(asRecord(asRecord(object)?.metadata)?.ownerReferences)
  const controller = references.find(one => one.controller === true)
  const { apiVersion, kind, name, uid } = controller ?? {}
  const [version, type, called] = [asString(apiVersion), asString(kind), asString(name)]
  if (version === undefined || type === undefined || called === undefined) return undefined
  return { apiVersion: version, kind: type, namespace, name: called, uid: asString(uid) ?? '' }
}
