/**
 * All rules in force, in their order, with an index, so that a Pod costs what the rules that could match it cost, not what exists.
 *
 * Each rule hangs on one anchor: the requirement of its that the fewest rules share.
 *
 *     pod label      app=web ─► rules that want app in (web, …)      namespace name   team-a ─► rules of team-a only
 *     pod label key  gpu     ─► rules that want gpu to exist         namespace label  env=ci ─► rules that want it
 *     always                 ─► rules with nothing to hang on: NotIn, DoesNotExist, wildcards, no selector
 */

import { memoize } from '../memo.ts'
import { isEmptyEffect } from './effect.ts'
import { literalNames } from './name-pattern.ts'
import { type Problem, renderPath } from './problem.ts'
import { type Labels, type Requirement, renderRequirement } from './requirement.ts'
import type { CompiledSelector } from './resource-rules.ts'
import { mismatchOf, type Rule, type Subject } from './rule.ts'

export interface RuleMatches {
  /** The first matching rule that schedules. */
  readonly scheduling?: Rule
  /** The rules whose effects apply, in order: the first matching Selector, and every matching ConfigMap rule. */
  readonly effective: readonly Rule[]
  /** In order: the rule that schedules, and those that have an effect. */
  readonly applying: readonly Rule[]
}

type Slot = 'label' | 'labelKey' | 'namespace' | 'namespaceLabel' | 'namespaceLabelKey'

interface Anchor {
  readonly slot: Slot
  readonly key: string
  /** The bucket's second key; empty where the first says all. */
  readonly values: readonly string[]
}

/** A rule with its place in the order. */
interface Entry {
  readonly order: number
  readonly rule: Rule
}

type Buckets = Map<string, Map<string, Entry[]>>

