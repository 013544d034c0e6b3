/**
 * Every label, annotation, taint, group and default name of the product, once.
 * Sources: the VNode documentation for `k8s.aliyun.com/*` and `type`, the apiserver for the rest.
 */

/** Prefix of the keys that are ours. They are output only: a Pod's author can forge them, so nothing reads them. */
export const OWN_PREFIX = 'vnode-profile.io/'
/** Pod annotation: names of the rules that applied, in order, comma-separated. */
export const ANNOTATION_RULES = `${OWN_PREFIX}rules`
/** Pod annotation: the policy of the rule that scheduled the Pod. */
export const ANNOTATION_POLICY = `${OWN_PREFIX}policy`
/** Pod annotation: short codes of what ECI will refuse or bill for, comma-separated. */
export const ANNOTATION_WARNINGS = `${OWN_PREFIX}warnings`
/** Label with value `true` on a Pod or Namespace: never touched. */
export const LABEL_SKIP = `${OWN_PREFIX}skip`
/** Label with value {@link FENCE_OFF} on a DaemonSet: never fenced. */
export const LABEL_FENCE = `${OWN_PREFIX}fence`
export const FENCE_OFF = 'off'
/** Annotation of a DaemonSet: what a fence of ours added to it, for whoever takes the fence away. */
export const ANNOTATION_FENCE = `${OWN_PREFIX}fence`
/** Label of the helper's probe: a Pod of the installation's namespace that is never stored. */
export const LABEL_PROBE = `${OWN_PREFIX}probe`
/** Annotation, with value {@link PROBE_ANSWER}, that the webhook puts on a probe. */
export const ANNOTATION_PROBE = `${OWN_PREFIX}probe`
export const PROBE_ANSWER = 'ok'
/** Paths of the admission server. */
export const PODS_PATH = '/mutate/pods'
export const DAEMONSETS_PATH = '/mutate/daemonsets'
export const PROBE_PATH = '/mutate/probe'
export const RULES_PATH = '/validate/rules'

/** Label, with value {@link VNODE_TYPE_VALUE}, by which a Node is known to be a VNode. */
export const VNODE_TYPE_LABEL = 'type'
export const VNODE_TYPE_VALUE = 'virtual-kubelet'
/** Label and taint key of a VNode; both have the value `true`. */
export const VNODE_KEY = 'k8s.aliyun.com/vnode'
/** Prefix of the annotations that ECI reads when it creates the instance; they mean nothing on a real node. */
export const ECI_PREFIX = 'k8s.aliyun.com/'

export const LABEL_HOSTNAME = 'kubernetes.io/hostname'
/** Set by the apiserver on every Namespace (1.21 and newer) to its name. */
export const LABEL_NAMESPACE_NAME = 'kubernetes.io/metadata.name'
export const ANNOTATION_MIRROR = 'kubernetes.io/config.mirror'
export const ANNOTATION_DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost'

export const SELECTOR_GROUP = 'eci.aliyun.com'
export const SELECTOR_PLURAL = 'selectors'
export const SELECTOR_KIND = 'Selector'

export const RULES_NAMESPACE = 'kube-system'
export const RULES_CONFIGMAP = 'eci-profile'
/** Key of the ConfigMap's data that holds the rules. All other keys belong to the cluster and are left alone. */
export const RULES_KEY = 'selectors'
export const INSTALL_NAMESPACE = 'vnode-system'
/** Of the ConfigMap with the last good rules, whatever its installation is called. */
export const LAST_GOOD_LABELS = {
  'app.kubernetes.io/name': 'vnode-profile',
  'app.kubernetes.io/component': 'last-good-rules',
} as const
/** Server-side apply's owner name for what we write. */
export const FIELD_MANAGER = 'vnode-profile'
/** The helper's, one for each of its duties, so that none takes a field from another. */
export const CERTIFICATES_MANAGER = `${FIELD_MANAGER}-certificates`
export const REGISTRATION_MANAGER = `${FIELD_MANAGER}-registration`
export const PROBE_MANAGER = `${FIELD_MANAGER}-probe`
export const SPILL_MANAGER = `${FIELD_MANAGER}-spill`
export const MISSED_MANAGER = `${FIELD_MANAGER}-missed`
/** Of the one patch that a Pod gets once it is bound to a VNode: who finds it in managedFields knows that it was made. */
export const BINDING_MANAGER = `${FIELD_MANAGER}-binding`

/** Of the user names by which VNodes show themselves to the API server. */
export const VNODE_USER_PREFIX = 'system:vnode:'

export const WEBHOOK_PORT = 8443
export const OPS_PORT = 8080
