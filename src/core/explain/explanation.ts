/**
 * Why a Pod is changed or left alone: what {@link mutatePod} does, with the reasons beside it. The decision, the matches and the
 * patch are those of admission; nothing is decided here.
 */
import jsonPatch from 'fast-json-patch'
import type { DaemonSetAdmission } from '../daemonset/admit.ts'
import { type Advice, podAdvice } from '../eci/pod-advice.ts'
import { asArray, asRecord } from '../kubernetes/objects.ts'
import { OWN_PREFIX } from '../names.ts'
import { type PodFacts, podFacts } from '../pod/facts.ts'
import { type Mutation, mutatePod } from '../pod/mutate.ts'
import type { AddOperation } from '../pod/patch.ts'
import { renderToleration } from '../pod/toleration.ts'
import type { Decision, NamespaceFacts, RuledEnvironment } from '../policy/decide.ts'
import { type Effect, isEmptyEffect } from '../selector/effect.ts'
import { mismatchOf, type Rule, renderMismatch, type Subject } from '../selector/rule.ts'
import type { RuleMatches } from '../selector/rule-set.ts'
import type { Precondition } from '../spill/spill-patch.ts'
import { type Whereabouts, whereaboutsOf, withTaintNote } from './whereabouts.ts'

export interface RuleVerdict {
  readonly rule: Rule
  readonly matches: boolean
  /** Does the rule take part: does it schedule the Pod, or add to it? */
  readonly applies: boolean
  /** What it does, or why it does nothing. */
  readonly reason: string
  /** How much of the rule was met before it failed, to show the nearest misses first. */
  readonly met: number
}

export interface Addition {
  /** A mark is an annotation of our own, which says what was done. */
  readonly what: 'node selector' | 'toleration' | 'affinity' | 'annotation' | 'label' | 'mark'
  readonly text: string
  /** Of an annotation, label or mark. */
  readonly key?: string
  /** Name of the rule whose effect it is. */
  readonly rule?: string
}

/** A rule's value that gave way to the Pod's own. */
export interface Kept {
  readonly what: 'annotation' | 'label'
  readonly key: string
  readonly has: string
  readonly wanted: string
  readonly rule: string
}

export interface Explanation {
  readonly decision: Decision
  readonly whereabouts: Whereabouts
  /** Every rule in order; none for a Pod that is skipped before rules are looked at. */
  readonly rules: readonly RuleVerdict[]
  readonly added: readonly Addition[]
  /** Effects that are added only once the Pod is bound to a VNode. */
  readonly addedOnVnode: readonly Addition[]
  readonly kept: readonly Kept[]
  /** True if the effects' annotations are left out, because with them the Pod's would be more than the apiserver takes. */
  readonly isOverBudget: boolean
  /** What ECI will refuse, bill or ignore; only of a Pod that may go there. */
  readonly advice: readonly Advice[]
  /** Of the Pod; of a DaemonSet that is fenced, of the DaemonSet. */
  readonly patch: readonly (AddOperation | Precondition)[]
  readonly result: Record<string, unknown>
  /** What admission does with the DaemonSet itself. */
  readonly fence?: Pick<DaemonSetAdmission, 'outcome' | 'reason'>
}

/** Throws a VnodeError where {@link mutatePod} does: of a Pod with a shape that no apiserver sends. */
export function explainPod(
  pod: Record<string, unknown>,
  namespace: NamespaceFacts,
  environment: RuledEnvironment,
): Explanation {
  const mutation = mutatePod(pod, namespace, environment)
  const { decision, patch, result } = mutation
  const before = podFacts(pod)
  // A label that one rule adds can make another one match; the decision is about the Pod with all labels.
  const changed = podFacts(result)
  const after = subjectOf(changed, namespace)
  const look: Look = {
    decision,
    before: subjectOf(before, namespace),
    after,
    matches: environment.rules.match(after),
    firstSelector: environment.rules.rules.find(
      rule => rule.origin === 'Selector' && mismatchOf(rule, after) === undefined,
    ),
  }
  const whereabouts = withTaintNote(whereaboutsOf(before, decision, environment), changed, environment)
  return {
    decision,
    whereabouts,
    rules: decision.outcome === 'skipped' ? [] : environment.rules.rules.map(rule => verdictOn(rule, look)),
    added: additionsIn(patch, before, look.matches),
    addedOnVnode: addedLater(mutation, before, look.matches),
    isOverBudget: mutation.additions?.isOverBudget === true,
    kept: keptOf(decision, before, look.matches),
    advice: before.owner?.kind === 'DaemonSet' || whereabouts.code === 'real' ? [] : adviceOf(mutation),
    patch,
    result,
  }
}

export function subjectOf({ labels }: PodFacts, namespace: NamespaceFacts): Subject {
  return { labels, namespace: namespace.name, namespaceLabels: namespace.labels }
}

function adviceOf({ decision, result }: Mutation): readonly Advice[] {
  const annotations = decision.outcome === 'placed' ? { annotations: decision.effect.annotations } : {}
  return podAdvice(result, { ...annotations, everything: true })
}

interface Look {
  readonly decision: Decision
  readonly before: Subject
  readonly after: Subject
  readonly matches: RuleMatches
  readonly firstSelector: Rule | undefined
}

const NEARNESS = { onlyNamespace: 0, namespaces: 1, namespaceSelector: 2, objectSelector: 3 } as const

function verdictOn(rule: Rule, look: Look): RuleVerdict {
  const mismatch = mismatchOf(rule, look.after)
  if (mismatch !== undefined) {
    const reason = renderMismatch(mismatch, look.after)
    return { rule, matches: false, applies: false, reason, met: NEARNESS[mismatch.part] }
  }
  const applies = isApplied(rule, look)
  const chained = mismatchOf(rule, look.before) === undefined ? '' : ', because of a label that a rule adds'
  const reason = `${applies ? appliedReason(rule, look) : idleReason(rule, look)}${chained}`
  return { rule, matches: true, applies, reason, met: 4 }
}

