import t from 'tap'
import { explainLivePod, type LiveExplanation } from '../../../../src/core/explain/live-pod.ts'
import { makeVnode } from '../../../helpers/environments.ts'
import { makeOwner, makePod, type PodOverrides } from '../../../helpers/pods.ts'
import { makeSituation, type SituationOverrides, SPILL_NODE, UNSCHEDULABLE } from '../../../helpers/spill.ts'

const REPORTED_MS = Date.parse('2026-05-06T07:08:09Z')
const MARKS = { 'vnode-profile.io/rules': 'web', 'vnode-profile.io/policy': 'normalNodePrefer' }
const TOLERATION = { key: 'k8s.aliyun.com/vnode', operator: 'Equal', value: 'true', effect: 'NoSchedule' }

interface Setting {
  readonly pod?: PodOverrides
  readonly status?: object
  readonly metadata?: object
  readonly situation?: SituationOverrides
  readonly nowMs?: number
  readonly leaderSinceMs?: number
}

function explain(setting: Setting = {}): LiveExplanation {
  const { pod, status = UNSCHEDULABLE, metadata, situation, nowMs = REPORTED_MS, leaderSinceMs } = setting
  const { spec, ...made } = makePod({ namespace: 'team-a', uid: 'uid-1', labels: { app: 'web' }, ...pod })
  const raw = { ...made, metadata: { ...made.metadata, resourceVersion: '7', ...metadata }, spec, status }
  const { waitedMs: _, ...rest } = makeSituation(situation)
  return explainLivePod(raw, { ...rest, nowMs, leaderSinceMs })
}

const managed = (...names: string[]) => ({
  managedFields: names.map(manager => ({ manager, operation: 'Update', time: '2026-05-06T07:10:00Z' })),
})
const on = (nodeName: string, spec: object = {}) => ({ spec: { nodeName, ...spec } })
const RUNNING = { phase: 'Running' }
const rule = (policy: Readonly<Record<string, object>>) => ({
  environment: {
    rules: [
      {
        name: 'web',
        objectSelector: { matchLabels: { app: 'web' } },
        policy,
        effect: { labels: { runs: 'eci' } },
      },
    ],
    vnodes: [makeVnode(SPILL_NODE)],
  },
})

t.test('one that spills: the helper’s patch is due, and made', async t => {
  const { explanation, live } = explain({ pod: { annotations: MARKS } })
  t.match(live, { phase: 'Pending', isTerminating: false, verdict: { outcome: 'spill' }, waitedMs: 0 })
  t.notHas(live, 'node')
  t.notHas(live, 'missed')
  t.strictSame(live.marks, { rules: 'web', policy: 'normalNodePrefer' })
  t.match(explanation.patch, [
    { op: 'replace', path: '/metadata/resourceVersion', value: '7' },
    { op: 'add' },
  ])
  t.match(explanation.added, [{ what: 'toleration', text: 'k8s.aliyun.com/vnode=true:NoSchedule' }])
  t.match(explanation.result, { spec: { tolerations: [TOLERATION] } })
  t.equal(explanation.whereabouts.code, 'real-then-vnode')
})

const WAITED: Readonly<Record<string, readonly [Setting, number | undefined]>> = {
  'by the scheduler’s time': [{ nowMs: REPORTED_MS + 5_000 }, 5_000],
  'not before somebody leads': [{ nowMs: REPORTED_MS + 5_000, leaderSinceMs: REPORTED_MS + 3_000 }, 2_000],
  'one who led before does not count': [{ nowMs: REPORTED_MS + 5_000, leaderSinceMs: 0 }, 5_000],
  'by a clock that is behind, nothing': [{ nowMs: REPORTED_MS - 5_000 }, 0],
  'of a time that cannot be read, nothing': [
    { status: { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }] } },
    0,
  ],
  'not at all, if it was not reported': [{ status: { phase: 'Pending' } }, undefined],
}

for (const [name, [setting, wanted]] of Object.entries(WAITED)) {
  t.test(`it has waited: ${name}`, async t => t.equal(explain(setting).live.waitedMs, wanted))
}

t.test('it is held back for the rest of the time', async t => {
  const { live, explanation } = explain({
    situation: { policy: { spillAfter: '30s' } },
    nowMs: REPORTED_MS + 10_000,
  })
  t.match(live.verdict, { outcome: 'held', code: 'waiting', forMs: 20_000 })
  t.strictSame(explanation.patch, [])
})

t.test('Nodes that are not known are not taken for absent', async t => {
  t.match(explain({ situation: { vnodes: undefined } }).live.verdict, {
    outcome: 'held',
    code: 'not-loaded',
    reason: 'the nodes are not loaded yet',
  })
})

