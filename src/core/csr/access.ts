/** The rights of `vnode approver`, and why it has them; see {@link AccessRule}. */
import type { AccessRule } from '../rbac.ts'
import { CLIENT_SIGNER } from './decision.ts'

export function approverAccess(): readonly AccessRule[] {
  const cluster = { role: 'cluster', apiGroup: 'certificates.k8s.io' }
  return [
    {
      ...cluster,
      resources: ['certificatesigningrequests'],
      verbs: ['list', 'watch'],
      reason: 'the requests; their names are not known beforehand',
    },
    {
      ...cluster,
      resources: ['certificatesigningrequests/approval'],
      verbs: ['patch'],
      reason: 'approves; the API server demands the right on the signer besides',
    },
    {
      ...cluster,
      resources: ['signers'],
      resourceNames: [CLIENT_SIGNER],
      verbs: ['approve'],
      reason: 'of this signer only: certificates of servers and of kubelets are others',
    },
    {
      ...cluster,
      apiGroup: 'authorization.k8s.io',
      resources: ['subjectaccessreviews'],
      verbs: ['create'],
      reason: 'asks whether the requester may have a certificate at all',
    },
    {
      role: 'events',
      namespace: 'default',
      apiGroup: '',
      resources: ['events'],
      verbs: ['create', 'patch'],
      reason: 'says what was approved and what not: Events about cluster-wide objects are in default',
    },
  ]
}
