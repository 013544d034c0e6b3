/** What decisions read of a DaemonSet, taken from an untrusted value: whatever has the wrong type counts as absent. */
import { asRecord, asString } from '../kubernetes/objects.ts'
import { FENCE_OFF, LABEL_FENCE } from '../names.ts'
import { type PodFacts, podFacts } from '../pod/facts.ts'
import { type Labels, labelsOf } from '../selector/requirement.ts'

export interface DaemonSetFacts {
  /** The object itself, untouched. */
  readonly object: Record<string, unknown>
  readonly namespace: string
  readonly name: string
  readonly labels: Labels
  readonly annotations: Labels
  /** Its Pods, as the template has them. */
  readonly pod: PodFacts
  /** Has somebody opted out of the fence by label? */
  readonly isOptedOut: boolean
}

export function daemonSetFacts(value: unknown): DaemonSetFacts {
  const object = asRecord(value) ?? {}
  const metadata = asRecord(object.metadata)
  const labels = labelsOf(metadata?.labels)
  return {
    object,
    namespace: asString(metadata?.namespace) ?? '',
    name: asString(metadata?.name) ?? '',
    labels,
    annotations: labelsOf(metadata?.annotations),
    pod: podFacts(templateOf(object)),
    isOptedOut: labels.get(LABEL_FENCE) === FENCE_OFF,
  }
}

/** The Pod template of a DaemonSet. */
export function templateOf(daemonSet: unknown): Record<string, unknown> | undefined {
  return asRecord(asRecord(asRecord(daemonSet)?.spec)?.template)
}
