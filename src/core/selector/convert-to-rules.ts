/** Selectors as ConfigMap rules. What was the first match's effect alone becomes that of all matches; what changes by that is named. */
import { type ConversionNote, renderAlternatives } from './conversion.ts'
import { Coverage, canMatchBoth } from './coverage.ts'
import { NO_EFFECT } from './effect.ts'
import { compileNamePatterns, matchesName } from './name-pattern.ts'
import { Problems } from './problem.ts'
import type { Rule } from './rule.ts'

export interface AsRules {
  readonly rules: readonly Rule[]
  readonly notes: readonly ConversionNote[]
}

/** A Selector on its way. */
interface Candidate {
  readonly rule: Rule
  /** Can it be the first Selector that matches some Pod? */
  readonly canBeFirst: boolean
  /** Why it is left out, if it is. */
  readonly omission?: ConversionNote
}

/** Converts Selectors, given in the order in which they are tried, and puts them before the rules that the ConfigMap has. */
export function convertToRules(selectors: readonly Rule[], configMapRules: readonly Rule[]): AsRules {
  const coverage = new Coverage()
  const candidates = selectors.map((rule, index) => candidateOf(rule, selectors.slice(0, index), coverage))
  const kept = candidates.filter(one => one.omission === undefined)
  const names = new Set(configMapRules.map(rule => rule.name))
  return {
    rules: [...kept.map(one => toConfigMapRule(one, names)), ...configMapRules],
    notes: [
      ...candidates.flatMap(one => one.omission ?? []),
      ...kept.flatMap(one => gainsOf(one, candidates.slice(0, candidates.indexOf(one)))),
    ],
  }
}

function candidateOf(rule: Rule, earlier: readonly Rule[], coverage: Coverage): Candidate {
  const { name, onlyNamespace, namespaces, policy } = rule
  const covering = earlier.filter(one => coverage.covers(one, rule))
  const canBeFirst = covering.length === 0
  const omit = (kind: ConversionNote['kind'], message: string): Candidate => ({
    rule,
    canBeFirst,
    omission: { kind, rule: name, message },
  })
  if (onlyNamespace !== undefined && namespaces !== undefined && !matchesName(namespaces, onlyNamespace))
    return omit(
      'note',
      `acts on namespace ${onlyNamespace} only, which its own namespaces leave out: it matches nothing`,
    )
  const above = covering.find(one => one.policy !== undefined || policy === undefined)
  if (above !== undefined) return omit('note', `never counts: ${above.name} matches all that it matches`)
  if (policy === undefined) {
    return omit(
      'loss',
      'has no policy, so it adds to Pods that go to a VNode anyway; as a ConfigMap rule it would send its Pods there, so it is left out',
    )
  }
  return { rule, canBeFirst }
}

function toConfigMapRule({ rule, canBeFirst }: Candidate, names: Set<string>): Rule {
  const { onlyNamespace, ...rest } = rule
  const name = uniqueName(rule.name, names)
  names.add(name)
  return {
    ...rest,
    name,
    origin: 'ConfigMap',
    effect: canBeFirst ? rule.effect : NO_EFFECT,
    ...(onlyNamespace === undefined ? {} : onlyIn(onlyNamespace)),
  }
}

function onlyIn(namespace: string): Pick<Rule, 'namespaces'> {
  const namespaces = compileNamePatterns([namespace], [], new Problems())
  return namespaces === undefined ? {} : { namespaces }
}

/** The Selector's name without its namespace, where that is clear. */
function uniqueName(fullName: string, taken: ReadonlySet<string>): string {
  const short = fullName.split('/').at(-1) ?? fullName
  if (!taken.has(short)) return short
  let name = fullName
  for (let number = 2; taken.has(name); number++) name = `${fullName}-${number}`
  return name
}

/** What Pods that match an earlier Selector too get of this one, now that all matches count. */
function gainsOf({ rule, canBeFirst }: Candidate, earlier: readonly Candidate[]): ConversionNote[] {
  if (!canBeFirst) return []
  const gains = earlier.flatMap(({ rule: first, canBeFirst: isTaken }) => {
    if (!isTaken || first.policy?.kind === 'normalNodeOnly' || !canMatchBoth(first, rule)) return []
    const entries = (['annotations', 'labels'] as const).flatMap(member =>
      [...rule.effect[member]].filter(([key]) => !first.effect[member].has(key)),
    )
    return entries.length === 0 ? [] : [{ first, entries: entries.map(([key, value]) => `${key}=${value}`) }]
  })
  if (gains.length === 0) return []
  const names = renderAlternatives(gains.map(one => one.first.name))
  const entries = [...new Set(gains.flatMap(one => one.entries))].join(', ')
  const message = `a Pod that matches ${names} too now gets ${entries} as well`
  return [{ kind: 'loss', rule: rule.name, message }]
}
