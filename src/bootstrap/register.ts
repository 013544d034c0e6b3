/** Registers one VNode: does step after step as nextStep() says, each safe to repeat, until what exists at ECI is written down. */
import { VnodeError } from '../core/errors.ts'
import { isGone, nextStep, type Step, VISIBLE_WITHIN_MS, type Wish } from '../core/vnode/registration.ts'
import { nodeNameOf } from '../core/vnode/virtual-node-name.ts'
import type { EciError } from '../eci/error.ts'
import type { CreatedVirtualNode, EciClient, Tag } from '../eci/virtual-node.ts'
import { type Clock, sleep } from '../kube/clock.ts'
import type { Claims } from './claim.ts'
import type { Identity } from './identity.ts'
import { isRefusal, listAfterRefusal, listSeen } from './listing.ts'
import { checkOwner, checkSilent } from './ownership.ts'
import type { Progress } from './progress.ts'
import type { Intent, RecordStore, Registered, StoredRecord } from './record.ts'

export interface RegisterOptions {
  readonly records: RecordStore
  readonly claims: Claims
  readonly eci: Pick<EciClient, 'createVirtualNode' | 'describeVirtualNodes'>
  readonly identity: Pick<Identity, 'ensure' | 'prove' | 'removeOthers'>
  /** Whatever can be found out for nothing, before something is paid for. */
  readonly check: () => Promise<void>
  readonly makeIntent: () => Promise<Intent>
  readonly wish: Wish
  /** By which VNodes of this cluster are known. */
  readonly clusterTag: Tag
  /** What the cluster says of a Node; undefined where it has none such. */
  readonly findNode: (name: string) => Promise<{ readonly isReady: boolean } | undefined>
  readonly progress: Progress
  readonly clock: Clock
  readonly now: () => number
  readonly signal: AbortSignal
}

export interface Registration extends Registered {
  /** Whether this run has it created, found, or known before. */
  readonly how: 'created' | 'adopted' | 'known'
}

/** Between two looks for what is not listed yet. */
const LOOK_MS = 2_000
/** Each turn brings something further, unless somebody else did: more of them are a fight. */
const MOST_TURNS = 500

/** Throws an EciError, an ApiError, or a VnodeError with what to do next. */
export async function register(options: RegisterOptions): Promise<Registration> {
  const registrar = new Registrar(options)
  for (let turn = 0; turn < MOST_TURNS; turn += 1) {
    options.signal.throwIfAborted()
    const registration = await registrar.turn()
    if (registration !== undefined) return registration
  }
  throw new VnodeError('INTERNAL', 'the registration comes to no end', {
    next: 'Somebody else writes the same Secret over and over: see kubectl get jobs -A.',
  })
}

/** The step that a run would take next, from what there is now. */
export async function lookAhead(options: RegisterOptions): Promise<Situation> {
  return new Registrar(options).look()
}

export interface Situation {
  readonly record: StoredRecord | undefined
  readonly step: Step
}

class Registrar {
  readonly #options: RegisterOptions
  #how: Registration['how'] = 'known'
  #watched: { readonly what: string; readonly from: number } | undefined
  /** Since when somebody else is waited for. */
  #claimedFrom: number | undefined

  constructor(options: RegisterOptions) {
    this.#options = options
  }

  /** One step; what is registered once there is nothing left to do. */
  async turn(): Promise<Registration | undefined> {
    const { progress } = this.#options
    const { record, step } = await this.look()
    progress.follow(record)
    progress.detail('Step', `next: ${step.kind}`)
    if (step.kind === 'registered') return this.#finish(record, step)
    await this.#take(step, record)
    return undefined
  }

