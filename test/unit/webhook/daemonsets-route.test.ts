import t from 'tap'
import { applyOperations } from '../../../src/core/daemonset/check-fence.ts'
import type { AddOperation } from '../../../src/core/pod/patch.ts'
import type { OUTCOMES } from '../../../src/telemetry/metrics.ts'
import { makeDaemonSet } from '../../helpers/pods.ts'
import {
  DAEMONSETS,
  makeDaemonSetReview,
  makeReviewApp,
  operationsOf,
  type Review,
  type ReviewAppOptions,
} from '../../helpers/review-app.ts'

const EVERYTHING = { tolerations: [{ operator: 'Exists' }] }
const daemon = (spec: object = {}, labels: Record<string, string> = {}) => ({
  ...makeDaemonSet({ labels, pod: { spec: { ...EVERYTHING, ...spec } } }),
})
const OFF = { 'vnode-profile.io/fence': 'off' }
const update = (oldObject: unknown, object: unknown) =>
  makeDaemonSetReview(object, { operation: 'UPDATE', oldObject })

interface Case extends Pick<ReviewAppOptions, 'admit'> {
  readonly outcome: (typeof OUTCOMES)[number]
  readonly review: Review
  readonly warning?: RegExp
}

const CASES: Readonly<Record<string, Case>> = {
  'one that tolerates everything': { outcome: 'patched', review: makeDaemonSetReview(daemon()) },
  'in kube-system': {
    outcome: 'patched',
    review: makeDaemonSetReview(daemon(), { namespace: 'kube-system' }),
  },
  'in the namespace of the installation': {
    outcome: 'skipped',
    review: makeDaemonSetReview(daemon(), { namespace: 'vnode-system' }),
  },
  'one that tolerates nothing': {
    outcome: 'unmatched',
    review: makeDaemonSetReview(daemon({ tolerations: [] })),
  },
  'one that is for other nodes': {
    outcome: 'real-nodes',
    review: makeDaemonSetReview(daemon({ nodeSelector: { type: 'worker' } })),
  },
  'one that is for VNodes': {
    outcome: 'conflict',
    review: makeDaemonSetReview(daemon({ nodeSelector: { type: 'virtual-kubelet' } })),
    warning: /^no VNode runs daemons, and this DaemonSet is for VNodes only: .*; it is left as it is$/,
  },
  'one that opts out': { outcome: 'skipped', review: makeDaemonSetReview(daemon({}, OFF)) },
  'an edit of the template': { outcome: 'patched', review: update(daemon(), daemon({ hostNetwork: true })) },
  'an edit of a label': { outcome: 'skipped', review: update(daemon(), daemon({}, { a: 'b' })) },
  'an edit that opts out': { outcome: 'skipped', review: update(daemon(), daemon({ hostPID: true }, OFF)) },
  'a deletion': { outcome: 'skipped', review: makeDaemonSetReview(null, { operation: 'DELETE' }) },
  'the status': { outcome: 'skipped', review: makeDaemonSetReview(daemon(), { subResource: 'status' }) },
  'another resource': {
    outcome: 'skipped',
    review: makeDaemonSetReview(daemon(), {
      resource: { group: 'apps', version: 'v1', resource: 'deployments' },
    }),
  },
  'an edit of what is not told': { outcome: 'error', review: update(null, daemon()) },
  'one of a shape that no API server sends': {
    outcome: 'error',
    review: makeDaemonSetReview(daemon({ affinity: 'none' })),
  },
  'a fault of ours': {
    outcome: 'error',
    review: makeDaemonSetReview(daemon()),
    admit: () => {
      throw new Error('planted')
    },
  },
  'no object': { outcome: 'unmatched', review: makeDaemonSetReview(null) },
}

for (const [name, { outcome, review, warning, admit }] of Object.entries(CASES)) {
  t.test(name, async t => {
    const app = await makeReviewApp(t, { ...(admit && { admit }) })
    const { status, response } = await app.send(DAEMONSETS, review)
    t.equal(status, 200)
    t.match(response, { uid: review.request.uid, allowed: true })
    t.equal(operationsOf(response).length > 0, outcome === 'patched')
    t.match(response?.warnings ?? [], warning === undefined ? [] : [warning])
    t.strictSame(await app.outcomes('daemonsets'), { [outcome]: 1 })
    if (outcome === 'error')
      t.match(app.log.at(-1), {
        level: 'error',
        msg: 'a fault of ours; the DaemonSet is let through as it is',
      })
  })
}

t.test('both versions of reviews are answered in their own', async t => {
  const app = await makeReviewApp(t)
  for (const apiVersion of ['admission.k8s.io/v1', 'admission.k8s.io/v1beta1']) {
    const review = { ...makeDaemonSetReview(daemon()), apiVersion }
    const { text, response } = await app.send(DAEMONSETS, review)
    t.match(JSON.parse(text), { apiVersion, response: { uid: review.request.uid, patchType: 'JSONPatch' } })
    const patched = applyOperations(daemon(), operationsOf(response) as AddOperation[])
    const again = await app.send(DAEMONSETS, { ...makeDaemonSetReview(patched), apiVersion })
    t.strictSame(operationsOf(again.response), [], 'a second pass adds nothing')
  }
})

t.test('a dry run is logged as one, and nothing of the template is', async t => {
  const app = await makeReviewApp(t)
  const secret = { containers: [{ name: 'a', env: [{ name: 'PASSWORD', value: 'open sesame' }] }] }
  await app.send(DAEMONSETS, makeDaemonSetReview(daemon(secret), { dryRun: true }))
  t.match(app.log, [
    { msg: 'DaemonSet fenced', name: 'app', namespace: 'default', operation: 'CREATE', dryRun: true },
  ])
  await app.send(DAEMONSETS, makeDaemonSetReview(daemon({ ...secret, affinity: [] })))
  t.equal(app.log.length, 2)
  t.notMatch(JSON.stringify(app.log), /sesame/)
})
