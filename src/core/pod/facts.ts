/** What decisions read of a Pod, taken from an untrusted value: whatever has the wrong type counts as absent. */
import {
  asArray,
  asRecord,
  asRecords,
  asString,
  type NodeSelectorTerm,
  type Toleration,
} from '../kubernetes/objects.ts'
import { ANNOTATION_MIRROR } from '../names.ts'
import { type Labels, labelsOf } from '../selector/requirement.ts'

export interface PodFacts {
  /** The object itself, untouched. */
  readonly object: Record<string, unknown>
  readonly labels: Labels
  readonly annotations: Labels
  readonly isMirror: boolean
  /** The controller that owns the Pod, if any. */
  readonly owner?: { readonly kind: string; readonly name: string }
  readonly nodeName?: string
  readonly nodeSelector: Labels
  readonly tolerations: readonly Toleration[]
  /** Terms of the required node affinity, ORed; absent if there is none. */
  readonly requiredTerms?: readonly NodeSelectorTerm[]
  /** Terms of the preferred node affinity. */
  readonly preferredTerms: readonly unknown[]
}

export function podFacts(value: unknown): PodFacts {
  const object = asRecord(value) ?? {}
  const metadata = asRecord(object.metadata)
  const spec = asRecord(object.spec)
  const annotations = labelsOf(metadata?.annotations)
  const nodeName = asString(spec?.nodeName)
  const nodeAffinity = asRecord(asRecord(spec?.affinity)?.nodeAffinity)
  const required = asRecord(nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution)
  const owner = ownerOf(object)
  return {
    object,
    labels: labelsOf(metadata?.labels),
    annotations,
    isMirror: annotations.has(ANNOTATION_MIRROR),
    nodeSelector: labelsOf(spec?.nodeSelector),
    tolerations: asRecords(spec?.tolerations),
    preferredTerms: asArray(nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
    ...(owner === undefined ? {} : { owner }),
    ...(nodeName === undefined || nodeName === '' ? {} : { nodeName }),
    ...(required === undefined ? {} : { requiredTerms: asRecords(required.nodeSelectorTerms) }),
  }
}

/** The controller of an untrusted object. */
export function ownerOf(object: unknown): PodFacts['owner'] {
  const metadata = asRecord(asRecord(object)?.metadata)
  for (const { controller, kind, name } of asRecords(metadata?.ownerReferences)) {
    if (controller === true && typeof kind === 'string' && typeof name === 'string') return { kind, name }
  }
  return undefined
}
