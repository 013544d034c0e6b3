/** Where a Pod will run once it has been decided about, in words for people. */

import { isLasting, landingOf } from '../daemonset/landing.ts'
import type { PodFacts } from '../pod/facts.ts'
import { conflictOf, goesByItself, toleratesVnode } from '../pod/placement.ts'
import { renderToleration, tolerates } from '../pod/toleration.ts'
import type { Decision, RuledEnvironment } from '../policy/decide.ts'
import { renderDuration } from '../policy/duration.ts'
import type { Policy } from '../policy/policy.ts'
import { admits } from '../spill/node-state.ts'

export interface Whereabouts {
  readonly code: 'vnode' | 'vnode-or-real' | 'real-then-vnode' | 'every-node' | 'real'
  /** Completes "runs on". */
  readonly place: string
  /** A sentence about what to expect in practice. */
  readonly note?: string
}

const A_VNODE: Whereabouts = { code: 'vnode', place: 'a VNode' }
const A_REAL_NODE: Whereabouts = { code: 'real', place: 'a real node' }

/** `pod` is the Pod as its author wrote it. */
export function whereaboutsOf(pod: PodFacts, decision: Decision, environment: RuledEnvironment): Whereabouts {
  if (pod.owner?.kind === 'DaemonSet') return daemonWhereabouts(pod, environment)
  if (pod.isMirror) return { code: 'real', place: 'the node whose kubelet started it' }
  if (pod.nodeName !== undefined) return boundWhereabouts(pod.nodeName, environment)
  if (decision.outcome !== 'placed') return ownWhereabouts(pod, environment)
  return decision.route === 'rule' ? whereaboutsUnder(decision.policy) : A_VNODE
}

/**
 * The same, where every known VNode that the Pod's selectors admit has a taint that it will not tolerate: rules add the one toleration
 * of the settings. `pod` is the Pod as it will be.
 */
export function withTaintNote(
  whereabouts: Whereabouts,
  pod: PodFacts,
  { settings, vnodes }: RuledEnvironment,
): Whereabouts {
  const isScheduled = pod.nodeName === undefined && pod.owner?.kind !== 'DaemonSet'
  if (whereabouts.code === 'real' || !isScheduled) return whereabouts
  // One that spills is given it then.
  const tolerations = [...pod.tolerations, settings.toleration]
  const closed = vnodes.all
    .filter(vnode => admits(pod, vnode))
    .map(vnode => ({
      name: vnode.name,
      taint: vnode.taints.find(taint => isLasting(taint) && !tolerates(tolerations, taint)),
    }))
  if (closed.length === 0 || closed.some(({ taint }) => taint === undefined)) return whereabouts
  const taints = closed
    .slice(0, TAINTS_SHOWN)
    .map(({ name, taint = {} }) => `${name} has ${renderToleration(taint)}`)
  const more = closed.length - taints.length
  const note = `But as they are now no VNode takes it, for a taint that it does not tolerate: ${taints.join(', ')}${more > 0 ? ` and ${more} more have one` : ''}.`
  return { ...whereabouts, note: whereabouts.note === undefined ? note : `${whereabouts.note} ${note}` }
}

const TAINTS_SHOWN = 3

function boundWhereabouts(nodeName: string, { vnodes }: RuledEnvironment): Whereabouts {
  return vnodes.hasName(nodeName)
    ? { code: 'vnode', place: `the VNode ${nodeName}` }
    : { code: 'real', place: `the node ${nodeName}` }
}

/** Of a Pod that nothing is added to. */
export function ownWhereabouts(pod: PodFacts, environment: RuledEnvironment): Whereabouts {
  if (goesByItself(pod, environment)) {
    return {
      ...A_VNODE,
      note: 'Its own selectors and tolerations send it there; nothing is added or taken away.',
    }
  }
  if (!toleratesVnode(pod, environment) || conflictOf(pod, environment) !== undefined) return A_REAL_NODE
  return {
    code: 'vnode-or-real',
    place: 'a VNode or a real node',
    note: `It tolerates the VNodes' taint of its own accord, and ${FREE_CAPACITY}.`,
  }
}

function daemonWhereabouts(pod: PodFacts, environment: RuledEnvironment): Whereabouts {
  const { code, reason } = landingOf(pod, environment)
  switch (code) {
    case 'lands':
      return {
        code: 'every-node',
        place: 'every real node, and every VNode',
        note: `It tolerates the VNodes' taint, and ${NO_DAEMONS}. Keep it off by a required node affinity: type NotIn [virtual-kubelet], in every term.`,
      }
    case 'vnodes-only':
      return { ...A_VNODE, note: `Its selectors and affinity ask for one, but ${NO_DAEMONS}.` }
    case 'not-tolerated':
      return {
        code: 'real',
        place: 'real nodes only',
        note: `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`,
      }
    default:
      return { code: 'real', place: 'real nodes only', note: `What keeps it off VNodes: ${reason}.` }
  }
}

export const NO_DAEMONS = 'a VNode runs no daemons: its Pod there never becomes Ready'

const FREE_CAPACITY =
  "a VNode's free capacity wins the scheduler's scores: expect most such Pods on the VNode"

function whereaboutsUnder(policy: Policy | undefined): Whereabouts {
  switch (policy?.kind) {
    case 'fair':
      return policy.preferRealNodes
        ? {
            code: 'vnode-or-real',
            place: 'a real node or a VNode',
            note: 'Real nodes are preferred while they have room (weight 100, a preference and no guarantee).',
          }
        : {
            code: 'vnode-or-real',
            place: 'a VNode or a real node',
            note: `The scheduler chooses, and ${FREE_CAPACITY}.`,
          }
    case 'normalNodePrefer':
      return {
        code: 'real-then-vnode',
        place: 'a real node',
        note: spillWords(policy),
      }
    default:
      return A_VNODE
  }
}

function spillWords({
  cpuRatio,
  memoryRatio,
  spillAfterSeconds,
}: Extract<Policy, { kind: 'normalNodePrefer' }>): string {
  const when = spillAfterSeconds
    ? `once the scheduler has found no real node for it for ${renderDuration(spillAfterSeconds)}`
    : 'once the scheduler finds no real node for it'
  const shares = [
    ...(cpuRatio === undefined ? [] : [`${cpuRatio} % of the real nodes' CPU`]),
    ...(memoryRatio === undefined ? [] : [`${memoryRatio} % of the real nodes' memory`]),
  ]
  const full = shares.length === 0 ? '' : `, but only while at least ${shares.join(' or ')} is requested`
  return `The helper lets it spill to a VNode ${when}${full}; until then it waits for a real node.`
}
