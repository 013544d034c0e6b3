/**
 * JSON Patch made of `add`s only: `add` on an existing member sets it, `replace` of a missing one or a failing `test` would make the
 * apiserver refuse the Pod even under failurePolicy Ignore (observed).
 */
import jsonPatch from 'fast-json-patch'
import { VnodeError } from '../errors.ts'
import { asRecord, asRecords, own, type Toleration } from '../kubernetes/objects.ts'
import { memoize, memoizeByObject } from '../memo.ts'
import type { Additions } from './additions.ts'

export interface AddOperation {
  readonly op: 'add'
  readonly path: string
  readonly value: unknown
}

/** The operations that add `additions` to the object, parents included. Throws a VnodeError where the object has an unexpected shape. */
export function renderPatch(object: Record<string, unknown>, additions: Additions): AddOperation[] {
  const metadata = recordAt(object, 'metadata')
  const spec = recordAt(object, 'spec')
  return [
    ...addMembers(metadata, ANNOTATIONS, additions.annotations),
    ...addMembers(metadata, LABELS, additions.labels),
    ...addMembers(spec, NODE_SELECTOR, additions.nodeSelector),
    ...addTolerations(spec, additions),
    ...addPreference(spec, additions),
  ]
}

function recordAt(object: Record<string, unknown>, key: string): Record<string, unknown> {
  const record = asRecord(object[key])
  if (record === undefined) throw unexpected(`/${key}`, 'an object')
  return record
}

function add(path: string, value: unknown): AddOperation {
  return { op: 'add', path, value }
}

function unexpected(path: string, wanted: string): VnodeError {
  return new VnodeError('BAD_REVIEW', `the Pod's ${path} is not ${wanted}`)
}

// Rules add the same to Pod after Pod, so the operations for it are made once and shared by all patches that have them.

/** A map of the Pod that is added to, and how entries are added to it. */
interface MapPlace {
  readonly key: string
  readonly path: string
  readonly pathOf: (name: string) => string
  readonly operationsFor: (entries: ReadonlyMap<string, string>) => MapOperations
}

interface MapOperations {
  /** For a Pod that has no such map. */
  readonly whole: readonly AddOperation[]
  /** One for each entry. */
  readonly single: readonly AddOperation[]
}

const ANNOTATIONS = mapPlace('/metadata', 'annotations')
const LABELS = mapPlace('/metadata', 'labels')
const NODE_SELECTOR = mapPlace('/spec', 'nodeSelector')

function mapPlace(parent: string, key: string): MapPlace {
  const path = `${parent}/${key}`
  const pathOf = (name: string) => `${path}/${jsonPatch.escapePathComponent(name)}`
  const operationsFor = memoizeByObject((entries: ReadonlyMap<string, string>) => ({
    whole: [add(path, Object.fromEntries(entries))],
    single: [...entries].map(([name, value]) => add(pathOf(name), value)),
  }))
  return { key, path, pathOf, operationsFor }
}

/**
 * A single `add` of the whole map where there is none, else one `add` a member, so that the author's stay. A member that is no string
 * was not seen when the additions were chosen: nothing may be put over it.
 */
function addMembers(
  parent: Record<string, unknown>,
  { key, path, pathOf, operationsFor }: MapPlace,
  entries: ReadonlyMap<string, string>,
): readonly AddOperation[] {
  if (entries.size === 0) return []
  const present = parent[key]
  if (present === undefined || present === null) return operationsFor(entries).whole
  const members = asRecord(present)
  if (members === undefined) throw unexpected(path, 'an object')
  for (const name of entries.keys())
    if (Object.hasOwn(members, name) && typeof members[name] !== 'string')
      throw unexpected(pathOf(name), 'a string')
  return operationsFor(entries).single
}

function addTolerations(
  spec: Record<string, unknown>,
  { toleration, awayTolerations, awaySeconds }: Additions,
): readonly AddOperation[] {
  if (toleration === undefined && awayTolerations.length === 0) return []
  const present = spec.tolerations
  const added = toleration === undefined ? NO_TOLERATION : additionsOfToleration(toleration)
  if (present === undefined || present === null) return added.whole
  // Indexes count only if every member was an object when they were taken.
  if (!Array.isArray(present) || asRecords(present).length !== present.length)
    throw unexpected('/spec/tolerations', 'a list of objects')
  const lengthened = awayTolerations.map(index => lengthening(`${index} ${awaySeconds}`))
  return [...lengthened, ...added.single]
}

const NO_TOLERATION: MapOperations = { whole: [add('/spec/tolerations', [])], single: [] }

const additionsOfToleration = memoizeByObject(
  (toleration: Toleration): MapOperations => ({
    whole: [add('/spec/tolerations', [toleration])],
    single: [add('/spec/tolerations/-', toleration)],
  }),
)

/** Takes the index of a toleration and its new seconds. */
const lengthening = memoize((text: string): AddOperation => {
  const [index, seconds] = text.split(' ')
  return add(`/spec/tolerations/${index}/tolerationSeconds`, Number(seconds))
})

export const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution'

function addPreference(spec: Record<string, unknown>, { preferredTerm }: Additions): AddOperation[] {
  if (preferredTerm === undefined) return []
  let value: unknown = [preferredTerm]
  const added = (path: string): AddOperation[] => [add(path, value)]
  const affinity = childOf(spec, 'affinity', '/spec/affinity')
  const nodeAffinity = childOf(affinity, 'nodeAffinity', '/spec/affinity/nodeAffinity')
  const terms = nodeAffinity?.[PREFERRED]
  if (Array.isArray(terms)) {
    value = preferredTerm
    return added(`/spec/affinity/nodeAffinity/${PREFERRED}/-`)
  }
  if (terms !== undefined && terms !== null)
    throw unexpected(`/spec/affinity/nodeAffinity/${PREFERRED}`, 'a list')
  if (nodeAffinity !== undefined) return added(`/spec/affinity/nodeAffinity/${PREFERRED}`)
  value = { [PREFERRED]: value }
  if (affinity !== undefined) return added('/spec/affinity/nodeAffinity')
  value = { nodeAffinity: value }
  return added('/spec/affinity')
}

