/** The VNode calls over signed calls. The one file that touches `@alicloud/eci20180808`, for the names on the wire. */
import { setTimeout as delay } from 'node:timers/promises'
import * as sdk from '@alicloud/eci20180808'
import { asRecord, asRecords, asString, own } from '../core/kubernetes/objects.ts'
import type { Caller } from '../core/vnode/registration.ts'
import type { CredentialSource } from './credentials.ts'
import { API_VERSIONS, type EndpointSettings, endpointOf, type Product } from './endpoint.ts'
import { EciError } from './error.ts'
import { type Answer, type Parameters, type Retrying, type RetryNotice, SignedApi } from './signed-api.ts'
import type {
  CpuQuota,
  CreatedVirtualNode,
  CreateVirtualNodeRequest,
  EciClient,
  RequestOptions,
  SecurityGroup,
  Tag,
  UpdateVirtualNodeRequest,
  VirtualNode,
  VirtualNodeEvent,
  VirtualNodeFilter,
  VSwitch,
} from './virtual-node.ts'
import { Wire, type WireSettings } from './wire.ts'

export interface EciClientOptions extends EndpointSettings, WireSettings {
  readonly credentials: CredentialSource
  readonly userAgent: string
  readonly onRetry?: ((notice: RetryNotice) => void) | undefined
  /** For tests; the rest keeps its default. */
  readonly retrying?: Partial<Retrying> | undefined
}

/** Five attempts within about 20 s of waiting: throttling is counted by the minute, and whoever waits longer has a loop around this. */
const RETRYING: Retrying = {
  attempts: 5,
  minDelayMs: 1000,
  maxDelayMs: 10_000,
  random: Math.random,
  sleep: (ms, signal) => delay(ms, undefined, signal === undefined ? {} : { signal }),
}

/** DescribeVirtualNodes takes no more, neither as ids nor as a page. */
const PAGE = 20
/** A server that hands out tokens for ever is broken: 200 pages are 4,000 VNodes. */
const MOST_PAGES = 200

/** Nothing is sent before the first call. */
export function createEciClient(options: EciClientOptions): EciClient {
  return new AlibabaEciClient(options)
}

class AlibabaEciClient implements EciClient {
  readonly regionId: string
  readonly #wire: Wire
  readonly #options: EciClientOptions

  constructor(options: EciClientOptions) {
    this.#options = options
    this.regionId = options.regionId
    this.#wire = new Wire(options)
  }

  async createVirtualNode(
    request: CreateVirtualNodeRequest,
    options: RequestOptions = {},
  ): Promise<CreatedVirtualNode> {
    const parameters = createParameters(request)
    const secrets = [request.kubeConfig]
    const answer = await this.#api('eci').call('CreateVirtualNode', parameters, { ...options, secrets })
    const virtualNodeId = text(answer, 'VirtualNodeId')
    if (virtualNodeId === '') throw unreadable('CreateVirtualNode', answer)
    return { requestId: text(answer, 'RequestId'), virtualNodeId }
  }