t.test('let go, and without a node yet', async t => {
  const { live, explanation } = explain({
    pod: { annotations: MARKS, spec: { tolerations: [TOLERATION] } },
    metadata: managed('vnode-profile-spill'),
  })
  t.match(live.verdict, { outcome: 'idle', code: 'open' })
  t.strictSame(live.changed, { spill: '2026-05-06T07:10:00Z' })
  t.match(explanation.whereabouts, { code: 'vnode-or-real', place: 'a real node or a VNode' })
})

t.test('on a VNode: what is still due, what ECI refuses, and the rule by which it came', async t => {
  const container = { name: 'app', image: 'a', securityContext: { privileged: true } }
  const setting = {
    pod: { annotations: MARKS, ...on(SPILL_NODE, { tolerations: [TOLERATION], containers: [container] }) },
    status: RUNNING,
    situation: rule({ normalNodePrefer: {} }),
  }
  const { live, explanation } = explain(setting)
  t.strictSame(live.node, { name: SPILL_NODE, isVnode: true })
  t.match(explanation, {
    whereabouts: { code: 'vnode', place: `the VNode ${SPILL_NODE}` },
    decision: { outcome: 'placed', route: 'rule' },
    added: [{ what: 'label', text: 'runs=eci', rule: 'web' }],
    addedOnVnode: [],
  })
  t.ok(explanation.advice.some(({ kind, path }) => kind === 'refused' && path.includes('privileged')))
  const done = explain({ ...setting, metadata: managed('vnode-profile-spill', 'vnode-profile-binding') })
  t.strictSame(done.explanation.patch, [], 'done once, whatever became of it')
  const ending = explain({ ...setting, metadata: { deletionTimestamp: '2026-05-06T08:00:00Z' } })
  t.ok(ending.live.isTerminating)
  t.strictSame(ending.explanation.patch, [])
})

t.test('the webhook did not see it', async t => {
  const under = (policy: Readonly<Record<string, object>>, setting: Setting = {}) =>
    explain({ situation: rule(policy), ...setting })
  const forced = under({ virtualNodeOnly: {} })
  t.match(forced.live.missed, { rule: 'web', lost: /^its node selector cannot be changed/ })
  t.match(forced.explanation, {
    whereabouts: { code: 'real' },
    added: [{ what: 'toleration' }, { what: 'mark' }, { what: 'mark' }],
  })
  t.ok(forced.live.anew.some(({ what }) => what === 'node selector'))
  t.match(under({ normalNodePrefer: {} }).explanation.whereabouts, { code: 'real-then-vnode' })
  const real = under({ virtualNodeOnly: {} }, { pod: on('worker-1'), status: RUNNING })
  t.strictSame(real.live.missed, { rule: 'web', lost: 'it runs on the real node worker-1' })
  t.match(real.explanation, {
    whereabouts: { code: 'real', place: 'the real node worker-1' },
    decision: { outcome: 'placed', rule: { name: 'web' } },
    patch: [],
    advice: [],
  })
  const vnode = under({ fair: {} }, { pod: on(SPILL_NODE), status: RUNNING })
  t.strictSame(vnode.live.missed, { rule: 'web' }, 'nothing is lost')
  const mended = under(
    { virtualNodeOnly: {} },
    { pod: { annotations: MARKS, ...on(SPILL_NODE) }, metadata: managed('vnode-profile-missed') },
  )
  t.notHas(mended.live, 'missed')
  t.strictSame(mended.live.changed, { missed: '2026-05-06T07:10:00Z' })
})

t.test('bound by its author, it is decided about as such', async t => {
  const fieldsV1 = { 'f:spec': { 'f:nodeName': {} } }
  const author = { managedFields: [{ manager: 'kubectl', operation: 'Update', fieldsV1 }] }
  const { explanation, live } = explain({ pod: on('worker-1'), status: RUNNING, metadata: author })
  t.match(explanation.decision, { outcome: 'skipped', code: 'bound' })
  t.notHas(live, 'missed')
  const status = { managedFields: [{ manager: 'x', subresource: 'status', fieldsV1 }] }
  t.match(explain({ pod: on('worker-1'), status: RUNNING, metadata: status }).explanation.decision, {
    outcome: 'placed',
  })
})

t.test('a Pod of which little is known', async t => {
  const { live, explanation } = explain({
    pod: { labels: {}, ownerReferences: [makeOwner()] },
    status: {},
    metadata: managed('kubectl'),
  })
  t.match(live, { phase: 'Unknown', marks: {}, verdict: { outcome: 'idle', code: 'no-policy' } })
  t.strictSame(live.changed, {})
  t.match(explanation, { decision: { outcome: 'unmatched' }, patch: [] })
  const timeless = { managedFields: [{ manager: 'vnode-profile-spill' }] }
  t.strictSame(explain({ metadata: timeless }).live.changed, { spill: '' })
})
