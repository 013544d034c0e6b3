import t from 'tap'
import { OUTCOMES } from '../../../src/telemetry/metrics.ts'
import type { Mutate } from '../../../src/webhook/pods-route.ts'
import { makeOwner, makePod, type PodOverrides } from '../../helpers/pods.ts'
import {
  type AppAnswer,
  makePodReview,
  makeReviewApp,
  makeRulesReview,
  operationsOf,
  PODS,
  type Review,
  type ReviewApp,
  RULES,
} from '../../helpers/review-app.ts'

const RULE_LIST = [
  { name: 'to-eci', objectSelector: { matchLabels: { eci: 'true' } } },
  { name: 'stay', objectSelector: { matchLabels: { stay: 'true' } }, policy: { normalNodeOnly: {} } },
]
const onVnode: PodOverrides = {
  spec: {
    nodeSelector: { 'k8s.aliyun.com/vnode': 'true' },
    tolerations: [{ key: 'k8s.aliyun.com/vnode', operator: 'Exists' }],
  },
}

interface Case {
  readonly outcome: (typeof OUTCOMES)[number]
  readonly path?: string
  readonly review: Review
  readonly mutate?: Mutate
  readonly isPatched?: boolean
  readonly isRefused?: boolean
  readonly warning?: RegExp
}

const ofPod = (pod: PodOverrides, change: object = {}, namespace = 'default') =>
  makePodReview(makePod(pod), { namespace, ...change })
const ofRules = (text: unknown, change: object = {}) => makeRulesReview(text, change)
const fault: Mutate = () => {
  throw new Error('planted')
}

const CASES: Readonly<Record<string, Case>> = {
  'a Pod that a rule sends': {
    outcome: 'patched',
    review: ofPod({ labels: { eci: 'true' } }),
    isPatched: true,
  },
  'a Pod that is there already': { outcome: 'unchanged', review: ofPod(onVnode) },
  'a Pod that no rule matches': { outcome: 'unmatched', review: ofPod({}) },
  'a Pod that a rule keeps on real nodes': {
    outcome: 'real-nodes',
    review: ofPod({ labels: { stay: 'true' } }),
  },
  'a Pod whose own words exclude VNodes': {
    outcome: 'conflict',
    review: ofPod({ labels: { eci: 'true' }, spec: { nodeSelector: { type: 'gpu' } } }),
    warning: /^rule "to-eci" sends this Pod to a VNode, but it is left as it is: /,
  },
  'a Pod of an excluded namespace': {
    outcome: 'skipped',
    review: ofPod({ labels: { eci: 'true' } }, {}, 'kube-system'),
  },
  'a Pod of a DaemonSet': {
    outcome: 'skipped',
    review: ofPod({ labels: { eci: 'true' }, ownerReferences: [makeOwner('DaemonSet')] }),
  },
  'an update of a Pod': {
    outcome: 'skipped',
    review: ofPod({ labels: { eci: 'true' } }, { operation: 'UPDATE' }),
  },
  'a binding of a Pod': {
    outcome: 'skipped',
    review: ofPod({ labels: { eci: 'true' } }, { subResource: 'binding' }),
  },
  'another resource': {
    outcome: 'skipped',
    review: ofPod(
      { labels: { eci: 'true' } },
      { resource: { group: '', version: 'v1', resource: 'services' } },
    ),
  },
  'a Pod without a spec that a rule sends': {
    outcome: 'error',
    review: makePodReview({ metadata: { labels: { eci: 'true' } } }),
  },
  'no Pod at all': { outcome: 'unmatched', review: makePodReview(null) },
  'a fault of ours': { outcome: 'error', review: ofPod({ labels: { eci: 'true' } }), mutate: fault },
  'a review of an unknown version that has a uid': {
    outcome: 'error',
    review: { ...ofPod({ labels: { eci: 'true' } }), apiVersion: 'admission.k8s.io/v7' },
  },
  'good rules': { outcome: 'allowed', path: RULES, review: ofRules('[]') },
  'rules with advice': {
    outcome: 'allowed',
    path: RULES,
    review: ofRules('[{"name":"a"}]'),
    warning: /has neither a selector nor an effect/,
  },
  'bad rules': { outcome: 'refused', path: RULES, review: ofRules('[{"name":""}]'), isRefused: true },
  'rules that are no text': { outcome: 'allowed', path: RULES, review: ofRules(7) },
  'a ConfigMap of another name': {
    outcome: 'skipped',
    path: RULES,
    review: ofRules('[{', { name: 'other' }),
  },
  'the ConfigMap deleted': {
    outcome: 'skipped',
    path: RULES,
    review: ofRules('[{', { operation: 'DELETE' }),
  },
  'bad rules that were there, and another key edited': {
    outcome: 'skipped',
    path: RULES,
    review: ofRules('[{', { operation: 'UPDATE', oldObject: { data: { selectors: '[{' } } }),
  },
}

