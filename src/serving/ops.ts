/** The operators' port: liveness, readiness and metrics over plain HTTP. Nothing on it changes anything or tells a secret. */
import { type FastifyInstance, fastify } from 'fastify'
import type { Registry } from 'prom-client'
import type { Readiness } from './readiness.ts'

export interface OpsOptions {
  readonly registry: Registry
  readonly readiness: () => Promise<Readiness>
  /** Sets what is cheaper to ask for when somebody looks than to keep up to date. */
  readonly measure: () => void
}

/** Fastify's own is none at all: who sends a byte now and then would stay for ever. */
const REQUEST_TIMEOUT_MS = 10_000

export function buildOps({ registry, readiness, measure }: OpsOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    exposeHeadRoutes: true,
    bodyLimit: 1024,
    requestTimeout: REQUEST_TIMEOUT_MS,
  })
  // That it answers is the whole proof: a process that hangs does not.
  app.get('/healthz', (_request, reply) => reply.type('text/plain').send('ok\n'))
  app.get('/readyz', async (_request, reply) => {
    const { isReady, checks } = await readiness()
    const lines = checks.map(
      ({ name, isOk, reason }) => `[${isOk ? 'ok' : 'not ready'}] ${name}: ${reason}\n`,
    )
    return reply
      .code(isReady ? 200 : 503)
      .type('text/plain')
      .send(lines.join(''))
  })
  app.get('/metrics', async (_request, reply) => {
    measure()
    return reply.type(registry.contentType).send(await registry.metrics())
  })
  app.setNotFoundHandler((request, reply) =>
    reply
      .code(404)
      .type('text/plain')
      .send(
        `there is no ${request.method} ${request.url.split('?')[0]}: GET /healthz, /readyz or /metrics\n`,
      ),
  )
  return app
}
