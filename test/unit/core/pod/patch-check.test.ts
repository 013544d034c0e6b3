import jsonPatch from 'fast-json-patch'
import t from 'tap'
import { REAL_NODES_FIRST } from '../../../../src/core/pod/additions.ts'
import type { AddOperation } from '../../../../src/core/pod/patch.ts'
import { checkPatch } from '../../../../src/core/pod/patch-check.ts'
import { FAULTY_PATCHES } from '../../../helpers/faulty-patches.ts'
import { losses } from '../../../helpers/losses.ts'
import { awayTolerations, VNODE_SELECTOR, VNODE_TOLERATION } from '../../../helpers/placed-pods.ts'
import { makePod, type PodOverrides } from '../../../helpers/pods.ts'
import { Random } from '../../../helpers/random.ts'
import { randomPod } from '../../../helpers/random-pods.ts'

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
  'what is there already': {
    pod: { annotations: { mine: 'x' } },
    patch: [add('/metadata/annotations/mine', 'x')],
  },
  'more for a map that it adds, and a mark that it adds twice': {
    patch: [
      add('/metadata/annotations', { 'vnode-profile.io/rules': 'a' }),
      add('/metadata/annotations/note', 'x'),
      add('/metadata/annotations/vnode-profile.io~1rules', 'a,b'),
    ],
  },
  'one more toleration for a list that it adds': {
    pod: { spec: { tolerations: null as never } },
    patch: [add('/spec/tolerations', [VNODE_TOLERATION]), add('/spec/tolerations/-', VNODE_TOLERATION)],
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

const own: Record<string, { pod?: PodOverrides; patch: readonly AddOperation[] }> = {
  'an annotation of the author': {
    pod: { annotations: { mine: 'x' } },
    patch: [add('/metadata/annotations/mine', 'y')],
  },
  'an annotation that is null': {
    pod: { annotations: { mine: null } as never },
    patch: [add('/metadata/annotations/mine', 'y')],
  },
  'a mark that is no text': {
    pod: { annotations: { 'vnode-profile.io/rules': 7 } as never },
    patch: [add('/metadata/annotations/vnode-profile.io~1rules', 'a')],
  },
  'all annotations': {
    pod: { annotations: { mine: 'x' } },
    patch: [add('/metadata/annotations', { mine: 'x', note: 'y' })],
  },
  'the annotations that it added itself': {
    patch: [add('/metadata/annotations', { note: 'x' }), add('/metadata/annotations', { note: 'y' })],
  },
  'a node selector': {
    pod: { spec: { nodeSelector: { zone: 'a' } } },
    patch: [add('/spec/nodeSelector/zone', 'b')],
  },
  affinity: {
    pod: { spec: { affinity: { podAffinity: {} } } },
    patch: [add('/spec/affinity', { nodeAffinity: { [PREFERRED]: [REAL_NODES_FIRST] } })],
  },
  'what is preferred': {
    pod: { spec: { affinity } },
    patch: [add(`/spec/affinity/nodeAffinity/${PREFERRED}`, [REAL_NODES_FIRST])],
  },
  'the seconds of a toleration that cannot end': {
    pod: { spec: { tolerations: [{ key: 'a', operator: 'Exists', effect: 'NoSchedule' }] } },
    patch: [add('/spec/tolerations/0/tolerationSeconds', 5)],
  },
}

t.test('a patch that replaces something is not let out:', async t => {
  for (const [what, { pod, patch }] of Object.entries(own))
    t.throws(() => checkPatch(podLike(pod), patch), { code: 'INTERNAL' }, what)
})

/** Paths and values as patches have them, right and wrong, in any combination. */
const PATHS: readonly [string, ...string[]] = [
  '/spec/nodeName',
  ...['', '/app', '/note', '/example.com~1on', '/vnode-profile.io~1rules', '/__proto__', '/-'].flatMap(
    last => [`/metadata/annotations${last}`, `/metadata/labels${last}`, `/spec/nodeSelector${last}`],
  ),
  ...['', '/-', '/0', '/0/tolerationSeconds', '/1/tolerationSeconds', '/9/tolerationSeconds'].map(
    last => `/spec/tolerations${last}`,
  ),
  ...['', '/nodeAffinity', `/nodeAffinity/${PREFERRED}`, `/nodeAffinity/${PREFERRED}/-`].map(
    last => `/spec/affinity${last}`,
  ),
]
const VALUES: readonly [unknown, ...unknown[]] = [
  'x',
  'no good!',
  5,
  null,
  {},
  { note: 'x' },
  { app: 'x', 'no good': 'x' },
  [],
  [VNODE_TOLERATION],
  VNODE_TOLERATION,
  { nodeAffinity: { [PREFERRED]: [REAL_NODES_FIRST] } },
  { [PREFERRED]: [REAL_NODES_FIRST] },
  [REAL_NODES_FIRST],
  REAL_NODES_FIRST,
]

t.test('whatever is let out applies, and takes nothing from the author', async t => {
  const random = new Random(20_261_125)
  let letOut = 0
  for (let count = 0; count < 20_000; count += 1) {
    const pod = randomPod(random)
    const patch = Array.from({ length: 1 + random.below(3) }, () =>
      add(random.one(PATHS), random.one(VALUES)),
    )
    try {
      checkPatch(pod, patch)
    } catch {
      continue
    }
    letOut += 1
    const lost = losses(pod, jsonPatch.applyPatch(structuredClone(pod), structuredClone(patch)).newDocument)
    const real = lost.filter(path => !path.endsWith('.tolerationSeconds'))
    if (real.length > 0) t.fail(`lost: ${real}`, { pod, patch })
  }
  t.ok(letOut > 200, `${letOut} were let out`)
})
