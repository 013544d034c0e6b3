/** Whose a VNode is: what is changed or deleted by mistake costs somebody else his Pods. */
import { messageOf, VnodeError } from '../../core/errors.ts'
import { asRecord, asString, own } from '../../core/kubernetes/objects.ts'
import { nodeNameOf } from '../../core/vnode/virtual-node-name.ts'
import { CLUSTER_TAG } from '../../core/vnode/virtual-node-tags.ts'
import type { VirtualNode } from '../../eci/virtual-node.ts'
import { isStatus, type KubeClient } from '../../kube/api.ts'
import { resourcePath } from '../../kube/path.ts'

/** By which a cluster is known: the uid of its namespace kube-system. */
export async function clusterUid(client: Pick<KubeClient, 'request'>): Promise<string> {
  const path = resourcePath({ version: 'v1', plural: 'namespaces', name: 'kube-system' })
  const namespace = await client.request<unknown>({ method: 'GET', path })
  return asString(own(asRecord(own(asRecord(namespace), 'metadata')), 'uid')) ?? ''
}

/** The VNode's Node in the cluster; undefined if there is none. */
export async function findNode(client: Pick<KubeClient, 'request'>, name: string): Promise<unknown> {
  const path = resourcePath({ version: 'v1', plural: 'nodes', name })
  return client.request<unknown>({ method: 'GET', path }).catch(error => {
    if (isStatus(error, 404)) return undefined
    throw error
  })
}

/** Throws unless the VNode carries the cluster's tag or, where it has none such, is a Node of the cluster. */
export async function checkBelonging(virtualNode: VirtualNode, client: KubeClient): Promise<void> {
  const owner = virtualNode.tags.find(({ key }) => key === CLUSTER_TAG)?.value
  const uid = await ofCluster(() => clusterUid(client))
  if (owner === uid) return
  const id = virtualNode.virtualNodeId
  const nodeName = nodeNameOf(virtualNode.regionId, id)
  if (owner !== undefined) {
    throw new VnodeError(
      'REFUSED',
      `VNode ${id} is of another cluster (${owner}); that of ${client.server} is ${uid}`,
      {
        next: 'Name the kubeconfig of its cluster with --kubeconfig.',
      },
    )
  }
  if ((await ofCluster(() => findNode(client, nodeName))) !== undefined) return
  throw new VnodeError(
    'REFUSED',
    `VNode ${id} has no tag of a cluster, and ${client.server} has no Node ${nodeName}`,
    {
      next: 'Name the kubeconfig of its cluster with --kubeconfig, or say --force if you know whose it is.',
    },
  )
}

/** The cluster has to be asked, so one that cannot be is a reason to stop. */
async function ofCluster<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    throw new VnodeError('API', `whose the VNode is cannot be seen: ${messageOf(error)}`, {
      next: 'Name the kubeconfig of its cluster with --kubeconfig, or say --force if you know whose it is.',
    })
  }
}
