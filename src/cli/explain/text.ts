/** Explanations as a person reads them: one block a workload, what matters most first. */

import type { AdviceKind } from '../../core/eci/advice.ts'
import type { Addition, Explanation, RuleVerdict } from '../../core/explain/explanation.ts'
import type { Workload } from '../../core/explain/workload.ts'
import type { Paint, Style } from '../paint.ts'
import { plainText, shortText } from '../plain-text.ts'
import { counted } from '../problem-text.ts'
import type { ClusterIntroduction, Explained, Item } from './explained.ts'
import { liveSections, placeTitle, type Section, stateOf } from './live-text.ts'

export interface TextOptions {
  readonly paint: Paint
  /** Sentences are broken at this many characters; for people at a terminal only, as a pipe may feed grep. */
  readonly width: number
  readonly showsAllRules: boolean
}

export function renderIntroduction({ rules, ruleFiles, unknownNamespaces, cluster }: Explained): string {
  const count = counted(rules.rules.length, 'rule')
  if (cluster !== undefined) return renderCluster(count, cluster)
  const source =
    ruleFiles.length === 0
      ? `${count}: those that are shipped, since the input has none`
      : `${count} from ${plainText(ruleFiles.join(', '))}`
  const notes = unknownNamespaces.length === 0 ? '' : `${unknownNote(unknownNamespaces)}\n`
  return `${source}.\n${notes}\n`
}

function renderCluster(count: string, { server, settings, notes }: ClusterIntroduction): string {
  const lines = [`${count} in force at ${server}, by the settings ${settings}.`, ...notes]
  return `${lines.map(line => `${plainText(line)}\n`).join('')}\n`
}

/** Of a whole cluster's namespaces the first few say enough. */
const NAMESPACES_SHOWN = 5

function unknownNote(namespaces: readonly string[]): string {
  const more = namespaces.length - NAMESPACES_SHOWN
  const list = plainText(namespaces.slice(0, NAMESPACES_SHOWN).join(', '))
  const who =
    namespaces.length === 1 ? `namespace ${list}` : `namespaces ${list}${more > 0 ? ` and ${more} more` : ''}`
  return `Some rules look at namespace labels, and those of ${who} are unknown: add Namespace objects to the input, or --namespace-labels k=v.`
}

export function renderItem(item: Item, options: TextOptions): string {
  const { paint } = options
  const { file, explanation, fault, live } = item
  const place = plainText(live === undefined ? file : `${file}  ${stateOf(live)}`)
  const head = `${paint('bold', titleOf(item))}  ${paint('dim', place)}\n`
  if (explanation === undefined)
    return `${head}${renderSections([['fault', [plainText(fault ?? '')]]], paint)}\n`
  return `${head}${renderSections(sectionsOf(explanation, item, options), paint)}\n`
}

/** `Deployment ci/web` */
export function titleOf({ workload: { kind, namespace, name } }: Item): string {
  return plainText(`${kind} ${namespace}/${name}`)
}

function renderSections(sections: readonly Section[], paint: Paint): string {
  const filled = sections.filter(([, lines]) => lines.length > 0)
  return filled
    .flatMap(([title, lines]) =>
      lines.map((line, at) =>
        `  ${paint('dim', (at === 0 ? title : '').padEnd(TITLE_WIDTH))}  ${line}`.trimEnd(),
      ),
    )
    .map(line => `${line}\n`)
    .join('')
}

const TITLE_WIDTH = 'on a VNode'.length
const INDENT = TITLE_WIDTH + 4

const PLACE_STYLES = {
  vnode: 'green',
  'vnode-or-real': 'yellow',
  'real-then-vnode': 'cyan',
  'every-node': 'red',
  real: 'bold',
} as const satisfies Record<string, Style>

function sectionsOf(
  explanation: Explanation,
  { workload, live }: Item,
  options: TextOptions,
): readonly Section[] {
  const { whereabouts, added, addedOnVnode, kept, isOverBudget } = explanation
  const { paint } = options
  const place = paint(PLACE_STYLES[whereabouts.code], plainText(whereabouts.place))
  const lines = (text: string) => wrap(plainText(text), options.width - INDENT)
  const note = whereabouts.note === undefined ? [] : lines(whereabouts.note)
  const wrapped = ([title, texts]: Section): Section => [title, texts.flatMap(lines)]
  return [
    [live === undefined ? 'runs on' : placeTitle(live), [place, ...note]],
    becauseSection(explanation, workload),
    ['rules', ruleLines(explanation.rules, options)],
    ...(live === undefined ? [] : liveSections(live, explanation, workload.name).map(wrapped)),
    ['adds', additionLines(added, paint)],
    [
      'adds',
      added.length === 0 && explanation.decision.outcome === 'placed' && live === undefined
        ? ['nothing more: it is all there']
        : [],
    ],
    // A mark is no reason to make a Pod anew.
    [
      'made anew',
      additionLines(
        (live?.anew ?? []).filter(({ what }) => what !== 'mark'),
        paint,
      ),
    ],
    [
      'leaves out',
      isOverBudget ? ["the annotations of rules: with them the Pod's would exceed 256 KiB"] : [],
    ],
    ['on a VNode', additionLines(addedOnVnode, paint)],
    [
      'keeps',
      kept.map(({ what, key, has, wanted, rule }) => {
        const source = paint('dim', `(rule ${plainText(rule)} wants ${shortText(wanted)})`)
        return `${what} ${shortText(`${key}=${has}`)}  ${source}`
      }),
    ],
    ['ECI', adviceLines(explanation, options)],
  ]
}

