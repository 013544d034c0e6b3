/**
 * What a rule adds to a Pod: annotations and labels. Checked as strictly as the apiserver checks a Pod, because one wrong value in a
 * patch makes it refuse the Pod even under failurePolicy Ignore (observed: 422 and 500).
 */
import { annotationAdvice } from '../eci/annotations.ts'
import { effectAnnotationRefusal, effectLabelRefusal } from '../eci/effect-keys.ts'
import {
  annotationKeyProblem,
  annotationsSize,
  deletionCostProblem,
  labelKeyProblem,
  labelValueProblem,
  MAX_ANNOTATIONS_BYTES,
} from '../kubernetes/names.ts'
import { asRecord } from '../kubernetes/objects.ts'
import { ANNOTATION_DELETION_COST } from '../names.ts'
import type { Path, Problems } from './problem.ts'
import { stringOf } from './requirement.ts'

export interface Effect {
  readonly annotations: ReadonlyMap<string, string>
  readonly labels: ReadonlyMap<string, string>
}

export const NO_EFFECT: Effect = { annotations: new Map(), labels: new Map() }

export function isEmptyEffect({ annotations, labels }: Effect): boolean {
  return annotations.size === 0 && labels.size === 0
}

/** Compiles `{annotations, labels}`; absent or null adds nothing. Numbers and booleans become the strings that were typed. */
export function compileEffect(value: unknown, path: Path, problems: Problems): Effect {
  if (value === undefined || value === null) return NO_EFFECT
  const effect = asRecord(value)
  if (effect === undefined) {
    problems.error({ path, value, message: 'must be an object with annotations, labels or both' })
    return NO_EFFECT
  }
  for (const key of Object.keys(effect)) {
    if (key === 'annotations' || key === 'labels') continue
    problems.error({
      path: [...path, key],
      at: 'key',
      message: 'unknown field; an effect has annotations and labels',
    })
  }
  const annotations = compileEntries(effect.annotations, {
    path: [...path, 'annotations'],
    problems,
    check: checkAnnotation,
  })
  const labels = compileEntries(effect.labels, { path: [...path, 'labels'], problems, check: checkLabel })
  const size = annotationsSize(annotations)
  if (size > MAX_ANNOTATIONS_BYTES) {
    problems.error({
      path: [...path, 'annotations'],
      message: `are ${size} bytes together; the apiserver refuses a Pod with more than ${MAX_ANNOTATIONS_BYTES}`,
    })
  }
  return { annotations, labels }
}

interface Entries {
  readonly path: Path
  readonly problems: Problems
  readonly check: (key: string, value: string, problems: Problems, path: Path) => string | undefined
}

function compileEntries(value: unknown, { path, problems, check }: Entries): Map<string, string> {
  const entries = new Map<string, string>()
  if (value === undefined || value === null) return entries
  const record = asRecord(value)
  if (record === undefined) {
    problems.error({ path, value, message: 'must be an object of keys and string values' })
    return entries
  }
  for (const [key, member] of Object.entries(record)) {
    const at = [...path, key]
    const text = stringOf(member, at, problems)
    if (text === undefined) continue
    const problem = check(key, text, problems, at)
    if (problem === undefined) entries.set(key, text)
    else problems.error({ path: at, value: text, message: problem })
  }
  return entries
}

function checkAnnotation(key: string, value: string, problems: Problems, path: Path): string | undefined {
  const problem =
    annotationKeyProblem(key) ??
    effectAnnotationRefusal(key) ??
    (key === ANNOTATION_DELETION_COST ? deletionCostProblem(value) : undefined)
  if (problem !== undefined) return problem
  const advice = annotationAdvice(key, value)
  if (advice !== undefined) problems.warn({ path, value, message: advice.message })
  return undefined
}

function checkLabel(key: string, value: string): string | undefined {
  return labelKeyProblem(key) ?? effectLabelRefusal(key) ?? labelValueProblem(value)
}
