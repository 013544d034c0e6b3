/** What the conversions between the two formats have in common. */
import { type Effect, isEmptyEffect } from './effect.ts'
import type { Rule } from './rule.ts'

/** What is not as it was, or what there is to know. */
export interface ConversionNote {
  readonly kind: 'loss' | 'note'
  /** Name of the rule that it is about. */
  readonly rule: string
  readonly message: string
}

/** Effects merged as the ConfigMap's are: the earlier rule wins. */
export function mergedEffect(rules: readonly Rule[]): Effect {
  const annotations = new Map<string, string>()
  const labels = new Map<string, string>()
  for (const { effect } of rules.filter(rule => !isEmptyEffect(rule.effect))) {
    for (const [key, value] of effect.annotations) if (!annotations.has(key)) annotations.set(key, value)
    for (const [key, value] of effect.labels) if (!labels.has(key)) labels.set(key, value)
  }
  return { annotations, labels }
}

/** Entries of `effect` for whose key `other` has another value, or none. */
export function entriesNotIn(effect: Effect, other: Effect): readonly string[] {
  return (['annotations', 'labels'] as const).flatMap(member =>
    [...effect[member]]
      .filter(([key, value]) => other[member].get(key) !== value)
      .map(([key, value]) => `${key}=${value}`),
  )
}

const MOST_NAMES = 5

/** `a`, `a or b`, `a, b, c, d, e or 7 more`. */
export function renderAlternatives(names: readonly string[]): string {
  const more = names.length - MOST_NAMES
  const shown = more > 0 ? [...names.slice(0, MOST_NAMES), `${more} more`] : names
  const last = shown.at(-1) ?? ''
  return shown.length < 2 ? last : `${shown.slice(0, -1).join(', ')} or ${last}`
}
