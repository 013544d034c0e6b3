import t from 'tap'
import { REAL_NODES_FIRST } from '../../../../src/core/pod/additions.ts'
import type { AddOperation } from '../../../../src/core/pod/patch.ts'
import { checkPatch } from '../../../../src/core/pod/patch-check.ts'
import { FAULTY_PATCHES } from '../../../helpers/faulty-patches.ts'
import { awayTolerations, VNODE_SELECTOR, VNODE_TOLERATION } from '../../../helpers/placed-pods.ts'
import { makePod, type PodOverrides } from '../../../helpers/pods.ts'

const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution'
const add = (path: string, value: unknown): AddOperation => ({ op: 'add', path, value })
const podLike = ({ spec, ...metadata }: PodOverrides = {}) =>
  makePod({
    labels: { wanted: 'yes' },
    ...metadata,
    spec: { tolerations: awayTolerations(300), ...spec },
  })

t.test('a patch that must not leave is not let out:', async t => {
  for (const [what, patch] of Object.entries(FAULTY_PATCHES)) {
    const pod = podLike()
    t.throws(() => checkPatch(pod, patch as readonly AddOperation[]), what)
    t.strictSame(pod, podLike(), `${what}: the Pod itself is as it was`)
  }
})

const authors = { weight: 1, preference: { matchExpressions: [{ key: 'zone', operator: 'Exists' }] } }
const affinity = { podAffinity: {}, nodeAffinity: { [PREFERRED]: [authors] } }

const sound: Record<string, { pod?: PodOverrides; patch: readonly AddOperation[] }> = {
  'no patch': { patch: [] },
  'all that is added to a Pod that has nothing': {
    patch: [
      add('/metadata/annotations', {
        'vnode-profile.io/rules': 'a',
        'k8s.aliyun.com/eci-use-specs': '2-4Gi',
      }),
      add('/metadata/labels/example.com~1on', 'yes'),
      add('/spec/nodeSelector', VNODE_SELECTOR),
      add('/spec/tolerations/-', VNODE_TOLERATION),
      add('/spec/affinity', { nodeAffinity: { [PREFERRED]: [REAL_NODES_FIRST] } }),
    ],
  },
  'all that is added to a Pod that has some of each': {
    pod: { annotations: { mine: 'x' }, spec: { nodeSelector: { zone: 'a' }, affinity } },
    patch: [
      add('/metadata/annotations/controller.kubernetes.io~1pod-deletion-cost', '-1000'),
      add('/metadata/labels/example.com~1on', ''),
      add('/spec/nodeSelector/k8s.aliyun.com~1vnode', 'true'),
      add('/spec/tolerations/0/tolerationSeconds', 86_400),
      add('/spec/tolerations/-', { key: 'a', operator: 'Exists' }),
      add(`/spec/affinity/nodeAffinity/${PREFERRED}/-`, REAL_NODES_FIRST),
    ],
  },
  'tolerations for a Pod without any': {
    pod: { spec: { tolerations: [] } },
    patch: [add('/spec/tolerations', [VNODE_TOLERATION])],
  },
  'a preference beside other affinity': {
    pod: { spec: { affinity: { podAffinity: {} } } },
    patch: [add('/spec/affinity/nodeAffinity', { [PREFERRED]: [REAL_NODES_FIRST] })],
  },
  'a mark of ours that was forged': {
    pod: { annotations: { 'vnode-profile.io/rules': 'mine' } },
    patch: [add('/metadata/annotations/vnode-profile.io~1rules', 'a')],
  },
  'what the author wrote, however wrong': {
    pod: {
      labels: { 'no good': 'no good!' },
      annotations: { 'no good': '', a: 'x'.repeat(300_000) },
      spec: { tolerations: [{ key: 'a', operator: 'Sometimes' }] },
    },
    patch: [add('/spec/nodeSelector', VNODE_SELECTOR)],
  },
}

t.test('a sound patch is let out:', async t => {
  for (const [what, { pod, patch }] of Object.entries(sound))
    t.doesNotThrow(() => checkPatch(podLike(pod), patch), what)
})

t.test('the error says what is wrong, and nothing of what the Pod contains', async t => {
  const secret = { name: 'app', env: [{ name: 'PASSWORD', value: 'hunter2' }] }
  const pod = podLike({ spec: { containers: [secret] } })
  const told = (patch: readonly AddOperation[]): string => {
    try {
      checkPatch(pod, patch)
      return ''
    } catch (error) {
      return String(error)
    }
  }
  t.match(told([add('/spec/nodeName', 'a')]), /add \/spec\/nodeName, which no patch of ours has/)
  t.match(told([add('/metadata/labels/a', 'no good!')]), /a in the labels: A label value/)
  t.match(told([add('/metadata/labels/wanted', 'no')]), /it replaces wanted in the labels/)
})
