import { decodeReview, encodeReview, type ReviewRequest } from '../src/core/admission/review.ts'
import type { Contestant } from './contestants.ts'
import type { Context } from './context.ts'
import type { Load, LoadResult } from './load.ts'
import { cpuSeconds } from './programs.ts'
import { quantile } from './statistics.ts'

export const CONNECTIONS = 16

const LONGEST_WARM_UP_MS = 60_000

export interface DuelOptions {
  readonly rounds: number
  readonly milliseconds: number
  /** So many requests, and not for some time: on a machine that others use the compilers would not be done. */
  readonly warmUpRequests: number
}

/** One contestant's measurements, one value a round. */
export interface Series {
  readonly name: string
  readonly perSecond: number[]
  /** Microseconds of CPU that the server took per request: steadier than the rate while others use the machine. */
  readonly cpuMicros: number[]
  readonly p50: number[]
  readonly p99: number[]
  readonly loadShare: number[]
}

/**
 * Loads the contestants in turn, for some rounds. What else goes on on the machine changes within seconds, so only values of the same
 * round are compared; each round begins with another contestant.
 */
export async function duel(
  { review, ca, say }: Context,
  load: Load,
  contestants: readonly Contestant[],
  options: DuelOptions,
): Promise<Series[]> {
  const order = { ca, path: '/mutate/pods', body: review, connections: CONNECTIONS }
  const request = decodeReview(JSON.parse(review))
  const run = async ({ port, child }: Contestant, milliseconds: number) => {
    let before = 0
    const result = await load.run({ ...order, port, milliseconds }, () => {
      before = cpuSeconds(child.pid)
    })
    return { result, cpu: cpuSeconds(child.pid) - before }
  }
  for (const contestant of contestants) {
    const deadline = performance.now() + LONGEST_WARM_UP_MS
    for (let answered = 0; answered < options.warmUpRequests && performance.now() < deadline; ) {
      const { result } = await run(contestant, options.milliseconds)
      checkSample(contestant, result.sample, request)
      answered += result.latencies.length
    }
  }
  const all = contestants.map(contestant => ({ contestant, series: emptySeries(contestant.name) }))
  for (let round = 0; round < options.rounds; round += 1) {
    for (let turn = 0; turn < all.length; turn += 1) {
      const next = all[(round + turn) % all.length]
      if (next === undefined) continue
      const { result, cpu } = await run(next.contestant, options.milliseconds)
      record(next.series, result, cpu)
    }
    say(`  round ${round + 1} of ${options.rounds}: ${all.map(({ series }) => latest(series)).join(', ')}`)
  }
  return all.map(one => one.series)
}

function emptySeries(name: string): Series {
  return { name, perSecond: [], cpuMicros: [], p50: [], p99: [], loadShare: [] }
}

function record(series: Series, { latencies, milliseconds, cpuShare }: LoadResult, cpu: number): void {
  series.perSecond.push((latencies.length / milliseconds) * 1000)
  series.cpuMicros.push((cpu / latencies.length) * 1e6)
  series.p50.push(quantile(latencies, 0.5))
  series.p99.push(quantile(latencies, 0.99))
  series.loadShare.push(cpuShare)
}

function latest({ name, perSecond }: Series): string {
  return `${name} ${Math.round(perSecond.at(-1) ?? 0)}/s`
}

/** A server that answered something else, however fast, would be no comparison. */
function checkSample({ name, answer }: Contestant, sample: string, review: ReviewRequest): void {
  if (sample !== (answer ?? encodeReview(review, { allowed: true })))
    throw new Error(`${name} answered something else: ${sample}`)
}
