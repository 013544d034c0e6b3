import { join } from 'node:path'
import { startWebhook } from './contestants.ts'
import { type Context, fileIn } from './context.ts'
import { duel, type Series } from './duel.ts'
import { Load } from './load.ts'
import { runForJson } from './programs.ts'
import { number, type Section, spread, verdict } from './report.ts'
import { answerTo } from './review.ts'
import { configMapText, RULE_COUNTS, ruleList } from './rule-lists.ts'
import type { MatchCosts } from './rules-match.ts'
import { ratios, spreadOf } from './statistics.ts'

const HERE = import.meta.dirname
const MOST_RULES = 10_000
/** Design, section 10. */
const AIMS = { ratio: 1.2, seconds: 1, megabytes: 40 }
const MATCH_ROUNDS = 60
const ROUND_MS = 1000
const WARM_UP_REQUESTS = 20_000
const LOADS = 3

/** Part 2: what a request costs with many rules, and what the rules themselves do. */
export async function measureRules(context: Context): Promise<Section[]> {
  return [await measureMatching(context), await measureRequests(context), await measureLoading(context)]
}

async function measureMatching(context: Context): Promise<Section> {
  const file = await fileIn(context, 'review.json', context.review)
  const costs = await runForJson<MatchCosts[]>([join(HERE, 'rules-match.ts'), file, String(MATCH_ROUNDS)])
  const [one] = costs as [MatchCosts, ...MatchCosts[]]
  const most = costs.find(({ name }) => name === String(MOST_RULES)) ?? one
  const ratio = spreadOf(ratios(most.micros, one.micros))
  return {
    title: 'Deciding by many rules, in process',
    method: `From the decoded Pod to its checked patch, without HTTP; ${MATCH_ROUNDS} interleaved rounds. Exactly one rule matches, the last. The rules differ by labels, label keys, namespaces and namespace labels; in the last row 100 more are such that no index can rule them out (NotIn, name patterns).`,
    table: {
      head: ['rules', 'µs per Pod', 'ratio to 1 rule'],
      rows: costs.map(({ name, micros }) => [
        name,
        number(spreadOf(micros).median, 2),
        spread(ratios(micros, one.micros)),
      ]),
    },
    notes: [
      `10,000 rules to one: ${spread(ratio)}: ${verdict(ratio.median <= AIMS.ratio, `at most ${AIMS.ratio}`)}`,
    ],
  }
}

async function measureRequests(context: Context): Promise<Section> {
  const load = new Load()
  const answer = answerTo(context.review, configMapText(ruleList(1)))
  const contestants = []
  for (const count of RULE_COUNTS) {
    const file = await fileIn(context, `rules-${count}.json`, configMapText(ruleList(count)))
    contestants.push({ ...(await startWebhook(context, `${count}`, ['--rules', file])), answer })
  }
  try {
    const rounds = Math.ceil(context.rounds / 3)
    const options = { rounds, milliseconds: ROUND_MS, warmUpRequests: WARM_UP_REQUESTS }
    return requestSection(await duel(context, load, contestants, options), rounds)
  } finally {
    await Promise.all([load.stop(), ...contestants.map(({ child }) => child.stop())])
  }
}

function requestSection(series: readonly Series[], rounds: number): Section {
  const [one] = series as [Series, ...Series[]]
  const most = series.at(-1) ?? one
  const ratio = spreadOf(ratios(most.cpuMicros, one.cpuMicros))
  return {
    title: 'Requests with many rules',
    method: `As in the first part, each number of rules in a process of its own; ${rounds} interleaved rounds of ${ROUND_MS / 1000} s.`,
    table: {
      head: ['rules', 'req/s', 'p50 ms', 'p99 ms', 'CPU µs/req', 'ratio of CPU to 1 rule'],
      rows: series.map(each => [
        each.name,
        number(spreadOf(each.perSecond).median),
        number(spreadOf(each.p50).median, 2),
        number(spreadOf(each.p99).median, 2),
        number(spreadOf(each.cpuMicros).median, 1),
        spread(ratios(each.cpuMicros, one.cpuMicros)),
      ]),
    },
    notes: [
      `10,000 rules to one: ${spread(ratio)}: ${verdict(ratio.median <= AIMS.ratio, `at most ${AIMS.ratio}`)}`,
    ],
  }
}

interface Loading {
  readonly milliseconds: number
  readonly megabytes: number
}

async function measureLoading({ say }: Context): Promise<Section> {
  const rows: string[][] = []
  const notes: string[] = []
  for (const [form, name] of [
    ['selectors', 'Selector resources'],
    ['configmap', 'ConfigMap text'],
  ] as const) {
    const runs: Loading[] = []
    for (let run = 0; run < LOADS; run += 1)
      runs.push(
        await runForJson<Loading>(['--expose-gc', join(HERE, 'rules-load.ts'), form, String(MOST_RULES)]),
      )
    // The least disturbed run: the aim is about this program, not about what else the machine does.
    const seconds = Math.min(...runs.map(one => one.milliseconds)) / 1000
    const megabytes = spreadOf(runs.map(one => one.megabytes)).median
    say(`  ${name}: ${seconds.toFixed(2)} s, ${megabytes.toFixed(1)} MiB`)
    rows.push([name, number(seconds, 2), number(megabytes, 1)])
    notes.push(
      `${name}: time ${verdict(seconds < AIMS.seconds, `under ${AIMS.seconds} s`)}, memory ${verdict(megabytes < AIMS.megabytes, `under ${AIMS.megabytes} MiB`)}`,
    )
  }
  return {
    title: 'Loading 10,000 rules',
    method: `In a fresh process, from what the watch delivers to the index in force; memory is what stays on the heap after a collection. The best of ${LOADS} runs. (A ConfigMap of 10,000 such rules would not fit into etcd.)`,
    table: { head: ['rules', 's', 'MiB'], rows },
    notes,
  }
}
