import t from 'tap'
import { DEEPEST_NESTING, parseJsonBody } from '../../../src/webhook/json-body.ts'
import { mutateBytes } from '../../helpers/mutated-json.ts'
import { Random } from '../../helpers/random.ts'

const KEY = 'managedFields'
const TEXTS = [
  '',
  KEY,
  `"${KEY}":[`,
  `"${KEY}":[]`,
  '\\',
  '\\\\',
  '"',
  '\\"',
  '[{',
  '}]',
  'é"[',
  '\ud83d\ude00]',
  '\u0000',
] as const
const KEYS = [
  KEY,
  'metadata',
  'a',
  '__proto__',
  `"${KEY}`,
  `${KEY}"`,
  '\\',
  `\\"${KEY}`,
  `"${KEY}":[`,
] as const

/** A value in which much looks like what is cut out. */
function randomValue(random: Random, depth: number): unknown {
  const dice = random.fraction()
  if (depth === 0 || dice < 0.3) return random.one<unknown>([...TEXTS, 7, true, null])
  const members = Array.from({ length: random.below(4) }, () => randomValue(random, depth - 1))
  if (dice < 0.6) return members
  return Object.fromEntries(members.map(member => [random.one(KEYS), member]))
}

/** The value with empty lists for those that may be cut out, wherever a key is their name. */
function withoutLists(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutLists)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      return [key, Array.isArray(member) && key === KEY ? [] : withoutLists(member)]
    }),
  )
}

t.test('a body reads as JSON does, but for lists of managedFields', async t => {
  const random = new Random(20_260_104)
  let cut = 0
  for (let count = 0; count < 5000; count += 1) {
    const value = randomValue(random, 6)
    const text = random.chance(0.9) ? JSON.stringify(value) : JSON.stringify(value, null, 1)
    const read = parseJsonBody(Buffer.from(text))
    cut += Number(JSON.stringify(read) !== JSON.stringify(JSON.parse(text)))
    if (JSON.stringify(withoutLists(read)) !== JSON.stringify(withoutLists(value))) t.fail(text)
  }
  t.ok(cut > 200, `${cut} had something cut out`)
})

t.test('a body that is no JSON throws, or reads as it would without lists of managedFields', async t => {
  const random = new Random(20_260_105)
  let thrown = 0
  for (let count = 0; count < 10_000; count += 1) {
    const whole = Buffer.from(JSON.stringify(randomValue(random, 6)))
    const body = mutateBytes(random, whole, 1 + random.below(3))
    const wanted = read(() => JSON.parse(body.toString()))
    const found = read(() => parseJsonBody(body))
    thrown += Number(found === undefined)
    if (wanted !== undefined && found !== wanted) t.fail(body.toString(), { wanted, found })
    // What is cut out may be no JSON; the rest is.
    if (wanted === undefined && found !== undefined && !body.includes(`${KEY}":[`)) t.fail(body.toString())
  }
  t.ok(thrown > 1000, `${thrown} were no JSON`)
})

function read(parse: () => unknown): string | undefined {
  try {
    return JSON.stringify(withoutLists(parse()))
  } catch {
    return undefined
  }
}

t.test('nesting is limited inside of what is cut out as well', async t => {
  const nested = (levels: number) => `{"${KEY}":[${'['.repeat(levels)}${']'.repeat(levels)}]}`
  t.doesNotThrow(() => parseJsonBody(Buffer.from(nested(DEEPEST_NESTING - 2))))
  t.throws(() => parseJsonBody(Buffer.from(nested(DEEPEST_NESTING - 1))), { code: 'BAD_REVIEW' })
})

t.test('time and result of texts that only begin', async t => {
  for (const unit of [`{"${KEY}":[`, `"${KEY}":[`, '"', '\\', '\\"', `"${KEY}":[],`]) {
    const begun = process.cpuUsage()
    t.throws(() => parseJsonBody(Buffer.from(`{${unit.repeat(2_000_000 / unit.length)}`)), {
      code: 'BAD_REVIEW',
    })
    t.ok(process.cpuUsage(begun).user < 1_000_000, JSON.stringify(unit))
  }
})
