/** How the Pods that rules match relate: whether one matches all that another matches, whether two can match the same one. */
import { literalNames, matchesName, type NamePatterns } from './name-pattern.ts'
import type { Requirement } from './requirement.ts'
import type { Rule } from './rule.ts'

/** All that a rule requires, each requirement as a text that is the same wherever the requirement is. */
export function requirementsOf(rule: Rule): ReadonlySet<string> {
  const texts = new Set<string>()
  if (rule.onlyNamespace !== undefined) texts.add(`namespace ${rule.onlyNamespace}`)
  if (rule.namespaces !== undefined) texts.add(namespacesText(rule.namespaces))
  for (const one of rule.namespaceSelector ?? []) texts.add(`namespace label ${requirementText(one)}`)
  for (const one of rule.objectSelector ?? []) texts.add(`label ${requirementText(one)}`)
  return texts
}

function namespacesText(patterns: NamePatterns): string {
  const [only, ...more] = literalNames(patterns) ?? []
  const isOne = only !== undefined && more.length === 0 && patterns.exclude.length === 0
  return isOne ? `namespace ${only}` : `namespaces ${[...patterns.patterns].sort().join(' ')}`
}

function requirementText({ key, operator, values }: Requirement): string {
  return [key, operator, ...[...values].sort()].join(' ')
}

/** Says which rules match all that others match; remembers what it has worked out about each. */
export class Coverage {
  readonly #requirements = new Map<Rule, ReadonlySet<string>>()

  /** Does `rule` match every Pod that `other` matches? Judged by equal requirements: a false "no" is possible, a false "yes" is not. */
  covers(rule: Rule, other: Rule): boolean {
    return this.#of(rule).isSubsetOf(this.#of(other))
  }

  #of(rule: Rule): ReadonlySet<string> {
    const known = this.#requirements.get(rule) ?? requirementsOf(rule)
    this.#requirements.set(rule, known)
    return known
  }
}

/** Can one Pod match both? A false "yes" is possible, a false "no" is not. */
export function canMatchBoth(a: Rule, b: Rule): boolean {
  return (
    canShareNamespace(a, b) &&
    isSatisfiable([...(a.namespaceSelector ?? []), ...(b.namespaceSelector ?? [])]) &&
    isSatisfiable([...(a.objectSelector ?? []), ...(b.objectSelector ?? [])])
  )
}

function canShareNamespace(a: Rule, b: Rule): boolean {
  const names = knownNamespaces(a) ?? knownNamespaces(b)
  return names === undefined || names.some(name => admits(a, name) && admits(b, name))
}

function knownNamespaces({ onlyNamespace, namespaces }: Rule): readonly string[] | undefined {
  if (onlyNamespace !== undefined) return [onlyNamespace]
  return namespaces === undefined ? undefined : literalNames(namespaces)
}

function admits({ onlyNamespace, namespaces }: Rule, name: string): boolean {
  return (onlyNamespace ?? name) === name && (namespaces === undefined || matchesName(namespaces, name))
}

function isSatisfiable(requirements: readonly Requirement[]): boolean {
  return [...Map.groupBy(requirements, one => one.key).values()].every(isSatisfiableForKey)
}

/** All about one label's key. */
function isSatisfiableForKey(requirements: readonly Requirement[]): boolean {
  const of = (operator: Requirement['operator']) => requirements.filter(one => one.operator === operator)
  const [first, ...more] = of('In')
  const isAbsent = of('DoesNotExist').length > 0
  if (first === undefined) return !isAbsent || of('Exists').length === 0
  const isAllowed = (value: string) =>
    more.every(one => one.values.has(value)) && !of('NotIn').some(one => one.values.has(value))
  return !isAbsent && [...first.values].some(isAllowed)
}