  async describeVirtualNodes(
    filter: VirtualNodeFilter = {},
    options: RequestOptions = {},
  ): Promise<readonly VirtualNode[]> {
    const { virtualNodeIds } = filter
    if (virtualNodeIds === undefined) return this.#pages(filter, options)
    const found: VirtualNode[] = []
    for (let at = 0; at < virtualNodeIds.length; at += PAGE) {
      const ids = virtualNodeIds.slice(at, at + PAGE)
      found.push(...(await this.#pages({ ...filter, virtualNodeIds: ids }, options)))
    }
    return found
  }

  async #pages(filter: VirtualNodeFilter, options: RequestOptions): Promise<VirtualNode[]> {
    const found: VirtualNode[] = []
    let nextToken: string | undefined
    for (let page = 1; page <= MOST_PAGES; page += 1) {
      const parameters = describeParameters(this.regionId, filter, nextToken)
      const answer = await this.#api('eci').call('DescribeVirtualNodes', parameters, options)
      found.push(...asRecords(own(answer, 'VirtualNodes')).map(readVirtualNode))
      nextToken = text(answer, 'NextToken')
      if (nextToken === '') return found
    }
    throw unreadable('DescribeVirtualNodes', {}, `the list has no end after ${MOST_PAGES} pages`)
  }

  async updateVirtualNode(
    request: UpdateVirtualNodeRequest,
    options: RequestOptions = {},
  ): Promise<{ readonly requestId: string }> {
    const parameters = updateParameters(this.regionId, request)
    const answer = await this.#api('eci').call('UpdateVirtualNode', parameters, options)
    return { requestId: text(answer, 'RequestId') }
  }

  async deleteVirtualNode(
    virtualNodeId: string,
    options: RequestOptions = {},
  ): Promise<{ readonly requestId: string }> {
    const parameters = new sdk.DeleteVirtualNodeRequest({ virtualNodeId, regionId: this.regionId }).toMap()
    try {
      const answer = await this.#api('eci').call('DeleteVirtualNode', parameters, options)
      return { requestId: text(answer, 'RequestId') }
    } catch (error) {
      // An earlier attempt of this call did it, and its answer was lost.
      if (isGone(error) && error.isOutcomeUnknown) return { requestId: error.requestId ?? '' }
      throw error
    }
  }

  async describeVSwitches(
    vSwitchIds: readonly string[],
    options: RequestOptions = {},
  ): Promise<readonly VSwitch[]> {
    const found: VSwitch[] = []
    for (const vSwitchId of vSwitchIds) {
      const parameters = { RegionId: this.regionId, VSwitchId: vSwitchId }
      const answer = await this.#api('vpc').call('DescribeVSwitches', parameters, options)
      found.push(...listed(answer, 'VSwitches', 'VSwitch').map(readVSwitch))
    }
    return found.filter(({ vSwitchId }) => vSwitchIds.includes(vSwitchId))
  }

  async describeSecurityGroup(
    securityGroupId: string,
    options: RequestOptions = {},
  ): Promise<SecurityGroup | undefined> {
    const parameters = { RegionId: this.regionId, SecurityGroupIds: JSON.stringify([securityGroupId]) }
    const answer = await this.#api('ecs').call('DescribeSecurityGroups', parameters, options)
    return listed(answer, 'SecurityGroups', 'SecurityGroup')
      .map(group => ({ securityGroupId: text(group, 'SecurityGroupId'), vpcId: text(group, 'VpcId') }))
      .find(group => group.securityGroupId === securityGroupId)
  }

  async cpuQuota(options: RequestOptions = {}): Promise<CpuQuota | undefined> {
    const answer = await this.#api('eci').call('ListUsage', { RegionId: this.regionId }, options)
    const attributes = asRecord(own(answer, 'Attributes'))
    const [used, limit] = [Number(own(attributes, 'UsedCpu')), Number(own(attributes, 'MaxCpu'))]
    return Number.isFinite(used) && Number.isFinite(limit) ? { used, limit } : undefined
  }

  async caller(options: RequestOptions = {}): Promise<Caller> {
    const { endpoint = '' } = this.#options
    try {
      // It is to be known, and nothing more: whoever cannot reach STS shall not wait for it.
      const answer = await this.#api('sts', { attempts: 2 }).call('GetCallerIdentity', {}, options)
      return { account: text(answer, 'AccountId'), endpoint }
    } catch (error) {
      if (!(error instanceof EciError)) throw error
      return { account: '', endpoint }
    }
  }

  close(): Promise<void> {
    return this.#wire.close()
  }

  #api(product: Product, more: Partial<Retrying> = {}): SignedApi {
    const { credentials, userAgent, onRetry, retrying } = this.#options
    return new SignedApi({
      product,
      version: API_VERSIONS[product],
      origin: endpointOf(product, this.#options),
      credentials,
      wire: this.#wire,
      userAgent,
      onRetry,
      retrying: { ...RETRYING, ...retrying, ...more },
    })
  }
}

/** CreateVirtualNode's parameters under their names on the wire, as `--dry-run` shows them and the call sends them. */
export function createParameters(request: CreateVirtualNodeRequest): Parameters {
  return new sdk.CreateVirtualNodeRequest({ ...request }).toMap()
}

/** UpdateVirtualNode's, likewise. */
export function updateParameters(regionId: string, request: UpdateVirtualNodeRequest): Parameters {
  return new sdk.UpdateVirtualNodeRequest({ ...request, regionId }).toMap()
}

/** An AccessKey, a region or an action may be "NotFound" with 404 too, which says nothing of the VNode. */
const NO_SUCH_VNODE = /VirtualNode(?:Ids?)?\.?NotFound/

/** True where the API says that there is no such VNode. */
export function isGone(error: unknown): error is EciError {
  return error instanceof EciError && NO_SUCH_VNODE.test(error.apiCode)
}

function describeParameters(
  regionId: string,
  filter: VirtualNodeFilter,
  nextToken: string | undefined,
): Parameters {
  const { virtualNodeIds, tags, ...rest } = filter
  return new sdk.DescribeVirtualNodesRequest({
    ...rest,
    regionId,
    limit: PAGE,
    ...(virtualNodeIds === undefined ? {} : { virtualNodeIds: JSON.stringify(virtualNodeIds) }),
    ...(tags === undefined ? {} : { tag: tags }),
    ...(nextToken === undefined ? {} : { nextToken }),
  }).toMap()
}

function readVirtualNode(item: Answer): VirtualNode {
  return {
    virtualNodeId: text(item, 'VirtualNodeId'),
    virtualNodeName: text(item, 'VirtualNodeName'),
    status: text(item, 'Status'),
    regionId: text(item, 'RegionId'),
    vpcId: text(item, 'VpcId'),
    vSwitchId: text(item, 'VirtualNodeVSwitchId'),
    securityGroupId: text(item, 'VirtualNodeSecurityGroupId'),
    resourceGroupId: text(item, 'ResourceGroupId'),
    intranetIp: text(item, 'IntranetIp'),
    internetIp: text(item, 'InternetIp'),
    creationTime: text(item, 'CreationTime'),
    tags: asRecords(own(item, 'Tags')).map(readTag),
    events: asRecords(own(item, 'Events')).map(readEvent),
  }
}

function readTag(item: Answer): Tag {
  return { key: text(item, 'Key'), value: text(item, 'Value') }
}

function readEvent(item: Answer): VirtualNodeEvent {
  return {
    type: text(item, 'Type'),
    reason: text(item, 'Reason'),
    message: text(item, 'Message'),
    name: text(item, 'Name'),
    count: number(item, 'Count'),
    firstTimestamp: text(item, 'FirstTimestamp'),
    lastTimestamp: text(item, 'LastTimestamp'),
  }
}

function readVSwitch(item: Answer): VSwitch {
  return {
    vSwitchId: text(item, 'VSwitchId'),
    vpcId: text(item, 'VpcId'),
    zoneId: text(item, 'ZoneId'),
    cidrBlock: text(item, 'CidrBlock'),
    status: text(item, 'Status'),
    availableIpAddressCount: number(item, 'AvailableIpAddressCount'),
  }
}

/** ECS and VPC wrap their lists: `{VSwitches: {VSwitch: […]}}`. */
function listed(answer: Answer, outer: string, inner: string): readonly Answer[] {
  return asRecords(own(asRecord(own(answer, outer)), inner))
}

function text(item: Answer, name: string): string {
  return asString(own(item, name)) ?? ''
}

function number(item: Answer, name: string): number {
  const value = Number(own(item, name))
  return Number.isFinite(value) ? value : 0
}

function unreadable(
  action: string,
  answer: Answer,
  reason = 'the answer is not what the API promises',
): EciError {
  const requestId = asString(own(answer, 'RequestId'))
  return new EciError({ action, apiCode: '', httpStatus: 0, requestId, reason, product: 'eci', attempts: 1 })
}
