/**
 * The rights of a VNode's identity, and why it has them. The vendor asks for `system:node`, `system:node-proxier`, the rights to renew
 * certificates and those to change Pods and claims (help.aliyun.com, "VNodectl", permissions); this is the part of them that a VNode
 * has a use for. What RBAC cannot say (only VNodes' own Nodes and Pods, only annotations) the chart's ValidatingAdmissionPolicy does.
 */
import { VNODE_GROUP } from '../csr/decision.ts'
import type { AccessRule } from '../rbac.ts'

const READ = ['get', 'list', 'watch']
const CERTIFICATES = 'certificates.k8s.io'
const CSRS = 'certificatesigningrequests'

export function vnodeAccess(): readonly AccessRule[] {
  return [
    ...nodeAccess(),
    ...podAccess(),
    ...podInputAccess(),
    ...serviceAccess(),
    ...renewalAccess(),
    ...kubeletApiAccess(),
  ]
}

const everywhere = { role: 'cluster', apiGroup: '' }

function nodeAccess(): readonly AccessRule[] {
  return [
    {
      ...everywhere,
      resources: ['nodes'],
      verbs: [...READ, 'create', 'update', 'patch'],
      reason: 'registers its Node, and keeps its labels and taints; zones of others are read',
    },
    {
      ...everywhere,
      resources: ['nodes/status'],
      verbs: ['update', 'patch'],
      reason: 'says that it is Ready, and what it has room for',
    },
    {
      role: 'leases',
      namespace: 'kube-node-lease',
      apiGroup: 'coordination.k8s.io',
      resources: ['leases'],
      verbs: ['get', 'create', 'update', 'patch'],
      reason: 'its heartbeat; it is named after the Node, whose name comes with the VNode',
    },
    {
      ...everywhere,
      resources: ['events'],
      verbs: ['create', 'update', 'patch'],
      reason: 'Events of its Pods, in their namespaces',
    },
  ]
}

function podAccess(): readonly AccessRule[] {
  return [
    {
      ...everywhere,
      resources: ['pods'],
      verbs: [...READ, 'update', 'patch', 'delete'],
      reason:
        'runs those that are bound to it, annotates them with what ECI made of them, and confirms their end',
    },
    { ...everywhere, resources: ['pods/status'], verbs: ['update', 'patch'], reason: 'says how they are' },
    {
      ...everywhere,
      resources: ['serviceaccounts/token'],
      verbs: ['create'],
      reason: "tokens that Pods mount; RBAC knows no node's own Pods, so that this is any Pod's",
    },
  ]
}

function podInputAccess(): readonly AccessRule[] {
  return [
    {
      ...everywhere,
      resources: ['configmaps', 'secrets'],
      verbs: READ,
      reason:
        'what Pods mount, pull images with and have in their environment: of every namespace, as Pods of every namespace may be bound to it',
    },
    {
      ...everywhere,
      resources: ['persistentvolumes'],
      verbs: READ,
      reason: 'disks and file systems of Pods',
    },
    {
      ...everywhere,
      resources: ['persistentvolumeclaims'],
      verbs: [...READ, 'update', 'patch'],
      reason: 'the same, and annotates them',
    },
    {
      ...everywhere,
      apiGroup: 'storage.k8s.io',
      resources: ['volumeattachments'],
      verbs: ['get'],
      reason: 'whether a disk is attached',
    },
    {
      ...everywhere,
      apiGroup: 'storage.k8s.io',
      resources: ['csidrivers'],
      verbs: READ,
      reason: 'how a driver wants its volumes mounted',
    },
    {
      ...everywhere,
      apiGroup: 'node.k8s.io',
      resources: ['runtimeclasses'],
      verbs: READ,
      reason: 'what a Pod asks to be run by',
    },
  ]
}

function serviceAccess(): readonly AccessRule[] {
  return [
    {
      ...everywhere,
      resources: ['services', 'endpoints'],
      verbs: READ,
      reason: 'Services in the environment of Pods, and their addresses (enableClusterIp)',
    },
    {
      ...everywhere,
      apiGroup: 'discovery.k8s.io',
      resources: ['endpointslices'],
      verbs: READ,
      reason: 'the same',
    },
  ]
}

function renewalAccess(): readonly AccessRule[] {
  return [
    {
      ...everywhere,
      apiGroup: CERTIFICATES,
      resources: [CSRS],
      verbs: ['create', ...READ],
      reason: 'asks for the next certificate, and waits for it',
    },
    {
      ...everywhere,
      apiGroup: CERTIFICATES,
      resources: [`${CSRS}/selfnodeclient`],
      resourceNames: [VNODE_GROUP],
      verbs: ['create'],
      reason: "what vnode approver demands for a renewal; without a name it would be a kubelet's right",
    },
  ]
}

function kubeletApiAccess(): readonly AccessRule[] {
  return [
    {
      ...everywhere,
      apiGroup: 'authentication.k8s.io',
      resources: ['tokenreviews'],
      verbs: ['create'],
      reason: 'who calls its port 10250 for logs and exec',
    },
    {
      ...everywhere,
      apiGroup: 'authorization.k8s.io',
      resources: ['subjectaccessreviews'],
      verbs: ['create'],
      reason: 'and whether he may',
    },
  ]
}

/** Of the bootstrap token: asks for the first certificate. */
export function bootstrapTokenAccess(): readonly AccessRule[] {
  const rule = { role: 'bootstrap', apiGroup: CERTIFICATES }
  return [
    {
      ...rule,
      resources: [CSRS],
      verbs: ['create', ...READ],
      reason: 'asks for the first certificate, and waits for it',
    },
    {
      ...rule,
      resources: [`${CSRS}/nodeclient`],
      resourceNames: [VNODE_GROUP],
      verbs: ['create'],
      reason:
        'what vnode approver demands; without a name Kubernetes itself would approve certificates of kubelets for it',
    },
  ]
}
