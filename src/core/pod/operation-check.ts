/** What an operation of a patch does, and whether it may be done to a Pod at all, whatever the Pod says. */
import jsonPatch from 'fast-json-patch'
import { effectAnnotationRefusal, effectLabelRefusal } from '../eci/effect-keys.ts'
import {
  annotationKeyProblem,
  deletionCostProblem,
  labelKeyProblem,
  labelValueProblem,
} from '../kubernetes/names.ts'
import { asRecord } from '../kubernetes/objects.ts'
import { memoizeByObject } from '../memo.ts'
import { ANNOTATION_DELETION_COST, OWN_PREFIX } from '../names.ts'
import { REAL_NODES_FIRST } from './additions.ts'
import { type AddOperation, PREFERRED } from './patch.ts'

/** Where an operation adds what. */
export interface Reading {
  /** `member`: one that is not there yet. `entry`: of a map of texts. `item`: behind the others. `seconds`: of a toleration. */
  readonly kind: 'member' | 'entry' | 'item' | 'seconds'
  readonly parents: readonly string[]
  readonly parentPath: string
  readonly last: string
  /** Marks of ours are output only, and may replace what was forged. */
  readonly mayReplace: boolean
  /** How much longer the annotations get, in units of UTF-16. */
  readonly annotationUnits: number
  /** Why no Pod may get this. */
  readonly problem: string | undefined
}

/** The operations that patches share are read once. */
export const readOperation = memoizeByObject((operation: AddOperation): Reading => {
  const { op, path } = operation
  const [, ...keys] = path.split('/').map(key => jsonPatch.unescapePathComponent(key))
  const last = keys.pop() ?? ''
  const parentPath = path.slice(0, Math.max(0, path.lastIndexOf('/')))
  const { kind, problem } = op === 'add' ? judge(operation, parentPath, last) : STRANGE
  const isMark = parentPath === ANNOTATIONS && last.startsWith(OWN_PREFIX)
  return {
    kind,
    parents: keys,
    parentPath,
    last,
    mayReplace: isMark,
    annotationUnits: path.startsWith(ANNOTATIONS) ? unitsOf(last, operation.value) : 0,
    problem: problem === UNKNOWN ? `it has ${op} ${path}, which no patch of ours has` : problem,
  }
})

type Judgement = Pick<Reading, 'kind' | 'problem'>
type EntryProblem = (key: string, value: string) => string | undefined

const ANNOTATIONS = '/metadata/annotations'
const TOLERATIONS = '/spec/tolerations'
const UNKNOWN = 'unknown'
const STRANGE: Judgement = { kind: 'member', problem: UNKNOWN }

const MAPS: ReadonlyMap<string, EntryProblem> = new Map([
  [ANNOTATIONS, annotationProblem],
  ['/metadata/labels', labelProblem],
  ['/spec/nodeSelector', nodeSelectorProblem],
])

/** By where it is put: all that we ever add to an affinity. */
const PREFERENCES: ReadonlyMap<string, string> = new Map(
  [
    ['/spec/affinity', { nodeAffinity: { [PREFERRED]: [REAL_NODES_FIRST] } }] as const,
    ['/spec/affinity/nodeAffinity', { [PREFERRED]: [REAL_NODES_FIRST] }] as const,
    [`/spec/affinity/nodeAffinity/${PREFERRED}`, [REAL_NODES_FIRST]] as const,
    [`/spec/affinity/nodeAffinity/${PREFERRED}/-`, REAL_NODES_FIRST] as const,
  ].map(([path, value]) => [path, JSON.stringify(value)]),
)

function judge({ path, value }: AddOperation, parentPath: string, last: string): Judgement {
  const kind = last === '-' ? 'item' : 'member'
  const preference = PREFERENCES.get(path)
  if (preference !== undefined) return { kind, problem: preferenceProblem(value, preference) }
  const [ofWhole, ofEntry] = [MAPS.get(path), MAPS.get(parentPath)]
  if (ofWhole !== undefined) return { kind, problem: wholeProblem(last, value, ofWhole) }
  if (ofEntry !== undefined)
    return { kind: 'entry', problem: entryProblem(parentPath, [last, value], ofEntry) }
  if (path === TOLERATIONS) return { kind, problem: tolerationsProblem(value) }
  if (path === `${TOLERATIONS}/-`) return { kind, problem: tolerationProblem(value) }
  return SECONDS.test(path) ? { kind: 'seconds', problem: secondsProblem(value) } : STRANGE
}

function preferenceProblem(value: unknown, wanted: string): string | undefined {
  return JSON.stringify(value) === wanted
    ? undefined
    : 'it changes what the affinity prefers to something else'
}

function wholeProblem(name: string, value: unknown, problemOf: EntryProblem): string | undefined {
  const entries = asRecord(value)
  if (entries === undefined) return `the ${name} would be no object`
  for (const entry of Object.entries(entries)) {
    const problem = entryProblem(name, entry, problemOf)
    if (problem !== undefined) return problem
  }
  return undefined
}

function entryProblem(
  path: string,
  [key, value]: readonly [string, unknown],
  problemOf: EntryProblem,
): string | undefined {
  const what = `${key} in the ${path.slice(path.lastIndexOf('/') + 1)}`
  if (typeof value !== 'string') return `${what} is not a string`
  const problem = problemOf(key, value)
  return problem === undefined ? undefined : `${what}: ${problem}`
}

function annotationProblem(key: string, value: string): string | undefined {
  return (
    annotationKeyProblem(key) ??
    (key.startsWith(OWN_PREFIX) ? undefined : effectAnnotationRefusal(key)) ??
    (key === ANNOTATION_DELETION_COST ? deletionCostProblem(value) : undefined)
  )
}

function labelProblem(key: string, value: string): string | undefined {
  return labelKeyProblem(key) ?? effectLabelRefusal(key) ?? labelValueProblem(value)
}

function nodeSelectorProblem(key: string, value: string): string | undefined {
  return labelKeyProblem(key) ?? labelValueProblem(value)
}

function tolerationsProblem(value: unknown): string | undefined {
  if (!Array.isArray(value)) return 'the tolerations would be no list'
  return value.map(tolerationProblem).find(problem => problem !== undefined)
}

const EFFECTS: readonly unknown[] = [undefined, '', 'NoSchedule', 'PreferNoSchedule', 'NoExecute']

function tolerationProblem(toleration: unknown): string | undefined {
  const { key, operator, value = '', effect, ...others } = asRecord(toleration) ?? {}
  const [other] = Object.keys(others)
  if (other !== undefined) return `a toleration has ${other}`
  if (typeof key !== 'string' || typeof value !== 'string')
    return 'a toleration has no key, or a value that is no string'
  if (!EFFECTS.includes(effect)) return 'a toleration has an effect that is none'
  if (operator === 'Exists')
    return value === '' ? labelKeyProblem(key) : 'a toleration that exists has a value'
  return operator === 'Equal' ? nodeSelectorProblem(key, value) : 'the operator of a toleration is none'
}

const SECONDS = new RegExp(`^${TOLERATIONS}/(?:0|[1-9]\\d*)/tolerationSeconds$`)

function secondsProblem(value: unknown): string | undefined {
  return Number.isSafeInteger(value) ? undefined : 'a toleration cannot last so long'
}

function unitsOf(key: string, value: unknown): number {
  const entries = Object.entries(asRecord(value) ?? { [key]: value })
  return entries.reduce((sum, [name, text]) => sum + name.length + String(text).length, 0)
}
