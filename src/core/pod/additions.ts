/** What a decision adds to a Pod at its creation. Append-only: whatever the author wrote wins and stays. */
import { annotationsSize, areSurelyWithin, MAX_ANNOTATIONS_BYTES } from '../kubernetes/names.ts'
import { asRecord, type PreferredSchedulingTerm, type Toleration } from '../kubernetes/objects.ts'
import { memoize, memoizeByObject } from '../memo.ts'
import {
  ANNOTATION_POLICY,
  ANNOTATION_RULES,
  ANNOTATION_WARNINGS,
  ECI_PREFIX,
  VNODE_TYPE_LABEL,
  VNODE_TYPE_VALUE,
} from '../names.ts'
import type { Placed } from '../policy/decide.ts'
import type { Settings } from '../settings.ts'
import type { PodFacts } from './facts.ts'
import { covers, defaultAwayTolerations } from './toleration.ts'

export interface Additions {
  readonly nodeSelector: ReadonlyMap<string, string>
  readonly toleration?: Toleration
  /** Indexes of tolerations that get {@link Additions.awaySeconds}. */
  readonly awayTolerations: readonly number[]
  readonly awaySeconds: number
  readonly preferredTerm?: PreferredSchedulingTerm
  readonly labels: ReadonlyMap<string, string>
  /** Effects and our marks; a mark is the one thing that may replace a value, since it is ours and output only. */
  readonly annotations: ReadonlyMap<string, string>
  /** True if the annotations are so large that their bytes had to be counted. */
  readonly isLarge: boolean
  /** True if the effect's annotations had to be left out, because the Pod would be refused with so many bytes. */
  readonly isOverBudget: boolean
}

/** Keeps Pods on real nodes while these have room, even after the toleration was added (observed: without it 10 of 10 Pods choose the VNode). */
export const REAL_NODES_FIRST: PreferredSchedulingTerm = {
  weight: 100,
  preference: {
    matchExpressions: [{ key: VNODE_TYPE_LABEL, operator: 'NotIn', values: [VNODE_TYPE_VALUE] }],
  },
}

const NONE: ReadonlyMap<string, string> = new Map()
/** Code of the warning for {@link Additions.isOverBudget}. */
export const OVER_BUDGET = 'annotations-too-large'

/** `codes`: short codes of the warnings about this Pod, for the annotation. */
export function additionsFor(
  placed: Placed,
  pod: PodFacts,
  settings: Settings,
  codes: readonly string[],
): Additions {
  const { kind } = placed.policy ?? {}
  const isForced = kind === 'virtualNodeOnly' && placed.route !== 'bound'
  const isOpen = placed.route === 'rule' && kind === 'fair'
  const needsToleration = (isForced || isOpen) && !covers(pod.tolerations, settings.toleration)
  const goesToVnode = isForced || placed.route !== 'rule'
  const awaySeconds = settings.unreachableTolerationSeconds
  return {
    nodeSelector: isForced ? missing(settings.nodeSelector, pod.nodeSelector) : NONE,
    ...(needsToleration ? { toleration: settings.toleration } : {}),
    awayTolerations: goesToVnode && awaySeconds > 0 ? awayIndexes(pod, awaySeconds) : [],
    awaySeconds,
    ...(needsPreference(placed, pod) ? { preferredTerm: REAL_NODES_FIRST } : {}),
    labels: missing(placed.effectAtCreation.labels, pod.labels),
    ...annotate({ placed, pod, codes, effect: placed.effectAtCreation.annotations }),
  }
}

/**
 * What opens the VNodes to a Pod that exists and has no node: node selector and affinity cannot be changed any more, and labels and
 * foreign annotations would do harm if a real node took it after all.
 */
export function additionsForSpill(placed: Placed, pod: PodFacts, settings: Settings): Additions {
  const awaySeconds = settings.unreachableTolerationSeconds
  return {
    nodeSelector: NONE,
    ...(covers(pod.tolerations, settings.toleration) ? {} : { toleration: settings.toleration }),
    awayTolerations: awaySeconds > 0 ? awayIndexes(pod, awaySeconds) : [],
    awaySeconds,
    labels: NONE,
    ...annotate({ placed, pod, codes: [], effect: eciPart(placed.effect.annotations, true) }),
  }
}

/** What was kept from a Pod until it is bound to a VNode. Annotations for ECI come too late then: it read them with the binding. */
export function additionsOnVnode(placed: Placed, pod: PodFacts, settings: Settings): Additions {
  const awaySeconds = settings.unreachableTolerationSeconds
  return {
    nodeSelector: NONE,
    awayTolerations: awaySeconds > 0 ? awayIndexes(pod, awaySeconds) : [],
    awaySeconds,
    labels: missing(placed.effect.labels, pod.labels),
    ...annotate({ placed, pod, codes: [], effect: eciPart(placed.effect.annotations, false) }),
  }
}

function eciPart(annotations: ReadonlyMap<string, string>, isWanted: boolean): ReadonlyMap<string, string> {
  return new Map([...annotations].filter(([key]) => key.startsWith(ECI_PREFIX) === isWanted))
}

export function isEmptyAdditions(additions: Additions): boolean {
  const { nodeSelector, toleration, awayTolerations, preferredTerm, labels, annotations } = additions
  const sizes = nodeSelector.size + awayTolerations.length + labels.size + annotations.size
  return sizes === 0 && toleration === undefined && preferredTerm === undefined
}

