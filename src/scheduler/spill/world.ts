/** The cluster as far as spills depend on it, followed by list and watch, and the verdict on one Pod by what is known now. */
import { messageOf } from '../../core/errors.ts'
import type { NamespaceFacts, RuledEnvironment } from '../../core/policy/decide.ts'
import { BOUND_AND_RUNNING, Capacity, type Usage, usageOf } from '../../core/spill/capacity.ts'
import {
  type ClaimFault,
  type ClaimState,
  claimFault,
  claimState,
  isBoundLate,
} from '../../core/spill/claim.ts'
import { type NodeState, nodeState } from '../../core/spill/node-state.ts'
import { type PendingPod, pendingPod } from '../../core/spill/pending-pod.ts'
import { SCALE_UP_REASONS, type ScaleUp, ScaleUps, scaleUpOf } from '../../core/spill/scale-up.ts'
import { type SpillSettings, type SpillVerdict, spillVerdict } from '../../core/spill/verdict.ts'
import type { KubeClient } from '../../kube/api.ts'
import { resourcePath } from '../../kube/path.ts'
import { type Change, Reflector } from '../../kube/reflector.ts'
import type { ReflectorOptions } from '../../kube/reflector-options.ts'
import type { ClusterRules } from '../../rules/cluster-rules.ts'
import type { Logger } from '../../telemetry/logger.ts'

export interface SpillWorldOptions {
  readonly client: Pick<KubeClient, 'request' | 'stream'>
  readonly rules: Pick<ClusterRules, 'state' | 'source'>
  readonly settings: SpillSettings
  readonly log: Logger
  readonly onPending?: (change: Change<PendingPod>) => void
  readonly onNode?: (change: Change<NodeState>) => void
  /** An autoscaler has said something about the Pod with this uid. */
  readonly onScaleUp?: (uid: string) => void
  /** Something has changed that may be about any Pod. */
  readonly onNews?: () => void
  /** A Pod was bound, has ended, or has changed its requests. */
  readonly onUsage?: () => void
  readonly today?: () => Date
}

const PODS = resourcePath({ version: 'v1', plural: 'pods' })

/** What all reflectors have in common, whatever they hold. */
export type Watched = Pick<Reflector<unknown>, 'start' | 'stop' | 'synced' | 'state' | 'lastError'>

export class SpillWorld {
  readonly #options: SpillWorldOptions
  readonly #capacity = new Capacity()
  readonly #vnodes = new Map<string, NodeState>()
  readonly #scaleUps = new ScaleUps()
  readonly #nodeNames = new Map<string, string>()
  readonly #pods: Reflector<PendingPod>
  readonly #claims: Reflector<ClaimState>
  readonly #classes: Reflector<boolean>
  readonly #usage: Reflector<Usage>
  readonly #watched: ReadonlyMap<string, Watched>
  /** Watched from when the first rule or Pod asks for it: most clusters never need it. */
  readonly #asked = new Set<string>()
  #isStarted = false
  /** The first rules have come into force. */
  #isBegun = false

