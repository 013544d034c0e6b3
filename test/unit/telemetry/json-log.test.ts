import t from 'tap'
import { createLogger } from '../../../src/telemetry/json-log.ts'
import { LOG_LEVELS } from '../../../src/telemetry/logger.ts'

function capture(level: (typeof LOG_LEVELS)[number]) {
  const lines: string[] = []
  return { lines, log: createLogger(level, { write: text => void lines.push(text) }) }
}

t.test('a line is one JSON object: level as a word, time, fields, message', async t => {
  const { log, lines } = capture('info')
  log.info({ namespace: 'a', rules: ['b\nc'] }, 'Pod changed')
  t.equal(lines.length, 1)
  const [line = ''] = lines
  t.match(line, /^\{.*\}\n$/)
  const { time, ...rest } = JSON.parse(line)
  t.strictSame(rest, { level: 'info', namespace: 'a', rules: ['b\nc'], msg: 'Pod changed' })
  t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
})

t.test('the time is that of the line, from one second to the next', async t => {
  const { log, lines } = capture('info')
  const begun = Date.now()
  while (Date.now() < begun + 1100) log.info({}, 'now')
  const times = lines.map(line => String(JSON.parse(line).time))
  t.strictSame(
    times.filter(time => new Date(time).toISOString() !== time),
    [],
  )
  const numbers = times.map(time => Date.parse(time))
  t.ok(Number(numbers[0]) >= begun && Number(numbers.at(-1)) <= Date.now())
  t.strictSame(
    numbers,
    numbers.toSorted((a, b) => a - b),
  )
})

t.test('levels', async t => {
  for (const [index, level] of LOG_LEVELS.entries()) {
    const { log, lines } = capture(level)
    log.debug({}, 'debug')
    log.info({}, 'info')
    log.warn({}, 'warn')
    log.error({}, 'error')
    t.strictSame(
      lines.map(line => JSON.parse(line).msg),
      ['debug', 'info', 'warn', 'error'].slice(index),
      level,
    )
  }
})

t.test('what is no JSON does not end the program', async t => {
  const { log, lines } = capture('info')
  const circle: Record<string, unknown> = {}
  circle.self = circle
  log.error({ circle, big: 7n, error: new Error('no'), nothing: undefined }, 'odd')
  t.match(JSON.parse(lines[0] ?? ''), { level: 'error', msg: 'odd' })
})
