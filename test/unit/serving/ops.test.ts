import { Gauge, Registry } from 'prom-client'
import t from 'tap'
import { buildOps, type OpsOptions } from '../../../src/serving/ops.ts'

const ALL_WELL = { isReady: true, checks: [{ name: 'rules', isOk: true, reason: 'they are loaded' }] }

function make({
  readiness = async () => ALL_WELL,
  measure = () => undefined,
  ...rest
}: Partial<OpsOptions> = {}) {
  const registry = rest.registry ?? new Registry()
  const gauge = new Gauge({ name: 'a_number', help: 'of something', registers: [registry] })
  return { gauge, app: buildOps({ registry, readiness, measure }) }
}

t.test('readiness is a line for each check, and 503 if one fails', async t => {
  const checks = [
    { name: 'rules', isOk: true, reason: 'they are loaded' },
    { name: 'handshake', isOk: false, reason: 'nobody answers' },
  ]
  const { app } = make({ readiness: async () => ({ isReady: false, checks }) })
  const answer = await app.inject('/readyz')
  t.equal(answer.statusCode, 503)
  t.match(answer.headers['content-type'], /^text\/plain/)
  t.equal(answer.payload, '[ok] rules: they are loaded\n[not ready] handshake: nobody answers\n')
  t.match(await make().app.inject('/readyz'), { statusCode: 200, payload: '[ok] rules: they are loaded\n' })
})

t.test('a check that throws is not ready either', async t => {
  const { app } = make({ readiness: () => Promise.reject(new Error('no')) })
  t.equal((await app.inject('/readyz')).statusCode, 500)
  t.equal((await app.inject('/healthz')).statusCode, 200)
})

t.test('what is not there is told, with what there is', async t => {
  const { app } = make()
  const answer = await app.inject('/metric?a=b')
  t.match(answer, {
    statusCode: 404,
    payload: 'there is no GET /metric: GET /healthz, /readyz or /metrics\n',
  })
  t.match(answer.headers['content-type'], /^text\/plain/)
  t.match(await app.inject({ method: 'POST', url: '/readyz' }), {
    statusCode: 404,
    payload: /^there is no POST /,
  })
})

t.test('liveness asks nobody', async t => {
  const { app } = make({ readiness: () => new Promise(() => undefined) })
  t.match(await app.inject('/healthz'), { statusCode: 200, payload: 'ok\n' })
})

t.test('what is measured on demand is measured before it is told', async t => {
  const registry = new Registry()
  let measured = 0
  const { app, gauge } = make({ registry, measure: () => gauge.set(++measured) })
  t.match((await app.inject('/metrics')).payload, 'a_number 1\n')
  t.match((await app.inject('/metrics')).payload, 'a_number 2\n')
})

t.test('nobody can hold it with a request that does not end', async t => {
  t.equal(make().app.server.requestTimeout, 10_000)
})