for (const [what, { outcome, path = PODS, review, mutate, ...wanted }] of Object.entries(CASES)) {
  t.test(`${what} is counted once, as ${outcome}`, async t => {
    const app = await makeReviewApp(t, { rules: RULE_LIST, ...(mutate === undefined ? {} : { mutate }) })
    const answer = await app.send(path, review)
    t.equal(answer.status, 200)
    t.match(answer.response, { uid: review.request.uid, allowed: wanted.isRefused !== true })
    t.equal(operationsOf(answer.response).length > 0, wanted.isPatched === true, 'patch')
    if (wanted.warning === undefined) t.equal(answer.response?.warnings, undefined)
    else t.match(answer.response?.warnings, [wanted.warning])
    const resource = path === PODS ? 'pods' : 'rules'
    t.strictSame(await app.outcomes(resource), { [outcome]: 1 })
    const samples = await app.samples()
    t.equal(samples.sum('vnode_profile_admissions_total'), 1, 'under no other resource')
    t.equal(samples.sum('vnode_profile_admission_duration_seconds_count', { resource }), 1)
    t.equal(samples.sum('vnode_profile_bad_requests_total') ?? 0, 0)
  })
}

t.test('every outcome has its case', async t => {
  t.strictSame(new Set(Object.values(CASES).map(({ outcome }) => outcome)), new Set(OUTCOMES))
})

t.test('both versions are answered in their own, with the uid', async t => {
  const app = await makeReviewApp(t, { rules: RULE_LIST })
  for (const apiVersion of ['admission.k8s.io/v1', 'admission.k8s.io/v1beta1']) {
    const review = { ...ofPod({ labels: { eci: 'true' } }), apiVersion }
    const answer = await app.send(PODS, review)
    t.match(JSON.parse(answer.text), {
      apiVersion,
      kind: 'AdmissionReview',
      response: { uid: review.request.uid, allowed: true, patchType: 'JSONPatch' },
    })
    t.match(answer.headers['content-type'], /^application\/json\b/)
    t.ok(operationsOf(answer.response).length > 0)
  }
})

t.test('a version that is not known is answered in v1', async t => {
  const app = await makeReviewApp(t)
  const answer = await app.send(PODS, { ...ofPod({}), apiVersion: 'admission.k8s.io/v1alpha1' })
  t.match(JSON.parse(answer.text), { apiVersion: 'admission.k8s.io/v1', response: { allowed: true } })
})

t.test('at most ten warnings of under 200 characters, in one line each', async t => {
  const app = await makeReviewApp(t, { rules: RULE_LIST })
  const containers = Array.from({ length: 40 }, (_, index) => ({
    name: `c${index}-${'x'.repeat(300)}\n\u0007`,
    image: 'a',
    securityContext: { privileged: true },
    ports: [{ containerPort: 80, hostPort: 80 + index }],
  }))
  const answer = await app.send(
    PODS,
    ofPod({ labels: { eci: 'true' }, spec: { containers, hostNetwork: true } }),
  )
  const { warnings = [] } = answer.response ?? {}
  t.ok(warnings.length > 1 && warnings.length <= 10, `${warnings.length} warnings`)
  for (const warning of warnings) {
    t.ok(warning.length < 200, `${warning.length} characters`)
    t.notMatch(warning, /\p{Cc}/u)
  }
  t.match(app.log.at(-1), { msg: 'Pod changed' })
})

t.test('many problems of rules become ten warnings, the last of which counts the rest', async t => {
  const app = await makeReviewApp(t)
  const rules = Array.from({ length: 25 }, (_, index) => ({ name: `rule-${index}` }))
  const answer = await app.send(RULES, ofRules(JSON.stringify(rules)))
  t.equal(answer.response?.warnings?.length, 10)
  t.match(answer.response?.warnings?.at(-1), /^… and 16 more/)
})

t.test('while it is told to stop, every answer ends its connection', async t => {
  let isDraining = false
  const app = await makeReviewApp(t, { isDraining: () => isDraining })
  t.not((await app.send(PODS, ofPod({}))).headers.connection, 'close')
  isDraining = true
  const answers: AppAnswer[] = [await app.send(PODS, ofPod({})), await app.send(RULES, ofRules('[]'))]
  for (const { headers } of answers) t.equal(headers.connection, 'close')
})

t.test('two servers in one process count for themselves', async t => {
  const [one, other]: ReviewApp[] = [await makeReviewApp(t), await makeReviewApp(t)]
  await one?.send(PODS, ofPod({}))
  t.strictSame(await one?.outcomes('pods'), { unmatched: 1 })
  t.strictSame(await other?.outcomes('pods'), {})
})

t.test('names that no apiserver would take do not fill the log', async t => {
  const app = await makeReviewApp(t, { rules: RULE_LIST })
  const long = 'x'.repeat(1_000_000)
  for (const pod of [{ name: long }, { generateName: long }, { ownerReferences: [makeOwner(long, long)] }])
    await app.send(PODS, ofPod({ ...pod, labels: { eci: 'true' } }))
  t.strictSame(await app.outcomes('pods'), { patched: 3 })
  t.ok(JSON.stringify(app.log).length < 3000)
})
