/**
 * What to do next about a release's VNode, from what is written down in the cluster and what exists at ECI. However often it is asked, by
 * however many at once, and wherever the last one was killed: what is paid for is one VNode.
 *
 *     nothing ──intend──▶ intent ──prepare──▶ intent, sent ──send──▶ recorded ──▶ registered
 *        ▲                   │                     │                    │
 *        └──────end──────────┴─────────────────────┴────────end─────────┘
 *
 * The intent has the whole request with its ClientToken. From the moment it is marked as sent nobody knows whether it was executed; only
 * the very same request may be sent then, until there is an answer.
 */

/** What the release has written down. */
export interface Recorded {
  /** Undefined where a VNode was found that nobody remembered. */
  readonly intent: IntentFacts | undefined
  readonly isSent: boolean
  readonly virtualNodeId: string | undefined
  /** When the id was written down, in milliseconds since 1970. */
  readonly recordedAt: number | undefined
  readonly regionId: string
  readonly name: string
}

export interface IntentFacts {
  /** The same for the same wish: see {@link Wish}. */
  readonly fingerprint: string
  /** Of whoever has written it; undefined in what an older version has written. */
  readonly caller?: Caller
}

/** As whom and where ECI is asked: under another account, or elsewhere, a token is new, and a VNode is not seen. */
export interface Caller {
  /** Alibaba Cloud's id of the account; empty where it is not known. */
  readonly account: string
  /** Empty: Alibaba Cloud's own. */
  readonly endpoint: string
}

/** What the values ask for now. */
export interface Wish {
  readonly name: string
  readonly regionId: string
  /** Of all that the request would say, but for its token and minted credentials. */
  readonly fingerprint: string
  /** Other VNodes may be in this cluster. */
  readonly isAdditional: boolean
  readonly caller: Caller
}

/** A VNode of this cluster (by its tag), or of the id that is written down, as ECI tells. */
export interface SeenVirtualNode {
  readonly virtualNodeId: string
  readonly virtualNodeName: string
  readonly status: string
  readonly creationTime: string
  readonly tags?: readonly { readonly key: string; readonly value: string }[]
}

export type Step =
  /** All is done. */
  | {
      readonly kind: 'registered'
      readonly virtualNode: SeenVirtualNode
      readonly others: readonly SeenVirtualNode[]
    }
  /** It exists, and nobody has written it down: write it down. */
  | {
      readonly kind: 'adopt'
      readonly virtualNode: SeenVirtualNode
      readonly others: readonly SeenVirtualNode[]
    }
  /** What is written down is over: remove it, then look again. */
  /** Unseen: that it is gone is only concluded from its not being listed, which other credentials do as well. */
  | { readonly kind: 'end'; readonly reason: string; readonly isUnseen?: boolean }
  /** Written down a moment ago, and not to be seen yet. */
  | { readonly kind: 'wait'; readonly reason: string }
  /** Make the identity that the intent names, mark the intent as sent, and send it. */
  | { readonly kind: 'prepare' }
  /** Send the same request once more. */
  | { readonly kind: 'send' }
  | { readonly kind: 'intend' }
  /** Whatever is done would leave somebody with a VNode more to pay for than he knows of. */
  | { readonly kind: 'refuse'; readonly message: string; readonly next: string }

/** A VNode that was created is listed within this time, or it is gone again. */
export const VISIBLE_WITHIN_MS = 2 * 60_000
/** Clocks of two machines differ by less: the API refuses what is signed by one that is more than 15 minutes wrong. */
export const MOST_SKEW_MS = 30 * 60_000

/** `Cleaned` is none of the API's reference; the vendor's Terraform provider lists it among the states. */
const GONE = new Set(['Deleted', 'Deleting', 'Released', 'Cleaned'])

export function isGone({ status }: Pick<SeenVirtualNode, 'status'>): boolean {
  return GONE.has(status)
}

export function nextStep(
  recorded: Recorded | undefined,
  seen: readonly SeenVirtualNode[],
  { wish, now, watchedMs }: Pick<Situation, 'wish' | 'now' | 'watchedMs'>,
): Step {
  const elsewhere = refusalOfRegion(recorded, wish)
  if (elsewhere !== undefined) return elsewhere
  const isUnsure = recorded?.isSent === true && recorded.virtualNodeId === undefined
  const stranger = refusalOfCaller(recorded, wish)
  if (isUnsure && stranger !== undefined) return stranger
  const living = seen.filter(one => !isGone(one)).sort(byAge)
  if (recorded?.virtualNodeId !== undefined)
    return stepOfRecorded(recorded, recorded.virtualNodeId, { seen, living, wish, now, watchedMs })
  const [mine, ...others] = living.filter(({ virtualNodeName }) => virtualNodeName === wish.name)
  if (mine !== undefined) return { kind: 'adopt', virtualNode: mine, others }
  const earlier = recorded?.isSent && living.find(one => one.virtualNodeName === recorded.name)
  if (recorded !== undefined && earlier) return refusalOfName(recorded.name, earlier.virtualNodeId, wish)
  const refusal = recorded?.isSent ? undefined : refusalOfAnother(living, wish)
  if (refusal !== undefined) return refusal
  return recorded?.intent === undefined ? { kind: 'intend' } : stepOfIntent(recorded, recorded.intent, wish)
}

