import { startFixed, startWebhook } from './contestants.ts'
import { type Context, fileIn } from './context.ts'
import { CONNECTIONS, duel, type Series } from './duel.ts'
import { PATCH_FILE } from './fixed-answer.ts'
import { Load } from './load.ts'
import { CAN_PIN } from './programs.ts'
import { number, type Section, spread, verdict } from './report.ts'
import { answerTo, patchIn } from './review.ts'
import { configMapText, ruleList } from './rule-lists.ts'
import { ratios, spreadOf } from './statistics.ts'

/** Short, so that what else goes on on the machine is alike for all of a round. */
const ROUND_MS = 500
const ROUNDS = 3
const WARM_UP_REQUESTS = 40_000
/** Design, section 10. */
const LEAST_OF_FASTIFY = 0.95
const LEAST_OF_BARE = 0.85

/** Part 1: how much of what Fastify and Node can do at all is left, with decisions, checks, metrics and logs. */
export async function measureThroughput(context: Context): Promise<Section[]> {
  const rules = configMapText(ruleList(1))
  const answer = answerTo(context.review, rules)
  await fileIn(context, PATCH_FILE, patchIn(answer))
  const rulesFile = await fileIn(context, 'one-rule.json', rules)
  const load = new Load()
  const others = await fileIn(context, 'other-rules.json', configMapText(ruleList(10).slice(0, -1)))
  const contestants = [
    { ...(await startFixed(context, 'node:https, bare', 'bare-server.ts')), answer },
    { ...(await startFixed(context, 'Fastify, defaults', 'fastify-server.ts')), answer },
    { ...(await startWebhook(context, 'vnode webhook', ['--rules', rulesFile])), answer },
    await startWebhook(context, 'vnode webhook, no rule matches', ['--rules', others]),
  ]
  try {
    const options = { rounds: roundsOf(context), milliseconds: ROUND_MS, warmUpRequests: WARM_UP_REQUESTS }
    return [section(context, await duel(context, load, contestants, options))]
  } finally {
    await Promise.all([load.stop(), ...contestants.map(({ child }) => child.stop())])
  }
}

function roundsOf({ rounds }: Context): number {
  return rounds * ROUNDS
}

function section(context: Context, series: readonly Series[]): Section {
  const [bare, fastify, ours] = series as [Series, Series, Series]
  const ofBare = (one: Series) => ratios(one.perSecond, bare.perSecond)
  const ofFastify = (one: Series) => ratios(one.perSecond, fastify.perSecond)
  const rows = series.map(one => [
    one.name,
    number(spreadOf(one.perSecond).median),
    number(spreadOf(one.p50).median, 2),
    number(spreadOf(one.p99).median, 2),
    number(spreadOf(one.cpuMicros).median, 1),
    one === bare ? '1' : spread(ofBare(one)),
    one === fastify ? '1' : spread(ofFastify(one)),
    `${number(spreadOf(one.loadShare).median * 100)} %`,
  ])
  const cpu = (one: Series) => spread(ratios(one.cpuMicros, ours.cpuMicros))
  return {
    title: 'Throughput of one core',
    method: methodOf(context),
    table: {
      head: [
        'server',
        'req/s',
        'p50 ms',
        'p99 ms',
        'CPU µs/req',
        'ratio to bare',
        'ratio to Fastify',
        'CPU of the load',
      ],
      rows,
    },
    notes: [
      `ours to Fastify: ${spread(ofFastify(ours))}: ${verdict(spreadOf(ofFastify(ours)).median >= LEAST_OF_FASTIFY, `at least ${LEAST_OF_FASTIFY}`)}`,
      `ours to bare: ${spread(ofBare(ours))}: ${verdict(spreadOf(ofBare(ours)).median >= LEAST_OF_BARE, `aim ${LEAST_OF_BARE}`)}`,
      `by CPU per request instead of requests per second: ${cpu(fastify)} of Fastify, ${cpu(bare)} of bare`,
    ],
  }
}

function methodOf(context: Context): string {
  const { review } = context
  const pinned = CAN_PIN ? 'the server on one core and the load on another' : 'not pinned to cores'
  return `A real review of a Deployment's Pod (${Buffer.byteLength(review)} bytes, CREATE) on ${CONNECTIONS} kept-alive TLS connections; ${pinned}; ${roundsOf(context)} interleaved rounds of ${ROUND_MS / 1000} s. Medians; ratios are of the same round, with quartiles. The first two servers parse the body and answer it, its uid included, with a patch that they read from a file when they started: the same one, byte for byte, that ours computes. Ours decides by one rule, checks the patch, counts and logs. In the last row none of ten rules matches, as is so for most Pods of most clusters: no patch, no line in the log.`
}
