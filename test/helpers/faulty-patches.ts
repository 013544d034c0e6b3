/** Patches that must never leave: each one makes the apiserver refuse the Pod, or takes something from its author. */

const KIB = 1024
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution'
const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution'

const add = (path: string, value: unknown) => [{ op: 'add', path, value }]
const ofNode = (nodeAffinity: object) => add('/spec/affinity', { nodeAffinity })

/** By what is wrong with them. For a Pod with the label `wanted: yes`, two tolerations, no annotations, node selector or affinity. */
export const FAULTY_PATCHES: Readonly<Record<string, readonly object[]>> = {
  'a parent that is not there': add('/metadata/annotations/a/b', 'c'),
  'one annotation for a Pod that has none': add('/metadata/annotations/example.com~1a', 'b'),
  'a replacement of what is not there': [{ op: 'replace', path: '/spec/nodeSelector', value: {} }],
  'a test that fails': [{ op: 'test', path: '/metadata/name', value: 'other' }],
  'a label removed': [{ op: 'remove', path: '/metadata/labels/wanted' }],
  'a label value that is none': add('/metadata/labels/example.com~1on', 'no good!'),
  'a label key that is none': add('/metadata/labels/no good', ''),
  'a label that is a number': add('/metadata/labels/n', 7),
  'a label that cannot be written as JSON': add('/metadata/labels/n', 7n),
  'a label that controllers find Pods by': add('/metadata/labels/job-name', 'a'),
  'a label that reaches for the prototype': add('/metadata/labels/__proto__', 'a'),
  'all labels replaced': add('/metadata/labels', { a: 'b' }),
  'a label of the author replaced': add('/metadata/labels/wanted', 'no'),
  'labels that are a list': add('/metadata/labels', ['a']),
  'an annotation key that is none': add('/metadata/annotations', { 'no good': '' }),
  'an annotation that is a number': add('/metadata/annotations', { n: 7 }),
  'an annotation that the apiserver reads': add('/metadata/annotations', {
    'kubernetes.io/config.mirror': 'x',
  }),
  'a deletion cost that is none': add('/metadata/annotations', {
    'controller.kubernetes.io/pod-deletion-cost': 'cheap',
  }),
  '300 KiB of annotations': add('/metadata/annotations', {
    a: 'x'.repeat(150 * KIB),
    b: 'x'.repeat(150 * KIB),
  }),
  'a node selector that is none': add('/spec/nodeSelector', { a: 'no good!' }),
  'a node selector that is a text': add('/spec/nodeSelector', 'a=b'),
  'a toleration with an unknown operator': add('/spec/tolerations/-', { key: 'a', operator: 'Sometimes' }),
  'a toleration with an unknown effect': add('/spec/tolerations/-', {
    key: 'a',
    operator: 'Exists',
    effect: 'Never',
  }),
  'a toleration with a value that is none': add('/spec/tolerations/-', {
    key: 'a',
    operator: 'Equal',
    value: 'no good!',
  }),
  'a toleration that exists and has a value': add('/spec/tolerations/-', {
    key: 'a',
    operator: 'Exists',
    value: 'b',
  }),
  'a toleration that ends, of an effect that does not': add('/spec/tolerations/-', {
    key: 'a',
    operator: 'Exists',
    effect: 'NoSchedule',
    tolerationSeconds: 1,
  }),
  'a toleration of everything': add('/spec/tolerations/-', { operator: 'Exists' }),
  'a toleration that is a text': add('/spec/tolerations/-', 'all'),
  'all tolerations replaced': add('/spec/tolerations', []),
  'tolerations that are no list': add('/spec/tolerations', { '-': {} }),
  'seconds for a toleration that is not there': add('/spec/tolerations/7/tolerationSeconds', 86_400),
  'seconds that are none': add('/spec/tolerations/0/tolerationSeconds', 'long'),
  'a preference of ours with another weight': ofNode({ [PREFERRED]: [{ weight: 1000, preference: {} }] }),
  'preferences that are no list': ofNode({ [PREFERRED]: {} }),
  'affinity that is a text': add('/spec/affinity', 'none'),
  'affinity to nodes that is a list': add('/spec/affinity', { nodeAffinity: [] }),
  'required affinity': ofNode({ [REQUIRED]: { nodeSelectorTerms: [{ matchExpressions: [] }] } }),
  'affinity between Pods': add('/spec/affinity', { podAffinity: {} }),
  'a node to run on': add('/spec/nodeName', 'real-1'),
  'another image': add('/spec/containers/0/image', 'localhost/other:1'),
  'a path that is none': add('metadata', {}),
  'the whole object': add('', {}),
}
