/** The operators' port, as probes, Prometheus and strangers see it. */
import t from 'tap'
import { answerTo, headOf, REVIEW } from '../helpers/raw-requests.ts'
import { makeRulesReview, RULES } from '../helpers/review-app.ts'
import { startProcess } from '../helpers/webhook-process.ts'

const webhook = await startProcess(t, { args: ['--shutdown-delay', '0'] })
const get = (path: string, init: RequestInit = {}) => fetch(`${webhook.opsUrl}${path}`, init)

/** Name, type and labels of every metric of ours; dashboards and alerts are written by these. */
const METRICS: Readonly<Record<string, readonly [type: string, labels: readonly string[]]>> = {
  vnode_profile_admissions_total: ['counter', ['outcome', 'resource']],
  vnode_profile_admission_duration_seconds: ['histogram', ['le', 'resource']],
  vnode_profile_bad_requests_total: ['counter', ['status']],
  vnode_profile_rules_loaded: ['gauge', ['origin']],
  vnode_profile_rules_refused: ['gauge', ['origin']],
  vnode_profile_refused_edits_total: ['counter', ['origin']],
  vnode_profile_rules_last_reload_timestamp_seconds: ['gauge', []],
  vnode_profile_rules_last_reload_success: ['gauge', []],
  vnode_profile_certificate_expiry_timestamp_seconds: ['gauge', []],
  vnode_profile_watch_synced: ['gauge', ['resource']],
  vnode_profile_watch_last_event_age_seconds: ['gauge', ['resource']],
}

t.test('/healthz', async t => {
  const answer = await get('/healthz')
  t.equal(answer.status, 200)
  t.match(answer.headers.get('content-type'), /^text\/plain/)
  t.equal(await answer.text(), 'ok\n')
  t.equal((await get('/healthz', { method: 'HEAD' })).status, 200)
})

t.test('/readyz has a line for each check', async t => {
  const answer = await get('/readyz')
  t.equal(answer.status, 200)
  t.match(answer.headers.get('content-type'), /^text\/plain/)
  const lines = (await answer.text()).trimEnd().split('\n')
  t.match(lines, [
    '[ok] files: rule files are loaded',
    /^\[ok\] certificate: the certificate is valid until \d{4}-/,
    /^\[ok\] handshake: the certificate with fingerprint [0-9A-F]{2}:.* is served$/,
    '[ok] draining: not told to stop',
  ])
})

t.test('/metrics has what is documented, with its types and labels', async t => {
  const edit = JSON.stringify(makeRulesReview('[{'))
  await answerTo(t, webhook)
  await answerTo(t, webhook, headOf(edit.length).replace('/mutate/pods', RULES) + edit)
  await answerTo(t, webhook, `${headOf(1)}x`)
  const answer = await get('/metrics')
  t.equal(answer.status, 200)
  t.match(answer.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  const text = await answer.text()
  const types = [...text.matchAll(/^# TYPE (vnode_profile_\S+) (\S+)$/gm)].map(([, name, type]) => [
    name,
    type,
  ])
  t.strictSame(
    new Map(types.map(([name, type]) => [name, type])),
    new Map(Object.entries(METRICS).map(([name, [type]]) => [name, type])),
  )
  for (const [name, [type, labels]] of Object.entries(METRICS)) {
    const sample = type === 'histogram' ? `${name}_bucket` : name
    const found = [...text.matchAll(new RegExp(`^${sample}(?:\\{(.*)\\})? \\S+$`, 'gm'))]
    const keys = found.flatMap(([, pairs = '']) => [...pairs.matchAll(/(\w+)="/g)].map(([, key]) => key))
    // Rules from files have no API server to hear from.
    const isSilent = /last_event_age/.test(name)
    t.strictSame([...new Set(keys)].sort(), isSilent ? [] : labels, name)
    t.match(text, new RegExp(`^# HELP ${name} \\S`, 'm'))
  }
  for (const name of [
    'process_resident_memory_bytes',
    'nodejs_heap_size_used_bytes',
    'nodejs_eventloop_lag_seconds',
  ])
    t.match(text, new RegExp(`^${name}`, 'm'))
  t.match(text, 'vnode_profile_admissions_total{resource="pods",outcome="patched"} 1\n')
  t.match(text, 'vnode_profile_admissions_total{resource="rules",outcome="refused"} 1\n')
  t.match(text, 'vnode_profile_bad_requests_total{status="400"} 1\n')
})

t.test('durations are seconds', async t => {
  for (let count = 0; count < 20; count += 1) await answerTo(t, webhook)
  const text = await (await get('/metrics')).text()
  const value = (name: string) =>
    Number(new RegExp(`^${name}\\{resource="pods"\\} (\\S+)$`, 'm').exec(text)?.[1])
  const sum = value('vnode_profile_admission_duration_seconds_sum')
  const count = value('vnode_profile_admission_duration_seconds_count')
  t.ok(count >= 20)
  t.ok(sum > 0 && sum / count < 0.2, `${sum / count} on average`)
  const bounds = [...text.matchAll(/_duration_seconds_bucket\{le="([^"]+)",resource="pods"\}/g)].map(
    ([, le]) => le,
  )
  t.equal(bounds[0], '0.0001')
  t.strictSame(bounds.slice(-2), ['3', '+Inf'], 'up to the timeout of the registration')
})

t.test('there is nothing else, and nothing can be changed', async t => {
  const cases: [method: string, path: string][] = [
    ['GET', '/'],
    ['GET', '/mutate/pods'],
    ['POST', '/mutate/pods'],
    ['POST', '/healthz'],
    ['POST', '/readyz'],
    ['PUT', '/metrics'],
    ['DELETE', '/metrics'],
    ['GET', '/metrics/'],
    ['GET', '/healthz/../metrics2'],
    ['GET', '/debug/pprof'],
  ]
  for (const [method, path] of cases) {
    const body = method === 'GET' ? {} : { body: REVIEW, headers: { 'content-type': 'application/json' } }
    const { status } = await get(path, { method, ...body })
    t.ok(status >= 400 && status < 500, `${method} ${path}: ${status}`)
  }
})

t.test('a body with a GET is of no interest', async t => {
  const { createConnection } = await import('node:net')
  const { text } = await import('node:stream/consumers')
  const socket = createConnection({ host: '127.0.0.1', port: webhook.opsPort })
  socket.end(
    'GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\r\n{"a',
  )
  t.match(await text(socket), /^HTTP\/1\.1 200 OK[\s\S]*ok\n$/)
})

t.test('reviews are not answered without TLS, nor operators with it', async t => {
  await t.rejects(fetch(`http://127.0.0.1:${webhook.port}/healthz`))
  await t.rejects(fetch(`https://127.0.0.1:${webhook.opsPort}/healthz`))
  t.equal((await answerTo(t, webhook, 'GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n')).status, 404)
})
