import t from 'tap'
import { DEFAULT_SETTINGS } from '../../../src/core/settings.ts'
import { rulesReporter } from '../../../src/rules/reporter.ts'
import { RulesState } from '../../../src/rules/rules-state.ts'
import { createLogger } from '../../../src/telemetry/json-log.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import { buildApp } from '../../../src/webhook/app.ts'
import {
  makePodReview,
  makeReviewApp,
  makeRulesReview,
  PODS,
  type Review,
  RULES,
} from '../../helpers/review-app.ts'
import type { LogLine } from '../../helpers/webhook.ts'

const GOOD = { objectLabels: { matchLabels: { a: 'b' } }, policy: { virtualNodeOnly: {} } }
const BAD = { policy: { virtualNodeOnly: {} } }
const POWER = {
  ...GOOD,
  effect: { annotations: { 'k8s.aliyun.com/eci-ram-role-name': 'admin' } },
}

interface SelectorCase {
  readonly spec?: unknown
  readonly namespace?: string
  readonly change?: object
  readonly apiVersion?: string
  /** What is said in a refusal; absent: allowed. */
  readonly refused?: RegExp
  readonly outcome: string
}

function selectorReview({ spec = GOOD, namespace = 'team', change, apiVersion }: SelectorCase): Review {
  const object = {
    apiVersion: apiVersion ?? 'eci.aliyun.com/v1',
    kind: 'Selector',
    metadata: { name: 'one' },
    spec,
  }
  return makePodReview(object, {
    resource: { group: 'eci.aliyun.com', version: 'v1', resource: 'selectors' },
    namespace,
    name: 'one',
    ...change,
  })
}

const SELECTORS: Readonly<Record<string, SelectorCase>> = {
  'a good one': { outcome: 'allowed' },
  'a good one of a cluster-scoped type': { namespace: '', outcome: 'allowed' },
  'one of another version': {
    apiVersion: 'eci.aliyun.com/v1beta1',
    spec: BAD,
    outcome: 'refused',
    refused: /spec/,
  },
  'a bad one': {
    spec: BAD,
    outcome: 'refused',
    refused:
      /^the Selector is not applied: rule "team\/one": spec: must have namespaceLabels or objectLabels/,
  },
  'one without a spec': { spec: null, outcome: 'refused', refused: /spec: must be an object/ },
  'a tenant’s that sets a power': {
    spec: POWER,
    outcome: 'refused',
    refused: /is a power that only Selectors in namespace/,
  },
  'the installation’s that sets a power': { spec: POWER, namespace: 'vnode-system', outcome: 'allowed' },
  'somebody else’s type of the same name': { apiVersion: 'example.com/v1', spec: BAD, outcome: 'skipped' },
  'a bad one that is deleted': { spec: BAD, change: { operation: 'DELETE' }, outcome: 'skipped' },
  'the status of one': { spec: BAD, change: { subResource: 'status' }, outcome: 'skipped' },
  'a bad one whose labels change': {
    spec: BAD,
    change: { operation: 'UPDATE', oldObject: { spec: BAD } },
    outcome: 'skipped',
  },
  'a good one that becomes bad': {
    spec: BAD,
    change: { operation: 'UPDATE', oldObject: { spec: GOOD } },
    outcome: 'refused',
    refused: /must have/,
  },
}

for (const [what, wanted] of Object.entries(SELECTORS)) {
  t.test(`a Selector, ${what}: ${wanted.outcome}`, async t => {
    const app = await makeReviewApp(t)
    const { response } = await app.send(RULES, selectorReview(wanted))
    t.equal(response?.allowed, wanted.refused === undefined)
    if (wanted.refused !== undefined) {
      t.match(response?.status, { code: 422, reason: 'Invalid', message: wanted.refused })
      t.notMatch(response?.status?.message, '\n')
    }
    t.strictSame(await app.outcomes('rules'), { [wanted.outcome]: 1 })
  })
}