function awayIndexes({ tolerations }: PodFacts, seconds: number): number[] {
  // Lengthened only: shorter than what everybody has would lose Pods sooner, and the helper may not do it.
  return defaultAwayTolerations(tolerations).filter(
    index => Number(tolerations[index]?.tolerationSeconds) < seconds,
  )
}

function needsPreference({ route, policy }: Placed, pod: PodFacts): boolean {
  const isWanted = policy?.kind === 'normalNodePrefer' || (policy?.kind === 'fair' && policy.preferRealNodes)
  if (!isWanted || route !== 'rule') return false
  return !pod.preferredTerms.some(isRealNodesFirst)
}

/** Is it our term? Compared as text: the apiserver keeps the members in one order, and gives no others to it. */
function isRealNodesFirst(term: unknown): boolean {
  const { weight, preference } = asRecord(term) ?? {}
  return (
    weight === REAL_NODES_FIRST.weight &&
    JSON.stringify(preference) === JSON.stringify(REAL_NODES_FIRST.preference)
  )
}

function missing(
  wanted: ReadonlyMap<string, string>,
  present: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  if (wanted.size === 0) return NONE
  for (const key of wanted.keys())
    if (present.has(key)) return new Map([...wanted].filter(([name]) => !present.has(name)))
  return wanted
}

type Annotated = Pick<Additions, 'annotations' | 'isLarge' | 'isOverBudget'>

interface Annotating {
  readonly placed: Placed
  readonly pod: PodFacts
  readonly codes: readonly string[]
  readonly effect: ReadonlyMap<string, string>
}

/**
 * Effects and marks within the limits on annotations and on objects: if all of it is too much, the effects stay out; if the marks are
 * still too much, nothing is added. The sum does not depend on what of it is on the Pod already, so that a second pass agrees.
 */
function annotate({ placed, pod, codes, effect }: Annotating): Annotated {
  const { marks, all } = annotationsFor(placed)(codes.join(','))
  const wanted = missing(effect, pod.annotations)
  if (areSurelyWithin(LARGE_EFFECT_BYTES, pod.annotations, wanted, marks)) {
    const isAll = wanted === placed.effectAtCreation.annotations && missing(marks, pod.annotations) === marks
    const annotations = isAll ? all : merge(wanted, changed(marks, pod))
    return { annotations, isLarge: false, isOverBudget: false }
  }
  const own = annotationsSize(withoutKeys(pod.annotations, marks))
  const added = annotationsSize(wanted)
  const mostMarks = annotationsSize(marksFor(placed, [...codes, OVER_BUDGET]))
  if (own + added + mostMarks <= MAX_ANNOTATIONS_BYTES && fitsObject(pod, added)) {
    return { annotations: merge(wanted, changed(marks, pod)), isLarge: true, isOverBudget: false }
  }
  const told = wanted.size === 0 ? marks : marksFor(placed, [...codes, OVER_BUDGET])
  const fits = own + annotationsSize(told) <= MAX_ANNOTATIONS_BYTES
  return { annotations: fits ? changed(told, pod) : NONE, isLarge: true, isOverBudget: wanted.size > 0 }
}

/** Weighing a whole Pod costs more than all else that is done about it, so only what could matter is weighed. */
const LARGE_EFFECT_BYTES = 16 * 1024
/** etcd refuses an object of 1.5 MiB, and the apiserver adds managedFields to what it was sent. */
const MAX_OBJECT_BYTES = 1024 * 1024

function fitsObject({ object }: PodFacts, added: number): boolean {
  return added <= LARGE_EFFECT_BYTES || Buffer.byteLength(JSON.stringify(object)) + added <= MAX_OBJECT_BYTES
}

interface Annotations {
  readonly marks: ReadonlyMap<string, string>
  /** What a Pod gets that has none of them: effects and marks. */
  readonly all: ReadonlyMap<string, string>
}

/** By the codes of the warnings, comma-separated. */
const annotationsFor = memoizeByObject((placed: Placed) =>
  memoize((codes: string): Annotations => {
    const marks = marksFor(placed, codes === '' ? [] : codes.split(','))
    return { marks, all: merge(placed.effectAtCreation.annotations, marks) }
  }),
)

function marksFor({ rules, policy }: Placed, codes: readonly string[]): Map<string, string> {
  const marks = new Map<string, string>()
  // The list is comma-separated, and a rule's name is free text.
  if (rules.length > 0)
    marks.set(ANNOTATION_RULES, rules.map(rule => rule.name.replaceAll(',', '%2C')).join(','))
  if (policy !== undefined) marks.set(ANNOTATION_POLICY, policy.kind)
  if (codes.length > 0) marks.set(ANNOTATION_WARNINGS, [...new Set(codes)].join(','))
  return marks
}

function changed(marks: ReadonlyMap<string, string>, pod: PodFacts): ReadonlyMap<string, string> {
  const isChanged = ([key, value]: readonly [string, string]) => pod.annotations.get(key) !== value
  const entries = [...marks].filter(isChanged)
  return entries.length === 0 ? NONE : new Map(entries)
}

function merge(
  first: ReadonlyMap<string, string>,
  second: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  if (first.size === 0) return second
  return second.size === 0 ? first : new Map([...first, ...second])
}

function withoutKeys(
  all: ReadonlyMap<string, string>,
  keys: ReadonlyMap<string, string>,
): Iterable<[string, string]> {
  return [...all].filter(([key]) => !keys.has(key))
}
