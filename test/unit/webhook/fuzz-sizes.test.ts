import t from 'tap'
import { complaints, memberOf, timed } from '../../helpers/fuzz-answers.ts'
import { baseReviews, FUZZ_RULES } from '../../helpers/fuzz-corpus.ts'
import { makeReviewApp, PODS } from '../../helpers/review-app.ts'

/** Of processor time: an ordinary review takes less than a thousandth of it. */
const LONGEST_MS = 1000

t.test('no text, however long and odd, and no list, however long, makes a review slow', async t => {
  const app = await makeReviewApp(t, { rules: FUZZ_RULES, level: 'silent' })
  const units = ['a', '1', '1.', ' ', ',', '-', '\n', '"', 'a/b=c,', '\ud83d\ude00']
  const [review] = baseReviews()
  const object = review?.request.object
  let slowest = { ms: 0, what: '' }
  let sent = 0
  for (const path of pathsOf(object)) {
    const value = path.reduce<unknown>(memberOf, object)
    for (const unit of typeof value === 'string' ? units : ['x']) {
      const odd = enlarged(value, unit)
      const body = JSON.stringify({
        ...review,
        request: { ...review?.request, object: replaced(object, path, odd) },
      })
      const [ms, answer] = await timed(() => app.send(PODS, body))
      sent += 1
      if (ms > slowest.ms) slowest = { ms, what: `${path.join('.')}, ${JSON.stringify(unit)}` }
      const wrong = complaints(body, answer)
      if (wrong.length > 0)
        t.fail(`${path.join('.')} of ${JSON.stringify(unit)}: ${wrong.join('; ').slice(0, 300)}`)
    }
  }
  t.ok(sent > 400, `${sent} reviews`)
  t.ok(slowest.ms < LONGEST_MS, `${slowest.ms.toFixed(0)} ms at the most: ${slowest.what}`)
})

/** So long that what is quadratic takes seconds: a text of 60,000 characters, or 20,000 members like the first. */
function enlarged(value: unknown, unit: string): unknown {
  if (typeof value === 'string') return unit.repeat(60_000 / unit.length)
  if (Array.isArray(value)) return Array(20_000).fill(value[0])
  if (typeof value !== 'object' || value === null) return 10 ** 300
  const [first] = Object.values(value)
  return {
    ...value,
    ...Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`k${index}`, first])),
  }
}

function pathsOf(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => [[...path, key], ...pathsOf(inner, [...path, key])])
}

function replaced(value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown {
  if (key === undefined) return by
  if (Array.isArray(value))
    return value.map((item, index) => (String(index) === key ? replaced(item, rest, by) : item))
  return typeof value === 'object' && value !== null
    ? { ...value, [key]: replaced(memberOf(value, key), rest, by) }
    : value
}
