/**
 * The annotation that says what a fence of ours added to a DaemonSet. Whoever takes the fence away goes by it, and by what is there: the
 * expression is taken only from a term that has exactly it, so that a forged or outdated record can do no harm.
 */
import { asArray, asRecord, own } from '../kubernetes/objects.ts'
import { ANNOTATION_FENCE } from '../names.ts'
import type { DaemonSetFacts } from './daemon-set.ts'

/** Who put up the fence: the webhook, or the command (by hand, or as a step of the chart). */
export type FencedBy = 'admission' | 'command'

export interface FenceRecord {
  readonly by: FencedBy
  /** Indexes of the terms that the expression was added to; rising. None where an edit has left nothing of ours. */
  readonly terms: readonly number[]
  /** The outermost parent of the terms that was made for it, which goes again with its last member. */
  readonly created?: 'affinity' | 'nodeAffinity'
}

/** One line of JSON. */
export function renderRecord({ by, terms, created }: FenceRecord): string {
  return JSON.stringify({ by, terms, ...(created === undefined ? {} : { created }) })
}

/** Undefined where there is none, or none that we would write. */
export function recordOf({ annotations }: Pick<DaemonSetFacts, 'annotations'>): FenceRecord | undefined {
  const record = parse(annotations.get(ANNOTATION_FENCE))
  const [by, created] = [own(record, 'by'), own(record, 'created')]
  const terms = asArray(own(record, 'terms')).filter(term => typeof term === 'number')
  if ((by !== 'admission' && by !== 'command') || !terms.every(isIndex)) return undefined
  return { by, terms, ...(created === 'affinity' || created === 'nodeAffinity' ? { created } : {}) }
}

function isIndex(term: number): boolean {
  return Number.isSafeInteger(term) && term >= 0
}

function parse(text: string | undefined): Record<string, unknown> | undefined {
  try {
    return text === undefined ? undefined : asRecord(JSON.parse(text))
  } catch {
    return undefined
  }
}
