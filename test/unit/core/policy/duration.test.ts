import t from 'tap'
import { parseDuration, renderDuration } from '../../../../src/core/policy/duration.ts'
import { Random } from '../../../helpers/random.ts'

/** As Go's time.ParseDuration reads them. */
const durations = new Map<string, number>([
  ['0', 0],
  ['+0', 0],
  ['0s', 0],
  ['30s', 30],
  ['+30s', 30],
  ['5m', 300],
  ['1h30m', 5400],
  ['1h15m30.918s', 4530.918],
  ['1.5h', 5400],
  ['.5s', 0.5],
  ['1.s', 1],
  ['100ms', 0.1],
  ['10us', 1e-5],
  ['10µs', 1e-5],
  ['10μs', 1e-5],
  ['1ns', 1e-9],
  ['1m1m', 120],
  ['30s1h', 3630],
  ['2562047h', 9_223_369_200],
])

for (const [text, seconds] of durations) {
  t.test(`${text} is ${seconds} s`, async t => t.ok(Math.abs((parseDuration(text) ?? -1) - seconds) < 1e-12))
}

const none = new Map([
  ['the empty text', ''],
  ['a number without a unit', '30'],
  ['a unit without a number', 's'],
  ['a dot without a number', '.s'],
  ['two dots', '1.2.3s'],
  ['a negative duration', '-5m'],
  ['a negative nothing', '-0'],
  ['a sign alone', '+'],
  ['a day, which Go does not know', '1d'],
  ['capital letters', '5M'],
  ['a space', '1h 30m'],
  ['a space around', ' 5m '],
  ['a line break', '5m\n'],
  ['other digits', '٥m'],
  ['an exponent', '1e3s'],
  ['more nanoseconds than 64 bits hold', '2562048h'],
  ['a number that no double holds', `${'9'.repeat(400)}h`],
])

t.test('is not a duration:', async t => {
  for (const [sentence, text] of none) t.equal(parseDuration(text), undefined, sentence)
})

t.test('time grows with the text, not with its square', async t => {
  const digits = '1'.repeat(1_000_000)
  t.equal(parseDuration(digits), undefined)
  t.equal(parseDuration(`${digits}.${digits}`), undefined)
  t.equal(parseDuration('1s'.repeat(100_000)), 100_000)
})

const renderings = new Map<number, string>([
  [0, '0s'],
  [30, '30s'],
  [60, '1m'],
  [90, '1m30s'],
  [3600, '1h'],
  [3601, '1h1s'],
  [5400, '1h30m'],
  [86_400, '24h'],
  [0.5, '0.5s'],
  [61.001, '1m1.001s'],
  [4530.918, '1h15m30.918s'],
  [0.000001, '0.000001s'],
  [1e-9, '0s'],
  [59.9999999, '1m'],
  [3599.9999999, '1h'],
])

t.test('renders', async t => {
  for (const [seconds, text] of renderings) t.equal(renderDuration(seconds), text, `${seconds} as ${text}`)
})

t.test('what is rendered is read as the same duration', async t => {
  const random = new Random(7)
  for (let index = 0; index < 2000; index += 1) {
    const seconds = random.below(10 ** random.below(10)) / random.one([1, 1000, 1_000_000])
    const back = parseDuration(renderDuration(seconds))
    if (back === undefined || Math.abs(back - seconds) > 1e-6)
      t.fail(`${seconds}: ${renderDuration(seconds)}`)
  }
})
