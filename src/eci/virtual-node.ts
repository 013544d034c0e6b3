/** Requests and results of the VNode calls, as plain values: what is stored of a request is what is sent again. */
import type { Caller } from '../core/vnode/registration.ts'

export interface Tag {
  readonly key: string
  readonly value: string
}

export interface Taint {
  readonly key: string
  readonly value: string
  readonly effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute'
}

/**
 * CreateVirtualNode, in the API's own terms. It goes through JSON unchanged, so that an intent can be stored and sent again byte for
 * byte: the API refuses the same ClientToken with any other parameter.
 */
export interface CreateVirtualNodeRequest {
  readonly regionId: string
  /** At most 64 ASCII characters. With it the call is safe to repeat. */
  readonly clientToken: string
  /** 1 to 10 ids of one VPC, comma-separated. */
  readonly vSwitchId: string
  readonly securityGroupId: string
  /** base64 of the kubeconfig's text. */
  readonly kubeConfig: string
  /** True where the kubeconfig's credential is a bootstrap token: the VNode then asks for a certificate by a CSR, and renews it. */
  readonly tlsBootstrapEnabled?: boolean
  readonly virtualNodeName?: string
  readonly zoneId?: string
  readonly resourceGroupId?: string
  /** Addresses, comma-separated. */
  readonly clusterDNS?: string
  readonly clusterDomain?: string
  /** `a=1,b=2` */
  readonly customResources?: string
  readonly tag?: readonly Tag[]
  readonly taint?: readonly Taint[]
  readonly eipInstanceId?: string
  readonly enablePublicNetwork?: boolean
}

export interface CreatedVirtualNode {
  readonly requestId: string
  readonly virtualNodeId: string
}

/** All that are given must fit. */
export interface VirtualNodeFilter {
  /** More than 20 are asked for in several calls. */
  readonly virtualNodeIds?: readonly string[]
  readonly virtualNodeName?: string
  readonly tags?: readonly Tag[]
  readonly status?: string
  readonly resourceGroupId?: string
}

/** Seen on the API's side: `Pending`, `Ready`, `Failed`, `Deleted` and others. The Kubernetes Node becomes Ready a little later. */
export interface VirtualNode {
  readonly virtualNodeId: string
  readonly virtualNodeName: string
  readonly status: string
  readonly regionId: string
  readonly vpcId: string
  readonly vSwitchId: string
  readonly securityGroupId: string
  readonly resourceGroupId: string
  readonly intranetIp: string
  readonly internetIp: string
  /** RFC 3339 */
  readonly creationTime: string
  readonly tags: readonly Tag[]
  readonly events: readonly VirtualNodeEvent[]
}

export interface VirtualNodeEvent {
  readonly type: string
  readonly reason: string
  readonly message: string
  readonly name: string
  readonly count: number
  readonly firstTimestamp: string
  readonly lastTimestamp: string
}

/** The API sets what is left out back to its default: give the full set. */
export interface UpdateVirtualNodeRequest {
  readonly virtualNodeId: string
  readonly clientToken?: string
  readonly virtualNodeName?: string
  readonly clusterDNS?: string
  readonly clusterDomain?: string
  readonly customResources?: string
  readonly tag?: readonly Tag[]
}

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined
}

/**
 * The VNode calls of one region. Each throws an EciError (it was refused, or no answer came, retries included), a VnodeError CREDENTIALS,
 * or the reason of the caller's signal.
 */
export interface EciClient {
  readonly regionId: string
  createVirtualNode(request: CreateVirtualNodeRequest, options?: RequestOptions): Promise<CreatedVirtualNode>
  /** All pages. Deleted VNodes may be among them for a while, with that status. */
  describeVirtualNodes(filter?: VirtualNodeFilter, options?: RequestOptions): Promise<readonly VirtualNode[]>
  updateVirtualNode(
    request: UpdateVirtualNodeRequest,
    options?: RequestOptions,
  ): Promise<{ readonly requestId: string }>
  /** Succeeds too where an attempt whose answer was lost has deleted it already. */
  deleteVirtualNode(virtualNodeId: string, options?: RequestOptions): Promise<{ readonly requestId: string }>
  /** Those of the ids that exist in the region, in the order given. */
  describeVSwitches(vSwitchIds: readonly string[], options?: RequestOptions): Promise<readonly VSwitch[]>
  /** Undefined where there is none of that id in the region. */
  describeSecurityGroup(securityGroupId: string, options?: RequestOptions): Promise<SecurityGroup | undefined>
  /** vCPUs of ECI in this region: a VNode takes 2 of them. Undefined where the API does not tell. */
  cpuQuota(options?: RequestOptions): Promise<CpuQuota | undefined>
  /** As whom and where this asks. Every identity may know its account; where STS is not reached, it is unknown. */
  caller(options?: RequestOptions): Promise<Caller>
  close(): Promise<void>
}

export interface VSwitch {
  readonly vSwitchId: string
  readonly vpcId: string
  readonly zoneId: string
  readonly cidrBlock: string
  /** `Available` or `Pending` */
  readonly status: string
  readonly availableIpAddressCount: number
}

export interface SecurityGroup {
  readonly securityGroupId: string
  readonly vpcId: string
}

export interface CpuQuota {
  readonly used: number
  readonly limit: number
}
