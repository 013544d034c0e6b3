/**
 * The last look at a patch before it leaves. The apiserver refuses a Pod whose patch does not apply or makes it invalid, whatever the
 * failure policy (observed: 422 and 500), so one that is in doubt must not be sent, whatever made it.
 */
import { VnodeError } from '../errors.ts'
import { MAX_ANNOTATIONS_BYTES } from '../kubernetes/names.ts'
import { asRecord, own } from '../kubernetes/objects.ts'
import { labelsOf } from '../selector/requirement.ts'
import { checkResult } from './mutate.ts'
import { type Reading, readOperation } from './operation-check.ts'
import { type AddOperation, applyPatch, memberOf } from './patch.ts'

/**
 * Throws a VnodeError unless the patch applies to the Pod, only adds to it, and adds only what the apiserver takes. What the Pod's
 * author wrote himself is the apiserver's business.
 */
export function checkPatch(object: unknown, patch: readonly AddOperation[]): void {
  const added = new Map<string, unknown>()
  let annotationUnits = 0
  let parentPath = ''
  let parent: unknown = object
  for (const operation of patch) {
    const reading = readOperation(operation)
    // What is added to one map comes one after the other.
    if (reading.parentPath !== parentPath) {
      parentPath = reading.parentPath
      parent = added.get(parentPath) ?? reading.parents.reduce(memberOf, object)
    }
    const isTwice = added.has(operation.path)
    const problem =
      reading.problem ?? (isTwice ? 'it adds a whole twice' : problemOn(parent, reading, operation))
    if (problem !== undefined) throw new VnodeError('INTERNAL', `a patch was not sent: ${problem}`)
    if (reading.kind === 'member') added.set(operation.path, operation.value)
    annotationUnits += reading.annotationUnits
  }
  if (annotationUnits > 0) checkSize(asRecord(object) ?? {}, patch, annotationUnits)
}

/** Why this Pod may not get it: `parent` is where it is to be put, as the Pod or an operation before has it. */
function problemOn(
  parent: unknown,
  { kind, parents, last, mayReplace }: Reading,
  { path, value }: AddOperation,
) {
  if (kind === 'item') return Array.isArray(parent) ? undefined : `there is no list to add ${path} to`
  const record = asRecord(parent)
  if (record === undefined) return `there is nothing to add ${path} to`
  if (kind === 'seconds')
    return record.effect === 'NoExecute' ? undefined : `${path}: that toleration cannot end`
  const present = own(record, last)
  if (present === undefined || (kind === 'member' && isNothing(present))) return undefined
  if (kind === 'entry' && (present === value || (mayReplace && typeof present === 'string'))) return undefined
  return `it replaces ${last} in the ${parents.at(-1) ?? 'Pod'}`
}

function isNothing(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.length === 0)
}

/** By lengths alone first, as for most Pods these will do. */
function checkSize(object: Record<string, unknown>, patch: readonly AddOperation[], added: number): void {
  const before = labelsOf(asRecord(object.metadata)?.annotations)
  let units = added
  for (const [key, value] of before) units += key.length + value.length
  if (units * 3 <= MAX_ANNOTATIONS_BYTES) return
  const after = labelsOf(asRecord(applyPatch(object, patch).metadata)?.annotations)
  checkResult({ annotations: before }, { annotations: after })
}
