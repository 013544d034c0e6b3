import { asRecord, asString, own } from '../kubernetes/objects.ts'
import { memoizeByObject } from '../memo.ts'
import { type Advice, type AdviceKind, advise, type Subject } from './advice.ts'
import { type AnnotationAdvice, annotationAdvice } from './annotations.ts'
import { adviseOnSize } from './size-advice.ts'
import { adviseOnSpec } from './spec-advice.ts'

export type { Advice } from './advice.ts'

export interface AdviceOptions {
  /** Annotations that rules add; the Pod's own win over them. */
  readonly annotations?: ReadonlyMap<string, string>
  /** Also what is billed or ignored: to explain a Pod, not to admit it. */
  readonly everything?: boolean
}

/**
 * What to know about a Pod that goes to ECI: what ECI will refuse, and old names; on demand also what costs more than it seems
 * or does nothing. The Pod is untrusted JSON of any shape. The order depends on the Pod alone; microseconds, so for every admission.
 */
export function podAdvice(pod: unknown, options: AdviceOptions = {}): Advice[] {
  const record = asRecord(pod)
  const metadata = asRecord(record?.metadata) ?? {}
  const ofPod = asRecord(metadata.annotations)
  const subject: Subject = {
    metadata,
    spec: asRecord(record?.spec) ?? {},
    annotation: key => asString(own(ofPod, key)) ?? options.annotations?.get(key),
    everything: options.everything === true,
    found: [],
  }
  adviseOnSpec(subject)
  adviseOnSize(subject)
  for (const [key, value] of Object.entries(ofPod ?? {})) {
    if (typeof value === 'string') adviseOnAnnotation(subject, key, value)
  }
  if (options.annotations === undefined) return subject.found
  for (const [key, value] of questionable(options.annotations)) {
    if (typeof own(ofPod, key) !== 'string') adviseOnAnnotation(subject, key, value)
  }
  return subject.found
}

/** Those about which there is something to say. What rules add is the same for Pod after Pod, and mostly fine. */
const questionable = memoizeByObject((annotations: ReadonlyMap<string, string>) =>
  [...annotations].filter(([key, value]) => annotationAdvice(key, value) !== undefined),
)

const KINDS: Readonly<Record<AnnotationAdvice['code'], AdviceKind>> = {
  'annotation-value': 'refused',
  'annotation-old-name': 'old-name',
  'annotation-platform': 'ignored',
  'annotation-unknown': 'ignored',
}

function adviseOnAnnotation(subject: Subject, key: string, value: string): void {
  const advice = annotationAdvice(key, value)
  if (advice === undefined) return
  const { code, message } = advice
  advise(subject, { code, kind: KINDS[code], path: `metadata.annotations[${key}]`, message })
}
