/**
 * `POST /mutate/probe`: marks the helper's probe, a Pod that is never stored. That the mark is there proves the whole way from the API
 * server to us and back: registration, Service, certificate, patch.
 */
import type { ReviewRequest } from '../core/admission/review.ts'
import { asRecord } from '../core/kubernetes/objects.ts'
import { ANNOTATION_PROBE, LABEL_PROBE, PROBE_ANSWER } from '../core/names.ts'
import type { AddOperation } from '../core/pod/patch.ts'
import type { Reviewed } from './pods-route.ts'

export function probeReviewer({ operation, resource, subResource, object }: ReviewRequest): Reviewed {
  const metadata = asRecord(asRecord(object)?.metadata)
  const isProbe = asRecord(metadata?.labels)?.[LABEL_PROBE] !== undefined
  if (operation !== 'CREATE' || resource !== 'pods' || subResource !== '' || !isProbe)
    return { answer: { allowed: true }, outcome: 'skipped' }
  return { answer: { allowed: true, patch: [mark(metadata?.annotations)] }, outcome: 'patched' }
}

function mark(annotations: unknown): AddOperation {
  const path = '/metadata/annotations'
  return asRecord(annotations) === undefined
    ? { op: 'add', path, value: { [ANNOTATION_PROBE]: PROBE_ANSWER } }
    : { op: 'add', path: `${path}/${ANNOTATION_PROBE.replaceAll('/', '~1')}`, value: PROBE_ANSWER }
}
