import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { complaints, timed } from '../../helpers/fuzz-answers.ts'
import { baseReviews, FUZZ_RULES, wrongReviews } from '../../helpers/fuzz-corpus.ts'
import { makeReviewApp, operationsOf, PODS, type ReviewApp } from '../../helpers/review-app.ts'

const COUNT = 5000
/** Of processor time: an ordinary review takes less than a thousandth of it. */
const LONGEST_MS = 1000

const makeApp = (t: Test) => makeReviewApp(t, { rules: FUZZ_RULES, level: 'silent' })

t.test(
  `${COUNT} reviews that have gone wrong are let through with a valid patch, or refused clearly`,
  async t => {
    const app = await makeApp(t)
    const tally = new Map<string, number>()
    let slowest = 0
    for (const body of wrongReviews(20_260_101, COUNT)) {
      const [ms, answer] = await timed(() => app.send(PODS, body))
      slowest = Math.max(slowest, ms)
      const wrong = complaints(body, answer)
      if (wrong.length > 0) t.fail(wrong.join('; '), { body: body.toString().slice(0, 4000) })
      const kind = `${answer.status}${answer.response?.patch === undefined ? '' : ' with a patch'}`
      tally.set(kind, (tally.get(kind) ?? 0) + 1)
    }
    t.comment(Object.fromEntries(tally), await app.outcomes('pods'), `slowest: ${slowest.toFixed(0)} ms`)
    t.ok(slowest < LONGEST_MS, `${slowest.toFixed(0)} ms at the most`)
    for (const kind of ['200', '200 with a patch', '400'])
      t.ok((tally.get(kind) ?? 0) > 500, `${kind} happens often`)
    for (const outcome of ['patched', 'unmatched', 'real-nodes', 'conflict', 'error', 'skipped'])
      t.ok(((await app.outcomes('pods'))[outcome] ?? 0) > 20, `${outcome} happens often`)
    await checkCounts(t, app, COUNT)
  },
)

async function checkCounts(t: Test, app: ReviewApp, sent: number): Promise<void> {
  const samples = await app.samples()
  const reviews = samples.sum('vnode_profile_admissions_total') ?? 0
  const others = samples.sum('vnode_profile_bad_requests_total') ?? 0
  t.equal(reviews + others, sent, 'each is counted once')
  t.equal(samples.sum('vnode_profile_admission_duration_seconds_count'), reviews)
}

t.test('what a patch made is left alone the second time', async t => {
  const app = await makeApp(t)
  for (const review of baseReviews()) {
    const { default: jsonPatch } = await import('fast-json-patch')
    const first = operationsOf((await app.send(PODS, review)).response)
    const operations = first as Parameters<typeof jsonPatch.applyPatch>[1]
    const object = jsonPatch.applyPatch(structuredClone(review.request.object), operations).newDocument
    const second = await app.send(PODS, { ...review, request: { ...review.request, object } })
    t.strictSame(operationsOf(second.response), [])
  }
})

t.test('memory does not grow', async t => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const app = await makeApp(t)
  const used = async (seed: number, count: number): Promise<number> => {
    for (const body of wrongReviews(seed, count)) await app.send(PODS, body)
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = await used(1, 1500)
  const after = await used(2, 5000)
  const grown = (after - before) / 1024 / 1024
  t.ok(grown < 4, `${grown.toFixed(1)} MB more after 5,000 reviews`)
})