interface Situation {
  readonly seen: readonly SeenVirtualNode[]
  readonly living: readonly SeenVirtualNode[]
  readonly wish: Wish
  /** Milliseconds since 1970, by this machine's clock. */
  readonly now: number
  /** For how long before the list was read what is written down has been seen to be so, whatever a clock says. */
  readonly watchedMs: number
}

function stepOfRecorded(recorded: Recorded, id: string, situation: Situation): Step {
  const { seen, living, wish, now, watchedMs } = situation
  const virtualNode = living.find(({ virtualNodeId }) => virtualNodeId === id)
  if (virtualNode !== undefined) {
    // Renamed since, as the refusal says, it is the one that is wished for.
    const isNamed = [recorded.name, virtualNode.virtualNodeName].includes(wish.name)
    if (!isNamed) return refusalOfName(recorded.name, id, wish)
    const others = living.filter(one => one !== virtualNode && one.virtualNodeName === wish.name)
    return { kind: 'registered', virtualNode, others }
  }
  const gone = seen.find(({ virtualNodeId }) => virtualNodeId === id)
  if (gone !== undefined) return { kind: 'end', reason: `VNode ${id} is ${gone.status}` }
  const stranger = refusalOfCaller(recorded, wish)
  if (stranger !== undefined) return stranger
  const isYoung = now - (recorded.recordedAt ?? 0) < VISIBLE_WITHIN_MS + MOST_SKEW_MS
  if (isYoung && watchedMs < VISIBLE_WITHIN_MS)
    return { kind: 'wait', reason: `VNode ${id} is not listed yet` }
  return { kind: 'end', reason: `VNode ${id} is not there any more`, isUnseen: true }
}

/** An intent that was not sent may be given up for another one; of one that was, only its answer decides. */
function stepOfIntent(recorded: Recorded, { fingerprint }: IntentFacts, wish: Wish): Step {
  if (recorded.isSent) return { kind: 'send' }
  if (refusalOfCaller(recorded, wish) !== undefined)
    return { kind: 'end', reason: 'the account has changed before anything was sent' }
  if (fingerprint === wish.fingerprint) return { kind: 'prepare' }
  return { kind: 'end', reason: 'the values have changed before anything was sent' }
}

function refusalOfRegion(recorded: Recorded | undefined, wish: Wish): Step | undefined {
  if (recorded === undefined || recorded.regionId === wish.regionId) return undefined
  // What was not sent is ended like any other intent.
  if (!recorded.isSent && recorded.virtualNodeId === undefined) return undefined
  const what = recorded.virtualNodeId === undefined ? 'a VNode' : `VNode ${recorded.virtualNodeId}`
  return {
    kind: 'refuse',
    message: `${what} of this release is in ${recorded.regionId}, and would go on costing beside one in ${wish.regionId}`,
    next: `Set the region back to ${recorded.regionId}, or delete that VNode there first.`,
  }
}

/** Of what is not seen, or may be there, another account cannot tell. */
export function refusalOfCaller(
  recorded: Pick<Recorded, 'intent' | 'virtualNodeId'> | undefined,
  { caller }: Pick<Wish, 'caller'>,
): Extract<Step, { kind: 'refuse' }> | undefined {
  const earlier = recorded?.intent?.caller
  if (earlier === undefined) return undefined
  const isOther = earlier.account !== '' && caller.account !== '' && earlier.account !== caller.account
  if (!isOther && earlier.endpoint === caller.endpoint) return undefined
  const what = recorded?.virtualNodeId === undefined ? 'a VNode' : `VNode ${recorded.virtualNodeId}`
  return {
    kind: 'refuse',
    message: `${what} of this release was asked for by ${named(earlier)}, and this is ${named(caller)}, where it is not seen; it would go on costing`,
    next: `Give credentials of ${named(earlier)}. Where its VNode was deleted there, delete the Secret that this is written down in.`,
  }
}

function named({ account, endpoint }: Caller): string {
  const where = endpoint === '' ? '' : ` at ${endpoint}`
  return `${account === '' ? 'an account' : `account ${account}`}${where}`
}

function refusalOfName(name: string, id: string, wish: Wish): Step {
  return {
    kind: 'refuse',
    message: `this release has registered VNode ${id} under the name ${name}; under ${wish.name} it would be a second one`,
    next: `Set the name back to ${name}, rename it with vnode update, or delete it first.`,
  }
}

function refusalOfAnother(living: readonly SeenVirtualNode[], wish: Wish): Step | undefined {
  if (living.length === 0 || wish.isAdditional) return undefined
  const listed = living.map(one => `${one.virtualNodeId} (${one.virtualNodeName})`).join(', ')
  return {
    kind: 'refuse',
    message: `this cluster has a VNode already: ${listed}; one named ${wish.name} would be paid for besides`,
    next: `Set the name to that of the VNode to use it, delete it, or ask for another one in words (--additional, bootstrap.additional).`,
  }
}

/** The oldest first; the id decides between those of one second. */
function byAge(a: SeenVirtualNode, b: SeenVirtualNode): number {
  const [first, second] = [`${a.creationTime} ${a.virtualNodeId}`, `${b.creationTime} ${b.virtualNodeId}`]
  return first < second ? -1 : Number(first > second)
}
