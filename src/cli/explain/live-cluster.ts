/** What `vnode explain --live` reads of a cluster: as little as its answer takes, once, and nothing is written. */
import { messageOf } from '../../core/errors.ts'
import { explainLivePod, type LiveFacts, type LiveSituation } from '../../core/explain/live-pod.ts'
import { asString } from '../../core/kubernetes/objects.ts'
import type { NamespaceFacts } from '../../core/policy/decide.ts'
import { namespaceLabels } from '../../core/selector/documents.ts'
import type { Labels } from '../../core/selector/requirement.ts'
import type { Settings } from '../../core/settings.ts'
import { BOUND_AND_RUNNING, Capacity, usageOf } from '../../core/spill/capacity.ts'
import { type ClaimFault, claimFault, claimState, isBoundLate } from '../../core/spill/claim.ts'
import { type NodeState, nodeState } from '../../core/spill/node-state.ts'
import { type PendingPod, pendingPod } from '../../core/spill/pending-pod.ts'
import { SCALE_UP_REASONS, scaleUpAge, scaleUpOf } from '../../core/spill/scale-up.ts'
import { type SpillSettings, spillableOf } from '../../core/spill/verdict.ts'
import { vnodeOf } from '../../core/vnode/vnode-set.ts'
import { isStatus, type KubeClient } from '../../kube/api.ts'
import { systemClock } from '../../kube/clock.ts'
import { LeaseObject, type LeaseRecord } from '../../kube/lease-record.ts'
import { resourcePath } from '../../kube/path.ts'
import { listAll, listEach, readUnlessMissing } from '../../kube/read.ts'
import { type RulesSnapshot, readNamespaceLabels, readRulesSnapshot } from '../../rules/snapshot.ts'

export interface LiveOptions {
  readonly client: KubeClient
  readonly settings: Settings
  readonly spill: SpillSettings
  readonly rulesNamespace: string
  readonly rulesName: string
  readonly lastGoodName: string
  /** Name of the helper's Lease, in the installation's namespace. */
  readonly lease: string
  /** Whether the helper was told to let Pods spill. */
  readonly spills: boolean
  /** Labels that every namespace has besides. */
  readonly namespaceLabels: Labels
}

export interface PodRef {
  readonly namespace: string
  readonly name: string
}

/** Who lets Pods spill: nobody while there is no holder. */
export interface Leader {
  readonly holder: string
  readonly sinceMs?: number
  /** When it last renewed its Lease, if that is longer ago than others would wait. */
  readonly silentSince?: string
}

export interface LivePod extends LiveFacts {
  /** What the helper said of changes of it that failed, as `reason: message`. */
  readonly failures: readonly string[]
  /** False where its Events may not be looked at: an autoscaler may have spoken. */
  readonly hasEvents: boolean
  readonly leader?: Leader
  /** False where the helper was told to let none spill. */
  readonly spills: boolean
}

const LEASE_TIMEOUT_MS = 30_000
const FAILURES = ['SpillRefused', 'SpillFailed']

export class LiveCluster {
  readonly rules: RulesSnapshot
  readonly #options: LiveOptions
  readonly #notes: string[]
  readonly #nodes: readonly NodeState[] | undefined
  readonly #namespaces = new Map<string, Promise<NamespaceFacts>>()
  #capacity: Promise<Capacity | undefined> | undefined
  #leader: Promise<Leader | undefined> | undefined

  private constructor(
    options: LiveOptions,
    found: { rules: RulesSnapshot; nodes: readonly NodeState[] | undefined; notes: string[] },
  ) {
    this.#options = options
    this.rules = found.rules
    this.#nodes = found.nodes
    this.#notes = found.notes
  }