  async look(): Promise<Situation> {
    const { records, wish, now } = this.#options
    const record = await records.read()
    const watchedMs = this.#watch(record)
    const seen = await listSeen(this.#options, record)
    return { record, step: nextStep(record, seen, { wish, now: now(), watchedMs }) }
  }

  /** Since when this VNode has been written down, as far as this run has seen. */
  #watch(record: StoredRecord | undefined): number {
    const { clock } = this.#options
    const what = `${record?.uid} ${record?.virtualNodeId}`
    if (this.#watched?.what !== what) this.#watched = { what, from: clock.now() }
    return clock.now() - this.#watched.from
  }

  async #take(step: Exclude<Step, { kind: 'registered' }>, record: StoredRecord | undefined): Promise<void> {
    const { claims, clock, signal, progress } = this.#options
    if (step.kind === 'refuse') {
      // Nothing of ours is under way.
      if (record?.isSent === false && record.virtualNodeId === undefined) await claims.release()
      throw new VnodeError('REFUSED', step.message, { next: step.next })
    }
    if (step.kind === 'intend') return this.#intend()
    if (step.kind === 'adopt') return this.#adopt(record, step)
    if (record === undefined) return
    if (step.kind === 'end') return this.#end(record, step)
    if (step.kind === 'prepare') return this.#prepare(record)
    if (step.kind === 'send') return this.#send(record)
    progress.say('Waiting', step.reason)
    await sleep(clock, LOOK_MS, signal)
  }

