/**
 * ConfigMap rules as Selectors. Both decide by the first matching rule that schedules, but of the Selectors only the first match gives
 * its effect, and of the ConfigMap's rules all matches do. So a Selector gets the effects of all rules that match whenever it does, and
 * the more special ones go first; where two rules merely can match the same Pod, something is lost, and named.
 */
import { type ConversionNote, entriesNotIn, mergedEffect, renderAlternatives } from './conversion.ts'
import { Coverage, canMatchBoth } from './coverage.ts'
import { type Effect, isEmptyEffect } from './effect.ts'
import { NameMaker } from './name-maker.ts'
import type { CompiledSelector } from './resource-rules.ts'
import { hasSelector, type Rule } from './rule.ts'

export interface ConvertedSelector {
  /** With the effect that it must have. */
  readonly rule: Rule
  readonly priority: number
  /** Of the resource: unique, and a name that the apiserver takes. */
  readonly name: string
}

export interface AsSelectors {
  readonly selectors: readonly ConvertedSelector[]
  /** Rules without a selector, which only a ConfigMap can hold. */
  readonly left: readonly Rule[]
  readonly notes: readonly ConversionNote[]
}

/** A rule on its way. */
interface Candidate {
  readonly rule: Rule
  /** All rules that match whenever it does, itself included, in their order. */
  readonly implied: readonly Rule[]
  readonly effect: Effect
}

/** Room for rules that somebody wants between two others. */
const PRIORITY_STEP = 10

/** Converts `rules`, to be tried after the Selectors that exist already. */
export function convertToSelectors(
  rules: readonly Rule[],
  existing: readonly CompiledSelector[],
): AsSelectors {
  const coverage = new Coverage()
  const selective = rules.filter(hasSelector)
  const doubles = doublesOf(selective, coverage)
  const singles = selective.filter(rule => !doubles.has(rule))
  const candidates = bringForward(
    singles.map(rule => candidateOf(rule, selective, coverage)),
    coverage,
  )
  const left = rules.filter(rule => !hasSelector(rule))
  return {
    selectors: prioritised(candidates, existing),
    left,
    notes: [
      ...[...doubles].map(([rule, first]) => doubleNote(rule, first)),
      ...candidates.flatMap((candidate, index) => [
        ...lossesTo(candidate, candidates.slice(0, index), selective),
        ...lossesToExisting(candidate, existing),
      ]),
      ...left.flatMap(rule => leftNotes(rule, rules, candidates)),
    ],
  }
}

/** Rules that match exactly what an earlier one matches, each with that one. */
function doublesOf(rules: readonly Rule[], coverage: Coverage): ReadonlyMap<Rule, Rule> {
  const doubles = new Map<Rule, Rule>()
  for (const [index, rule] of rules.entries()) {
    const first = rules.slice(0, index).find(one => coverage.covers(one, rule) && coverage.covers(rule, one))
    if (first !== undefined) doubles.set(rule, first)
  }
  return doubles
}

function doubleNote(rule: Rule, first: Rule): ConversionNote {
  const message = `has the selectors of ${first.name}: both are one Selector now`
  return { kind: 'note', rule: rule.name, message }
}

function candidateOf(rule: Rule, rules: readonly Rule[], coverage: Coverage): Candidate {
  const implied = rules.filter(one => coverage.covers(one, rule))
  // What stays on real nodes gets no effect at all.
  const effect = rule.policy?.kind === 'normalNodeOnly' ? rule.effect : mergedEffect(implied)
  return { rule, implied, effect }
}

/**
 * Puts the more special before the more general, and rules with an effect before those without, so that the first match is the one
 * that has most to give. A rule passes another only where that cannot change what schedules a Pod.
 */
function bringForward(candidates: readonly Candidate[], coverage: Coverage): readonly Candidate[] {
  const ordered: Candidate[] = []
  for (const candidate of candidates) {
    let at = ordered.length
    for (const [index, other] of [...ordered.entries()].reverse()) {
      if (!mayPass(candidate, other)) break
      if (belongsBefore(candidate, other, coverage)) at = index
    }
    ordered.splice(at, 0, candidate)
  }
  return ordered
}

