import { OWN_PREFIX } from '../names.ts'
import { isPlatformKey } from './annotations.ts'

const OWN_REASON = `${OWN_PREFIX} is ours: what it says is written by vnode-profile alone.`

/** Names without a prefix that controllers put on their Pods and find them by. */
const CONTROLLER_LABELS: ReadonlyMap<string, string> = new Map([
  ['pod-template-hash', 'Deployments and ReplicaSets'],
  ['controller-revision-hash', 'StatefulSets and DaemonSets'],
  ['pod-template-generation', 'DaemonSets'],
  ['controller-uid', 'Jobs'],
  ['job-name', 'Jobs'],
])

/** The one prefix of Kubernetes' own that is meant for everybody. */
const FREE_LABEL_PREFIX = 'app.kubernetes.io'

/** Why a rule's effect may not add this label to a Pod; undefined if it may. */
export function effectLabelRefusal(key: string): string | undefined {
  if (key.startsWith(OWN_PREFIX)) return OWN_REASON
  const owners = CONTROLLER_LABELS.get(key)
  if (owners !== undefined)
    return `${owners} select their Pods by this label; another value would orphan the Pod.`
  const prefix = prefixOf(key)
  if (prefix === FREE_LABEL_PREFIX || !isKubernetesPrefix(prefix)) return undefined
  return `Labels under ${prefix}/ belong to Kubernetes; of its prefixes only ${FREE_LABEL_PREFIX}/ is free to use.`
}

/**
 * Beginnings of annotation keys that Kubernetes itself reads on a Pod. A wrong value of most makes the apiserver refuse the Pod,
 * whatever the failure policy (ValidatePodSpecificAnnotations in pkg/apis/core/validation); the rest steer what they must not.
 */
const KUBERNETES_ANNOTATIONS: readonly (readonly [string, string])[] = [
  [
    'kubernetes.io/config.',
    'The kubelet marks its own static Pods with it, and the apiserver refuses it on others.',
  ],
  [
    'scheduler.alpha.kubernetes.io/',
    'The apiserver reads it as tolerations, and refuses the Pod if it cannot.',
  ],
  [
    'seccomp.security.alpha.kubernetes.io/',
    'The apiserver checks it as a seccomp profile: set the field instead.',
  ],
  [
    'container.seccomp.security.alpha.kubernetes.io/',
    'The apiserver checks it as a seccomp profile: set the field instead.',
  ],
  [
    'container.apparmor.security.beta.kubernetes.io/',
    'The apiserver refuses it for a container that the Pod does not have: set the field instead.',
  ],
  ['batch.kubernetes.io/', 'The Job controller reads it to know which index the Pod works on.'],
  ['pod.alpha.kubernetes.io/', 'The apiserver drops annotations that once described init containers.'],
  ['pod.beta.kubernetes.io/', 'The apiserver drops annotations that once described init containers.'],
  ['non-convertible.kubernetes.io/', 'The apiserver keeps what it could not convert there.'],
]
/** Read by the apiserver's ImagePolicyWebhook, whose backend may let images pass because of it. */
const IMAGE_POLICY_SUFFIX = '.image-policy.k8s.io'

/** Why a rule's effect may not add this annotation to a Pod; undefined if it may. */
export function effectAnnotationRefusal(key: string): string | undefined {
  if (key.startsWith(OWN_PREFIX)) return OWN_REASON
  if (isPlatformKey(key)) return 'ECI writes it itself once the Pod runs.'
  const reserved = KUBERNETES_ANNOTATIONS.find(([start]) => key.startsWith(start))
  if (reserved !== undefined) return reserved[1]
  if (prefixOf(key).endsWith(IMAGE_POLICY_SUFFIX)) return 'It is handed to the image policy of the cluster.'
  return undefined
}

function prefixOf(key: string): string {
  return key.slice(0, Math.max(0, key.indexOf('/')))
}

function isKubernetesPrefix(prefix: string): boolean {
  return /^(?:.*\.)?(?:kubernetes|k8s)\.io$/.test(prefix)
}