  async #intend(): Promise<void> {
    const { check, makeIntent, records, progress, wish } = this.#options
    await check()
    progress.tell({ reason: 'ChecksPassed', message: `nothing speaks against a VNode named ${wish.name}` })
    const intent = await makeIntent()
    progress.detail('Intent', `writing down what is asked of ECI for ${wish.name}`)
    if (await records.intend(intent))
      progress.tell({ reason: 'IntentWritten', message: 'what is asked of ECI is written down' })
    else progress.say('Intent', 'another run has written down what it asks; following that')
  }

  async #prepare(record: StoredRecord): Promise<void> {
    const { identity, progress } = this.#options
    if (record.intent === undefined || !(await this.#claim())) return
    await identity.removeOthers(record.intent.identity)
    await identity.ensure(record.intent)
    await identity.prove(record.intent)
    const kind = record.intent.identity
    progress.tell({ reason: 'IdentityMade', message: `the VNode's identity (${kind}) is there` })
    await this.#send(record)
  }

  /** True where nobody else registers a VNode that this one would be beside, nor has done so since we looked. */
  async #claim(): Promise<boolean> {
    const { claims, wish, clock, signal, progress } = this.#options
    const held = await claims.take()
    if (held === undefined) return (await this.look()).step.kind === 'prepare'
    this.#claimedFrom ??= clock.now()
    const what = `Secret ${held.holder} registers a VNode of this cluster now (Lease ${held.lease})`
    if (clock.now() - this.#claimedFrom >= VISIBLE_WITHIN_MS)
      throw new VnodeError(
        'REFUSED',
        `${what}, and comes to no end; ${wish.name} might be paid for besides`,
        {
          next: `Let that registration end, or remove it. If it was given up for good, so that vnode list shows nothing of it: kubectl -n ${held.lease.replace('/', ' delete lease ')}`,
        },
      )
    progress.say('Waiting', what)
    await sleep(clock, LOOK_MS, signal)
    return false
  }

  async #send(record: StoredRecord): Promise<void> {
    const { eci, records, progress, signal, wish } = this.#options
    // Each time: whoever gives the intent up meanwhile finds that the record has changed.
    const marked = await records.markSent(record)
    if (marked?.intent === undefined) return
    progress.follow(marked)
    progress.detail('Sending', 'the request is marked as sent')
    const { request, fingerprint } = marked.intent
    progress.tell({ reason: 'RequestSent', message: `asking ECI for VNode ${request.virtualNodeName}` })
    try {
      const created = await eci.createVirtualNode(request, { signal })
      await this.#created(marked, created)
    } catch (error) {
      // What is wished for now has other values, and these were refused for good: they may be given up.
      if (!isRefusal(error) || fingerprint === wish.fingerprint) throw error
      await this.#giveUp(marked, error)
    }
  }

  async #created(record: StoredRecord, { virtualNodeId, requestId }: CreatedVirtualNode): Promise<void> {
    const { records, progress } = this.#options
    const { regionId, name } = record
    const nodeName = nodeNameOf(regionId, virtualNodeId)
    progress.detail('Created', `ECI says ${virtualNodeId} (request ${requestId})`)
    if (!(await records.register(record, { virtualNodeId, nodeName, regionId, name, requestId }))) return
    this.#how = 'created'
    progress.follow({ ...record, virtualNodeId })
    progress.tell({
      reason: 'VnodeRegistered',
      message: `VNode ${virtualNodeId} is registered as ${name}; ECI's request id is ${requestId}`,
    })
  }

  async #giveUp(record: StoredRecord, refusal: EciError): Promise<void> {
    const { wish } = this.#options
    const seen = await listAfterRefusal(this.#options, record, refusal)
    const names = [wish.name, record.name]
    if (seen.some(one => names.includes(one.virtualNodeName) && !isGone(one))) return
    await this.#end(record, { reason: 'ECI has refused the earlier request, and the values have changed' })
  }

  async #end(
    record: StoredRecord,
    { reason, isUnseen = false }: Pick<Extract<Step, { kind: 'end' }>, 'reason' | 'isUnseen'>,
  ): Promise<void> {
    const { records, claims, progress } = this.#options
    const id = record.virtualNodeId
    if (isUnseen && id !== undefined) await checkSilent(id, this.#options)
    if (!(await records.end(record))) return
    await claims.release()
    const isLoss = id !== undefined
    const message = `${reason}; ${isLoss ? 'a new one is registered' : 'beginning anew'}`
    progress.tell({ reason: isLoss ? 'VnodeLost' : 'IntentEnded', message, isWarning: isLoss })
  }

  async #adopt(record: StoredRecord | undefined, step: Extract<Step, { kind: 'adopt' }>): Promise<void> {
    const { records, wish, progress } = this.#options
    const { virtualNodeId } = step.virtualNode
    const { regionId, name } = wish
    const nodeName = nodeNameOf(regionId, virtualNodeId)
    if (!(await records.register(record, { virtualNodeId, nodeName, regionId, name, requestId: '' }))) return
    this.#how = 'adopted'
    progress.tell({
      reason: 'VnodeAdopted',
      message: `VNode ${virtualNodeId} named ${name} exists for this cluster already, and is used`,
    })
  }

  async #finish(
    record: StoredRecord | undefined,
    { virtualNode, others }: Extract<Step, { kind: 'registered' }>,
  ): Promise<Registration> {
    const { identity, claims, wish, progress, findNode } = this.#options
    await checkOwner(virtualNode, this.#options)
    // Whoever looks from now on sees it.
    await claims.release()
    const { virtualNodeId } = virtualNode
    const node = await findNode(nodeNameOf(wish.regionId, virtualNodeId))
    // Of an intent that was never sent nobody has the credential; and once the Node is Ready its token may have been revoked on purpose.
    if (record?.intent !== undefined && record.isSent && node?.isReady !== true)
      await identity.ensure(record.intent)
    if (others.length > 0)
      progress.tell({
        reason: 'VnodeTwice',
        isWarning: true,
        message: `there are more VNodes of this cluster named ${wish.name}, which are paid for: ${others.map(one => one.virtualNodeId).join(', ')}`,
      })
    if (record?.intent !== undefined && record.intent.fingerprint !== wish.fingerprint)
      progress.tell({
        reason: 'VnodeDiffers',
        message: `VNode ${virtualNode.virtualNodeId} was registered with other values than today's; vnode update changes what can be changed`,
      })
    const { regionId, name } = wish
    const nodeName = nodeNameOf(regionId, virtualNodeId)
    return { virtualNodeId, nodeName, regionId, name, requestId: '', how: this.#how }
  }
}
