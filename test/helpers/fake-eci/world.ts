/** What exists in the fake's region, and the calls that read and change it. */
import { randomBytes } from 'node:crypto'
import {
  booleanOf,
  checkCustomResources,
  checkName,
  checkToken,
  listOf,
  type Parameters,
  required,
} from './parameters.ts'
import { invalid, Refusal } from './refusal.ts'

export interface FakeVSwitch {
  readonly vSwitchId: string
  readonly vpcId: string
  readonly zoneId?: string
}

export interface FakeSecurityGroup {
  readonly securityGroupId: string
  readonly vpcId: string
}

export interface Tag {
  readonly Key: string
  readonly Value: string
}

export interface FakeEvent {
  readonly Type: string
  readonly Reason: string
  readonly Message: string
}

/** A VNode on Alibaba's side. */
export interface FakeVirtualNode {
  readonly id: string
  name: string
  /** One that is `Deleted` is not listed any more, one that is `Cleaned` is. */
  status: 'Pending' | 'Ready' | 'Failed' | 'Deleted' | 'Cleaned'
  readonly vpcId: string
  readonly vSwitchId: string
  readonly securityGroupId: string
  readonly resourceGroupId: string
  tags: readonly Tag[]
  readonly taints: readonly Record<string, string>[]
  readonly kubeconfig: string
  readonly isTlsBootstrap: boolean
  clusterDns: string
  clusterDomain: string
  customResources: string
  readonly events: FakeEvent[]
  readonly creationTime: string
}

export interface WorldOptions {
  readonly regionId: string
  readonly vSwitches: readonly FakeVSwitch[]
  readonly securityGroups: readonly FakeSecurityGroup[]
  readonly maxCpu: number
  readonly usedCpu: number
  /** Ids of the VNodes to come; made up where they run out. */
  readonly ids: readonly string[]
}

/** What becomes of a VNode in its cluster is somebody else's part. */
export interface Joining {
  created(virtualNode: FakeVirtualNode): void
  deleted(virtualNode: FakeVirtualNode): Promise<void>
  hasPods(virtualNode: FakeVirtualNode): Promise<boolean>
}

type Answer = Record<string, unknown>

const CPU_OF_A_VNODE = 2
const MOST_PER_PAGE = 20

export class World {
  readonly options: WorldOptions
  /** All there ever were, in order. */
  readonly virtualNodes: FakeVirtualNode[] = []
  readonly #joining: Joining
  readonly #tokens = new Map<string, { readonly parameters: string; readonly answer: Answer }>()
  readonly #ids: string[]

  constructor(options: WorldOptions, joining: Joining) {
    this.options = options
    this.#joining = joining
    this.#ids = [...options.ids]
  }

  get living(): readonly FakeVirtualNode[] {
    return this.virtualNodes.filter(({ status }) => status !== 'Deleted')
  }

  /** The answer without its RequestId. */
  async call(action: string, parameters: Parameters): Promise<Answer> {
    const region = required(parameters, 'RegionId')
    if (region !== this.options.regionId)
      throw new Refusal(404, 'InvalidRegionId.NotFound', 'The specified RegionId does not exist.')
    switch (action) {
      case 'CreateVirtualNode':
        return this.#once(action, parameters, () => this.#create(parameters))
      case 'DescribeVirtualNodes':
        return this.#describe(parameters)
      case 'UpdateVirtualNode':
        return this.#once(action, parameters, () => this.#update(parameters))
      case 'DeleteVirtualNode':
        return this.#once(action, parameters, () => this.#delete(parameters))
      case 'ListUsage':
        return {
          Attributes: { UsedCpu: this.#usedCpu, MaxCpu: this.options.maxCpu, MaxImageCacheCount: 500 },
        }
      case 'DescribeVSwitches':
        return this.#vSwitches(parameters)
      case 'DescribeSecurityGroups':
        return this.#securityGroups(parameters)
      default:
        throw new Refusal(404, 'InvalidAction.NotFound', 'Specified api is not found.')
    }
  }

  /** A token that was used gives the same answer for the same parameters, even when what it made is gone. */
  async #once(action: string, parameters: Parameters, run: () => Answer | Promise<Answer>): Promise<Answer> {
    const token = checkToken(parameters)
    if (token === undefined) return run()
    const sent = JSON.stringify([action, ...[...parameters].toSorted(([a], [b]) => (a < b ? -1 : 1))])
    const known = this.#tokens.get(token)
    if (known !== undefined && known.parameters !== sent) {
      throw new Refusal(
        400,
        'IdempotentParameterMismatch',
        'The request uses the same client token as a previous, but non-identical request.',
      )
    }
    const answer = known?.answer ?? (await run())
    this.#tokens.set(token, { parameters: sent, answer })
    return answer
  }

