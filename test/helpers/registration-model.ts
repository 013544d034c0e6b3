/** A world in which runs of a registration take their steps in any order, die anywhere, and see what ECI lists late. */
import type { Identity } from '../../src/bootstrap/identity.ts'
import { Progress } from '../../src/bootstrap/progress.ts'
import type { Intent, RecordStore, Registered, StoredRecord } from '../../src/bootstrap/record.ts'
import { type Registration, register } from '../../src/bootstrap/register.ts'
import type { Wish } from '../../src/core/vnode/registration.ts'
import { EciError } from '../../src/eci/error.ts'
import type { CreateVirtualNodeRequest, VirtualNode } from '../../src/eci/virtual-node.ts'
import type { Clock } from '../../src/kube/clock.ts'
import type { Random } from './random.ts'

interface Stored {
  uid: string
  version: number
  intent?: Intent
  sentAt?: number
  registered?: Registered & { at: number }
}

interface Made {
  readonly virtualNodeId: string
  readonly name: string
  readonly token: string
  readonly visibleAt: number
  isDeleted: boolean
}

interface Pending {
  readonly run: number
  readonly go: () => void
}

export interface ModelOptions {
  readonly random: Random
  /** Until a VNode is listed, in milliseconds of the model's time. */
  readonly longestLagMs: number
  /** How probable it is that a call of ECI fails, before or after it was executed. */
  readonly faults: number
}

/** All that the runs share. Nothing happens but by {@link step}. */
export class RegistrationModel {
  now = 1_000_000
  record: Stored | undefined
  readonly made: Made[] = []
  /** Requests by token: the same token must always come with the same request. */
  readonly sent = new Map<string, string>()
  readonly #options: ModelOptions
  readonly #pending: Pending[] = []
  #uids = 0
  #runs = 0

  constructor(options: ModelOptions) {
    this.#options = options
  }

  get living(): readonly Made[] {
    return this.made.filter(({ isDeleted }) => !isDeleted)
  }

  get isIdle(): boolean {
    return this.#pending.length === 0
  }

  /** Begins a run; its end, unless it is killed. */
  begin(wish: Wish): { readonly run: number; readonly end: Promise<Registration> } {
    this.#runs += 1
    const run = this.#runs
    return { run, end: this.#register(run, wish) }
  }

  /** The run does nothing any more, whatever of it was under way. */
  kill(run: number): void {
    const kept = this.#pending.filter(one => one.run !== run)
    this.#pending.splice(0, this.#pending.length, ...kept)
  }

  /** One of all the steps that could be next. */
  async step(): Promise<void> {
    const [next] = this.#pending.splice(this.#options.random.below(this.#pending.length), 1)
    next?.go()
    // Whatever follows from it without waiting for another step.
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
  }

  #turn(run: number, ms = 0): Promise<void> {
    return new Promise(resolve => {
      const go = () => {
        this.now += ms
        resolve()
      }
      this.#pending.push({ run, go })
    })
  }

  #register(run: number, wish: Wish): Promise<Registration> {
    const identity: Pick<Identity, 'ensure' | 'prove' | 'removeOthers'> = {
      removeOthers: () => this.#turn(run),
      ensure: () => this.#turn(run),
      prove: () => this.#turn(run),
    }
    const clock: Clock = {
      now: () => this.now,
      after: (ms, then) => {
        void this.#turn(run, ms).then(then)
        return () => undefined
      },
    }
    return register({
      records: this.#records(run),
      eci: {
        createVirtualNode: request => this.#create(run, request),
        describeVirtualNodes: ({ virtualNodeIds } = {}) => this.#describe(run, virtualNodeIds),
      },
      identity,
      // All runs of this world have one record, which holds the claim.
      claims: { take: () => this.#turn(run).then(() => undefined), release: () => this.#turn(run) },
      check: () => this.#turn(run),
      makeIntent: async () => this.#makeIntent(run, wish),
      wish,
      clusterTag: CLUSTER,
      findNode: async () => undefined,
      progress: new Progress({
        say: () => undefined,
        events: undefined,
        involved: { namespace: 'n', name: 'n' },
      }),
      clock,
      now: () => this.now,
      signal: new AbortController().signal,
    })
  }

