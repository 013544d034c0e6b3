/** Compiled rules written out again, in either format. */
import { renderDuration } from '../policy/duration.ts'
import type { Policy } from '../policy/policy.ts'
import { type Effect, isEmptyEffect } from './effect.ts'
import type { Requirement } from './requirement.ts'
import type { Rule } from './rule.ts'

/** The rule as an element of `data.selectors`. `virtualNodeOnly` is what a rule with a selector has anyway, and is not written. */
export function renderConfigMapRule(rule: Rule): Record<string, unknown> {
  const { namespaceSelector, objectSelector, policy } = rule
  return {
    name: rule.name,
    ...namespacesPart(rule),
    ...(namespaceSelector === undefined ? {} : { namespaceSelector: renderLabelSelector(namespaceSelector) }),
    ...(objectSelector === undefined ? {} : { objectSelector: renderLabelSelector(objectSelector) }),
    ...(policy === undefined || policy.kind === 'virtualNodeOnly' ? {} : { policy: renderPolicy(policy) }),
    ...effectPart(rule.effect),
  }
}

/** The rule as a Selector's `spec`. */
export function renderSelectorSpec(rule: Rule, priority: number): Record<string, unknown> {
  const { namespaceSelector, objectSelector, policy } = rule
  return {
    priority,
    ...namespacesPart(rule),
    ...(namespaceSelector === undefined ? {} : { namespaceLabels: renderLabelSelector(namespaceSelector) }),
    ...(objectSelector === undefined ? {} : { objectLabels: renderLabelSelector(objectSelector) }),
    ...(policy === undefined ? {} : { policy: renderPolicy(policy) }),
    ...effectPart(rule.effect),
  }
}

function namespacesPart({ namespaces }: Rule): Record<string, unknown> {
  return namespaces === undefined ? {} : { namespaces: namespaces.patterns }
}

/** Single values as matchLabels, as people write them; the same key twice, and everything else, as matchExpressions. */
function renderLabelSelector(requirements: readonly Requirement[]): Record<string, unknown> {
  const matchLabels = new Map<string, string>()
  const matchExpressions: Record<string, unknown>[] = []
  for (const { key, operator, values } of requirements) {
    const [only = '', ...more] = values
    if (operator === 'In' && more.length === 0 && !matchLabels.has(key)) matchLabels.set(key, only)
    else matchExpressions.push({ key, operator, ...(values.size === 0 ? {} : { values: [...values] }) })
  }
  return {
    ...(matchLabels.size === 0 ? {} : { matchLabels: Object.fromEntries(matchLabels) }),
    ...(matchExpressions.length === 0 ? {} : { matchExpressions }),
  }
}

function renderPolicy(policy: Policy): Record<string, unknown> {
  switch (policy.kind) {
    case 'fair':
      return { fair: policy.preferRealNodes ? { preferRealNodes: true } : {} }
    case 'normalNodePrefer': {
      const { kind: _, spillAfterSeconds, ...ratios } = policy
      const spillAfter =
        spillAfterSeconds === undefined ? {} : { spillAfter: renderDuration(spillAfterSeconds) }
      return { normalNodePrefer: { ...ratios, ...spillAfter } }
    }
    default:
      return { [policy.kind]: {} }
  }
}

function effectPart(effect: Effect): Record<string, unknown> {
  if (isEmptyEffect(effect)) return {}
  const { annotations, labels } = effect
  return {
    effect: {
      ...(annotations.size === 0 ? {} : { annotations: Object.fromEntries(annotations) }),
      ...(labels.size === 0 ? {} : { labels: Object.fromEntries(labels) }),
    },
  }
}
