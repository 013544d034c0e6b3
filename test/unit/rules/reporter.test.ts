import t from 'tap'
import type { Problem } from '../../../src/core/selector/problem.ts'
import { refusalText } from '../../../src/rules/refusal-text.ts'
import { rulesGauges, rulesReporter } from '../../../src/rules/reporter.ts'
import type { RuleOrigin, RulesReport } from '../../../src/rules/rules-state.ts'
import { createLogger } from '../../../src/telemetry/json-log.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import { Samples } from '../../helpers/prometheus.ts'
import type { LogLine } from '../../helpers/webhook.ts'

const ERROR: Problem = {
  severity: 'error',
  rule: 'ci',
  path: '[0].policy',
  message: 'is wrong',
  line: 3,
  column: 7,
}
const ADVICE: Problem = { severity: 'warning', rule: 'ci', path: '', message: 'does nothing' }

const involved = {
  apiVersion: 'v1',
  namespace: 'kube-system',
  name: 'eci-profile',
  uid: 'u',
  resourceVersion: '7',
}
const inCluster: RuleOrigin = { kind: 'ConfigMap', label: 'ConfigMap kube-system/eci-profile', involved }
const inFile: RuleOrigin = { kind: 'ConfigMap', label: 'rules.yaml' }
const ofSelector: RuleOrigin = {
  kind: 'Selector',
  label: 'Selector a/b',
  involved: { ...involved, name: 'b' },
}

type Emitted = Parameters<NonNullable<Parameters<typeof rulesReporter>[0]['events']>['emit']>[0]

interface Case {
  readonly report: RulesReport
  readonly line: object
  readonly event?: object
  readonly refused?: Readonly<Record<string, number>>
}

const CASES: Readonly<Record<string, Case>> = {
  'good rules': {
    report: { kind: 'accepted', origin: inCluster, problems: [] },
    line: { level: 'info', rules: 'ConfigMap kube-system/eci-profile', msg: 'rules accepted' },
  },
  'good rules with advice': {
    report: { kind: 'accepted', origin: inCluster, problems: [ADVICE] },
    line: { level: 'warn', problems: ['rule "ci": does nothing'], msg: 'rules accepted, with advice' },
  },
  'rules removed': {
    report: { kind: 'removed', origin: inCluster, problems: [] },
    line: { level: 'info', msg: 'rules removed' },
  },
  'a refused edit': {
    report: { kind: 'refused', origin: inCluster, problems: [ERROR], inForce: 'last-good' },
    line: {
      level: 'error',
      problems: ['line 3, column 7: rule "ci": [0].policy: is wrong'],
      msg: 'rules refused; the last good rules stay in force',
    },
    event: {
      type: 'Warning',
      reason: 'RulesRefused',
      key: '7',
      involved: { kind: 'ConfigMap', ...involved },
      message:
        /^data\.selectors is not applied: line 3, column 7: rule "ci": .*; the last good rules stay in force$/,
    },
    refused: { ConfigMap: 1 },
  },
  'refused rules at the start': {
    report: { kind: 'refused', origin: inCluster, problems: [ERROR], inForce: 'valid-part' },
    line: { level: 'error', msg: /^rules refused; there are no older rules to keep/ },
    event: { reason: 'RulesRefused', message: /so the valid ones of these are in force$/ },
    refused: { ConfigMap: 1 },
  },
  'a refused Selector': {
    report: { kind: 'refused', origin: ofSelector, problems: [ERROR], inForce: 'without-it' },
    line: { level: 'error', rules: 'Selector a/b', msg: 'rules refused; all other rules stay in force' },
    event: {
      involved: { kind: 'Selector', name: 'b' },
      message: /^the Selector is not applied: .*; all other rules stay in force$/,
    },
    refused: { Selector: 1 },
  },
  'the edit that mended it': {
    report: { kind: 'mended', origin: inCluster, problems: [] },
    line: { level: 'info', msg: 'rules mended' },
    event: { type: 'Normal', reason: 'RulesApplied', message: 'the rules are valid again and in force' },
  },
  'a refused file': {
    report: { kind: 'refused', origin: inFile, problems: [ERROR], inForce: 'last-good' },
    line: { level: 'error', rules: 'rules.yaml' },
    refused: { ConfigMap: 1 },
  },
}

for (const [what, { report, line, event, refused = {} }] of Object.entries(CASES)) {
  t.test(`${what}: ${event === undefined ? 'a line' : 'a line and an Event'}`, async t => {
    const log: LogLine[] = []
    const emitted: Emitted[] = []
    const metrics = createMetrics()
    rulesReporter({
      log: createLogger('debug', { write: text => void log.push(JSON.parse(text)) }),
      metrics,
      events: { emit: one => void emitted.push(one) },
    })(report)
    t.match(log, [line])
    t.match(emitted, event === undefined ? [] : [event])
    t.equal(emitted.length, event === undefined ? 0 : 1)
    const { values } = await metrics.refusedEdits.get()
    const counted = values.filter(({ value }) => value > 0)
    t.strictSame(Object.fromEntries(counted.map(({ labels, value }) => [labels.origin, value])), refused)
  })
}

t.test('without Events, as with files, there is the line', async t => {
  const log: LogLine[] = []
  const logger = createLogger('debug', { write: text => void log.push(JSON.parse(text)) })
  rulesReporter({ log: logger, metrics: createMetrics() })({
    kind: 'mended',
    origin: inCluster,
    problems: [],
  })
  t.match(log, [{ msg: 'rules mended' }])
})

t.test('a refusal fits in an Event, and counts what it leaves out', async t => {
  const many = Array.from({ length: 300 }, (_, index) => ({ ...ERROR, rule: `rule-${index}` }))
  const text = refusalText([...many, ADVICE])
  t.ok(Buffer.byteLength(text) < 1000, `${text.length}`)
  t.match(text, /^data\.selectors is not applied: line 3.*; and \d+ more: vnode rules check shows all$/)
  const [, left = ''] = /and (\d+) more/.exec(text) ?? []
  t.equal(text.split('rule "rule-').length - 1 + Number(left), 300)
  t.notMatch(refusalText([ERROR, ADVICE]), 'does nothing')
})

t.test('gauges', async t => {
  const metrics = createMetrics()
  const tell = rulesGauges(metrics, () => 1_700_000_000_500)
  tell({
    configMapRules: 3,
    selectorRules: 2,
    refusedConfigMapRules: 1,
    refusedSelectors: 4,
    isNewest: false,
  })
  const samples = new Samples(await metrics.registry.metrics())
  const wanted: [name: string, labels: Record<string, string>, value: number][] = [
    ['rules_loaded', { origin: 'ConfigMap' }, 3],
    ['rules_loaded', { origin: 'Selector' }, 2],
    ['rules_refused', { origin: 'ConfigMap' }, 1],
    ['rules_refused', { origin: 'Selector' }, 4],
    ['rules_last_reload_success', {}, 0],
    ['rules_last_reload_timestamp_seconds', {}, 1_700_000_000.5],
  ]
  for (const [name, labels, value] of wanted)
    t.equal(samples.sum(`vnode_profile_${name}`, labels), value, name)
})
