/**
 * What is to become of a Pod: one function for the webhook, the helper and `vnode explain`, so that none of them can differ.
 * Source of every rule here: the design's sections on rules and admission; what the vendor documents of eci-profile.
 */
import { memoizeByObject } from '../memo.ts'
import { ECI_PREFIX, LABEL_SKIP } from '../names.ts'
import type { PodFacts } from '../pod/facts.ts'
import { type Conflict, conflictOf, type Environment, goesByItself } from '../pod/placement.ts'
import type { Effect } from '../selector/effect.ts'
import type { Labels } from '../selector/requirement.ts'
import type { Rule } from '../selector/rule.ts'
import type { RuleMatches, RuleSet } from '../selector/rule-set.ts'
import type { Policy } from './policy.ts'

export interface NamespaceFacts {
  readonly name: string
  readonly labels: Labels
}

export interface RuledEnvironment extends Environment {
  readonly rules: RuleSet
}

export type SkipCode = 'mirror' | 'excluded-namespace' | 'skip-label' | 'daemonset' | 'bound'

/** How a Pod comes to a VNode: by a rule, by its own selectors and tolerations, or bound to one by its author. */
export type Route = 'rule' | 'own' | 'bound'

export type Decision =
  | { readonly outcome: 'skipped'; readonly code: SkipCode; readonly reason: string }
  | { readonly outcome: 'unmatched'; readonly reason: string }
  | { readonly outcome: 'real-nodes'; readonly reason: string; readonly rule: Rule; readonly policy: Policy }
  | {
      readonly outcome: 'conflict'
      readonly reason: string
      readonly rule: Rule
      readonly policy: Policy
      readonly conflict: Conflict
    }
  | Placed

export interface Placed {
  readonly outcome: 'placed'
  readonly reason: string
  readonly route: Route
  /** The rule that schedules and its policy; absent for a Pod that goes by itself and that no rule schedules. */
  readonly rule?: Rule
  readonly policy?: Policy
  /** The rules that apply, in order: the one that schedules, and those that have an effect. */
  readonly rules: readonly Rule[]
  /** Their effects merged, the earlier rule winning; the Pod's own keys are still to win over these. */
  readonly effect: Effect
  /** Of `effect`, what belongs on the Pod at its creation; the rest only once it is bound to a VNode. */
  readonly effectAtCreation: Effect
}

/** Decides about a Pod at its creation. Pure: the same Pod, namespace and environment give the same decision. */
export function decide(pod: PodFacts, namespace: NamespaceFacts, environment: RuledEnvironment): Decision {
  const skip = skipOf(pod, namespace, environment)
  if (skip !== undefined) return skip
  const matches = environment.rules.match({
    labels: pod.labels,
    namespace: namespace.name,
    namespaceLabels: namespace.labels,
  })
  const { scheduling } = matches
  const policy = scheduling?.policy
  if (scheduling !== undefined && policy?.kind === 'normalNodeOnly') {
    return {
      outcome: 'real-nodes',
      rule: scheduling,
      policy,
      reason: `rule ${scheduling.name} matches with policy normalNodeOnly`,
    }
  }
  const route = routeOf(pod, environment)
  if (route === 'rule' && (scheduling === undefined || policy === undefined)) {
    return { outcome: 'unmatched', reason: 'no rule schedules it' }
  }
  const conflict = route === 'rule' ? conflictOf(pod, environment) : undefined
  if (conflict !== undefined && scheduling !== undefined && policy !== undefined) {
    return { outcome: 'conflict', rule: scheduling, policy, conflict, reason: conflict.message }
  }
  return place(pod, route, matches)
}

function skipOf(
  pod: PodFacts,
  namespace: NamespaceFacts,
  { settings, vnodes }: Environment,
): Decision | undefined {
  const skip = (code: SkipCode, reason: string): Decision => ({ outcome: 'skipped', code, reason })
  if (pod.isMirror) return skip('mirror', 'it is a static Pod: the kubelet has started it already')
  if (settings.excludedNamespaces.has(namespace.name))
    return skip('excluded-namespace', `namespace ${namespace.name} is excluded`)
  if (settings.allowSkip !== 'never' && namespace.labels.get(LABEL_SKIP) === 'true') {
    return skip('skip-label', `its namespace has the label ${LABEL_SKIP}=true`)
  }
  if (settings.allowSkip === 'pod' && pod.labels.get(LABEL_SKIP) === 'true') {
    return skip('skip-label', `it has the label ${LABEL_SKIP}=true`)
  }
  if (pod.owner?.kind === 'DaemonSet')
    return skip('daemonset', 'it belongs to a DaemonSet, which no VNode runs')
  if (pod.nodeName !== undefined && !vnodes.hasName(pod.nodeName)) {
    return skip('bound', `its nodeName binds it to the real node ${pod.nodeName}`)
  }
  return undefined
}

function routeOf(pod: PodFacts, environment: Environment): Route {
  if (pod.nodeName !== undefined) return 'bound'
  return goesByItself(pod, environment) ? 'own' : 'rule'
}

/** The same value for all Pods that the same rules send the same way, so that what follows from it can be kept. */
function place(pod: PodFacts, route: Route, matches: RuleMatches): Placed {
  if (route !== 'bound') return placements(matches)[route]
  return placement(matches, route, `its nodeName binds it to the VNode ${pod.nodeName}`)
}

const placements = memoizeByObject((matches: RuleMatches) => ({
  own: placement(matches, 'own', 'its own selectors and tolerations send it to a VNode'),
  rule: placement(
    matches,
    'rule',
    `rule ${matches.scheduling?.name} matches with policy ${matches.scheduling?.policy?.kind}`,
  ),
}))

function placement({ scheduling, effective, applying }: RuleMatches, route: Route, reason: string): Placed {
  const policy = scheduling?.policy
  const effect = mergeEffects(effective)
  return {
    outcome: 'placed',
    route,
    effect,
    reason,
    effectAtCreation: route === 'rule' ? atCreation(effect, policy) : effect,
    rules: applying,
    ...(scheduling === undefined || policy === undefined ? {} : { rule: scheduling, policy }),
  }
}

function mergeEffects(rules: readonly Rule[]): Effect {
  const [only, ...more] = rules
  if (only !== undefined && more.length === 0) return only.effect
  const annotations = new Map<string, string>()
  const labels = new Map<string, string>()
  for (const { effect } of rules) {
    for (const [key, value] of effect.annotations) if (!annotations.has(key)) annotations.set(key, value)
    for (const [key, value] of effect.labels) if (!labels.has(key)) labels.set(key, value)
  }
  return { annotations, labels }
}

const NO_LABELS: Labels = new Map()

/** Annotations for ECI mean nothing on a real node and may come early; labels and the deletion cost would do harm there. */
function atCreation(effect: Effect, policy: Policy | undefined): Effect {
  if (policy?.kind === 'virtualNodeOnly') return effect
  if (policy?.kind !== 'fair') return { annotations: NO_LABELS, labels: NO_LABELS }
  const annotations = [...effect.annotations].filter(([key]) => key.startsWith(ECI_PREFIX))
  return { annotations: new Map(annotations), labels: NO_LABELS }
}
