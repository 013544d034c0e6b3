/** One compiled rule, from whichever format, and what it means to match it. */
import type { Policy } from '../policy/policy.ts'
import type { Effect } from './effect.ts'
import { matchesName, type NamePatterns } from './name-pattern.ts'
import { type Labels, type Requirement, renderRequirement, satisfies } from './requirement.ts'

export interface Rule {
  /** What people see: the ConfigMap rule's name, or `namespace/name` of a Selector (`name` of a cluster-scoped one). */
  readonly name: string
  readonly origin: 'ConfigMap' | 'Selector'
  /** Acts on Pods of this namespace only. */
  readonly onlyNamespace?: string
  readonly namespaces?: NamePatterns
  /** Present only with at least one requirement in it. */
  readonly namespaceSelector?: readonly Requirement[]
  readonly objectSelector?: readonly Requirement[]
  /** Present only if the rule schedules, which takes a selector. */
  readonly policy?: Policy
  readonly effect: Effect
}

/** What rules look at: a Pod's labels and its namespace. */
export interface Subject {
  readonly labels: Labels
  readonly namespace: string
  readonly namespaceLabels: Labels
}

/** The first thing about a subject that kept a rule from matching. */
export type Mismatch =
  | { readonly part: 'onlyNamespace'; readonly namespace: string }
  | { readonly part: 'namespaces'; readonly patterns: readonly string[] }
  | { readonly part: 'namespaceSelector' | 'objectSelector'; readonly requirement: Requirement }

/** Undefined if the rule matches. A rule without selectors matches every Pod that its namespaces let through. */
export function mismatchOf(rule: Rule, subject: Subject): Mismatch | undefined {
  if (rule.onlyNamespace !== undefined && rule.onlyNamespace !== subject.namespace) {
    return { part: 'onlyNamespace', namespace: rule.onlyNamespace }
  }
  if (rule.namespaces !== undefined && !matchesName(rule.namespaces, subject.namespace)) {
    return { part: 'namespaces', patterns: rule.namespaces.patterns }
  }
  const wanted = firstUnmet(rule.namespaceSelector, subject.namespaceLabels)
  if (wanted !== undefined) return { part: 'namespaceSelector', requirement: wanted }
  const unmet = firstUnmet(rule.objectSelector, subject.labels)
  return unmet === undefined ? undefined : { part: 'objectSelector', requirement: unmet }
}

export function hasSelector(rule: Rule): boolean {
  return rule.namespaceSelector !== undefined || rule.objectSelector !== undefined
}

/** A sentence: `the Pod's labels do not satisfy app=web (app is "api")`. */
export function renderMismatch(mismatch: Mismatch, subject: Subject): string {
  switch (mismatch.part) {
    case 'onlyNamespace':
      return `it acts on namespace ${mismatch.namespace} only`
    case 'namespaces':
      return `namespace ${subject.namespace} is not among ${mismatch.patterns.join(', ')}`
    case 'namespaceSelector':
      return unmetWords('the namespace', mismatch.requirement, subject.namespaceLabels)
    case 'objectSelector':
      return unmetWords('the Pod', mismatch.requirement, subject.labels)
  }
}

function unmetWords(whose: string, requirement: Requirement, labels: Labels): string {
  const value = labels.get(requirement.key)
  const has = value === undefined ? `has no label ${requirement.key}` : `has ${requirement.key}=${value}`
  return `it wants ${renderRequirement(requirement)}, but ${whose} ${has}`
}

function firstUnmet(
  requirements: readonly Requirement[] | undefined,
  labels: Labels,
): Requirement | undefined {
  return requirements?.find(requirement => !satisfies(requirement, labels))
}