  /** Rejects where the rules cannot be read. */
  static async open(options: LiveOptions): Promise<LiveCluster> {
    const notes: string[] = []
    const attempt = <T>(what: string, read: () => Promise<T>) => tolerate(notes, what, read)
    const path = resourcePath({ version: 'v1', plural: 'nodes' })
    const nodes = await attempt('Nodes', () => listAll(options.client, path))
    const vnodes = (nodes ?? []).flatMap(node => vnodeOf(node) ?? [])
    const rules = await readRulesSnapshot({ ...options, vnodes, attempt })
    return new LiveCluster(options, { rules, nodes: nodes?.map(nodeState), notes })
  }

  /** What may not be looked at, and why. */
  get notes(): readonly string[] {
    return this.#notes
  }

  /** The Pod as the API has it; undefined if there is none. */
  read({ namespace, name }: PodRef): Promise<Record<string, unknown> | undefined> {
    return readUnlessMissing(
      this.#options.client,
      resourcePath({ version: 'v1', plural: 'pods', namespace, name }),
    )
  }

  namespace(name: string): Promise<NamespaceFacts> {
    const known = this.#namespaces.get(name) ?? this.#readNamespace(name)
    this.#namespaces.set(name, known)
    return known
  }

  async explain(
    raw: Record<string, unknown>,
  ): Promise<{ explanation: ReturnType<typeof explainLivePod>['explanation']; live: LivePod }> {
    const pod = pendingPod(raw)
    const [situation, more] = await this.#situation(pod)
    const { explanation, live } = explainLivePod(raw, situation)
    return { explanation, live: { ...live, ...more, spills: this.#options.spills } }
  }

  async #situation(
    pod: PendingPod,
  ): Promise<[LiveSituation, Pick<LivePod, 'failures' | 'hasEvents' | 'leader'>]> {
    const namespace = await this.namespace(pod.namespace)
    const { environment } = this.rules
    const nowMs = Date.now()
    const basis = { namespace, environment, settings: this.#options.spill, nowMs }
    const spillable = spillableOf(pod, basis)
    const isOpen = !('placed' in spillable) || pod.unschedulable === undefined
    const unasked = {
      vnodes: this.#nodes?.filter(isVnode),
      claimFault: () => undefined,
      share: () => undefined,
    }
    if (isOpen)
      return [
        { ...basis, ...unasked },
        { failures: [], hasEvents: true },
      ]
    const { cpuRatio, memoryRatio } = spillable.policy
    const hasRatio = cpuRatio !== undefined || memoryRatio !== undefined
    const [events, leader] = [await this.#readEvents(pod), await this.#readLeader()]
    const claims = await this.#readClaims(pod)
    const capacity = hasRatio ? await this.#readCapacity() : undefined
    const situation = {
      ...basis,
      ...unasked,
      scaleUpAgeMs: scaleUpAge(events.scaleUpAtMs, nowMs),
      leaderSinceMs: leader?.holder ? leader.sinceMs : undefined,
      claimFault: (name: string) => claims.get(name),
      share: (tolerations: Parameters<Capacity['share']>[0]) => capacity?.share(tolerations),
    }
    const { failures, hasEvents } = events
    return [situation, { failures, hasEvents, ...(leader === undefined ? {} : { leader }) }]
  }

  #attempt<T>(what: string, read: () => Promise<T>): Promise<T | undefined> {
    return tolerate(this.#notes, what, read)
  }

  async #readNamespace(name: string): Promise<NamespaceFacts> {
    const { client, namespaceLabels: more } = this.#options
    const labels = await this.#attempt(`Namespace ${name}`, () => readNamespaceLabels(client, name))
    return { name, labels: new Map([...namespaceLabels(name, labels ?? new Map()), ...more]) }
  }

  async #readEvents({ namespace, uid }: PendingPod) {
    const path = resourcePath({ version: 'v1', plural: 'events', namespace })
    const fieldSelector = `involvedObject.uid=${uid}`
    const read = () => listAll(this.#options.client, path, { fieldSelector })
    const found = await this.#attempt(`Events of namespace ${namespace}`, read)
    const events = found ?? []
    const reasons: readonly unknown[] = SCALE_UP_REASONS
    const times = events.filter(({ reason }) => reasons.includes(reason)).flatMap(one => scaleUpOf(one) ?? [])
    const failures = events.flatMap(({ reason, message }) =>
      typeof reason === 'string' && FAILURES.includes(reason)
        ? [`${reason}: ${asString(message) ?? ''}`]
        : [],
    )
    const hasEvents = found !== undefined
    return {
      failures,
      hasEvents,
      scaleUpAtMs: times.length === 0 ? undefined : Math.max(...times.map(one => one.atMs)),
    }
  }

  async #readClaims({ namespace, claims }: PendingPod) {
    const faults = new Map<string, ClaimFault | 'not-loaded' | undefined>()
    for (const name of claims) {
      const what = `PersistentVolumeClaim ${namespace}/${name}`
      const found = await this.#attempt(what, async () => ({ fault: await this.#readClaim(namespace, name) }))
      faults.set(name, found === undefined ? 'not-loaded' : found.fault)
    }
    return faults
  }

  async #readClaim(namespace: string, name: string): Promise<ClaimFault | undefined> {
    const { client } = this.#options
    const version = 'v1'
    const claim = await readUnlessMissing(
      client,
      resourcePath({ version, plural: 'persistentvolumeclaims', namespace, name }),
    )
    const state = claim === undefined ? undefined : claimState(claim)
    const { storageClass } = state ?? {}
    if (state === undefined || state.isBound || storageClass === undefined)
      return claimFault(name, state, () => false)
    const group = 'storage.k8s.io'
    const path = resourcePath({ group, version, plural: 'storageclasses', name: storageClass })
    const isLate = isBoundLate(await readUnlessMissing(client, path))
    return claimFault(name, state, () => isLate)
  }

