/**
 * Label selectors as Kubernetes defines them (Labels and Selectors; apimachinery's validation): `matchLabels` and
 * `matchExpressions` are ANDed; NotIn and DoesNotExist also match where the key is absent.
 */

import { labelKeyProblem, labelValueProblem } from '../kubernetes/names.ts'
import { asRecord } from '../kubernetes/objects.ts'
import type { Path, Problems } from './problem.ts'

export const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const
export type Operator = (typeof OPERATORS)[number]

/** Labels keyed by what users write: a Map, because `constructor` and `__proto__` are ordinary keys in one. */
export type Labels = ReadonlyMap<string, string>

export interface Requirement {
  readonly key: string
  readonly operator: Operator
  /** Empty for Exists and DoesNotExist. */
  readonly values: ReadonlySet<string>
}

export function satisfies(requirement: Requirement, labels: Labels): boolean {
  const value = labels.get(requirement.key)
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && requirement.values.has(value)
    case 'NotIn':
      return value === undefined || !requirement.values.has(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
  }
}

const NO_LABELS: Labels = new Map()

/** The string members of an untrusted object as labels. */
export function labelsOf(value: unknown): Labels {
  const record = asRecord(value)
  if (record === undefined) return NO_LABELS
  const labels = new Map<string, string>()
  for (const key of Object.keys(record)) {
    const member = record[key]
    if (typeof member === 'string') labels.set(key, member)
  }
  return labels
}

/** In words, for a person: `app in (web, api)`, `gpu exists`. */
export function renderRequirement({ key, operator, values }: Requirement): string {
  const list = [...values].join(', ')
  switch (operator) {
    case 'In':
      return values.size === 1 ? `${key}=${list}` : `${key} in (${list})`
    case 'NotIn':
      return values.size === 1 ? `${key}!=${list}` : `${key} not in (${list})`
    case 'Exists':
      return `${key} exists`
    case 'DoesNotExist':
      return `${key} does not exist`
  }
}

/**
 * Compiles a LabelSelector. Returns undefined where there is none: absent, null, or `{}` without a requirement, which is
 * reported, since in Kubernetes it would match everything and must never catch a whole cluster by accident.
 */
export function compileLabelSelector(
  value: unknown,
  path: Path,
  problems: Problems,
): readonly Requirement[] | undefined {
  if (value === undefined || value === null) return undefined
  const errorsBefore = problems.errorCount
  const selector = asRecord(value)
  if (selector === undefined) {
    problems.error({
      path,
      value,
      message: 'must be a label selector: an object with matchLabels, matchExpressions or both',
    })
    return undefined
  }
  for (const key of Object.keys(selector)) {
    if (key === 'matchLabels' || key === 'matchExpressions') continue
    problems.error({
      path: [...path, key],
      at: 'key',
      message: 'unknown field; a label selector has matchLabels and matchExpressions',
    })
  }
  const requirements = [
    ...compileMatchLabels(selector.matchLabels, [...path, 'matchLabels'], problems),
    ...compileMatchExpressions(selector.matchExpressions, [...path, 'matchExpressions'], problems),
  ]
  if (requirements.length > 0) return requirements
  if (problems.errorCount === errorsBefore) {
    problems.warn({
      path,
      message: 'has no requirement in it and counts as absent; it does not select everything',
    })
  }
  return undefined
}

function compileMatchLabels(value: unknown, path: Path, problems: Problems): Requirement[] {
  if (value === undefined || value === null) return []
  const labels = asRecord(value)
  if (labels === undefined) {
    problems.error({ path, value, message: 'must be an object of label keys and values' })
    return []
  }
  return Object.entries(labels).flatMap(([key, member]) => {
    const at = [...path, key]
    const isKeyFine = checkKey(key, at, problems)
    const text = checkValue(member, at, problems)
    return isKeyFine && text !== undefined ? [{ key, operator: 'In', values: new Set([text]) } as const] : []
  })
}

function compileMatchExpressions(value: unknown, path: Path, problems: Problems): Requirement[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) {
    problems.error({ path, value, message: 'must be a list of {key, operator, values}' })
    return []
  }
  return value.flatMap((item: unknown, index) => compileExpression(item, [...path, index], problems))
}

const EXPRESSION_KEYS = new Set(['key', 'operator', 'values'])

function compileExpression(value: unknown, path: Path, problems: Problems): Requirement[] {
  const expression = asRecord(value)
  if (expression === undefined) {
    problems.error({ path, value, message: 'must be an object with key, operator and values' })
    return []
  }
  for (const key of Object.keys(expression)) {
    if (!EXPRESSION_KEYS.has(key)) {
      problems.error({
        path: [...path, key],
        at: 'key',
        message: 'unknown field; an expression has key, operator and values',
      })
    }
  }
  const { key, operator } = expression
  const isKeyFine = checkKey(key, [...path, 'key'], problems)
  const values = compileValues(expression.values, [...path, 'values'], problems)
  if (!isOperator(operator)) {
    problems.error({
      path: [...path, 'operator'],
      value: operator,
      message: `must be one of ${OPERATORS.join(', ')}`,
    })
    return []
  }
  if (values === undefined) return []
  const isCountFine = checkCount({ operator, count: values.size, path: [...path, 'values'] }, problems)
  if (!isKeyFine || !isCountFine || typeof key !== 'string') return []
  return [{ key, operator, values }]
}

function compileValues(value: unknown, path: Path, problems: Problems): Set<string> | undefined {
  if (value === undefined || value === null) return new Set()
  if (!Array.isArray(value)) {
    problems.error({ path, value, message: 'must be a list of label values' })
    return undefined
  }
  const texts = value.map((item: unknown, index) => checkValue(item, [...path, index], problems))
  const good = texts.filter(text => text !== undefined)
  return good.length === texts.length ? new Set(good) : undefined
}

interface Counted {
  readonly operator: Operator
  readonly count: number
  readonly path: Path
}

function checkCount({ operator, count, path }: Counted, problems: Problems): boolean {
  const needsValues = operator === 'In' || operator === 'NotIn'
  if (needsValues && count === 0) {
    problems.error({ path, message: `must have at least one value with operator ${operator}` })
    return false
  }
  if (!needsValues && count > 0) {
    problems.error({ path, message: `must be absent or empty with operator ${operator}` })
    return false
  }
  return true
}

function checkKey(key: unknown, path: Path, problems: Problems): boolean {
  const problem = typeof key === 'string' ? labelKeyProblem(key) : 'must be a label key'
  if (problem === undefined) return true
  problems.error({ path, value: key, at: 'key', message: problem })
  return false
}

/** A label's value, which must be a string; numbers and booleans are converted as they were typed, and reported. */
function checkValue(value: unknown, path: Path, problems: Problems): string | undefined {
  const text = stringOf(value, path, problems)
  if (text === undefined) return undefined
  const problem = labelValueProblem(text)
  if (problem === undefined) return text
  problems.error({ path, value: text, message: problem })
  return undefined
}

/** A string as it is; a number or boolean as the string that was typed, with a warning; anything else is an error. */
export function stringOf(value: unknown, path: Path, problems: Problems): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value !== 'number' && typeof value !== 'boolean') {
    problems.error({ path, value: value ?? null, message: 'must be a string' })
    return undefined
  }
  const text = problems.typed(path) ?? String(value)
  problems.warn({
    path,
    value,
    message: `is a ${typeof value}, not a string; read as ${JSON.stringify(text)}. Put it in quotes`,
  })
  return text
}

function isOperator(value: unknown): value is Operator {
  return OPERATORS.some(operator => operator === value)
}