t.test('a refusal says the words that the Event would say', async t => {
  const text = '[{"name": "ci", "objectSelector": {"matchLabels": {"no good!": "x"}}}, {"nam": "x"}]'
  const app = await makeReviewApp(t)
  const { response } = await app.send(RULES, makeRulesReview(text))
  const messages: string[] = []
  const report = rulesReporter({
    log: createLogger('silent', { write: () => undefined }),
    metrics: createMetrics(),
    events: { emit: ({ message }) => void messages.push(message) },
  })
  const involved = { apiVersion: 'v1', name: 'eci-profile', uid: 'u', resourceVersion: '1' }
  const state = new RulesState({ settings: DEFAULT_SETTINGS, onReport: report })
  state.setConfigMap({ text }, { kind: 'ConfigMap', label: 'test', involved })
  state.stop()
  t.match(response?.status?.message, /^data\.selectors is not applied: line 1, column \d+: rule "ci"/)
  t.ok(messages[0]?.startsWith(`${response?.status?.message}; `), String(messages[0]))
})

t.test('another key of the ConfigMap can be edited whatever the rules are', async t => {
  const app = await makeReviewApp(t)
  const both = (text: string, old: string) =>
    makeRulesReview(text, { operation: 'UPDATE', oldObject: { data: { selectors: old } } })
  t.equal((await app.send(RULES, both('[{', '[{'))).response?.allowed, true)
  t.equal((await app.send(RULES, both('[{', '[]'))).response?.allowed, false)
  t.equal((await app.send(RULES, both('[]', '[{'))).response?.allowed, true)
  t.strictSame(await app.outcomes('rules'), { skipped: 1, refused: 1, allowed: 1 })
})

t.test('a ConfigMap without rules, or of another namespace, is allowed', async t => {
  const app = await makeReviewApp(t)
  for (const change of [
    { object: { data: { cluster: 'x' } } },
    { object: {} },
    { namespace: 'default', object: null },
  ])
    t.equal((await app.send(RULES, makeRulesReview('', change))).response?.allowed, true)
})

t.test('a fault of ours lets an edit through, and an answer that cannot be written a Pod', async t => {
  const log: LogLine[] = []
  const metrics = createMetrics()
  const { rulesReviewer } = await import('../../../src/webhook/rules-route.ts')
  const logger = createLogger('info', { write: text => void log.push(JSON.parse(text)) })
  const settings = {
    ...DEFAULT_SETTINGS,
    get tenantEffects(): ReadonlySet<string> {
      throw new Error('planted')
    },
  }
  const unwritable = { op: 'add', path: '/metadata/labels/a', value: 7n } as const
  const app = await buildApp({
    reviewers: new Map([
      [
        RULES,
        rulesReviewer({ settings, rulesNamespace: 'kube-system', rulesName: 'eci-profile', log: logger }),
      ],
      [PODS, () => ({ answer: { allowed: true, patch: [unwritable] }, outcome: 'patched' })],
    ]),
    metrics,
    log: logger,
  })
  t.teardown(() => app.close())
  const send = async (url: string, payload: Review) =>
    (await app.inject({ method: 'POST', url, payload: { ...payload } })).json()
  const edit = selectorReview({ spec: POWER, outcome: 'error' })
  t.strictSame((await send(RULES, edit)).response, { uid: edit.request.uid, allowed: true })
  t.match(log.at(-1), {
    level: 'error',
    name: 'one',
    error: 'planted',
    msg: 'a fault of ours; the edit is let through',
  })
  const pod = makePodReview({})
  t.strictSame((await send(PODS, pod)).response, { uid: pod.request.uid, allowed: true })
  t.match(log.at(-1), { level: 'error', uid: pod.request.uid, msg: /an answer that cannot be written/ })
  const { values } = await metrics.admissions.get()
  t.strictSame(
    values.map(({ labels }) => `${labels.resource} ${labels.outcome}`),
    ['rules error', 'pods error'],
  )
})
