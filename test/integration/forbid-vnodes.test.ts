import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Toleration } from '../../src/core/kubernetes/objects.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { makeOwner, makePod } from '../helpers/pods.ts'

const VNODE: Toleration = {
  key: 'k8s.aliyun.com/vnode',
  operator: 'Equal',
  value: 'true',
  effect: 'NoSchedule',
}
const toleratingPod = (toleration: Toleration) => makePod({ spec: { tolerations: [toleration] } })

const CASES = {
  'a Pod without tolerations is allowed': { pod: makePod(), isAllowed: true },
  'the taint of VNodes tolerated is refused': { pod: toleratingPod(VNODE), isAllowed: false },
  'every taint tolerated is refused': { pod: toleratingPod({ operator: 'Exists' }), isAllowed: false },
  'another taint tolerated is allowed': {
    pod: toleratingPod({ key: 'gpu', operator: 'Exists', effect: 'NoSchedule' }),
    isAllowed: true,
  },
  'a Pod bound to a VNode is refused': {
    pod: makePod({ spec: { nodeName: 'cn-hangzhou.vnd-1' } }),
    isAllowed: false,
  },
  'a Pod of a DaemonSet that tolerates everything is allowed': {
    pod: makePod({
      ownerReferences: [makeOwner('DaemonSet', 'agent')],
      spec: { tolerations: [{ operator: 'Exists' }] },
    }),
    isAllowed: true,
  },
}

const cp = await controlPlaneOrSkip(t)
if (cp !== undefined) {
  t.test('the example policy keeps Pods of marked namespaces off VNodes', async t => {
    const applied = await cp.kubectl(['apply', '-f', 'examples/forbid-vnodes.yaml'])
    t.equal(applied.code, 0, applied.stderr)
    const marked = await cp.namespace(t, { labels: { 'vnode-profile.example.com/eci': 'forbidden' } })
    const unmarked = await cp.namespace(t)
    const create = (namespace: string, body: object) =>
      cp.request('POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All`, { body })
    // A new policy takes a moment to act.
    const deadline = performance.now() + 15_000
    while ((await create(marked, toleratingPod(VNODE))).status < 300 && performance.now() < deadline)
      await sleep(100)
    for (const [name, { pod, isAllowed }] of Object.entries(CASES)) {
      const { status, body } = await create(marked, pod)
      t.equal(status, isAllowed ? 201 : 422, `${name}: ${JSON.stringify(body).slice(0, 300)}`)
      t.equal((await create(unmarked, pod)).status, 201, `${name}: not in another namespace`)
    }
  })
}
