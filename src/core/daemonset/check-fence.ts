/** The last look at a fence before it leaves: whatever made the patch, one that is in doubt is not sent. */
import jsonPatch, { type Operation } from 'fast-json-patch'
import { VnodeError } from '../errors.ts'
import { isSameJson } from '../kubernetes/json.ts'
import { asRecord } from '../kubernetes/objects.ts'
import type { Environment } from '../pod/placement.ts'
import { type DaemonSetFacts, daemonSetFacts } from './daemon-set.ts'
import { AFFINITY_PATH, type Fenced, RECORD_PATH } from './fence.ts'
import { landingOf } from './landing.ts'
import { unfenceDaemonSet } from './unfence.ts'

/** The object after the operations; the given one is left as it is. Throws a VnodeError where they do not apply. */
export function applyOperations(
  object: Record<string, unknown>,
  operations: readonly Operation[],
): Record<string, unknown> {
  try {
    return jsonPatch.applyPatch(structuredClone(object), structuredClone([...operations]), true).newDocument
  } catch (error) {
    // The library's message has the whole object in it, secrets of containers' environments included.
    const name = error instanceof Error ? error.name : 'unknown'
    throw new VnodeError('INTERNAL', `a patch does not apply: ${name}`)
  }
}

/**
 * Throws a VnodeError unless the patch only adds, keeps the DaemonSet off all VNodes, and leaves what the author wrote: taking away what it
 * added gives back what was there before. Returns the DaemonSet after the patch.
 */
export function checkFence(
  before: DaemonSetFacts,
  { patch, added }: Fenced,
  environment: Environment,
): DaemonSetFacts {
  for (const { op, path } of patch)
    if (op !== 'add' || !isWithinReach(path)) throw fault(`it has ${op} ${path}, which no fence has`)
  const after = daemonSetFacts(applyOperations(before.object, patch))
  const { code } = landingOf(after.pod, environment)
  if (code !== 'fenced') throw fault(`with it the DaemonSet would be "${code}"`)
  const undone = unfenceDaemonSet(after, added)
  if (undone.code !== 'unfenced') throw fault(`what it adds is not found again (${undone.code})`)
  const { spec } = applyOperations(after.object, undone.patch)
  if (!isSameJson(storedForm(spec), storedForm(before.object.spec)))
    throw fault('without what it adds the DaemonSet is another than before')
  return after
}

function isWithinReach(path: string): boolean {
  if (path === RECORD_PATH || path === '/metadata/annotations' || path === AFFINITY_PATH) return true
  return path.startsWith(`${AFFINITY_PATH}/nodeAffinity`)
}

function fault(message: string): VnodeError {
  return new VnodeError('INTERNAL', `a fence was not put up: ${message}`)
}

/** As the API server stores it: it keeps neither members that are null nor empty lists. */
function storedForm(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(storedForm)
  const record = asRecord(value)
  if (record === undefined) return value
  const members = Object.entries(record).filter(([, member]) => !isNothing(member))
  return Object.fromEntries(members.map(([key, member]) => [key, storedForm(member)]))
}

function isNothing(member: unknown): boolean {
  return member === null || (Array.isArray(member) && member.length === 0)
}
