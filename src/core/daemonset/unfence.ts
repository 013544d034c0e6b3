/** Takes away what a fence of ours added, and nothing else. */
import type { Operation } from 'fast-json-patch'
import { asArray, asRecord, own } from '../kubernetes/objects.ts'
import type { DaemonSetFacts } from './daemon-set.ts'
import { AFFINITY_PATH, indexOfFence, RECORD_PATH, REQUIRED, TERMS_PATH } from './fence.ts'
import { type FenceRecord, recordOf } from './fence-record.ts'

export type Unfenced =
  | { readonly code: 'not-ours' }
  /** The record says so of terms none of which has such an expression any more. */
  | { readonly code: 'record-mismatch'; readonly terms: readonly number[] }
  | { readonly code: 'unfenced'; readonly patch: readonly Operation[]; readonly record: FenceRecord }

/**
 * The operations that undo what the record says, which is the DaemonSet's own unless another one is given, as far as it is still there. Each `remove` of an expression
 * comes after a `test` for exactly it. Parents that were made for it go with their last member; those that the author has filled since,
 * stay. The annotation with the record goes last; it is none of them where the record is given.
 */
export function unfenceDaemonSet(daemonSet: DaemonSetFacts, given?: FenceRecord): Unfenced {
  const record = given ?? recordOf(daemonSet)
  if (record === undefined || record.terms.length === 0) return { code: 'not-ours' }
  const terms = asArray(valueAt(daemonSet.object, TERMS_PATH))
  const there = record.terms.filter(index => indexOfFence(terms[index]) >= 0)
  if (there.length === 0) return { code: 'record-mismatch', terms: record.terms }
  const undone = removals(daemonSet, { ...record, terms: there }, terms)
  const patch = given === undefined ? [...undone, remove(RECORD_PATH)] : undone
  return { code: 'unfenced', patch, record }
}

function removals({ object }: DaemonSetFacts, record: FenceRecord, terms: readonly unknown[]): Operation[] {
  const emptied = record.terms.filter(index => isFenceAlone(terms[index]))
  const tests = record.terms.map((index): Operation => {
    const path = expressionPath(terms, index)
    return { op: 'test', path, value: valueAt(object, path) }
  })
  if (emptied.length === terms.length) return [...tests, remove(outermostEmptied(object, record))]
  // From the end, as each removal moves what comes after it.
  const removed = record.terms.toReversed().map(index => {
    if (emptied.includes(index)) return remove(`${TERMS_PATH}/${index}`)
    const path = expressionPath(terms, index)
    const isLast = asArray(asRecord(terms[index])?.matchExpressions).length === 1
    return remove(isLast ? path.slice(0, path.lastIndexOf('/')) : path)
  })
  return [...tests, ...removed]
}

function expressionPath(terms: readonly unknown[], index: number): string {
  return `${TERMS_PATH}/${index}/matchExpressions/${indexOfFence(terms[index])}`
}

/** Would the term be empty without it, and select no node? */
function isFenceAlone(term: unknown): boolean {
  const { matchExpressions, matchFields } = asRecord(term) ?? {}
  return asArray(matchExpressions).length === 1 && asArray(matchFields).length === 0
}

/** With no term left the node selector goes, and of what is around it, what we made and nobody else uses. */
function outermostEmptied(object: Record<string, unknown>, { created }: FenceRecord): string {
  const nodeAffinityPath = `${AFFINITY_PATH}/nodeAffinity`
  const isLonely = (path: string) => Object.keys(asRecord(valueAt(object, path)) ?? {}).length === 1
  if (created === undefined || !isLonely(nodeAffinityPath)) return `${nodeAffinityPath}/${REQUIRED}`
  return created === 'affinity' && isLonely(AFFINITY_PATH) ? AFFINITY_PATH : nodeAffinityPath
}

function remove(path: string): Operation {
  return { op: 'remove', path }
}

/** Undefined where there is nothing; none of our paths needs escapes. */
function valueAt(object: Record<string, unknown>, path: string): unknown {
  let value: unknown = object
  for (const key of path.split('/').slice(1)) {
    value = Array.isArray(value) ? value[Number(key)] : own(asRecord(value), key)
  }
  return value
}
