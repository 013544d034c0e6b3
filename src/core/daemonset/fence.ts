/**
 * The fence: `type NotIn [virtual-kubelet]`, ANDed into every term of the required node affinity. Terms are ORed: one more of them would
 * widen the set of nodes, and one without the expression would leave a way in. An empty term selects no node, and with the expression it
 * would select all real ones, so it stays empty.
 */
import jsonPatch from 'fast-json-patch'
import { VnodeError } from '../errors.ts'
import { isSameJson } from '../kubernetes/json.ts'
import { annotationsSize, MAX_ANNOTATIONS_BYTES } from '../kubernetes/names.ts'
import { asRecord, asRecords, type NodeSelectorTerm } from '../kubernetes/objects.ts'
import { ANNOTATION_FENCE, VNODE_TYPE_LABEL, VNODE_TYPE_VALUE } from '../names.ts'
import type { PodFacts } from '../pod/facts.ts'
import { type NodeRequirement, requirementsOf } from '../pod/node-requirement.ts'
import type { AddOperation } from '../pod/patch.ts'
import { type DaemonSetFacts, templateOf } from './daemon-set.ts'
import { type FencedBy, type FenceRecord, recordOf, renderRecord } from './fence-record.ts'

export const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution'
export const AFFINITY_PATH = '/spec/template/spec/affinity'
export const TERMS_PATH = `${AFFINITY_PATH}/nodeAffinity/${REQUIRED}/nodeSelectorTerms`
export const RECORD_PATH = `/metadata/annotations/${jsonPatch.escapePathComponent(ANNOTATION_FENCE)}`

const FENCE = { key: VNODE_TYPE_LABEL, operator: 'NotIn', values: [VNODE_TYPE_VALUE] } as const

/** Is the expression in every term that selects any node? */
export function isFenced({ requiredTerms = [] }: PodFacts): boolean {
  const live = requiredTerms.filter(isLive)
  return live.length > 0 && live.every(term => requirementsOf(term.matchExpressions).some(keepsOff))
}

/** A term without a requirement selects no node. */
function isLive(term: NodeSelectorTerm): boolean {
  return requirementsOf(term.matchExpressions).length + requirementsOf(term.matchFields).length > 0
}

function keepsOff({ key, operator, values }: NodeRequirement): boolean {
  return key === VNODE_TYPE_LABEL && operator === 'NotIn' && values.includes(VNODE_TYPE_VALUE)
}

/** Indexes of the terms that have the expression, ours or another like it. */
export function fencedTerms({ requiredTerms = [] }: PodFacts): readonly number[] {
  return requiredTerms.flatMap((term, index) =>
    requirementsOf(term.matchExpressions).some(keepsOff) ? [index] : [],
  )
}

/** Where in the term the expression is that we would add, letter for letter; -1 where it is not. */
export function indexOfFence(term: unknown): number {
  const { matchExpressions } = asRecord(term) ?? {}
  return Array.isArray(matchExpressions) ? matchExpressions.findLastIndex(one => isSameJson(one, FENCE)) : -1
}

export interface Fenced {
  /** `add`s only; empty where every term has the expression already. */
  readonly patch: readonly AddOperation[]
  /** What this patch adds, and what of the DaemonSet was ours before. */
  readonly record: FenceRecord
  /** What this patch adds. */
  readonly added: FenceRecord
  /** False where the annotations have no room for the record of what this patch adds. */
  readonly isRecorded: boolean
}

export interface FenceOptions {
  readonly by: FencedBy
  /** The DaemonSet that the API server has, where this one is an edit of it: what is ours in it, is ours in this one. */
  readonly before?: DaemonSetFacts | undefined
}

/**
 * What to add to a DaemonSet that lands on VNodes, the record included, unless the annotations have no room for it. Throws a VnodeError
 * where the object has a shape that no API server sends.
 */
export function fenceDaemonSet(daemonSet: DaemonSetFacts, { by, before }: FenceOptions): Fenced {
  const { adds, terms, created } = additionsTo(templateSpecOf(daemonSet))
  const carried = before === undefined ? undefined : carriedOf(daemonSet, before)
  const outermost = created ?? carried?.created
  const all = [...new Set([...(carried?.terms ?? []), ...terms])].sort((a, b) => a - b)
  const added: FenceRecord = { by, terms, ...(created === undefined ? {} : { created }) }
  // Admission that puts it up again keeps what somebody asked for by hand.
  const first = before !== undefined && carriedOf(before, before)?.by === 'command' ? 'command' : by
  const record: FenceRecord = {
    by: first,
    terms: all,
    ...(outermost === undefined ? {} : { created: outermost }),
  }
  if (adds.length === 0) return { patch: [], record, added, isRecorded: true }
  const records = recordAdds(daemonSet, renderRecord(record))
  return { patch: [...adds, ...records], record, added, isRecorded: records.length > 0 }
}

interface Additions extends Pick<FenceRecord, 'created' | 'terms'> {
  readonly adds: readonly AddOperation[]
}

function templateSpecOf({ object }: DaemonSetFacts): Record<string, unknown> {
  const spec = asRecord(templateOf(object)?.spec)
  if (spec === undefined) throw unexpected('/spec/template/spec', 'an object')
  return spec
}

