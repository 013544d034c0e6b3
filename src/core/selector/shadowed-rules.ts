/** Rules that can never count, because one that is tried before them matches whatever they match. */
import { requirementsOf } from './coverage.ts'
import { isEmptyEffect } from './effect.ts'
import type { Problem } from './problem.ts'
import type { Rule } from './rule.ts'

interface Earlier {
  readonly order: number
  readonly rule: Rule
  readonly requirements: ReadonlySet<string>
}

/** Warns of them. `rules` are in the order in which they are tried. */
export function shadowedRules(rules: readonly Rule[]): Problem[] {
  const all = rules.map((rule, order): Earlier => ({ order, rule, requirements: requirementsOf(rule) }))
  const counts = new Map<string, number>()
  for (const text of all.flatMap(({ requirements }) => [...requirements])) {
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  // Each rule hangs on the rarest of its requirements, so that 10,000 rules are not compared with one another.
  const byRarest = new Map<string, Earlier[]>()
  return all.flatMap(later => {
    const covering = [...later.requirements]
      .flatMap(text => byRarest.get(text) ?? [])
      .filter(({ requirements }) => requirements.isSubsetOf(later.requirements))
      .sort((a, b) => a.order - b.order)
      .map(({ rule }) => rule)
    hang(later, byRarest, text => counts.get(text) ?? 0)
    const message = covering.length === 0 ? undefined : shadowMessage(later.rule, covering)
    return message === undefined ? [] : [{ severity: 'warning', rule: later.rule.name, path: '', message }]
  })
}

function hang(entry: Earlier, byRarest: Map<string, Earlier[]>, count: (text: string) => number): void {
  const [rarest] = [...entry.requirements].sort((a, b) => count(a) - count(b))
  // A rule without requirements schedules nothing and shadows nothing.
  if (rarest === undefined) return
  const entries = byRarest.get(rarest)
  if (entries === undefined) byRarest.set(rarest, [entry])
  else entries.push(entry)
}

function shadowMessage(rule: Rule, covering: readonly Rule[]): string | undefined {
  const scheduler = rule.policy === undefined ? undefined : covering.find(one => one.policy !== undefined)
  const selector =
    rule.origin === 'Selector' && !isEmptyEffect(rule.effect)
      ? covering.find(one => one.origin === 'Selector')
      : undefined
  if (selector !== undefined) {
    const what = rule.policy === undefined || scheduler !== undefined ? '' : 'its effect '
    return `${what}never counts: Selector ${selector.name} is tried before it and matches every Pod that it matches, and only the first one's effect counts`
  }
  if (scheduler === undefined) return undefined
  const isSame = JSON.stringify(scheduler.policy) === JSON.stringify(rule.policy)
  if (isSame && !isEmptyEffect(rule.effect)) return undefined
  const what = isSame ? 'does nothing' : 'its policy never counts'
  return `${what}: rule ${JSON.stringify(scheduler.name)} is tried before it and matches every Pod that it matches`
}
