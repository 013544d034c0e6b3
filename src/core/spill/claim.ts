/** PersistentVolumeClaims as far as a spill asks: can a Pod with this one run anywhere at all? */
import { asRecord, asString } from '../kubernetes/objects.ts'

export interface ClaimState {
  readonly isBound: boolean
  /** Its volume is gone, and no other one will come. */
  readonly isLost: boolean
  readonly isDeleted: boolean
  /** Of its volume that is yet to be made; undefined if it names no class. */
  readonly storageClass?: string
}

/** Reads a claim of the API. */
export function claimState(raw: unknown): ClaimState {
  const claim = asRecord(raw)
  const storageClass = asString(asRecord(claim?.spec)?.storageClassName) ?? ''
  const phase = asRecord(claim?.status)?.phase
  return {
    isBound: phase === 'Bound',
    isLost: phase === 'Lost',
    isDeleted: asRecord(claim?.metadata)?.deletionTimestamp !== undefined,
    ...(storageClass === '' ? {} : { storageClass }),
  }
}

/** Does a StorageClass make its volumes only once a Pod that uses them has a node? */
export function isBoundLate(raw: unknown): boolean {
  return asRecord(raw)?.volumeBindingMode === 'WaitForFirstConsumer'
}

export interface ClaimFault {
  readonly code: 'claim-missing' | 'claim-unbound'
  readonly reason: string
}

/** Why no node can take a Pod with this claim; undefined if the claim stands in nobody's way. `state` is undefined for one that is not there. */
export function claimFault(
  name: string,
  state: ClaimState | undefined,
  boundLate: (storageClass: string) => boolean,
): ClaimFault | undefined {
  const what = `PersistentVolumeClaim ${name}`
  if (state === undefined) return { code: 'claim-missing', reason: `${what} is not there` }
  if (state.isDeleted) return { code: 'claim-missing', reason: `${what} is being deleted` }
  if (state.isLost) return { code: 'claim-unbound', reason: `${what} has lost its volume` }
  const { isBound, storageClass } = state
  if (isBound || (storageClass !== undefined && boundLate(storageClass))) return undefined
  return { code: 'claim-unbound', reason: `${what} is not bound, and no node can take the Pod before it is` }
}
