/**
 * The last look at a patch before it leaves. The apiserver refuses a Pod whose patch does not apply or makes it invalid, whatever the
 * failure policy (observed: 422 and 500), so one that is in doubt must not be sent, whatever made it.
 */
import { effectAnnotationRefusal, effectLabelRefusal } from '../eci/effect-keys.ts'
import { VnodeError } from '../errors.ts'
import {
  annotationKeyProblem,
  deletionCostProblem,
  labelKeyProblem,
  labelValueProblem,
  MAX_ANNOTATIONS_BYTES,
} from '../kubernetes/names.ts'
import { asArray, asRecord, own } from '../kubernetes/objects.ts'
import { memoize, memoizeByObject } from '../memo.ts'
import { ANNOTATION_DELETION_COST, OWN_PREFIX } from '../names.ts'
import { labelsOf } from '../selector/requirement.ts'
import { REAL_NODES_FIRST } from './additions.ts'
import { checkResult } from './mutate.ts'
import { type AddOperation, applyPatch, PREFERRED } from './patch.ts'

/** All that a patch of ours may add to; {@link applyPatch} copies no other part of the Pod. */
const REACH = new RegExp(
  [
    '^/metadata/(?:annotations|labels)(?:/[^/]+)?$',
    '^/spec/nodeSelector(?:/[^/]+)?$',
    '^/spec/tolerations(?:/-|/\\d+/tolerationSeconds)?$',
    `^/spec/affinity(?:/nodeAffinity(?:/${PREFERRED}(?:/-)?)?)?$`,
  ].join('|'),
)

const reachProblem = memoizeByObject(({ op, path }: AddOperation) =>
  op === 'add' && REACH.test(path) ? undefined : `it has ${op} ${path}, which no patch of ours has`,
)

/**
 * Throws a VnodeError unless the patch applies to the Pod, only adds to it, and adds only what the apiserver takes. What the Pod's
 * author wrote himself is the apiserver's business.
 */
export function checkPatch(object: unknown, patch: readonly AddOperation[]): void {
  for (const operation of patch) {
    const problem = reachProblem(operation)
    if (problem !== undefined) throw fault(problem)
  }
  const before = asRecord(object) ?? {}
  const after = applyPatch(before, patch)
  const [metadata, spec] = [asRecord(before.metadata), asRecord(before.spec)]
  const [newMetadata, newSpec] = [asRecord(after.metadata), asRecord(after.spec)]
  checkEntries('annotations', annotationProblem, metadata, newMetadata)
  checkEntries('labels', labelProblem, metadata, newMetadata)
  checkEntries('nodeSelector', nodeSelectorProblem, spec, newSpec)
  checkSize(metadata?.annotations, newMetadata?.annotations)
  checkTolerations(asArray(spec?.tolerations), newSpec)
  if (patch.some(({ path }) => path.startsWith('/spec/affinity'))) checkAffinity(spec, newSpec)
}

/** By lengths alone first, as for most Pods these will do. */
function checkSize(before: unknown, after: unknown): void {
  let units = 0
  for (const [key, value] of Object.entries(asRecord(after) ?? {})) units += key.length + String(value).length
  if (units * 3 > MAX_ANNOTATIONS_BYTES)
    checkResult({ annotations: labelsOf(before) }, { annotations: labelsOf(after) })
}

function fault(message: string): VnodeError {
  return new VnodeError('INTERNAL', `a patch was not sent: ${message}`)
}

type Entries = Record<string, unknown> | undefined
type EntryProblem = (key: string, value: string) => string | undefined

function recordAt(parent: Entries, key: string): Entries {
  const value = parent?.[key] ?? undefined
  const record = asRecord(value)
  if (value !== undefined && record === undefined) throw fault(`the ${key} would be no object`)
  return record
}

function listAt(parent: Entries, key: string): readonly unknown[] {
  const value = parent?.[key] ?? []
  if (!Array.isArray(value)) throw fault(`the ${key} would be no list`)
  return value
}

/** The author's entries are all there, and the others are valid. Marks of ours are output only, and may replace what was forged. */
function checkEntries(name: string, problemOf: EntryProblem, before: Entries, after: Entries): void {
  const was = asRecord(before?.[name]) ?? {}
  const is = recordAt(after, name) ?? {}
  for (const key of Object.keys(was))
    if (!Object.hasOwn(is, key)) throw fault(`it takes ${key} away from the ${name}`)
  for (const key of Object.keys(is)) {
    const value = is[key]
    if (value === own(was, key)) continue
    if (Object.hasOwn(was, key) && !key.startsWith(OWN_PREFIX))
      throw fault(`it replaces ${key} in the ${name}`)
    if (typeof value !== 'string') throw fault(`${key} in the ${name} is not a string`)
    const problem = problemOf(key, value)
    if (problem !== undefined) throw fault(`${key} in the ${name}: ${problem}`)
  }
}