function isApplied(rule: Rule, { decision }: Look): boolean {
  if (decision.outcome === 'placed') return decision.rules.includes(rule)
  return decision.outcome === 'real-nodes' && decision.rule === rule
}

function appliedReason(rule: Rule, { decision, matches }: Look): string {
  const schedules = matches.scheduling === rule ? [`schedules it: ${rule.policy?.kind}`] : []
  if (decision.outcome !== 'placed' || !matches.effective.includes(rule)) return schedules.join()
  const isLater = isEmptyEffect(decision.effectAtCreation)
  return [...schedules, isLater ? 'its effect is added on a VNode' : 'its effect is added'].join('; ')
}

function idleReason(rule: Rule, { decision, matches, firstSelector }: Look): string {
  if (decision.outcome === 'real-nodes')
    return `matches, but ${decision.rule.name} keeps the Pod on real nodes`
  if (decision.outcome === 'conflict') return 'matches, but the Pod itself rules VNodes out'
  if (rule.policy === undefined && isEmptyEffect(rule.effect)) return 'matches; it has nothing to add'
  if (decision.outcome === 'unmatched') return 'matches; its effect is for Pods that go to a VNode'
  if (rule.origin === 'Selector' && !isEmptyEffect(rule.effect)) {
    return `matches, but of Selectors only the first counts: ${firstSelector?.name}`
  }
  return `matches, but ${matches.scheduling?.name} comes first`
}

/** What a patch of this Pod adds, in words. */
export function additionsIn(
  patch: readonly AddOperation[],
  pod: PodFacts,
  matches: RuleMatches,
): readonly Addition[] {
  return inOrder(patch.flatMap(operation => additionsOf(operation, pod, matches)))
}

const ORDER: readonly Addition['what'][] = [
  'node selector',
  'toleration',
  'affinity',
  'annotation',
  'label',
  'mark',
]

function inOrder(additions: readonly Addition[]): readonly Addition[] {
  // A mark that grows with a second look at the Pod is added twice, and the last one counts.
  const last = new Map(additions.map(one => [`${one.what} ${one.key ?? one.text}`, one]))
  return [...last.values()].sort((a, b) => ORDER.indexOf(a.what) - ORDER.indexOf(b.what))
}

/** One operation in words: several things where it adds a whole map. */
function additionsOf(operation: AddOperation, pod: PodFacts, matches: RuleMatches): Addition[] {
  const { path, value } = operation
  const [, , member = '', ...rest] = path.split('/').map(part => jsonPatch.unescapePathComponent(part))
  if (member === 'annotations' || member === 'labels') {
    return entriesOf(rest[0], value).map(([key, text]) => describeEntry(member, [key, text], matches))
  }
  if (member === 'nodeSelector') {
    return entriesOf(rest[0], value).map(([key, text]) => ({ what: 'node selector', text: `${key}=${text}` }))
  }
  if (member === 'affinity')
    return [{ what: 'affinity', text: 'prefers real nodes: type NotIn [virtual-kubelet], weight 100' }]
  if (rest[1] === 'tolerationSeconds') {
    const { key, tolerationSeconds } = pod.tolerations[Number(rest[0])] ?? {}
    return [{ what: 'toleration', text: `${key} for ${String(value)} s instead of ${tolerationSeconds} s` }]
  }
  const added = rest[0] === undefined ? asArray(value) : [value]
  return added.map(one => ({ what: 'toleration', text: renderToleration(asRecord(one) ?? {}) }))
}

/** The entries that an `add` of a member, or of the whole map, adds. */
function entriesOf(key: string | undefined, value: unknown): [string, string][] {
  const entries = key === undefined ? Object.entries(asRecord(value) ?? {}) : [[key, value] as const]
  return entries.map(([name, text]) => [name, String(text)])
}

function describeEntry(
  member: 'annotations' | 'labels',
  [key, value]: [string, string],
  matches: RuleMatches,
): Addition {
  const text = `${key}=${value}`
  if (key.startsWith(OWN_PREFIX)) return { what: 'mark', text, key }
  const rule = ruleOf(member, key, matches)
  const what = member === 'labels' ? 'label' : 'annotation'
  return rule === undefined ? { what, text, key } : { what, text, key, rule: rule.name }
}

/** The first rule that has the key is the one whose value counts. */
function ruleOf(member: keyof Effect, key: string, { effective }: RuleMatches): Rule | undefined {
  return effective.find(rule => rule.effect[member].has(key))
}

const MEMBERS = ['annotations', 'labels'] as const

function addedLater({ decision }: Mutation, pod: PodFacts, matches: RuleMatches): Addition[] {
  if (decision.outcome !== 'placed') return []
  return MEMBERS.flatMap(member =>
    [...decision.effect[member]]
      .filter(([key]) => !decision.effectAtCreation[member].has(key) && !pod[member].has(key))
      .map(entry => describeEntry(member, entry, matches)),
  )
}

function keptOf(decision: Decision, pod: PodFacts, matches: RuleMatches): Kept[] {
  if (decision.outcome !== 'placed') return []
  return MEMBERS.flatMap(member =>
    [...decision.effect[member]].flatMap(([key, wanted]): Kept[] => {
      const has = pod[member].get(key)
      if (has === undefined || has === wanted) return []
      const what = member === 'labels' ? 'label' : 'annotation'
      return [{ what, key, has, wanted, rule: ruleOf(member, key, matches)?.name ?? '' }]
    }),
  )
}