export class RuleSet {
  /** In the order in which they are tried. */
  readonly rules: readonly Rule[]
  readonly #slots: Record<Slot, Buckets> = {
    label: new Map(),
    labelKey: new Map(),
    namespace: new Map(),
    namespaceLabel: new Map(),
    namespaceLabelKey: new Map(),
  }
  readonly #always: Entry[] = []
  /** Keys of Pod labels that any rule asks about. */
  readonly #podLabelKeys: ReadonlySet<string>
  /** By the orders of the rules that match. The same few rules match Pod after Pod, and what follows from them is kept by this value. */
  readonly #choose = memoize(
    (orders: string): RuleMatches =>
      choose(orders.split(' ').flatMap(order => this.rules[Number(order)] ?? [])),
  )

  constructor(rules: readonly Rule[]) {
    this.rules = rules
    this.#podLabelKeys = new Set(rules.flatMap(rule => (rule.objectSelector ?? []).map(({ key }) => key)))
    const entries = rules.map((rule, order) => ({ order, rule, anchors: anchorsOf(rule) }))
    const load = countLoad(entries.map(entry => entry.anchors))
    for (const { order, rule, anchors } of entries) this.#hang({ order, rule }, lightest(anchors, load))
  }

  /** The same value each time that the same rules match. */
  match(subject: Subject): RuleMatches {
    const matching = this.#candidates(subject).filter(({ rule }) => mismatchOf(rule, subject) === undefined)
    if (matching.length === 0) return NO_MATCHES
    if (matching.length > 1) matching.sort((a, b) => a.order - b.order)
    return this.#choose(matching.map(({ order }) => order).join(' '))
  }

  /** Does any rule look at one of these labels? If not, a Pod matches the same with and without them. */
  asksAbout(labels: Labels): boolean {
    for (const key of labels.keys()) if (this.#podLabelKeys.has(key)) return true
    return false
  }

  #hang(entry: Entry, anchor: Anchor | undefined): void {
    if (anchor === undefined) {
      this.#always.push(entry)
      return
    }
    for (const value of anchor.values) bucket(this.#slots[anchor.slot], anchor.key, value).push(entry)
  }

  #candidates({ labels, namespace, namespaceLabels }: Subject): Entry[] {
    const found = [...this.#always]
    const { label, labelKey, namespaceLabel, namespaceLabelKey } = this.#slots
    collect(found, this.#slots.namespace.get(namespace)?.get(''))
    collectLabels(found, labels, label, labelKey)
    collectLabels(found, namespaceLabels, namespaceLabel, namespaceLabelKey)
    return found
  }
}

/** Selectors by priority (higher first; then older; then name), then the ConfigMap's rules in their order. */
export function orderRules(
  selectors: readonly CompiledSelector[],
  configMapRules: readonly Rule[],
): readonly Rule[] {
  const usable = selectors.flatMap(one => (one.rule === undefined ? [] : [{ ...one, rule: one.rule }]))
  usable.sort(
    (a, b) =>
      b.priority - a.priority ||
      compareText(a.createdAt, b.createdAt) ||
      compareText(a.rule.name, b.rule.name),
  )
  return [...usable.map(one => one.rule), ...configMapRules]
}

/** By code unit, not by locale, so that every replica sorts alike. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

const NO_MATCHES: RuleMatches = { effective: [], applying: [] }

function choose(matching: readonly Rule[]): RuleMatches {
  let scheduling: Rule | undefined
  let isSelectorTaken = false
  const effective: Rule[] = []
  const applying: Rule[] = []
  for (const rule of matching) {
    const isScheduler = scheduling === undefined && rule.policy !== undefined
    const isEffective = (rule.origin === 'ConfigMap' || !isSelectorTaken) && !isEmptyEffect(rule.effect)
    if (isScheduler) scheduling = rule
    if (isEffective) effective.push(rule)
    if (isScheduler || isEffective) applying.push(rule)
    if (rule.origin === 'Selector') isSelectorTaken = true
  }
  return scheduling === undefined ? { effective, applying } : { scheduling, effective, applying }
}

function collect(found: Entry[], entries: readonly Entry[] | undefined): void {
  if (entries === undefined) return
  for (const entry of entries) found.push(entry)
}

function collectLabels(found: Entry[], labels: Labels, byValue: Buckets, byKey: Buckets): void {
  if (byValue.size === 0 && byKey.size === 0) return
  for (const [key, value] of labels) {
    collect(found, byValue.get(key)?.get(value))
    collect(found, byKey.get(key)?.get(''))
  }
}

function anchorsOf(rule: Rule): Anchor[] {
  const anchors: Anchor[] = []
  if (rule.onlyNamespace !== undefined)
    anchors.push({ slot: 'namespace', key: rule.onlyNamespace, values: [''] })
  const names = rule.namespaces === undefined ? undefined : literalNames(rule.namespaces)
  const [name, ...others] = names ?? []
  if (name !== undefined && others.length === 0) anchors.push({ slot: 'namespace', key: name, values: [''] })
  for (const one of rule.objectSelector ?? []) addAnchor(anchors, one, ['label', 'labelKey'])
  for (const one of rule.namespaceSelector ?? [])
    addAnchor(anchors, one, ['namespaceLabel', 'namespaceLabelKey'])
  return anchors
}

function addAnchor(
  anchors: Anchor[],
  { key, operator, values }: Requirement,
  [value, exists]: [Slot, Slot],
): void {
  if (operator === 'In') anchors.push({ slot: value, key, values: [...values] })
  else if (operator === 'Exists') anchors.push({ slot: exists, key, values: [''] })
}

/** How many rules could hang in each bucket. */
function countLoad(options: readonly (readonly Anchor[])[]): ReadonlyMap<string, number> {
  const load = new Map<string, number>()
  for (const { slot, key, values } of options.flat()) {
    for (const value of values) {
      const id = bucketId(slot, key, value)
      load.set(id, (load.get(id) ?? 0) + 1)
    }
  }
  return load
}

function lightest(anchors: readonly Anchor[], load: ReadonlyMap<string, number>): Anchor | undefined {
  let best: Anchor | undefined
  let bestLoad = Number.POSITIVE_INFINITY
  for (const anchor of anchors) {
    const { slot, key, values } = anchor
    // Not Math.max(...): a list of 100,000 values is more than a call takes arguments.
    const heaviest = values.reduce(
      (most, one) => Math.max(most, Number(load.get(bucketId(slot, key, one)))),
      0,
    )
    if (heaviest < bestLoad) {
      best = anchor
      bestLoad = heaviest
    }
  }
  return best
}

// Label keys, values and namespace names have no line breaks in them.
function bucketId(slot: Slot, key: string, value: string): string {
  return `${slot}\n${key}\n${value}`
}

function bucket(buckets: Buckets, key: string, value: string): Entry[] {
  const byValue = buckets.get(key) ?? new Map<string, Entry[]>()
  buckets.set(key, byValue)
  const entries = byValue.get(value) ?? []
  byValue.set(value, entries)
  return entries
}

/**
 * Warns of labels that rules set and that would stop a rule from matching when the webhook is called a second time for the
 * same Pod (reinvocation), so that the outcome would depend on other webhooks.
 */
export function selfDefeatingLabels(rules: readonly Rule[]): Problem[] {
  const negative = rules.flatMap(rule =>
    (rule.objectSelector ?? [])
      .filter(({ operator }) => operator === 'NotIn' || operator === 'DoesNotExist')
      .map(requirement => ({ rule, requirement })),
  )
  if (negative.length === 0) return []
  const byKey = Map.groupBy(negative, ({ requirement }) => requirement.key)
  return rules.flatMap(setter =>
    [...setter.effect.labels].flatMap(([key, value]) =>
      (byKey.get(key) ?? [])
        .filter(({ requirement }) => requirement.operator === 'DoesNotExist' || requirement.values.has(value))
        .map(
          ({ rule, requirement }): Problem => ({
            severity: 'warning',
            rule: setter.name,
            path: renderPath(['effect', 'labels', key]),
            message: `rule ${JSON.stringify(rule.name)} wants ${renderRequirement(requirement)}, so it stops matching a Pod that got this label`,
          }),
        ),
    ),
  )
}
