import t from 'tap'
import { spillVerdict } from '../../../../src/core/spill/verdict.ts'
import {
  makePending,
  makeShare,
  makeSituation,
  makeVnodeState,
  type PendingOverrides,
  type SituationOverrides,
  SPILL_TAINT,
  UNSCHEDULABLE,
} from '../../../helpers/spill.ts'

type Case = readonly [pod: PendingOverrides, situation: SituationOverrides, verdict: object]

const TOLERATION = { key: 'k8s.aliyun.com/vnode', operator: 'Equal', value: 'true', effect: 'NoSchedule' }
const gone = { code: 'claim-missing', reason: 'PersistentVolumeClaim data is not there' } as const
const DATA = { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] }
const held = (code: string, reason: string | RegExp, more: object = {}) => ({
  outcome: 'held',
  code,
  reason,
  ...more,
})
const idle = (code: string, reason: string | RegExp) => ({ outcome: 'idle', code, reason })
const SPILL = { outcome: 'spill', rule: { name: 'web' } }

const cases: Readonly<Record<string, Case>> = {
  'spills once the scheduler has reported it, and nothing is in its way': [{}, {}, SPILL],
  'no rule: nothing is done': [{ labels: { app: 'api' } }, {}, idle('no-policy', 'no rule schedules it')],
  'another policy: nothing is done': [
    {},
    {
      environment: {
        rules: [{ name: 'fair', objectSelector: { matchLabels: { app: 'web' } }, policy: { fair: {} } }],
      },
    },
    idle('no-policy', 'rule fair matches with policy fair'),
  ],
  'its own node selector rules VNodes out: nothing is done': [
    { spec: { nodeSelector: { type: 'gpu-box' } } },
    {},
    idle('no-policy', /its nodeSelector wants type=gpu-box/),
  ],
  'an excluded namespace: nothing is done': [
    {},
    { namespace: { name: 'kube-system', labels: new Map() } },
    idle('no-policy', 'namespace kube-system is excluded'),
  ],
  'it tolerates the taint already: a second spill is none': [
    { spec: { tolerations: [TOLERATION] } },
    {},
    idle('open', "it tolerates the VNodes' taint, and the scheduler may choose one"),
  ],
  'it is being deleted': [
    { deletionTimestamp: '2026-05-06T07:09:00Z' },
    {},
    idle('terminating', 'it is being deleted'),
  ],
  'a scheduling gate': [
    { spec: { schedulingGates: [{ name: 'quota' }] } },
    {},
    idle('gated', 'its scheduling gates keep it back: quota'),
  ],
  'the scheduler has said nothing yet': [
    { status: { phase: 'Pending' } },
    {},
    idle('not-unschedulable', 'the scheduler has not reported that no node can take it'),
  ],
  'the reason is SchedulingGated': [
    { status: { conditions: [{ ...UNSCHEDULABLE.conditions[0], reason: 'SchedulingGated' }] } },
    {},
    idle('not-unschedulable', /has not reported/),
  ],
  'the condition is True': [
    { status: { conditions: [{ ...UNSCHEDULABLE.conditions[0], status: 'True' }] } },
    {},
    idle('not-unschedulable', /has not reported/),
  ],
  'preemption is under way': [
    { status: { ...UNSCHEDULABLE, nominatedNodeName: 'worker-1' } },
    {},
    held('preempting', 'preemption makes room for it on node worker-1', { rule: { name: 'web' } }),
  ],
  'the nomination is cleared': [{ status: { ...UNSCHEDULABLE, nominatedNodeName: '' } }, {}, SPILL],
  'a pod group': [
    { labels: { app: 'web', 'scheduling.x-k8s.io/pod-group': 'training' } },
    {},
    held(
      'pod-group',
      'it is one of a group that is scheduled together (label scheduling.x-k8s.io/pod-group=training)',
    ),
  ],
  'a claim that is not there': [{ spec: DATA }, { claimFault: () => gone }, held(gone.code, gone.reason)],
  'claims are not loaded': [
    { spec: DATA },
    { claimFault: () => 'not-loaded' },
    held('not-loaded', 'PersistentVolumeClaims are not loaded yet'),
  ],
  'a claim that stands in nobody’s way': [{ spec: DATA }, {}, SPILL],
  'the rule’s spillAfter is not over': [
    {},
    { policy: { spillAfter: '30s' }, waitedMs: 10_000 },
    held('waiting', 'a real node has 30s to take it, from when it was first seen as unschedulable', {
      forMs: 20_000,
    }),
  ],
  'the rule’s spillAfter is over': [{}, { policy: { spillAfter: '30s' }, waitedMs: 30_000 }, SPILL],
  'the helper’s default is not over': [
    {},
    { settings: { afterMs: 5000, waitForScaleUpMs: 0 }, waitedMs: 4999 },
    held('waiting', /a real node has 5s/, { forMs: 1 }),
  ],
  'the rule’s spillAfter wins over the default': [
    {},
    { policy: { spillAfter: '0s' }, settings: { afterMs: 5000, waitForScaleUpMs: 0 } },
    SPILL,
  ],
  'an autoscaler has said a moment ago that it makes a node': [
    {},
    { scaleUpAgeMs: 1000 },
    held('scale-up', 'an autoscaler makes a real node for it, and has 10m to do so', { forMs: 599_000 }),
  ],
  'an autoscaler said so too long ago': [{}, { scaleUpAgeMs: 600_000 }, SPILL],
  'no VNode': [{}, { vnodes: [] }, held('vnode-absent', 'there is no VNode')],
  'the VNode is not Ready': [
    {},
    { vnodes: [makeVnodeState({ isReady: false })] },
    held('vnode-not-ready', 'VNode cn-hangzhou.vnd-1 is not Ready'),
  ],
  'the VNode is cordoned': [
    {},
    { vnodes: [makeVnodeState({ unschedulable: true })] },
    held('vnode-cordoned', 'VNode cn-hangzhou.vnd-1 is cordoned'),
  ],
  'the VNode has another taint': [
    {},
    { vnodes: [makeVnodeState({ taints: [SPILL_TAINT, { key: 'quota', effect: 'NoExecute' }] })] },
    held('vnode-tainted', 'VNode cn-hangzhou.vnd-1 is tainted with more than the Pod tolerates'),
  ],
  'the VNode has another taint that the Pod tolerates': [
    { spec: { tolerations: [{ key: 'quota', operator: 'Exists' }] } },
    { vnodes: [makeVnodeState({ taints: [SPILL_TAINT, { key: 'quota', effect: 'NoExecute' }] })] },
    SPILL,
  ],
  'one VNode of two will do': [
    {},
    { vnodes: [makeVnodeState({ isReady: false }), makeVnodeState({ name: 'cn-hangzhou.vnd-2' })] },
    SPILL,
  ],
  'no VNode has the label that it selects': [
    { spec: { nodeSelector: { disk: 'ssd' } } },
    {},
    held('vnode-mismatch', 'no VNode satisfies its node selector and required node affinity'),
  ],
  'only the VNode that is not Ready has the label that it selects': [
    { spec: { nodeSelector: { zone: 'b' } } },
    {
      vnodes: [
        makeVnodeState(),
        makeVnodeState({
          name: 'other',
          isReady: false,
          labels: { 'k8s.aliyun.com/vnode': 'true', type: 'virtual-kubelet', zone: 'b' },
        }),
      ],
    },
    held('vnode-not-ready', 'VNode other is not Ready'),
  ],
  'real nodes are fuller than the CPU ratio': [
    {},
    { policy: { cpuRatio: 80 }, share: () => makeShare(80, 0) },
    SPILL,
  ],
  'real nodes have room by the CPU ratio': [
    {},
    { policy: { cpuRatio: 80 }, share: () => makeShare(40, 100) },
    held(
      'real-nodes-have-room',
      'the 3 real nodes that it could run on have room: requested are 40 % of CPU (the rule says 80 %), so what keeps it off them is not that they are full',
    ),
  ],
  'of two ratios either will do': [
    {},
    { policy: { cpuRatio: 80, memoryRatio: 70 }, share: () => makeShare(10, 70) },
    SPILL,
  ],
  'of two ratios none is reached': [
    {},
    { policy: { cpuRatio: 80, memoryRatio: 70 }, share: () => makeShare(79, 69) },
    held(
      'real-nodes-have-room',
      /79 % of CPU \(the rule says 80 %\) and 69 % of memory \(the rule says 70 %\)/,
    ),
  ],
  'a ratio, and what is requested is not known': [
    {},
    { policy: { cpuRatio: 80 } },
    held('not-loaded', "the real nodes' Pods are not loaded yet"),
  ],
  'a ratio of 0 is always reached': [{}, { policy: { cpuRatio: 0 }, share: () => makeShare(0, 0) }, SPILL],
  'what is about the Pod comes before what is about nodes': [
    { status: { ...UNSCHEDULABLE, nominatedNodeName: 'worker-1' } },
    { vnodes: [], policy: { cpuRatio: 80, spillAfter: '1h' } },
    held('preempting', /worker-1/),
  ],
}

for (const [name, [pod, situation, verdict]] of Object.entries(cases)) {
  t.test(`verdict: ${name}`, async t =>
    t.match(spillVerdict(makePending(pod), makeSituation(situation)), verdict),
  )
}
