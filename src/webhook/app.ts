/** The admission server as a value: routes and limits. It never listens; `server.ts` owns ports, TLS and signals. */
import type { SecureContextOptions } from 'node:tls'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { decodeReview, encodeReview, type ReviewRequest, uidOf } from '../core/admission/review.ts'
import { messageOf, VnodeError } from '../core/errors.ts'
import { keepUnused } from '../serving/unused-connections.ts'
import type { Logger } from '../telemetry/logger.ts'
import { type AdmissionOutcome, type Metrics, OUTCOMES } from '../telemetry/metrics.ts'
import { parseJsonBody } from './json-body.ts'
import type { PatientReviewer } from './namespace-wait.ts'
import type { Reviewed } from './pods-route.ts'

export interface AppOptions {
  /** Absent: plain HTTP, for tests that inject. */
  readonly tls?: SecureContextOptions
  /** By path, e.g. `/mutate/pods`. */
  readonly reviewers: ReadonlyMap<string, PatientReviewer>
  readonly metrics: Metrics
  readonly log: Logger
  /** True from the first signal on: each answer then ends its connection. */
  readonly isDraining?: () => boolean
}

/** A review of an UPDATE carries two objects of up to 3 MB. */
export const BODY_LIMIT = 8 * 1024 * 1024
/** The apiserver gives up after 30 s at the most; a sender that is slower than that is not one. */
const REQUEST_TIMEOUT_MS = 30_000
const HEADERS_TIMEOUT_MS = 10_000
const HANDSHAKE_TIMEOUT_MS = 10_000
/** How often Node looks for requests that are too slow; its own 30 s would let them last for so much longer. */
const CHECK_MS = 5_000
/**
 * Longer than the 90 s after which Go's client drops an idle connection, so that it is the client that closes: the other way round, a
 * request could be on its way while we close.
 */
const KEEP_ALIVE_MS = 120_000

export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const app = fastify({
    ...(options.tls === undefined
      ? {}
      : {
          https: {
            ...options.tls,
            requestTimeout: REQUEST_TIMEOUT_MS,
            headersTimeout: HEADERS_TIMEOUT_MS,
            handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
            connectionsCheckingInterval: CHECK_MS,
          },
        }),
    bodyLimit: BODY_LIMIT,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Draining answers requests to the end; see server.ts.
    return503OnClosing: false,
    exposeHeadRoutes: false,
    // A path that is none never gets as far as the error handler.
    frameworkErrors: (error, request, reply) => refuse(error, { request, reply, options }),
    logger: false,
  }) as unknown as FastifyInstance
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parseJsonBody(body))
    } catch (error) {
      done(error as Error)
    }
  })
  app.setErrorHandler((error, request, reply) => refuse(error, { request, reply, options }))
  app.setNotFoundHandler((request, reply) => {
    options.metrics.badRequests.inc({ status: 404 })
    return reply.code(404).send({
      message: `there is no ${request.method} ${request.url.split('?')[0]}`,
      next: `POST an AdmissionReview to ${[...options.reviewers.keys()].join(' or ')}`,
    })
  })
  for (const [path, reviewer] of options.reviewers) app.post(path, handler({ path, reviewer, options }))
  await app.ready()
  keepUnused(app.server, KEEP_ALIVE_MS)
  return app
}

interface Route {
  readonly path: string
  readonly reviewer: PatientReviewer
  readonly options: AppOptions
}

function handler({
  path,
  reviewer,
  options,
}: Route): (request: FastifyRequest, reply: FastifyReply) => FastifyReply | Promise<FastifyReply> {
  const { metrics, isDraining = () => false } = options
  const resource = path.slice(path.lastIndexOf('/') + 1)
  const duration = metrics.duration.labels({ resource })
  const counts = new Map(OUTCOMES.map(outcome => [outcome, metrics.admissions.labels(resource, outcome)]))
  return (request, reply) => {
    const startedAt = performance.now()
    const review = readReview(request.body, options.log)
    const send = (reviewed: Reviewed) => {
      const { text, outcome } = encode(review.request, reviewed, options.log)
      counts.get(outcome)?.inc()
      duration.observe((performance.now() - startedAt) / 1000)
      if (isDraining()) reply.header('connection', 'close')
      return reply.header('content-type', 'application/json').send(text)
    }
    const reviewed = review.isSound ? reviewer(review.request) : LET_THROUGH
    return reviewed instanceof Promise ? reviewed.then(send) : send(reviewed)
  }
}

/** An answer of ours that cannot be written holds up no object either. */
function encode(
  request: Read['request'],
  { answer, outcome }: Reviewed,
  log: Logger,
): { readonly text: string; readonly outcome: AdmissionOutcome } {
  try {
    return { text: encodeReview(request, answer), outcome }
  } catch (error) {
    const { uid } = request
    log.error(
      { uid, error: messageOf(error) },
      'a fault of ours: an answer that cannot be written; the object is let through as it is',
    )
    return { text: encodeReview(request, LET_THROUGH.answer), outcome: LET_THROUGH.outcome }
  }
}

const LET_THROUGH = { answer: { allowed: true }, outcome: 'error' } as const

type Read =
  | { readonly isSound: true; readonly request: ReviewRequest }
  | { readonly isSound: false; readonly request: Pick<ReviewRequest, 'apiVersion' | 'uid'> }

/** A body with a uid is answered in any case, if only by letting the object through; one without is a bad request. */
function readReview(body: unknown, log: Logger): Read {
  try {
    return { isSound: true, request: decodeReview(body) }
  } catch (error) {
    const uid = uidOf(body)
    if (uid === undefined) throw error
    log.error({ error: messageOf(error) }, 'a review that cannot be read; its object is let through as it is')
    return { isSound: false, request: { apiVersion: 'admission.k8s.io/v1', uid } }
  }
}

interface Refused {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly options: AppOptions
}

function refuse(error: unknown, { request, reply, options }: Refused): FastifyReply {
  const { status, message } = verdictOn(error, request)
  options.metrics.badRequests.inc({ status })
  options.log.warn({ status, path: request.routeOptions.url, error: message }, 'request refused')
  return reply.code(status).send({ message })
}

/** The headers are looked at only when a request has failed: an apiserver never encodes a body. */
function verdictOn(error: unknown, { headers }: FastifyRequest): { status: number; message: string } {
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity')
    return { status: 415, message: `a body with content-encoding ${encoding} is not read` }
  return { status: statusOf(error), message: messageOf(error) }
}

function statusOf(error: unknown): number {
  if (error instanceof VnodeError) return error.isUserError ? 400 : 500
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  return status >= 400 && status < 600 ? status : 500
}
