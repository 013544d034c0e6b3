/**
 * JSON Patch made of `add`s only: `add` on an existing member sets it, `replace` of a missing one or a failing `test` would make the
 * apiserver refuse the Pod even under failurePolicy Ignore (observed).
 */
import jsonPatch from 'fast-json-patch'
import { VnodeError } from '../errors.ts'
import { asRecord, asRecords, own } from '../kubernetes/objects.ts'
import { memoize } from '../memo.ts'
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

function unexpected(path: string, wanted: string): VnodeError {
  return new VnodeError('BAD_REVIEW', `the Pod's ${path} is not ${wanted}`)
}

/** A map of the Pod that is added to, and the paths of its members: rules add the same keys to every Pod. */
interface MapPlace {
  readonly key: string
  readonly path: string
  readonly pathOf: (name: string) => string
}

const ANNOTATIONS = mapPlace('/metadata', 'annotations')
const LABELS = mapPlace('/metadata', 'labels')
const NODE_SELECTOR = mapPlace('/spec', 'nodeSelector')

function mapPlace(parent: string, key: string): MapPlace {
  const path = `${parent}/${key}`
  return { key, path, pathOf: memoize(name => `${path}/${jsonPatch.escapePathComponent(name)}`) }
}

/**
 * A single `add` of the whole map where there is none, else one `add` a member, so that the author's stay. A member that is no string
 * was not seen when the additions were chosen: nothing may be put over it.
 */
function addMembers(
  parent: Record<string, unknown>,
  { key, path, pathOf }: MapPlace,
  entries: ReadonlyMap<string, string>,
): AddOperation[] {
  if (entries.size === 0) return []
  const present = parent[key]
  if (present === undefined || present === null)
    return [{ op: 'add', path, value: Object.fromEntries(entries) }]
  const members = asRecord(present)
  if (members === undefined) throw unexpected(path, 'an object')
  return [...entries].map(([name, value]) => {
    if (Object.hasOwn(members, name) && typeof members[name] !== 'string')
      throw unexpected(pathOf(name), 'a string')
    return { op: 'add', path: pathOf(name), value }
  })
}

function addTolerations(spec: Record<string, unknown>, additions: Additions): AddOperation[] {
  const { toleration, awayTolerations, awaySeconds } = additions
  const added = toleration === undefined ? [] : [toleration]
  if (added.length + awayTolerations.length === 0) return []
  const present = spec.tolerations
  const lengthened = awayTolerations.map(
    (index): AddOperation => ({
      op: 'add',
      path: `/spec/tolerations/${index}/tolerationSeconds`,
      value: awaySeconds,
    }),
  )
  if (present === undefined || present === null) {
    return [{ op: 'add', path: '/spec/tolerations', value: added }]
  }
  // Indexes count only if every member was an object when they were taken.
  if (!Array.isArray(present) || asRecords(present).length !== present.length)
    throw unexpected('/spec/tolerations', 'a list of objects')
  return [
    ...lengthened,
    ...added.map((value): AddOperation => ({ op: 'add', path: '/spec/tolerations/-', value })),
  ]
}

export const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution'

function addPreference(spec: Record<string, unknown>, { preferredTerm }: Additions): AddOperation[] {
  if (preferredTerm === undefined) return []
  let value: unknown = [preferredTerm]
  const add = (path: string): AddOperation[] => [{ op: 'add', path, value }]
  const affinity = childOf(spec, 'affinity', '/spec/affinity')
  const nodeAffinity = childOf(affinity, 'nodeAffinity', '/spec/affinity/nodeAffinity')
  const terms = nodeAffinity?.[PREFERRED]
  if (Array.isArray(terms)) {
    value = preferredTerm
    return add(`/spec/affinity/nodeAffinity/${PREFERRED}/-`)
  }
  if (terms !== undefined && terms !== null)
    throw unexpected(`/spec/affinity/nodeAffinity/${PREFERRED}`, 'a list')
  if (nodeAffinity !== undefined) return add(`/spec/affinity/nodeAffinity/${PREFERRED}`)
  value = { [PREFERRED]: value }
  if (affinity !== undefined) return add('/spec/affinity/nodeAffinity')
  value = { nodeAffinity: value }
  return add('/spec/affinity')
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
  for (const operation of patch) applyAdd(copy, operation)
  return copy
}

/** What RFC 6902 says of `add`; a library for all of it takes several times as long. */
function applyAdd(copy: Record<string, unknown>, { path, value }: AddOperation): void {
  const { parents, last } = parsePointer(path)
  let parent: unknown = copy
  for (const key of parents) parent = memberOf(parent, key)
  // A copy, as later operations may add to what earlier ones put there.
  const added = copyOf(value)
  const record = asRecord(parent)
  if (last === undefined || last === '__proto__') throw inapplicable(path)
  if (Array.isArray(parent)) insert(parent, { path, last, value: added })
  else if (record === undefined) throw inapplicable(path)
  else record[last] = added
}

interface Pointer {
  readonly parents: readonly string[]
  /** Absent in the empty pointer, which means the whole. */
  readonly last: string | undefined
}

const parsePointer = memoize((path: string): Pointer => {
  const [, ...keys] = path.split('/').map(key => jsonPatch.unescapePathComponent(key))
  return { parents: keys.slice(0, -1), last: keys.at(-1) }
})

function memberOf(parent: unknown, key: string): unknown {
  if (Array.isArray(parent)) return parent[Number(key)]
  return own(asRecord(parent), key)
}

function insert(
  list: unknown[],
  { path, last, value }: { path: string; last: string; value: unknown },
): void {
  const index = last === '-' ? list.length : Number(last)
  if (!/^(?:-|0|[1-9]\d*)$/.test(last) || index > list.length) throw inapplicable(path)
  list.splice(index, 0, value)
}

function inapplicable(path: string): VnodeError {
  return new VnodeError('INTERNAL', `a patch does not apply: there is nothing to add ${path} to`)
}

/** A deep copy of a JSON value; structuredClone takes several times as long. */
function copyOf(value: unknown): unknown {
  if (typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(copyOf)
  const record = asRecord(value)
  if (record === undefined) return value
  return Object.fromEntries(Object.entries(record).map(([key, member]) => [key, copyOf(member)]))
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