  /** Undefined where the requests of real nodes are not known. */
  #readCapacity(): Promise<Capacity | undefined> {
    this.#capacity ??= this.#attempt('Pods of all namespaces, for the ratio', async () => {
      const capacity = new Capacity()
      for (const node of this.#nodes ?? []) capacity.setNode(node)
      const path = resourcePath({ version: 'v1', plural: 'pods' })
      for await (const pod of listEach(this.#options.client, path, { fieldSelector: BOUND_AND_RUNNING }))
        capacity.add(usageOf(pod))
      return capacity
    })
    return this.#capacity
  }

  #readLeader(): Promise<Leader | undefined> {
    const { client, settings, lease: name } = this.#options
    const namespace = settings.installNamespace
    this.#leader ??= this.#attempt(`Lease ${namespace}/${name}`, async () => {
      const lease = new LeaseObject({ client, namespace, name, clock: systemClock })
      const found = await lease.read({ signal: new AbortController().signal, ms: LEASE_TIMEOUT_MS })
      return leaderOf(found, Date.now())
    })
    return this.#leader
  }
}

/** Clocks differ, and a Lease may be between two renewals. */
const PATIENCE = 4

function leaderOf(lease: LeaseRecord | undefined, nowMs: number): Leader {
  const { holder = '', acquireTime = '', renewTime = '', durationMs = 0 } = lease ?? {}
  const sinceMs = Date.parse(acquireTime)
  const isSilent = holder !== '' && Date.parse(renewTime) + PATIENCE * durationMs < nowMs
  return {
    holder,
    ...(Number.isNaN(sinceMs) ? {} : { sinceMs }),
    ...(isSilent ? { silentSince: renewTime } : {}),
  }
}

function isVnode(node: NodeState): boolean {
  return node.isVnode
}

/** Goes on without what may not be looked at, and notes it. */
async function tolerate<T>(notes: string[], what: string, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (!isStatus(error, 403)) throw error
    const note = `${what} may not be looked at: ${messageOf(error)}`
    if (!notes.includes(note)) notes.push(note)
    return undefined
  }
}
