import t from 'tap'
import { effectAnnotationRefusal, effectLabelRefusal } from '../../../../src/core/eci/effect-keys.ts'

const freeLabels = [
  'app',
  'type',
  'constructor',
  'toString',
  '__proto__',
  'hasOwnProperty',
  'virtual-node',
  'app.kubernetes.io/name',
  'app.kubernetes.io/part-of',
  'example.com/pod-template-hash',
  'kueue.x-k8s.io/queue-name',
  'notkubernetes.io/x',
  'k8s.aliyun.com/eci',
  'alibabacloud.com/eci',
  'kubernetes.io',
]
for (const key of freeLabels) {
  t.test(`label ${key} may be added`, async t => {
    t.equal(effectLabelRefusal(key), undefined)
  })
}

const ownedLabels: readonly (readonly [string, RegExp])[] = [
  ['pod-template-hash', /ReplicaSets select/],
  ['controller-revision-hash', /StatefulSets and DaemonSets select/],
  ['pod-template-generation', /DaemonSets select/],
  ['controller-uid', /Jobs select/],
  ['job-name', /Jobs select/],
  ['batch.kubernetes.io/job-name', /belong to Kubernetes/],
  ['statefulset.kubernetes.io/pod-name', /belong to Kubernetes/],
  ['apps.kubernetes.io/pod-index', /Labels under apps.kubernetes.io\/ belong to Kubernetes/],
  ['kubernetes.io/hostname', /belong to Kubernetes/],
  ['k8s.io/x', /belong to Kubernetes/],
  ['node.k8s.io/x', /belong to Kubernetes/],
  ['topology.kubernetes.io/zone', /belong to Kubernetes/],
  ['x.app.kubernetes.io/x', /belong to Kubernetes/],
  ['vnode-profile.io/skip', /ours/],
]
for (const [key, reason] of ownedLabels) {
  t.test(`label ${key} may not be added, and why`, async t => {
    t.match(effectLabelRefusal(key), reason)
  })
}

const freeAnnotations = [
  'constructor',
  '__proto__',
  'controller.kubernetes.io/pod-deletion-cost',
  'kubernetes.io/ingress-bandwidth',
  'kubernetes.io/egress-bandwidth',
  'kubernetes.io/configured',
  'cluster-autoscaler.kubernetes.io/safe-to-evict',
  'kubectl.kubernetes.io/default-container',
  'k8s.aliyun.com/eci-use-specs',
  'k8s.aliyun.com/eci-image-cache',
  'prometheus.io/scrape',
]
for (const key of freeAnnotations) {
  t.test(`annotation ${key} may be added`, async t => {
    t.equal(effectAnnotationRefusal(key), undefined)
  })
}

const reservedAnnotations: readonly (readonly [string, RegExp])[] = [
  ['vnode-profile.io/rules', /ours/],
  ['k8s.aliyun.com/eci-instance-id', /ECI writes it/],
  ['k8s.aliyun.com/allocated-eipAddress', /ECI writes it/],
  ['kubernetes.io/config.mirror', /kubelet/],
  ['kubernetes.io/config.source', /kubelet/],
  ['scheduler.alpha.kubernetes.io/tolerations', /tolerations/],
  ['scheduler.alpha.kubernetes.io/critical-pod', /apiserver/],
  ['seccomp.security.alpha.kubernetes.io/pod', /seccomp/],
  ['container.seccomp.security.alpha.kubernetes.io/app', /seccomp/],
  ['container.apparmor.security.beta.kubernetes.io/app', /does not have/],
  ['batch.kubernetes.io/job-completion-index', /Job/],
  ['pod.alpha.kubernetes.io/init-containers', /drops/],
  ['pod.beta.kubernetes.io/init-containers', /drops/],
  ['non-convertible.kubernetes.io/x', /convert/],
  ['alpha.image-policy.k8s.io/failed-open', /image policy/],
  ['mycluster.image-policy.k8s.io/ticket', /image policy/],
]
for (const [key, reason] of reservedAnnotations) {
  t.test(`annotation ${key} may not be added, and why`, async t => {
    t.match(effectAnnotationRefusal(key), reason)
  })
}
