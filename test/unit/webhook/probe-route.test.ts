import t from 'tap'
import { decodeReview } from '../../../src/core/admission/review.ts'
import { probeReviewer } from '../../../src/webhook/probe-route.ts'
import { makePod } from '../../helpers/pods.ts'

const labels = { 'vnode-profile.io/probe': 'true' }

function review(object: unknown, change: object = {}) {
  const request = { uid: 'u', operation: 'CREATE', resource: { resource: 'pods' }, object, ...change }
  return probeReviewer(decodeReview({ apiVersion: 'admission.k8s.io/v1', request }))
}

t.test('a probe is marked, whether it has annotations or not', async t => {
  t.strictSame(review(makePod({ labels })), {
    answer: {
      allowed: true,
      patch: [{ op: 'add', path: '/metadata/annotations', value: { 'vnode-profile.io/probe': 'ok' } }],
    },
    outcome: 'patched',
  })
  t.match(review(makePod({ labels, annotations: { a: 'b' } })), {
    answer: { patch: [{ op: 'add', path: '/metadata/annotations/vnode-profile.io~1probe', value: 'ok' }] },
  })
})

t.test('nothing else is', async t => {
  const pod = makePod({ labels })
  for (const [object, change] of [
    [makePod({}), {}],
    [pod, { operation: 'UPDATE' }],
    [pod, { subResource: 'status' }],
    [pod, { resource: { resource: 'configmaps' } }],
    [undefined, {}],
    ['text', {}],
  ] as const)
    t.strictSame(review(object, change), { answer: { allowed: true }, outcome: 'skipped' })
})
