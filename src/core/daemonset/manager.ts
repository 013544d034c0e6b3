/** Who looks after a DaemonSet, as far as it tells: whoever that is may undo what others change. */
import { asRecord, asRecords, asString, own } from '../kubernetes/objects.ts'
import { FIELD_MANAGER } from '../names.ts'
import { ownerOf } from '../pod/facts.ts'
import type { DaemonSetFacts } from './daemon-set.ts'

export interface Manager {
  /** Such as `Installation/default`, `Helm release logging/agent`, `kubeadm`. */
  readonly name: string
  /** Does it compare the DaemonSet with what it wants all the time, as operators do? */
  readonly isWatching: boolean
}

const HELM_RELEASE = 'meta.helm.sh/release-name'
const HELM_NAMESPACE = 'meta.helm.sh/release-namespace'
const ADDON_MODE = 'addonmanager.kubernetes.io/mode'
const MANAGED_BY = 'app.kubernetes.io/managed-by'

export function managerOf({ object, annotations, labels }: DaemonSetFacts): Manager | undefined {
  const owner = ownerOf(object)
  if (owner !== undefined) return { name: `${owner.kind}/${owner.name}`, isWatching: true }
  if (labels.get(ADDON_MODE) === 'Reconcile') return { name: 'the addon manager', isWatching: true }
  const release = annotations.get(HELM_RELEASE)
  if (release !== undefined) {
    const namespace = annotations.get(HELM_NAMESPACE)
    return { name: `Helm release ${namespace ? `${namespace}/` : ''}${release}`, isWatching: false }
  }
  const name = labels.get(MANAGED_BY) ?? writerOf(object)
  return name === undefined ? undefined : { name, isWatching: false }
}

/** Who wrote the spec last, by the name that it gave the API server. */
function writerOf(object: Record<string, unknown>): string | undefined {
  const entries = asRecords(asRecord(object.metadata)?.managedFields).filter(
    entry => !entry.subresource && asRecord(own(asRecord(entry.fieldsV1), 'f:spec')) !== undefined,
  )
  // The API server says `unknown` of whoever sends no user agent.
  const others = entries.filter(({ manager }) => manager !== FIELD_MANAGER && manager !== 'unknown')
  const timed = others.map(({ manager, time }) => ({
    manager: asString(manager),
    time: asString(time) ?? '',
  }))
  return timed.sort((a, b) => (a.time < b.time ? 1 : -1))[0]?.manager
}