function becauseSection({ decision, whereabouts }: Explanation, { kind }: Workload): Section {
  if (kind === 'DaemonSet') return ['skipped', ['rules never place the Pods of a DaemonSet']]
  switch (decision.outcome) {
    case 'skipped':
      return ['skipped', [plainText(decision.reason)]]
    case 'conflict':
      return [
        'because',
        [
          plainText(
            `rule ${decision.rule.name} matches with policy ${decision.policy.kind}, but the Pod is left alone: ${decision.reason}`,
          ),
        ],
      ]
    case 'real-nodes':
      return whereabouts.code === 'real'
        ? ['because', [plainText(decision.reason)]]
        : [
            'although',
            [
              plainText(
                `rule ${decision.rule.name} is to keep it on real nodes: that rule only adds nothing`,
              ),
            ],
          ]
    default:
      return ['because', [plainText(decision.reason)]]
  }
}

/** How many rules that do not match are shown unless all are asked for. */
const MISSES_SHOWN = 5
/** Longer names push the reasons aside on their own lines only. */
const NAME_WIDTH = 40

function ruleLines(verdicts: readonly RuleVerdict[], { paint, showsAllRules }: TextOptions): string[] {
  const misses = verdicts.filter(one => !one.matches).sort((a, b) => b.met - a.met)
  const nearest = new Set(showsAllRules ? misses : misses.slice(0, MISSES_SHOWN))
  const shown = verdicts.filter(one => one.matches || nearest.has(one))
  const width = Math.min(NAME_WIDTH, Math.max(0, ...shown.map(one => plainText(one.rule.name).length)))
  const lines = shown.map(({ rule, matches, applies, reason }) => {
    const line = `${plainText(rule.name).padEnd(width)}  ${plainText(reason)}`
    if (applies) return `${paint('green', '✓')} ${line}`
    return matches ? `${paint('yellow', '·')} ${line}` : `${paint('red', '✗')} ${paint('dim', line)}`
  })
  const hidden = verdicts.length - shown.length
  return hidden === 0
    ? lines
    : [
        ...lines,
        paint('dim', `and ${hidden} more that ${hidden === 1 ? 'does' : 'do'} not match (--all-rules)`),
      ]
}

function additionLines(additions: readonly Addition[], paint: Paint): string[] {
  const width = Math.max(0, ...additions.map(one => one.what.length))
  return additions.map(({ what, text, rule }) => {
    const source = rule === undefined ? '' : `  ${paint('dim', `(rule ${plainText(rule)})`)}`
    const shown = shortText(text)
    return `${what.padEnd(width)}  ${what === 'mark' ? paint('dim', shown) : shown}${source}`
  })
}

const ADVICE_WORDS: Readonly<Record<AdviceKind, readonly [string, Style]>> = {
  refused: ['refuses', 'red'],
  billed: ['bills', 'yellow'],
  ignored: ['ignores', 'yellow'],
  'old-name': ['old name', 'yellow'],
}

function adviceLines({ advice }: Explanation, { paint, width }: TextOptions): string[] {
  const wordWidth = Math.max(0, ...advice.map(one => ADVICE_WORDS[one.kind][0].length))
  return advice.flatMap(({ kind, path, message }) => {
    const [word, style] = ADVICE_WORDS[kind]
    // What is said about an annotation names it.
    const place = path.startsWith('spec') ? ` (${plainText(path)})` : ''
    const [first = '', ...more] = wrap(`${plainText(message)}${place}`, width - INDENT - wordWidth - 2)
    return [
      `${paint(style, word.padEnd(wordWidth))}  ${first}`,
      ...more.map(line => `${' '.repeat(wordWidth)}  ${line}`),
    ]
  })
}

/** Broken between words; at least some words stay on a line, however narrow it is. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > Math.max(LEAST_WIDTH, width)) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

const LEAST_WIDTH = 40

const PLACE_COUNTS = [
  ['vnode', 'on VNodes'],
  ['vnode-or-real', 'on either'],
  ['real-then-vnode', 'on real nodes, then VNodes'],
  ['every-node', 'on every node, VNodes too'],
  ['real', 'on real nodes'],
] as const

/** What there was in all, once there is more to it than one block says. */
export function renderSummary(explained: Explained): string {
  const { items } = explained
  const places = PLACE_COUNTS.flatMap(([code, words]) => {
    const count = items.filter(item => item.explanation?.whereabouts.code === code).length
    return count === 0 ? [] : [`${count} ${words}`]
  })
  const faults = items.filter(item => item.fault !== undefined).length
  const parts = faults === 0 ? places : [...places, `${faults} not explained`]
  const total = items.length > 1 ? `${items.length} explained: ${parts.join(', ')}.\n` : ''
  return `${total}${renderIgnored(explained)}`
}

export function renderIgnored({ ignored }: Explained): string {
  if (ignored.size === 0) return ''
  const kinds = [...ignored]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, count]) => `${plainText(kind)} (${count})`)
  return `Ignored, since no Pods come from them: ${kinds.join(', ')}.\n`
}