function additionsTo(spec: Record<string, unknown>): Additions {
  const made = { nodeSelectorTerms: [{ matchExpressions: [FENCE] }] }
  const add = (path: string, value: unknown, created?: FenceRecord['created']): Additions => ({
    adds: [{ op: 'add', path, value }],
    terms: [0],
    ...(created === undefined ? {} : { created }),
  })
  const affinity = memberOf(spec, 'affinity', AFFINITY_PATH)
  if (affinity === undefined) return add(AFFINITY_PATH, { nodeAffinity: { [REQUIRED]: made } }, 'affinity')
  const path = `${AFFINITY_PATH}/nodeAffinity`
  const nodeAffinity = memberOf(affinity, 'nodeAffinity', path)
  if (nodeAffinity === undefined) return add(path, { [REQUIRED]: made }, 'nodeAffinity')
  const required = memberOf(nodeAffinity, REQUIRED, `${path}/${REQUIRED}`)
  if (required === undefined) return add(`${path}/${REQUIRED}`, made)
  return termAdditions(required.nodeSelectorTerms)
}

function termAdditions(terms: unknown): Additions {
  // Indexes count only if every member was an object when they were taken.
  if (!Array.isArray(terms) || asRecords(terms).length !== terms.length)
    throw unexpected(TERMS_PATH, 'a list of objects')
  const open = asRecords(terms).flatMap((term, index) =>
    isLive(term) && !requirementsOf(term.matchExpressions).some(keepsOff) ? [{ term, index }] : [],
  )
  const adds = open.map(({ term, index }): AddOperation => {
    const path = `${TERMS_PATH}/${index}/matchExpressions`
    const expressions = term.matchExpressions ?? undefined
    if (expressions === undefined) return { op: 'add', path, value: [FENCE] }
    if (!Array.isArray(expressions)) throw unexpected(path, 'a list')
    return { op: 'add', path: `${path}/-`, value: FENCE }
  })
  return { adds, terms: open.map(({ index }) => index) }
}

function memberOf(
  parent: Record<string, unknown>,
  key: string,
  path: string,
): Record<string, unknown> | undefined {
  const value = parent[key] ?? undefined
  const record = asRecord(value)
  if (value !== undefined && record === undefined) throw unexpected(path, 'an object')
  return record
}

function unexpected(path: string, wanted: string): VnodeError {
  return new VnodeError('BAD_REVIEW', `the DaemonSet's ${path} is not ${wanted}`)
}

/** Of what the record says of the stored DaemonSet, what this edit of it has still got. */
function carriedOf(
  { pod: { requiredTerms = [] } }: DaemonSetFacts,
  before: DaemonSetFacts,
): FenceRecord | undefined {
  const record = recordOf(before)
  const stored = before.pod.requiredTerms ?? []
  if (record === undefined) return undefined
  const ours = record.terms.flatMap(index => stored[index] ?? [])
  const has = (terms: readonly unknown[], one: unknown) => terms.some(other => isSameJson(other, one))
  /** In its place, and neither is found elsewhere: no term of ours that has moved, and no other's that has. */
  const isEdited = (term: unknown, index: number) =>
    record.terms.includes(index) &&
    stored.length === requiredTerms.length &&
    !has(stored, term) &&
    !has(requiredTerms, stored[index])
  const terms = requiredTerms.flatMap((term, index) =>
    indexOfFence(term) >= 0 && (has(ours, term) || isEdited(term, index)) ? [index] : [],
  )
  return terms.length === 0 ? undefined : { ...record, terms }
}

/**
 * What lets the record follow an edit that keeps the fence and moves terms about, as an undo does; nothing where it says so already, or is
 * the edit's own. With no term of ours left it names none: an `add` takes nothing away.
 */
export function recordRenewal(daemonSet: DaemonSetFacts, before: DaemonSetFacts): readonly AddOperation[] {
  const record = recordOf(before)
  const isOwn = daemonSet.annotations.get(ANNOTATION_FENCE) !== before.annotations.get(ANNOTATION_FENCE)
  if (record === undefined || isOwn) return []
  const renewed = carriedOf(daemonSet, before) ?? { by: record.by, terms: [] }
  return isSameJson(renewed, record) ? [] : recordAdds(daemonSet, renderRecord(renewed))
}

function recordAdds({ object, annotations }: DaemonSetFacts, text: string): AddOperation[] {
  const others = [...annotations].filter(([key]) => key !== ANNOTATION_FENCE)
  // One byte more, and the API server would refuse the DaemonSet.
  if (annotationsSize([...others, [ANNOTATION_FENCE, text]]) > MAX_ANNOTATIONS_BYTES) return []
  const metadata = asRecord(object.metadata)
  if (metadata === undefined) throw unexpected('/metadata', 'an object')
  if (memberOf(metadata, 'annotations', '/metadata/annotations') === undefined)
    return [{ op: 'add', path: '/metadata/annotations', value: { [ANNOTATION_FENCE]: text } }]
  return [{ op: 'add', path: RECORD_PATH, value: text }]
}