function childOf(
  parent: Record<string, unknown> | undefined,
  key: string,
  path: string,
): Record<string, unknown> | undefined {
  const value = parent?.[key]
  if (value === undefined || value === null) return undefined
  const record = asRecord(value)
  if (record === undefined) throw unexpected(path, 'an object')
  return record
}

/**
 * The object after the patch. The given one is left as it is: only the parts that {@link renderPatch} can reach are copied, since a
 * deep copy of a whole Pod would cost more than everything else in a request. Throws a VnodeError where the patch does not apply.
 */
export function applyPatch(
  object: Record<string, unknown>,
  patch: readonly AddOperation[],
): Record<string, unknown> {
  const copy = editableCopy(object)
  let parent: unknown = copy
  let parentPath = ''
  for (const operation of patch) {
    const pointer = parsePointer(operation.path)
    // What is added to one map comes one after the other.
    if (pointer.parentPath !== parentPath) parent = pointer.parents.reduce(memberOf, copy)
    parentPath = pointer.parentPath
    addTo(parent, pointer, operation)
  }
  return copy
}

interface Pointer {
  readonly parents: readonly string[]
  /** The same as text. */
  readonly parentPath: string
  /** Absent in the empty pointer, which means the whole. */
  readonly last: string | undefined
  /** `last` as a place in a list; NaN if it is none. */
  readonly index: number
}

const parsePointer = memoize((path: string): Pointer => {
  const [, ...keys] = path.split('/').map(key => jsonPatch.unescapePathComponent(key))
  const last = keys.at(-1)
  const index = /^(?:0|[1-9]\d*)$/.test(last ?? '') ? Number(last) : Number.NaN
  return { parents: keys.slice(0, -1), parentPath: path.slice(0, path.lastIndexOf('/')), last, index }
})

/** The item of a list or the own member of an object; undefined if there is none. */
export function memberOf(parent: unknown, key: string): unknown {
  if (Array.isArray(parent)) return parent[Number(key)]
  return own(asRecord(parent), key)
}

/** What RFC 6902 says of `add`; a library for all of it takes several times as long. */
function addTo(parent: unknown, { last, index }: Pointer, operation: AddOperation): void {
  // A copy, as later operations may add to what earlier ones put there.
  const value = copyOf(operation.value)
  const record = asRecord(parent)
  if (last === undefined || last === '__proto__') throw inapplicable(operation)
  if (Array.isArray(parent)) {
    const at = last === '-' ? parent.length : index
    if (Number.isNaN(at) || at > parent.length) throw inapplicable(operation)
    parent.splice(at, 0, value)
  } else if (record === undefined) throw inapplicable(operation)
  else record[last] = value
}

function inapplicable({ path }: AddOperation): VnodeError {
  return new VnodeError('INTERNAL', `a patch does not apply: there is nothing to add ${path} to`)
}

/** A deep copy of a JSON value; structuredClone takes several times as long. */
function copyOf(value: unknown): unknown {
  if (typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(copyOf)
  const record = asRecord(value)
  if (record === undefined) return value
  const copy = { ...record }
  for (const key of Object.keys(copy)) if (typeof copy[key] === 'object') copy[key] = copyOf(copy[key])
  return copy
}

function editableCopy(object: Record<string, unknown>): Record<string, unknown> {
  const copy = { ...object }
  const metadata = copyMember(copy, 'metadata')
  if (metadata !== undefined) for (const key of ['annotations', 'labels']) copyMember(metadata, key)
  const spec = copyMember(copy, 'spec')
  if (spec === undefined) return copy
  copyMember(spec, 'nodeSelector')
  if (Array.isArray(spec.tolerations)) {
    spec.tolerations = spec.tolerations.map((one: unknown) => (asRecord(one) ? { ...asRecord(one) } : one))
  }
  const affinity = copyMember(spec, 'affinity')
  const nodeAffinity = affinity === undefined ? undefined : copyMember(affinity, 'nodeAffinity')
  if (Array.isArray(nodeAffinity?.[PREFERRED])) nodeAffinity[PREFERRED] = [...nodeAffinity[PREFERRED]]
  return copy
}

/** Replaces an object member by its shallow copy and returns that. */
function copyMember(parent: Record<string, unknown>, key: string): Record<string, unknown> | undefined {
  const member = asRecord(parent[key])
  if (member === undefined) return undefined
  const copy = { ...member }
  parent[key] = copy
  return copy
}

/** The patch as an AdmissionReview carries it: JSON, in UTF-8, in base64. Spaces may follow an operation. */
export function patchToBase64(patch: readonly AddOperation[]): string {
  if (patch.length === 0) return base64('[]')
  let text = ''
  for (const [index, operation] of patch.entries()) {
    const { first, later } = pieces(operation)
    text += index === 0 ? first : later
  }
  return text + END
}

const END = base64(']')

/**
 * An operation in base64 with what stands before it. Three bytes become four characters, so pieces whose lengths are multiples of three
 * can be put one behind the other, and those of the operations that patches share are made once.
 */
const pieces = memoizeByObject((operation: AddOperation) => {
  const text = JSON.stringify(operation)
  const padding = ' '.repeat((3 - ((Buffer.byteLength(text) + 1) % 3)) % 3)
  return { first: base64(`[${text}${padding}`), later: base64(`,${text}${padding}`) }
})

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