  constructor(options: SpillWorldOptions) {
    this.#options = options
    const { onPending } = options
    this.#pods = this.reflect<PendingPod>('pods', {
      path: PODS,
      fieldSelector: 'spec.nodeName=,status.phase=Pending',
      keep: pendingPod,
      ...(onPending === undefined ? {} : { onChange: onPending }),
    })
    this.#claims = this.#watchClaims()
    this.#classes = this.#watchClasses()
    this.#usage = this.#watchUsage()
    this.#watched = new Map<string, Watched>([
      ['nodes', this.#watchNodes()],
      ...SCALE_UP_REASONS.map(reason => [`events ${reason}`, this.#watchScaleUps(reason)] as const),
      ['pods', this.#pods],
    ])
  }

  start(): void {
    this.#isStarted = true
    for (const watched of this.#watched.values()) watched.start()
  }

  async stop(): Promise<void> {
    this.#isStarted = false
    const all = [...this.#watched.values(), this.#claims, this.#classes, this.#usage]
    await Promise.all(all.map(watched => watched.stop()))
  }

  /** True from when all that every verdict takes has been listed once. */
  get isLoaded(): boolean {
    if (this.waitsFor.length > 0) return false
    // What was listed a moment ago may not be in force yet: decisions would find no rules, and take that for an answer.
    if (!this.#isBegun) this.#isBegun = this.#options.rules.state.isSettled
    return this.#isBegun
  }

  /** What has not been listed yet. */
  get waitsFor(): readonly string[] {
    const ours = [...this.#watched].flatMap(([name, { synced, lastError }]) => {
      const why = lastError === undefined ? '' : ` (${messageOf(lastError)})`
      return synced ? [] : [`${name} are not loaded yet${why}`]
    })
    const rules = this.#options.rules.source.health().filter(({ isSynced }) => !isSynced)
    return [...rules.map(({ reason }) => reason), ...ours]
  }

  /** What decisions are made with; another one after each change of it. */
  get environment(): RuledEnvironment {
    return this.#options.rules.state.environment
  }

  namespaceOf(name: string): NamespaceFacts {
    return { name, labels: this.#options.rules.state.labelsOfNamespace(name) }
  }

  /** The verdict by what is known now. */
  judge(pod: PendingPod, waitedMs: number): SpillVerdict {
    const { settings } = this.#options
    return spillVerdict(pod, {
      namespace: this.namespaceOf(pod.namespace),
      environment: this.environment,
      settings,
      waitedMs,
      scaleUpAgeMs: this.#scaleUps.ageOf(pod.uid, this.#nowMs()),
      claimFault: name => this.#claimFault(pod.namespace, name),
      vnodes: [...this.#vnodes.values()],
      share: tolerations => {
        this.#ask('usage', this.#usage)
        return this.#usage.synced ? this.#capacity.share(tolerations) : undefined
      },
    })
  }

  /** A reflector of this cluster, its faults told. */
  reflect<T>(what: string, options: Omit<ReflectorOptions<T>, 'client' | 'onError'>): Reflector<T> {
    const { client, log } = this.#options
    return new Reflector<T>({
      client,
      ...options,
      onError: (error, during) => log.warn({ what, during, error: messageOf(error) }, 'watching had a fault'),
    })
  }

  #claimFault(namespace: string, name: string): ClaimFault | 'not-loaded' | undefined {
    this.#ask('claims', this.#claims)
    this.#ask('classes', this.#classes)
    if (!this.#claims.synced || !this.#classes.synced) return 'not-loaded'
    const state = this.#claims.objects.get(`${namespace}/${name}`)?.value
    return claimFault(name, state, storageClass => this.#classes.objects.get(storageClass)?.value === true)
  }

  #ask(what: string, watched: Watched): void {
    if (this.#asked.has(what) || !this.#isStarted) return
    this.#asked.add(what)
    watched.start()
  }

  #news(): void {
    this.#options.onNews?.()
  }

  #watchNodes(): Reflector<NodeState> {
    return this.reflect<NodeState>('nodes', {
      path: resourcePath({ version: 'v1', plural: 'nodes' }),
      keep: nodeState,
      onChange: change => this.#setNode(change),
      onSynced: () => this.#news(),
    })
  }

  #setNode(change: Change<NodeState>): void {
    const { type, value, previous } = change
    // Heartbeats, mostly.
    if (type === 'modified' && isSameNode(previous, value)) return
    if (type === 'deleted') {
      this.#capacity.deleteNode(value.name)
      this.#vnodes.delete(value.name)
    } else {
      this.#capacity.setNode(value)
      if (value.isVnode) this.#vnodes.set(value.name, value)
      else this.#vnodes.delete(value.name)
    }
    this.#options.onNode?.(change)
    this.#news()
  }

  #watchScaleUps(reason: string): Reflector<ScaleUp | undefined> {
    return this.reflect<ScaleUp | undefined>(`events ${reason}`, {
      path: resourcePath({ version: 'v1', plural: 'events' }),
      fieldSelector: `involvedObject.kind=Pod,reason=${reason}`,
      keep: scaleUpOf,
      onChange: ({ type, value }) => {
        if (value === undefined) return
        if (type === 'deleted') this.#scaleUps.forget(value)
        else this.#scaleUps.hear(value, this.#nowMs())
        this.#options.onScaleUp?.(value.uid)
      },
    })
  }

  #nowMs(): number {
    const { today = () => new Date() } = this.#options
    return today().getTime()
  }

  #watchClaims(): Reflector<ClaimState> {
    return this.reflect<ClaimState>('persistentvolumeclaims', {
      path: resourcePath({ version: 'v1', plural: 'persistentvolumeclaims' }),
      keep: claimState,
      onChange: () => this.#news(),
      onSynced: () => this.#news(),
    })
  }

  #watchClasses(): Reflector<boolean> {
    return this.reflect<boolean>('storageclasses', {
      path: resourcePath({ group: 'storage.k8s.io', version: 'v1', plural: 'storageclasses' }),
      keep: isBoundLate,
      onChange: () => this.#news(),
      onSynced: () => this.#news(),
    })
  }

  #watchUsage(): Reflector<Usage> {
    return this.reflect<Usage>('pods of nodes', {
      path: PODS,
      fieldSelector: BOUND_AND_RUNNING,
      keep: raw => this.#shared(usageOf(raw)),
      onChange: ({ type, value, previous }) => {
        if (previous !== undefined) this.#capacity.remove(previous)
        if (type !== 'deleted') this.#capacity.add(value)
        this.#options.onUsage?.()
      },
      onSynced: () => this.#news(),
    })
  }

  /** One text for each node's name: ten thousand Pods would bring ten thousand of them. */
  #shared(usage: Usage): Usage {
    const node = this.#nodeNames.get(usage.node) ?? usage.node
    if (this.#nodeNames.size > MOST_NAMES) this.#nodeNames.clear()
    this.#nodeNames.set(node, node)
    return { ...usage, node }
  }
}

/** Nodes come and go for years. */
const MOST_NAMES = 20_000

function isSameNode(a: NodeState, b: NodeState): boolean {
  return textOf(a) === textOf(b)
}

function textOf({ cpu, memory, labels, ...node }: NodeState): string {
  return JSON.stringify([node, `${cpu}`, `${memory}`, [...labels]])
}