  get #usedCpu(): number {
    return this.options.usedCpu + this.living.length * CPU_OF_A_VNODE
  }

  #create(parameters: Parameters): Answer {
    const vSwitches = this.#checkedVSwitches(required(parameters, 'VSwitchId'))
    const vpcId = vSwitches[0]?.vpcId ?? ''
    const securityGroupId = required(parameters, 'SecurityGroupId')
    const group = this.options.securityGroups.find(one => one.securityGroupId === securityGroupId)
    if (group === undefined)
      throw new Refusal(
        404,
        'InvalidSecurityGroupId.NotFound',
        'The specified SecurityGroupId does not exist.',
      )
    if (group.vpcId !== vpcId)
      throw new Refusal(
        400,
        'InvalidSecurityGroupId.VPCMismatch',
        'The security group and the vSwitch are not in one VPC.',
      )
    const tags = readTags(parameters)
    const virtualNode: FakeVirtualNode = {
      id: '',
      name: checkName(parameters),
      status: 'Pending',
      vpcId,
      vSwitchId: required(parameters, 'VSwitchId'),
      securityGroupId,
      resourceGroupId: parameters.get('ResourceGroupId') ?? 'rg-default',
      tags,
      taints: readTaints(parameters),
      kubeconfig: readKubeconfig(parameters),
      isTlsBootstrap: booleanOf(parameters, 'TlsBootstrapEnabled'),
      clusterDns: parameters.get('ClusterDNS') ?? '',
      clusterDomain: parameters.get('ClusterDomain') ?? '',
      customResources: checkCustomResources(parameters),
      events: [],
      creationTime: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    }
    if (this.#usedCpu + CPU_OF_A_VNODE > this.options.maxCpu)
      throw new Refusal(403, 'QuotaExceeded', 'The vCPU quota of ECI in this region is exceeded.')
    const made = { ...virtualNode, id: this.#ids.shift() ?? newId() }
    this.virtualNodes.push(made)
    this.#joining.created(made)
    return { VirtualNodeId: made.id }
  }

  #checkedVSwitches(text: string): FakeVSwitch[] {
    const ids = text.split(',')
    if (ids.length > 10) throw invalid('VSwitchId', 'there may be at most 10')
    const found = ids.map(id => {
      const vSwitch = this.options.vSwitches.find(one => one.vSwitchId === id)
      if (vSwitch === undefined)
        throw new Refusal(404, 'InvalidVSwitchId.NotFound', `The specified VSwitchId ${id} does not exist.`)
      return vSwitch
    })
    if (new Set(found.map(({ vpcId }) => vpcId)).size > 1)
      throw invalid('VSwitchId', 'all must be in one VPC')
    return found
  }

  #describe(parameters: Parameters): Answer {
    const limit = Number(parameters.get('Limit') ?? MOST_PER_PAGE)
    if (!Number.isInteger(limit) || limit < 1 || limit > MOST_PER_PAGE)
      throw invalid('Limit', `it must be from 1 to ${MOST_PER_PAGE}`)
    const isWanted = filterOf(parameters)
    const all = this.living.filter(isWanted)
    const start = Number(parameters.get('NextToken')?.replace('page-', '') ?? 0)
    if (!Number.isInteger(start)) throw invalid('NextToken', 'it is none of ours')
    const next = start + limit < all.length ? { NextToken: `page-${start + limit}` } : {}
    const VirtualNodes = all.slice(start, start + limit).map(one => this.#render(one))
    return { TotalCount: all.length, ...next, VirtualNodes }
  }

  #render(one: FakeVirtualNode): Answer {
    return {
      VirtualNodeId: one.id,
      VirtualNodeName: one.name,
      Status: one.status,
      RegionId: this.options.regionId,
      VpcId: one.vpcId,
      VirtualNodeVSwitchId: one.vSwitchId,
      VirtualNodeSecurityGroupId: one.securityGroupId,
      ResourceGroupId: one.resourceGroupId,
      IntranetIp: one.status === 'Ready' ? '192.168.6.12' : '',
      CreationTime: one.creationTime,
      Tags: one.tags,
      Events: one.events.map(event => ({
        ...event,
        Name: `${one.id}.1`,
        Count: 1,
        FirstTimestamp: one.creationTime,
        LastTimestamp: one.creationTime,
      })),
    }
  }

  #update(parameters: Parameters): Answer {
    const one = this.#one(parameters)
    if (one.status !== 'Ready')
      throw new Refusal(
        409,
        'IncorrectStatus',
        `The virtual node is ${one.status}; only a Ready one can be updated.`,
      )
    // What is left out goes back to its default.
    one.name = checkName(parameters)
    one.clusterDns = parameters.get('ClusterDNS') ?? ''
    one.clusterDomain = parameters.get('ClusterDomain') ?? ''
    one.customResources = checkCustomResources(parameters)
    one.tags = readTags(parameters)
    return {}
  }

  async #delete(parameters: Parameters): Promise<Answer> {
    const one = this.#one(parameters)
    if (await this.#joining.hasPods(one))
      throw new Refusal(
        409,
        'IncorrectStatus.ContainerGroupExists',
        'There are container groups on the virtual node.',
      )
    one.status = 'Deleted'
    await this.#joining.deleted(one)
    return {}
  }

  #one(parameters: Parameters): FakeVirtualNode {
    const id = required(parameters, 'VirtualNodeId')
    const found = this.living.find(one => one.id === id)
    if (found === undefined)
      throw new Refusal(
        404,
        'InvalidVirtualNodeId.NotFound',
        `The specified VirtualNodeId ${id} does not exist.`,
      )
    return found
  }

  #vSwitches(parameters: Parameters): Answer {
    const id = parameters.get('VSwitchId')
    const found = this.options.vSwitches.filter(one => id === undefined || one.vSwitchId === id)
    const VSwitch = found.map(({ vSwitchId, vpcId, zoneId = 'cn-hangzhou-b' }) => ({
      VSwitchId: vSwitchId,
      VpcId: vpcId,
      ZoneId: zoneId,
      CidrBlock: '192.168.0.0/24',
      Status: 'Available',
      AvailableIpAddressCount: 240,
    }))
    return { TotalCount: found.length, VSwitches: { VSwitch } }
  }

  #securityGroups(parameters: Parameters): Answer {
    const ids = JSON.parse(parameters.get('SecurityGroupIds') ?? '[]') as string[]
    const SecurityGroup = this.options.securityGroups
      .filter(({ securityGroupId }) => ids.length === 0 || ids.includes(securityGroupId))
      .map(({ securityGroupId, vpcId }) => ({ SecurityGroupId: securityGroupId, VpcId: vpcId }))
    return { TotalCount: SecurityGroup.length, SecurityGroups: { SecurityGroup } }
  }
}

