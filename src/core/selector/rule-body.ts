/** What both rule formats have in common, under whatever names each has for it. */
import { compilePolicy } from '../policy/policy.ts'
import { compileEffect } from './effect.ts'
import { compileNamePatterns } from './name-pattern.ts'
import type { Path, Problems } from './problem.ts'
import { compileLabelSelector } from './requirement.ts'
import type { Rule } from './rule.ts'

export interface BodyFormat {
  readonly origin: Rule['origin']
  readonly namespaceSelector: string
  readonly objectSelector: string
}

export interface RuleBody {
  readonly body: Omit<Rule, 'name'>
  /** A selector is written, but cannot be read: nothing follows from its absence. */
  readonly isSelectorBroken: boolean
}

export interface Written {
  readonly record: Record<string, unknown>
  readonly path: Path
}

export function compileBody({ record, path }: Written, format: BodyFormat, problems: Problems): RuleBody {
  const { origin } = format
  const labels = (key: string) => compileLabelSelector(record[key], [...path, key], problems)
  const namespaces = compileNamePatterns(record.namespaces, [...path, 'namespaces'], problems)
  const before = problems.errorCount
  const namespaceSelector = labels(format.namespaceSelector)
  const objectSelector = labels(format.objectSelector)
  const isSelectorBroken = problems.errorCount > before
  const policy = compilePolicy(record.policy, [...path, 'policy'], problems)
  const effect = compileEffect(record.effect, [...path, 'effect'], problems)
  const body = {
    origin,
    effect,
    ...(namespaces === undefined ? {} : { namespaces }),
    ...(namespaceSelector === undefined ? {} : { namespaceSelector }),
    ...(objectSelector === undefined ? {} : { objectSelector }),
    ...(policy === undefined ? {} : { policy }),
  }
  return { body, isSelectorBroken }
}
