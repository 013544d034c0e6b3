/** Whether a VNode is this cluster's, and whether it lives, as far as the cluster itself can tell. */
import { VnodeError } from '../core/errors.ts'
import type { SeenVirtualNode } from '../core/vnode/registration.ts'
import { nodeNameOf } from '../core/vnode/virtual-node-name.ts'
import type { RegisterOptions } from './register.ts'

/** Throws unless the VNode carries the cluster's tag or, where it has none such, is a Node of the cluster. */
export async function checkOwner(
  { virtualNodeId, tags = [] }: SeenVirtualNode,
  { clusterTag, findNode, wish }: Pick<RegisterOptions, 'clusterTag' | 'findNode' | 'wish'>,
): Promise<void> {
  const owner = tags.find(({ key }) => key === clusterTag.key)?.value
  if (owner === clusterTag.value) return
  const isNode =
    owner === undefined && (await findNode(nodeNameOf(wish.regionId, virtualNodeId))) !== undefined
  if (isNode) return
  const whose =
    owner === undefined ? 'has no tag of a cluster, and no Node here' : `is of another cluster (${owner})`
  throw new VnodeError('REFUSED', `VNode ${virtualNodeId} ${whose}`, {
    next: 'What is written down is of another cluster, or was changed. Restore it from a backup; or delete the Secret, and a VNode of this cluster is looked for by its tag.',
  })
}

/** Throws where the Node of a VNode that ECI does not list is Ready: it lives, and these credentials do not see it. */
export async function checkSilent(
  id: string,
  { findNode, wish }: Pick<RegisterOptions, 'findNode' | 'wish'>,
): Promise<void> {
  const nodeName = nodeNameOf(wish.regionId, id)
  if ((await findNode(nodeName))?.isReady !== true) return
  throw new VnodeError(
    'REFUSED',
    `ECI lists no VNode ${id}, but the cluster's Node ${nodeName} still reports`,
    {
      next: 'These credentials do not see it: check the account, the RAM policy and the endpoint. It goes on costing. Where it was deleted a moment ago, run this again once the Node is not Ready any more.',
    },
  )
}