function filterOf(parameters: Parameters): (one: FakeVirtualNode) => boolean {
  const ids = readIds(parameters.get('VirtualNodeIds'))
  const [name, status] = [parameters.get('VirtualNodeName'), parameters.get('Status')]
  const tags = listOf(parameters, 'Tag', 20)
  return one =>
    (ids === undefined || ids.includes(one.id)) &&
    (name === undefined || one.name === name) &&
    (status === undefined || one.status === status) &&
    tags.every(({ Key, Value }) =>
      one.tags.some(tag => tag.Key === Key && (Value === undefined || tag.Value === Value)),
    )
}

function readIds(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined
  let ids: unknown
  try {
    ids = JSON.parse(text)
  } catch {
    throw invalid('VirtualNodeIds', 'it must be a JSON array')
  }
  if (!Array.isArray(ids) || ids.length > 20)
    throw invalid('VirtualNodeIds', 'it must be an array of at most 20')
  return ids.map(String)
}

function readTags(parameters: Parameters): Tag[] {
  const tags = listOf(parameters, 'Tag', 20).map(({ Key = '', Value = '' }) => ({ Key, Value }))
  for (const { Key, Value } of tags) {
    if (Key === '' || Key.length > 128 || Value.length > 128 || /^(?:aliyun|acs:)|https?:\/\//.test(Key))
      throw invalid('Tag', `the key ${JSON.stringify(Key)} or its value is not allowed`)
  }
  if (new Set(tags.map(({ Key }) => Key)).size < tags.length)
    throw new Refusal(400, 'Duplicate.TagKey', 'The Tag.N.Key contain duplicate key.')
  return tags
}

function readTaints(parameters: Parameters): Record<string, string>[] {
  return listOf(parameters, 'Taint', 20).map(({ Key = '', Value = '', Effect = '' }) => {
    if (Key === '' || !['NoSchedule', 'PreferNoSchedule', 'NoExecute'].includes(Effect))
      throw invalid('Taint', 'it needs a key and an effect')
    return { key: Key, value: Value, effect: Effect }
  })
}

function readKubeconfig(parameters: Parameters): string {
  const encoded = required(parameters, 'KubeConfig')
  if (!/^[A-Za-z0-9+/]+=*$/.test(encoded)) throw invalid('KubeConfig', 'it is not base64')
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  if (!text.includes('clusters')) throw invalid('KubeConfig', 'it is not a kubeconfig')
  return text
}

/** Like real ones: `vnd-` and 20 lower-case letters and digits. */
function newId(): string {
  const letters = '0123456789abcdefghijklmnopqrstuvwxyz'
  return `vnd-${[...randomBytes(20)].map(byte => letters[byte % letters.length]).join('')}`
}