  async #makeIntent(run: number, wish: Wish): Promise<Intent> {
    await this.#turn(run)
    const clientToken = `token-${run}-${this.#options.random.below(1_000_000)}`
    const request: CreateVirtualNodeRequest = {
      clientToken,
      regionId: wish.regionId,
      vSwitchId: 'v',
      securityGroupId: 's',
      kubeConfig: `of ${clientToken}`,
      virtualNodeName: wish.name,
    }
    return { request, fingerprint: wish.fingerprint, identity: 'tls-bootstrap' }
  }

  async #create(run: number, request: CreateVirtualNodeRequest) {
    const { random, longestLagMs, faults } = this.#options
    await this.#turn(run)
    if (random.chance(faults)) throw lost()
    const { clientToken: token, virtualNodeName: name = '' } = request
    const text = JSON.stringify(request)
    if ((this.sent.get(token) ?? text) !== text) throw new Error('one token, two requests')
    this.sent.set(token, text)
    let made = this.made.find(one => one.token === token)
    if (made === undefined) {
      const virtualNodeId = `vnd-${this.made.length + 1}`
      made = {
        virtualNodeId,
        name,
        token,
        visibleAt: this.now + random.below(longestLagMs + 1),
        isDeleted: false,
      }
      this.made.push(made)
    }
    await this.#turn(run)
    if (random.chance(faults)) throw lost()
    return { virtualNodeId: made.virtualNodeId, requestId: `request-${run}` }
  }

  async #describe(run: number, ids: readonly string[] | undefined): Promise<readonly VirtualNode[]> {
    await this.#turn(run)
    const listed = this.made.filter(
      ({ virtualNodeId, visibleAt, isDeleted }) =>
        visibleAt <= this.now && !isDeleted && (ids === undefined || ids.includes(virtualNodeId)),
    )
    await this.#turn(run)
    return listed.map(({ virtualNodeId, name }) => ({
      ...NOTHING,
      virtualNodeId,
      virtualNodeName: name,
      creationTime: virtualNodeId,
      tags: [CLUSTER],
    }))
  }

  #records(run: number): RecordStore {
    /** What a write does, and a step between that and its answer. */
    const write = async (change: () => boolean): Promise<boolean> => {
      await this.#turn(run)
      const isDone = change()
      if (isDone && this.record !== undefined) this.record.version += 1
      await this.#turn(run)
      return isDone
    }
    const isSame = (record: StoredRecord) => this.record?.uid === record.uid
    const isUnchanged = (record: StoredRecord) =>
      isSame(record) && String(this.record?.version) === record.resourceVersion
    return {
      read: async () => {
        await this.#turn(run)
        const read = this.#read()
        await this.#turn(run)
        return read
      },
      intend: intent =>
        write(() => {
          if (this.record?.intent !== undefined) return false
          this.record = { ...this.#orNew(), intent }
          return true
        }),
      markSent: async record => {
        let marked: StoredRecord | undefined
        await write(() => {
          if (this.record === undefined || !isUnchanged(record)) return false
          this.record.sentAt = this.now
          marked = this.#read(this.record.version + 1)
          return true
        })
        return marked
      },
      register: (record, registered) =>
        write(() => {
          if (record !== undefined && !isSame(record)) return false
          const known = this.record?.registered
          if (known !== undefined && known.virtualNodeId !== registered.virtualNodeId) return false
          this.record = { ...this.#orNew(), registered: { ...registered, at: this.now } }
          return true
        }),
      end: record =>
        write(() => {
          if (!isUnchanged(record)) return false
          this.record = undefined
          return true
        }),
    }
  }

  #orNew(): Stored {
    this.#uids += 1
    return this.record ?? { uid: `uid-${this.#uids}`, version: 1 }
  }

  #read(version = this.record?.version): StoredRecord | undefined {
    if (this.record === undefined) return undefined
    const { uid, intent, sentAt, registered } = this.record
    return {
      uid,
      resourceVersion: String(version),
      intent,
      isSent: sentAt !== undefined,
      sentAt,
      virtualNodeId: registered?.virtualNodeId,
      recordedAt: registered?.at,
      regionId: registered?.regionId ?? intent?.request.regionId ?? '',
      name: registered?.name ?? intent?.request.virtualNodeName ?? '',
    }
  }
}

const CLUSTER = { key: 'cluster', value: 'uid' }

const NOTHING: VirtualNode = {
  virtualNodeId: '',
  virtualNodeName: '',
  status: 'Ready',
  regionId: '',
  vpcId: '',
  vSwitchId: '',
  securityGroupId: '',
  resourceGroupId: '',
  intranetIp: '',
  internetIp: '',
  creationTime: '',
  tags: [],
  events: [],
}

function lost(): EciError {
  const details = { action: 'CreateVirtualNode', apiCode: '', httpStatus: 0, product: 'eci', attempts: 1 }
  return new EciError({ ...details, reason: 'the connection was cut' })
}
