/** What ECI lists of a cluster, and when that can be relied upon. */
import { type SeenVirtualNode, VISIBLE_WITHIN_MS } from '../core/vnode/registration.ts'
import { isRetryable } from '../eci/advice.ts'
import { EciError } from '../eci/error.ts'
import { sleep } from '../kube/clock.ts'
import type { StoredRecord } from './record.ts'
import type { RegisterOptions } from './register.ts'

/** What exists of this cluster, and what is written down, wherever its tag went. */
export async function listSeen(
  { eci, clusterTag, signal, wish }: Pick<RegisterOptions, 'eci' | 'clusterTag' | 'signal' | 'wish'>,
  record: StoredRecord | undefined,
): Promise<readonly SeenVirtualNode[]> {
  const byTag = await eci.describeVirtualNodes({ tags: [clusterTag] }, { signal })
  const id = record?.virtualNodeId
  if (id === undefined || record?.regionId !== wish.regionId) return byTag
  if (byTag.some(({ virtualNodeId }) => virtualNodeId === id)) return byTag
  return [...byTag, ...(await eci.describeVirtualNodes({ virtualNodeIds: [id] }, { signal }))]
}

/**
 * The same once all is listed that was executed before the refusal. The time counts from there: whoever sent the request last, and by
 * which clock that was written down, is of no matter then.
 */
export async function listAfterRefusal(
  options: RegisterOptions,
  record: StoredRecord,
  refusal: EciError,
): Promise<readonly SeenVirtualNode[]> {
  const { clock, signal, progress } = options
  progress.say('Refused', `the earlier request: ${refusal.message}`)
  progress.say('Waiting', `whether it was executed is known in ${VISIBLE_WITHIN_MS / 1000} s`)
  await sleep(clock, VISIBLE_WITHIN_MS, signal)
  signal.throwIfAborted()
  return listSeen(options, record)
}

/** True where nothing was executed, and the same request will not be in a while either. */
export function isRefusal(error: unknown): error is EciError {
  return (
    error instanceof EciError &&
    !error.isOutcomeUnknown &&
    !isRetryable(error.httpStatus, error.apiCode) &&
    // The token is in use, by another run of the same request; or these credentials may not ask, which says nothing of an earlier send.
    !/Idempotent|Conflict|Processing|Forbidden|Permission|AccessKey|Signature|TimeStamp|SecurityToken|Authoriz|Deny/i.test(
      error.apiCode,
    )
  )
}
