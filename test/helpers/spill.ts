import type { Share } from '../../src/core/spill/capacity.ts'
import { type NodeState, nodeState } from '../../src/core/spill/node-state.ts'
import { type PendingPod, pendingPod } from '../../src/core/spill/pending-pod.ts'
import type { SpillSituation } from '../../src/core/spill/verdict.ts'
import { type EnvironmentOverrides, makeEnvironment, makeNamespace, makeVnode } from './environments.ts'
import { makePod, type PodOverrides } from './pods.ts'

export const SPILL_NODE = 'cn-hangzhou.vnd-1'
export const SPILL_TAINT = { key: 'k8s.aliyun.com/vnode', value: 'true', effect: 'NoSchedule' }
export const SPILL_LABELS = { type: 'virtual-kubelet', 'k8s.aliyun.com/vnode': 'true' }

/** What the scheduler writes about a Pod that no node can take. */
export const UNSCHEDULABLE = {
  phase: 'Pending',
  conditions: [
    {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: '0/2 nodes are available: 2 Insufficient cpu.',
      lastTransitionTime: '2026-05-06T07:08:09Z',
    },
  ],
}

export interface PendingOverrides extends PodOverrides {
  readonly status?: object
  readonly deletionTimestamp?: string
  readonly resourceVersion?: string
}

/** A Pod `app` with the label `app: web`, which the scheduler has reported as unschedulable. */
export function makePending({ status = UNSCHEDULABLE, ...overrides }: PendingOverrides = {}): PendingPod {
  const { deletionTimestamp, resourceVersion = '7', ...pod } = overrides
  const { metadata, ...rest } = makePod({ namespace: 'team-a', uid: 'uid-1', labels: { app: 'web' }, ...pod })
  const more = deletionTimestamp === undefined ? {} : { deletionTimestamp }
  const creationTimestamp = '2026-05-06T07:00:00Z'
  return pendingPod({
    ...rest,
    metadata: { ...metadata, resourceVersion, creationTimestamp, ...more },
    status,
  })
}

export interface NodeOverrides {
  readonly name?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly taints?: readonly object[]
  readonly isReady?: boolean
  readonly unschedulable?: boolean
  readonly cpu?: string
  readonly memory?: string
}

/** A Node of the API: Ready, with 4 CPUs and 16 GiB. */
export function makeNode(overrides: NodeOverrides = {}): object {
  const { name = 'worker-1', labels = {}, taints = [], isReady = true, unschedulable } = overrides
  const { cpu = '4', memory = '16Gi' } = overrides
  return {
    metadata: { name, labels },
    spec: { taints, ...(unschedulable === undefined ? {} : { unschedulable }) },
    status: {
      allocatable: { cpu, memory, pods: '110' },
      conditions: [
        { type: 'MemoryPressure', status: 'False' },
        { type: 'Ready', status: isReady ? 'True' : 'Unknown' },
      ],
    },
  }
}

export function makeVnodeState(overrides: NodeOverrides = {}): NodeState {
  return nodeState(makeNode({ name: SPILL_NODE, labels: SPILL_LABELS, taints: [SPILL_TAINT], ...overrides }))
}

/** The one rule: Pods `app: web` prefer real nodes. */
export const PREFER_RULE = {
  name: 'web',
  objectSelector: { matchLabels: { app: 'web' } },
  policy: { normalNodePrefer: {} },
} as const

export interface SituationOverrides extends Partial<Omit<SpillSituation, 'environment'>> {
  readonly environment?: EnvironmentOverrides
  /** Of the rule. */
  readonly policy?: object
}

/** All is such that a Pod spills at once. */
export function makeSituation({ environment, policy, ...rest }: SituationOverrides = {}): SpillSituation {
  const rule = { ...PREFER_RULE, policy: { normalNodePrefer: policy ?? {} } }
  return {
    namespace: makeNamespace('team-a'),
    environment: makeEnvironment({ rules: [rule], vnodes: [makeVnode(SPILL_NODE)], ...environment }),
    settings: { afterMs: 0, waitForScaleUpMs: 600_000 },
    waitedMs: 0,
    claimFault: () => undefined,
    vnodes: [makeVnodeState()],
    share: () => undefined,
    ...rest,
  }
}

/** Requested CPU and memory in per cent of three nodes. */
export function makeShare(cpu: number, memory: number): Share {
  const amounts = (percent: number) => ({ requested: BigInt(percent), allocatable: 100n })
  return { nodes: 3, cpu: amounts(cpu), memory: amounts(memory) }
}