function annotationProblem(key: string, value: string): string | undefined {
  return (
    addedAnnotationProblem(key) ?? (key === ANNOTATION_DELETION_COST ? deletionCostProblem(value) : undefined)
  )
}

function labelProblem(key: string, value: string): string | undefined {
  return addedLabelProblem(key) ?? addedValueProblem(value)
}

function nodeSelectorProblem(key: string, value: string): string | undefined {
  return addedSelectorProblem(key) ?? addedValueProblem(value)
}

// What is added comes from the rules and settings, and is the same for every Pod.
const addedAnnotationProblem = memoize(
  (key: string) =>
    annotationKeyProblem(key) ?? (key.startsWith(OWN_PREFIX) ? undefined : effectAnnotationRefusal(key)),
)
const addedLabelProblem = memoize((key: string) => labelKeyProblem(key) ?? effectLabelRefusal(key))
const addedSelectorProblem = memoize(labelKeyProblem)
const addedValueProblem = memoize(labelValueProblem)

/** Those that were there are there in the same order; only their seconds may be others. */
function checkTolerations(was: readonly unknown[], after: Entries): void {
  const is = listAt(after, 'tolerations')
  if (is.length < was.length) throw fault('it takes tolerations away')
  for (const [index, toleration] of is.entries()) {
    if (toleration === was[index]) continue
    const one = asRecord(toleration) ?? {}
    const problem =
      index < was.length ? lengthenedProblem(asRecord(was[index]) ?? {}, one) : addedProblem(one)
    if (problem !== undefined) throw fault(`toleration ${index}: ${problem}`)
  }
}

function lengthenedProblem(was: Record<string, unknown>, is: Record<string, unknown>): string | undefined {
  const { tolerationSeconds } = is
  if (!isSameBut('tolerationSeconds', was, is)) return 'it was another one'
  if (tolerationSeconds === was.tolerationSeconds) return undefined
  const isTime = typeof tolerationSeconds === 'number' && Number.isSafeInteger(tolerationSeconds)
  return isTime && is.effect === 'NoExecute' ? undefined : 'it cannot last so long'
}

const EFFECTS: readonly unknown[] = [undefined, '', 'NoSchedule', 'PreferNoSchedule', 'NoExecute']

function addedProblem({
  key,
  operator,
  value = '',
  effect,
  ...others
}: Record<string, unknown>): string | undefined {
  const [other] = Object.keys(others)
  if (other !== undefined) return `it has ${other}`
  if (typeof key !== 'string' || typeof value !== 'string')
    return 'it has no key, or a value that is no string'
  if (!EFFECTS.includes(effect)) return 'it has an effect that is none'
  if (operator === 'Exists') return value === '' ? labelKeyProblem(key) : 'it has a value'
  return operator === 'Equal' ? nodeSelectorProblem(key, value) : 'its operator is none'
}

function checkAffinity(before: Entries, after: Entries): void {
  const [was, is] = [asRecord(before?.affinity), recordAt(after, 'affinity')]
  const [wasOfNode, isOfNode] = [asRecord(was?.nodeAffinity), recordAt(is, 'nodeAffinity')]
  if (!isSameBut('nodeAffinity', was, is) || !isSameBut(PREFERRED, wasOfNode, isOfNode))
    throw fault('it changes more of the affinity than what is preferred')
  const [terms, newTerms] = [asArray(wasOfNode?.[PREFERRED]), listAt(isOfNode, PREFERRED)]
  const areKept = terms.every((term, index) => term === newTerms[index])
  const added = newTerms.slice(terms.length)
  if (!areKept || !added.every(term => JSON.stringify(term) === OUR_TERM))
    throw fault('it changes what the affinity prefers to something else')
}

const OUR_TERM = JSON.stringify(REAL_NODES_FIRST)

/** Are all members but one the very same? */
function isSameBut(key: string, was: Entries = {}, is: Entries = {}): boolean {
  const isSame = (name: string) => name === key || own(was, name) === own(is, name)
  return Object.keys(was).every(isSame) && Object.keys(is).every(isSame)
}
