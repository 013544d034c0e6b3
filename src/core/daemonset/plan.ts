/** What a person's command does to a DaemonSet of the cluster: decided from what is stored, before anything is sent. */
import jsonPatch, { type Operation } from 'fast-json-patch'
import { asRecord, asString } from '../kubernetes/objects.ts'
import { FENCE_OFF, LABEL_FENCE } from '../names.ts'
import type { Environment } from '../pod/placement.ts'
import { applyOperations, checkFence } from './check-fence.ts'
import { type DaemonSetFacts, daemonSetFacts } from './daemon-set.ts'
import { fenceDaemonSet, fencedTerms } from './fence.ts'
import { type Landing, landingOf } from './landing.ts'
import { unfenceDaemonSet } from './unfence.ts'

export type LeftCode = Exclude<Landing['code'], 'lands'> | 'opted-out' | 'not-ours' | 'record-mismatch'

export interface PlannedChange {
  readonly kind: 'change'
  /** `opted-in`: the label that opted out is removed, and nothing else. */
  readonly outcome: 'fenced' | 'unfenced' | 'opted-in'
  /** Fails with 409 if the DaemonSet is another by then, or with 422 where it does not apply to what that has become. */
  readonly patch: readonly Operation[]
  readonly result: DaemonSetFacts
  /** Sentences about what the change does not do, for whoever asked for it. */
  readonly notes: readonly string[]
}

export type DaemonSetPlan =
  | { readonly kind: 'leave'; readonly code: LeftCode; readonly reason: string }
  | PlannedChange

export interface FencePlanOptions {
  readonly environment: Environment
  /** Fence also one that is opted out by its label, which is removed whether there is anything to fence or not. */
  readonly optIn?: boolean
}

/** Throws a VnodeError where {@link fenceDaemonSet} or {@link checkFence} does. */
export function planFence(
  daemonSet: DaemonSetFacts,
  { environment, optIn: isOptIn = false }: FencePlanOptions,
): DaemonSetPlan {
  const { isOptedOut, pod } = daemonSet
  if (isOptedOut && !isOptIn) return leave('opted-out', `it has the label ${LABEL_FENCE}=${FENCE_OFF}`)
  const { code, reason } = landingOf(pod, environment)
  const optIn = isOptedOut ? [{ op: 'remove', path: LABEL_PATH } as const] : []
  if (code !== 'lands') {
    if (!isOptedOut) return leave(code, reason)
    return change(daemonSet, { outcome: 'opted-in', notes: [`No fence is put up: ${reason}.`] }, optIn)
  }
  const fenced = fenceDaemonSet(daemonSet, { by: 'command', before: daemonSet })
  checkFence(daemonSet, fenced, environment)
  const notes = fenced.isRecorded ? [] : [UNRECORDED]
  return change(daemonSet, { outcome: 'fenced', notes }, [...fenced.patch, ...optIn])
}

const UNRECORDED = `Its annotations are full, so that what was added is not recorded, and unfence cannot take it away: to undo it, take the expression out by hand and set the label ${LABEL_FENCE}=${FENCE_OFF} in the same step.`

/** Takes our fence away and opts out in the same step, or admission would put it up again with the next change of the template. */
export function planUnfence(daemonSet: DaemonSetFacts): DaemonSetPlan {
  const undone = unfenceDaemonSet(daemonSet)
  if (undone.code === 'not-ours') return leave('not-ours', 'no fence of ours is recorded on it')
  if (undone.code === 'record-mismatch') {
    const terms = undone.terms.join(', ')
    return leave(
      'record-mismatch',
      `its record names term ${terms}, which has no such expression any more: take it away by hand`,
    )
  }
  const changed = change(daemonSet, { outcome: 'unfenced', notes: [] }, [...undone.patch, optOut(daemonSet)])
  return { ...changed, notes: keptNotes(changed.result) }
}

function keptNotes({ pod }: DaemonSetFacts): readonly string[] {
  const terms = fencedTerms(pod)
  if (terms.length === 0) return []
  const keeper = 'an expression that is not recorded as ours'
  return [
    `Its required node affinity still keeps off VNodes in term ${terms.join(', ')}, by ${keeper}: if nobody wrote it, take it away by hand.`,
  ]
}

const LABEL_PATH = `/metadata/labels/${jsonPatch.escapePathComponent(LABEL_FENCE)}`

function optOut({ object }: DaemonSetFacts): Operation {
  const hasLabels = asRecord(asRecord(object.metadata)?.labels) !== undefined
  return hasLabels
    ? { op: 'add', path: LABEL_PATH, value: FENCE_OFF }
    : { op: 'add', path: '/metadata/labels', value: { [LABEL_FENCE]: FENCE_OFF } }
}

function leave(code: LeftCode, reason: string): DaemonSetPlan {
  return { kind: 'leave', code, reason }
}

function change(
  daemonSet: DaemonSetFacts,
  told: Pick<PlannedChange, 'outcome' | 'notes'>,
  operations: readonly Operation[],
): PlannedChange {
  const version = asString(asRecord(daemonSet.object.metadata)?.resourceVersion)
  const patch: Operation[] = [
    { op: 'replace', path: '/metadata/resourceVersion', value: version },
    ...operations,
  ]
  const result = daemonSetFacts(applyOperations(daemonSet.object, operations))
  return { kind: 'change', ...told, patch, result }
}