function mayPass({ rule }: Candidate, { rule: other }: Candidate): boolean {
  return JSON.stringify(rule.policy) === JSON.stringify(other.policy) || !canMatchBoth(rule, other)
}

function belongsBefore(one: Candidate, other: Candidate, coverage: Coverage): boolean {
  if (coverage.covers(other.rule, one.rule)) return true
  return isEmptyEffect(other.effect) && !isEmptyEffect(one.effect) && canMatchBoth(one.rule, other.rule)
}

function prioritised(
  candidates: readonly Candidate[],
  existing: readonly CompiledSelector[],
): readonly ConvertedSelector[] {
  const lowest = Math.min(...existing.map(one => one.priority))
  const top = existing.length === 0 ? candidates.length * PRIORITY_STEP : lowest - PRIORITY_STEP
  const names = new NameMaker(existing.flatMap(one => one.rule?.name.split('/').at(-1) ?? []))
  return candidates.map(({ rule, effect }, index) => ({
    rule: { ...rule, effect },
    priority: top - index * PRIORITY_STEP,
    name: names.make(rule.name),
  }))
}

/** What Pods that match an earlier candidate too do not get any more of this one's effect. */
function lossesTo(
  { rule, implied }: Candidate,
  earlier: readonly Candidate[],
  rules: readonly Rule[],
): ConversionNote[] {
  const lost = earlier.map((first): Lost => {
    if (!isRival(first.rule, rule)) return { first: first.rule, entries: [] }
    const both = new Set([...first.implied, ...implied])
    const wanted = mergedEffect(rules.filter(one => both.has(one)))
    return { first: first.rule, entries: entriesNotIn(wanted, first.effect) }
  })
  return lossNotes(rule, lost)
}

/** The same for Selectors that were there before: beside these, a ConfigMap rule's effect was added all the same. */
function lossesToExisting(
  { rule, effect }: Candidate,
  existing: readonly CompiledSelector[],
): ConversionNote[] {
  const lost = existing.flatMap(({ rule: first }): Lost[] => {
    if (first === undefined || !isRival(first, rule)) return []
    return [{ first, entries: entriesNotIn(mergedEffect([first, { ...rule, effect }]), first.effect) }]
  })
  return lossNotes(rule, lost)
}

function isRival(first: Rule, rule: Rule): boolean {
  return first.policy?.kind !== 'normalNodeOnly' && canMatchBoth(first, rule)
}

interface Lost {
  readonly first: Rule
  readonly entries: readonly string[]
}

function lossNotes(rule: Rule, lost: readonly Lost[]): ConversionNote[] {
  const real = lost.filter(one => one.entries.length > 0)
  if (real.length === 0) return []
  const names = renderAlternatives(real.map(one => one.first.name))
  const entries = [...new Set(real.flatMap(one => one.entries))].join(', ')
  const message = `a Pod that matches ${names} too gets the effect of the first only, and no longer ${entries}`
  return [{ kind: 'loss', rule: rule.name, message }]
}

function leftNotes(rule: Rule, rules: readonly Rule[], candidates: readonly Candidate[]): ConversionNote[] {
  const at = rules.indexOf(rule)
  const passing = candidates.filter(one => rules.indexOf(one.rule) > at && clashes(rule.effect, one.effect))
  const stays: ConversionNote = {
    kind: 'note',
    rule: rule.name,
    message: 'has no selector, and no Selector can say that: it stays in the ConfigMap',
  }
  if (passing.length === 0) return [stays]
  const names = renderAlternatives(passing.map(one => one.rule.name))
  return [
    stays,
    {
      kind: 'loss',
      rule: rule.name,
      message: `was tried before ${names}, and is tried after it now: where both set a key, the other wins`,
    },
  ]
}

function clashes(a: Effect, b: Effect): boolean {
  return (['annotations', 'labels'] as const).some(member =>
    [...a[member]].some(([key, value]) => b[member].has(key) && b[member].get(key) !== value),
  )
}
