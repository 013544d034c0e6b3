/**
 * Rules evaluated one by one, straight from the words of the Kubernetes documentation (Labels and Selectors) and the design, on the
 * objects as users write them: slow, obvious, and sharing no code with what it is compared to.
 */
import type { Random } from './random.ts'

export type PlainLabels = Readonly<Record<string, string>>

export interface PlainExpression {
  readonly key: string
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
  readonly values?: readonly string[]
}

export interface PlainSelector {
  readonly matchLabels?: PlainLabels
  readonly matchExpressions?: readonly PlainExpression[]
}

export interface PlainRule {
  readonly name: string
  readonly namespaces?: readonly string[]
  readonly namespaceSelector?: PlainSelector
  readonly objectSelector?: PlainSelector
  readonly effect?: { readonly labels?: PlainLabels; readonly annotations?: PlainLabels }
  readonly policy?: Readonly<Record<string, object>>
}

export interface PlainSubject {
  readonly labels: PlainLabels
  readonly namespace: string
  readonly namespaceLabels: PlainLabels
}

/** "The requirements are ANDed": matchLabels first, then matchExpressions. */
export function selects(
  { matchLabels = {}, matchExpressions = [] }: PlainSelector,
  labels: PlainLabels,
): boolean {
  const has = (key: string) => Object.hasOwn(labels, key)
  return (
    Object.entries(matchLabels).every(([key, value]) => has(key) && labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      if (operator === 'In') return has(key) && values.some(value => value === labels[key])
      // "NotIn and DoesNotExist match all resources that have no label with the key", too.
      if (operator === 'NotIn') return !has(key) || !values.some(value => value === labels[key])
      return operator === 'Exists' ? has(key) : !has(key)
    })
  )
}

export function ruleSelects(rule: PlainRule, subject: PlainSubject): boolean {
  const { namespaces, namespaceSelector, objectSelector } = rule
  return (
    (namespaces === undefined || namesMatch(namespaces, subject.namespace)) &&
    (namespaceSelector === undefined || selects(namespaceSelector, subject.namespaceLabels)) &&
    (objectSelector === undefined || selects(objectSelector, subject.labels))
  )
}

function namesMatch(patterns: readonly string[], name: string): boolean {
  const matches = (pattern: string) =>
    new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(name)
  const included = patterns.filter(pattern => !pattern.startsWith('!'))
  const excluded = patterns.filter(pattern => pattern.startsWith('!')).map(pattern => pattern.slice(1))
  return (included.length === 0 || included.some(matches)) && !excluded.some(matches)
}

/** Few keys and values, so that they meet often; among them names that every object has. */
const KEYS = ['app', 'env', 'x.io/gpu', 'constructor', 'toString', 'hasOwnProperty'] as const
const VALUES = ['web', 'api', 'true', '', 'constructor'] as const
export const NAMESPACES = ['default', 'team-a', 'team-b', 'ci'] as const
const PATTERNS = ['team-*', '!team-a', '*', '!ci', 'default', 'team-?', '!*-b', 'ci'] as const

export function randomLabels(random: Random): PlainLabels {
  return Object.fromEntries(random.some(KEYS, 0.4).map(key => [key, random.one(VALUES)]))
}

export function randomSelector(random: Random): PlainSelector {
  const matchLabels = Object.fromEntries(random.some(KEYS, 0.15).map(key => [key, random.one(VALUES)]))
  const matchExpressions = random.some(KEYS, 0.25).map((key): PlainExpression => {
    const operator = random.one<PlainExpression['operator']>(['In', 'NotIn', 'Exists', 'DoesNotExist'])
    const values = [random.one(VALUES), ...random.some(VALUES, 0.3)]
    return operator === 'In' || operator === 'NotIn' ? { key, operator, values } : { key, operator }
  })
  if (Object.keys(matchLabels).length + matchExpressions.length === 0)
    return { matchLabels: { app: random.one(VALUES) } }
  return random.chance(0.5) ? { matchLabels, matchExpressions } : { matchExpressions, matchLabels }
}

export function randomSubject(random: Random): PlainSubject {
  return {
    labels: randomLabels(random),
    namespace: random.one(NAMESPACES),
    namespaceLabels: randomLabels(random),
  }
}

/** A rule whose selectors, patterns, policy and effect are there or not. */
export function randomRule(random: Random, name: string): PlainRule {
  const namespaceSelector = random.maybe(0.4, () => randomSelector(random))
  const objectSelector = random.maybe(0.7, () => randomSelector(random))
  const isSelective = namespaceSelector !== undefined || objectSelector !== undefined
  const policy = random.maybe(isSelective ? 0.5 : 0, () => ({
    [random.one(['fair', 'normalNodeOnly', 'virtualNodeOnly', 'normalNodePrefer'])]: {},
  }))
  const namespaces = random.maybe(0.3, () => [random.one(PATTERNS), ...random.some(PATTERNS, 0.15)])
  const effect = random.maybe(0.7, () => ({ labels: { [name]: 'on' } }))
  return {
    name,
    ...(namespaces === undefined ? {} : { namespaces }),
    ...(namespaceSelector === undefined ? {} : { namespaceSelector }),
    ...(objectSelector === undefined ? {} : { objectSelector }),
    ...(policy === undefined ? {} : { policy }),
    ...(effect === undefined ? {} : { effect }),
  }
}
