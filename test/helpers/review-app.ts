import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { DEFAULT_SETTINGS, type Settings } from '../../src/core/settings.ts'
import { RulesState } from '../../src/rules/rules-state.ts'
import { createLogger } from '../../src/telemetry/json-log.ts'
import type { LogLevel } from '../../src/telemetry/logger.ts'
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts'
import { buildApp } from '../../src/webhook/app.ts'
import { type DaemonSetsRouteOptions, daemonSetReviewer } from '../../src/webhook/daemonsets-route.ts'
import { type Mutate, podReviewer } from '../../src/webhook/pods-route.ts'
import { rulesReviewer } from '../../src/webhook/rules-route.ts'
import { Samples } from './prometheus.ts'
import type { LogLine } from './webhook.ts'

export interface ReviewAppOptions {
  /** A list, or a text as it is. */
  readonly rules?: readonly object[] | string
  readonly settings?: Partial<Settings>
  readonly mutate?: Mutate
  readonly admit?: DaemonSetsRouteOptions['admit']
  readonly level?: LogLevel
  readonly isDraining?: () => boolean
}

export interface AppAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
  /** The review's response; undefined where there is none. */
  readonly response: ReviewResponse | undefined
}

export interface ReviewResponse {
  readonly uid: string
  readonly allowed: boolean
  readonly warnings?: readonly string[]
  readonly patch?: string
  readonly patchType?: string
  readonly status?: { readonly code: number; readonly message: string }
}

export const PODS = '/mutate/pods'
export const RULES = '/validate/rules'
export const DAEMONSETS = '/mutate/daemonsets'

/** The admission server without a port: requests are injected. */
export class ReviewApp {
  readonly app: FastifyInstance
  readonly metrics: Metrics
  readonly state: RulesState
  readonly log: readonly LogLine[]

  constructor(parts: Pick<ReviewApp, 'app' | 'metrics' | 'state' | 'log'>) {
    this.app = parts.app
    this.metrics = parts.metrics
    this.state = parts.state
    this.log = parts.log
  }

  /** Sends an object as JSON, a text or bytes as they are. */
  async send(
    path: string,
    body: object | string | Buffer,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<AppAnswer> {
    const payload = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
    return await this.request('POST', path, { payload, headers })
  }

  async request(
    method: 'DELETE' | 'GET' | 'HEAD' | 'OPTIONS' | 'PATCH' | 'POST' | 'PUT',
    url: string,
    {
      payload,
      headers = {},
    }: { readonly payload?: string | Buffer; readonly headers?: Readonly<Record<string, string>> } = {},
  ): Promise<AppAnswer> {
    const answer = await this.app.inject({
      method,
      url,
      ...(payload === undefined
        ? {}
        : { payload, headers: { 'content-type': 'application/json', ...headers } }),
    })
    const isJson = String(answer.headers['content-type']).startsWith('application/json')
    const { response } = isJson && answer.payload !== '' ? JSON.parse(answer.payload) : {}
    return { status: answer.statusCode, headers: answer.headers, text: answer.payload, response }
  }

  async samples(): Promise<Samples> {
    return new Samples(await this.metrics.registry.metrics())
  }

  /** Reviews by outcome, of those that occurred. */
  async outcomes(resource: string): Promise<Record<string, number>> {
    const { values } = await this.metrics.admissions.get()
    return Object.fromEntries(
      values
        .filter(({ labels }) => labels.resource === resource)
        .map(({ labels, value }) => [String(labels.outcome), value]),
    )
  }
}

export async function makeReviewApp(t: Test, options: ReviewAppOptions = {}): Promise<ReviewApp> {
  const { rules = [], mutate, admit, level = 'debug', isDraining } = options
  const settings = { ...DEFAULT_SETTINGS, ...options.settings }
  const log: LogLine[] = []
  const logger = createLogger(level, { write: text => void log.push(JSON.parse(text)) })
  const metrics = createMetrics()
  const state = new RulesState({ settings })
  state.setConfigMap(
    { text: typeof rules === 'string' ? rules : JSON.stringify(rules) },
    { kind: 'ConfigMap', label: 'test' },
  )
  state.flush()
  const pods = podReviewer({
    state,
    log: logger,
    isVerbose: level === 'debug',
    ...(mutate === undefined ? {} : { mutate }),
  })
  const place = { rulesNamespace: 'kube-system', rulesName: 'eci-profile' }
  const app = await buildApp({
    reviewers: new Map([
      [PODS, pods],
      [DAEMONSETS, daemonSetReviewer({ state, log: logger, isVerbose: true, ...(admit && { admit }) })],
      [RULES, rulesReviewer({ settings, ...place, log: logger })],
    ]),
    metrics,
    log: logger,
    ...(isDraining === undefined ? {} : { isDraining }),
  })
  t.teardown(async () => {
    state.stop()
    await app.close()
  })
  return new ReviewApp({ app, metrics, state, log })
}

/** The operations of a response's patch; none where it has no patch. */
export function operationsOf(
  response: ReviewResponse | undefined,
): readonly { op: string; path: string; value: unknown }[] {
  return response?.patch === undefined ? [] : JSON.parse(Buffer.from(response.patch, 'base64').toString())
}

/** A review of the creation of a Pod; `change` goes over its request. */
export function makePodReview(object: unknown, change: object = {}): Review {
  return makeReview({ resource: 'pods', object }, change)
}

/** A review of the creation of the rules' ConfigMap with this text. */
export function makeRulesReview(text: unknown, change: object = {}): Review {
  const place = { namespace: 'kube-system', name: 'eci-profile' }
  return makeReview(
    { resource: 'configmaps', object: { data: { selectors: text } } },
    { ...place, ...change },
  )
}

/** A review of the creation of a DaemonSet; `change` goes over its request. */
export function makeDaemonSetReview(object: unknown, change: object = {}): Review {
  const resource = { group: 'apps', version: 'v1', resource: 'daemonsets' }
  return makeReview({ resource: '', object }, { resource, ...change })
}

export interface Review {
  readonly apiVersion: string
  readonly kind: string
  readonly request: { readonly uid: string; readonly [member: string]: unknown }
}

function makeReview({ resource, object }: { resource: string; object: unknown }, change: object): Review {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: randomUUID(),
      resource: { group: '', version: 'v1', resource },
      namespace: 'default',
      operation: 'CREATE',
      dryRun: false,
      object,
      oldObject: null,
      ...change,
    },
  }
}
