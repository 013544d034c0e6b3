/** The request that the settings ask for. */
import { createHash } from 'node:crypto'
import { VnodeError } from '../core/errors.ts'
import { OWN_PREFIX } from '../core/names.ts'
import { virtualNodeNameProblem } from '../core/vnode/virtual-node-name.ts'
import { CLUSTER_TAG, isOwnTag, settingNames, settingTags } from '../core/vnode/virtual-node-tags.ts'
import type { CreateVirtualNodeRequest, Tag } from '../eci/virtual-node.ts'
import type { ClusterFacts } from './cluster.ts'
import type { BootstrapSettings, VirtualNodeSettings } from './settings.ts'

const MOST_VSWITCHES = 10
const MOST_TAGS = 20
/** The cluster's, and one for each setting that an update has to know. */
const OWN_TAGS = 1 + settingNames().length

export type PlainRequest = Omit<CreateVirtualNodeRequest, 'clientToken' | 'kubeConfig'>

export function clusterTagOf({ uid }: Pick<ClusterFacts, 'uid'>): Tag {
  return { key: CLUSTER_TAG, value: uid }
}

/** Everything that is wrong with what does not need a call to be seen. */
export function checkVirtualNode({ name, vSwitchIds, securityGroupId, tags }: VirtualNodeSettings): void {
  const problems = [
    virtualNodeNameProblem(name),
    vSwitchIds.length >= 1 && vSwitchIds.length <= MOST_VSWITCHES
      ? undefined
      : `A VNode has 1 to ${MOST_VSWITCHES} vSwitches, not ${vSwitchIds.length}.`,
    securityGroupId === '' ? 'A VNode has a security group.' : undefined,
    tags.length <= MOST_TAGS - OWN_TAGS
      ? undefined
      : `A VNode has at most ${MOST_TAGS - OWN_TAGS} tags besides ours.`,
    tags.some(({ key }) => isOwnTag(key)) ? `Tags that begin with ${OWN_PREFIX} are ours to set.` : undefined,
  ].filter(problem => problem !== undefined)
  if (problems.length > 0)
    throw new VnodeError('BAD_SETTINGS', problems.join(' '), {
      next: 'Correct the values bootstrap.* or the flags of vnode bootstrap.',
    })
}

export function plainRequest(
  regionId: string,
  { virtualNode, identity }: Pick<BootstrapSettings, 'virtualNode' | 'identity'>,
  facts: Pick<ClusterFacts, 'uid' | 'dns'>,
): PlainRequest {
  const { vSwitchIds, securityGroupId, name, tags, taints, clusterDNS, hasPublicNetwork } = virtualNode
  const { zoneId, resourceGroupId, clusterDomain, customResources, eipInstanceId } = virtualNode
  const optional = {
    zoneId,
    resourceGroupId,
    clusterDNS: clusterDNS ?? facts.dns,
    clusterDomain,
    customResources,
    eipInstanceId,
    enablePublicNetwork: hasPublicNetwork || undefined,
    tlsBootstrapEnabled: identity.kind === 'tls-bootstrap' || undefined,
    taint: taints.length === 0 ? undefined : taints,
  }
  const remembered = {
    clusterDNS: optional.clusterDNS ?? '',
    clusterDomain: clusterDomain ?? '',
    customResources: customResources ?? '',
  }
  return {
    regionId,
    vSwitchId: vSwitchIds.join(','),
    securityGroupId,
    virtualNodeName: name,
    tag: [clusterTagOf(facts), ...settingTags(remembered), ...tags],
    ...withoutUndefined(optional),
  }
}

/** The same for the same wish, and no other; a credential that is minted is no part of it. */
export function fingerprintOf(
  request: PlainRequest,
  access: { readonly server: string; readonly credential: string },
): string {
  return createHash('sha256')
    .update(JSON.stringify([request, access.server, access.credential]))
    .digest('hex')
}

function withoutUndefined<T extends object>(record: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
