/** What admission does with a DaemonSet. */
import { VnodeError } from '../errors.ts'
import { isSameJson } from '../kubernetes/json.ts'
import { asRecord } from '../kubernetes/objects.ts'
import { FENCE_OFF, LABEL_FENCE } from '../names.ts'
import type { AddOperation } from '../pod/patch.ts'
import type { Environment } from '../pod/placement.ts'
import { applyOperations, checkFence } from './check-fence.ts'
import { type DaemonSetFacts, daemonSetFacts, templateOf } from './daemon-set.ts'
import { fenceDaemonSet, recordRenewal } from './fence.ts'
import { type Landing, landingOf } from './landing.ts'

export interface DaemonSetEdit {
  readonly operation: 'CREATE' | 'UPDATE'
  /** The request's word counts: at CREATE the object's own may be missing. */
  readonly namespace: string
  readonly object: unknown
  /** What is stored; of an UPDATE. */
  readonly oldObject: unknown
}

export interface DaemonSetAdmission {
  readonly outcome: 'patched' | 'skipped' | 'unmatched' | 'real-nodes' | 'unchanged' | 'conflict'
  /** In words. */
  readonly reason: string
  /** `add`s only; empty unless patched. */
  readonly patch: readonly AddOperation[]
  /** The DaemonSet after the patch. */
  readonly result: DaemonSetFacts
}

const OUTCOMES = {
  'not-tolerated': 'unmatched',
  'kept-off': 'real-nodes',
  fenced: 'unchanged',
  'vnodes-only': 'conflict',
} as const satisfies Record<Exclude<Landing['code'], 'lands'>, DaemonSetAdmission['outcome']>

/**
 * A fence out of the blue would restart the daemon on every node, so an UPDATE gets one only where its template changes anyway; that of a
 * manifest without the fence that is there is such a change, and ends as no change. Feeding the result back yields no patch. Throws a
 * VnodeError where the object has a shape that no API server sends, or the result would not be what it is to be.
 */
export function admitDaemonSet(edit: DaemonSetEdit, environment: Environment): DaemonSetAdmission {
  const daemonSet = daemonSetFacts(edit.object)
  const skip = skipReason(edit, daemonSet, environment)
  if (skip !== undefined) return { outcome: 'skipped', reason: skip, patch: [], result: daemonSet }
  const { code, reason } = landingOf(daemonSet.pod, environment)
  const before = edit.operation === 'UPDATE' ? daemonSetFacts(edit.oldObject) : undefined
  if (code === 'fenced' && before !== undefined) return keepRecord(daemonSet, before, reason)
  if (code !== 'lands') return { outcome: OUTCOMES[code], reason, patch: [], result: daemonSet }
  const fenced = fenceDaemonSet(daemonSet, { by: 'admission', before })
  return {
    outcome: 'patched',
    reason,
    patch: fenced.patch,
    result: checkFence(daemonSet, fenced, environment),
  }
}

/** Whoever takes the fence away goes by the record, which an undo leaves as it is. */
function keepRecord(daemonSet: DaemonSetFacts, before: DaemonSetFacts, reason: string): DaemonSetAdmission {
  const patch = recordRenewal(daemonSet, before)
  if (patch.length === 0) return { outcome: OUTCOMES.fenced, reason, patch, result: daemonSet }
  const result = daemonSetFacts(applyOperations(daemonSet.object, patch))
  return { outcome: 'patched', reason: `${reason}; its record follows the terms`, patch, result }
}

function skipReason(
  { operation, namespace, object, oldObject }: DaemonSetEdit,
  { isOptedOut }: DaemonSetFacts,
  { settings }: Environment,
): string | undefined {
  if (namespace === settings.installNamespace) return `namespace ${namespace} is the installation's own`
  if (isOptedOut) return `it has the label ${LABEL_FENCE}=${FENCE_OFF}`
  if (operation === 'CREATE') return undefined
  if (asRecord(oldObject) === undefined)
    throw new VnodeError('BAD_REVIEW', 'the review of an UPDATE does not say what was there before')
  return isSameJson(templateOf(object), templateOf(oldObject))
    ? 'its template does not change, and a fence would restart it on every node'
    : undefined
}
