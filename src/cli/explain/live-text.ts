/** What is said of a Pod that a cluster has, besides what is said of any. */

import type { Explanation } from '../../core/explain/explanation.ts'
import { renderDuration } from '../../core/policy/duration.ts'
import type { SpillVerdict } from '../../core/spill/verdict.ts'
import { heldWords, missedWords } from '../../core/spill/words.ts'
import type { Leader, LivePod } from './live-cluster.ts'

/** A titled part of a block, line by line; without lines it is left out. */
export type Section = readonly [title: string, lines: readonly string[]]

/** What completes "it … the node". */
export function placeTitle({ node, phase }: LivePod): string {
  if (node === undefined) return 'goes to'
  return phase === 'Succeeded' || phase === 'Failed' ? 'ran on' : 'runs on'
}

/** `Pending`, `Running, being deleted` */
export function stateOf({ phase, isTerminating }: LivePod): string {
  return isTerminating ? `${phase}, being deleted` : phase
}

export function liveSections(live: LivePod, { decision }: Explanation, podName: string): readonly Section[] {
  const { marks, failures } = live
  const known = Object.entries(marks).map(([key, value]) => `${key} ${value}`)
  const isOurs = decision.outcome === 'placed' && decision.route === 'own' && marks.policy !== undefined
  const byWebhook = isOurs ? ': what sends it to a VNode was added by the webhook' : ''
  return [
    ['marked', known.length === 0 ? [] : [`${known.join(', ')}${byWebhook}`]],
    ['missed', missedLines(live, podName)],
    ['spill', [...spillWords(live), ...failures.map(failure => `the helper said: ${failure}`)]],
  ]
}

function missedLines({ missed, changed }: LivePod, podName: string): readonly string[] {
  if (missed !== undefined) return [missedWords(missed, podName)]
  if (changed.missed === undefined) return []
  return [`the webhook did not see it; the helper added at ${changed.missed} what could still be added`]
}

/** The verdict in the words of the helper's Events; nothing where a spill is no question for the Pod's policy. */
export function spillWords(live: LivePod): readonly string[] {
  const { verdict, changed, node } = live
  const done = changed.spill === undefined ? [] : [`the helper let it go to a VNode at ${changed.spill}`]
  if (node !== undefined) return done
  switch (verdict.outcome) {
    case 'held':
      return [...heldLines(verdict), ...helperTrouble(live)]
    case 'spill':
      return [
        `rule ${verdict.rule.name} lets it go to a VNode, and nothing holds it back: ${verdict.reason}`,
        ...(live.hasEvents
          ? []
          : ['unless an autoscaler makes a node for it: its Events may not be looked at']),
        ...turnLines(live),
      ]
    default:
      return verdict.code === 'no-policy' ? done : [...done, `no question now: ${verdict.reason}`]
  }
}

function heldLines(held: Extract<SpillVerdict, { outcome: 'held' }>): readonly string[] {
  const { code, forMs, rule } = held
  if (code === 'not-loaded')
    return [
      `rule ${rule.name} lets it go to a VNode; whether something holds it back is not known, as not all may be looked at`,
    ]
  if (forMs === undefined) return [heldWords(held)]
  const rest = `${renderDuration(Math.ceil(forMs / 1000))} more, if nothing else changes`
  return [heldWords(held), code === 'waiting' ? `${rest}; ${COUNTS}` : rest]
}

/** The helper sees a Pod later than the scheduler writes, and a Pod whose scheduling gate goes keeps its old time. */
const COUNTS =
  "that is by the scheduler's time, and the helper counts from when it first saw the Pod so, which may be later"

function turnLines(live: LivePod): readonly string[] {
  const trouble = helperTrouble(live)
  return trouble.length > 0 ? trouble : [TURN]
}

const TURN =
  'the helper opens the VNodes to it when its turn comes, and once it has itself seen the Pod so for as long as the rule says'

function helperTrouble({ leader, spills }: LivePod): readonly string[] {
  if (!spills) return ['but the helper runs with --no-spill: nothing lets it go']
  if (leader?.holder === '') return ['but no helper leads, and nothing else lets it go']
  const since = leader?.silentSince
  return since === undefined ? [] : [`but the helper that leads has not renewed its Lease since ${since}`]
}

/** For programs. Fields are only ever added to this shape. */
export function liveJson(live: LivePod, podName: string): object {
  const { phase, isTerminating, node, marks, missed, changed, verdict, waitedMs } = live
  const { failures, hasEvents, leader, anew } = live
  return {
    phase,
    isTerminating,
    node: node ?? null,
    marks,
    missed: missed === undefined ? null : { ...missed, message: missedWords(missed, podName) },
    changedByHelper: changed,
    spill: { ...verdictJson(verdict), ...(waitedMs === undefined ? {} : { waitedMs }), failures, hasEvents },
    ...(leader === undefined ? {} : { leader: leaderJson(leader) }),
    anew,
  }
}

function verdictJson(verdict: SpillVerdict): object {
  if (verdict.outcome === 'idle') return verdict
  const { outcome, reason, rule } = verdict
  if (outcome === 'spill') return { outcome, rule: rule.name, reason }
  const { code, forMs } = verdict
  const message = heldWords(verdict)
  return { outcome, code, rule: rule.name, reason, message, ...(forMs === undefined ? {} : { forMs }) }
}

function leaderJson({ holder, sinceMs, silentSince }: Leader): object {
  const since = sinceMs === undefined ? {} : { since: new Date(sinceMs).toISOString() }
  return { holder, ...since, ...(silentSince === undefined ? {} : { silentSince }) }
}
