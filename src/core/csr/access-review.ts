/** What is written to the API server for a certificate signing request: the question for its requester's right, and the approval. */
import { type Permission, type SigningRequest, VNODE_GROUP } from './decision.ts'

/**
 * The same right as is asked of kubelets, on objects of one name: an identity may then be given what VNodes need and not what kubelets
 * need, or Kubernetes' own approver would sign certificates of real nodes for it. Whoever has the right on all names has it too.
 */
export function accessReviewOf({ requester }: SigningRequest, permission: Permission): object {
  return {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: {
      user: requester.username,
      uid: requester.uid,
      groups: requester.groups,
      extra: Object.fromEntries(requester.extra),
      resourceAttributes: {
        group: 'certificates.k8s.io',
        resource: 'certificatesigningrequests',
        subresource: permission,
        name: VNODE_GROUP,
        verb: 'create',
      },
    },
  }
}

/** A JSON patch of the approval: refused (409) where anybody has changed the request since it was read. */
export function approvalOf(
  { resourceVersion }: SigningRequest,
  message: string,
  now: Date,
): readonly object[] {
  const condition = {
    type: 'Approved',
    status: 'True',
    reason: 'VnodeApproved',
    message,
    lastUpdateTime: now.toISOString().replace(/\.\d+Z$/, 'Z'),
  }
  return [
    { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion },
    { op: 'add', path: '/status/conditions', value: [condition] },
  ]
}
