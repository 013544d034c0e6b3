/** Flags that say what a VNode is like, the same for every command that registers or changes one. */
import { isIP } from 'node:net'
import { type Command, InvalidArgumentError } from 'commander'
import type { VirtualNodeSettings } from '../../bootstrap/settings.ts'
import { commaList, type KeyValue, keyValues } from '../../config/flags.ts'
import { VnodeError } from '../../core/errors.ts'
import { isOwnTag } from '../../core/vnode/virtual-node-tags.ts'
import type { Taint } from '../../eci/virtual-node.ts'

/** Of a VNode that exists too. */
export interface SettingFlags {
  readonly clusterDns?: string
  readonly clusterDomain?: string
  readonly customResources?: string
  readonly tag?: readonly KeyValue[]
}

/** Of a VNode that is to be registered. */
export interface VirtualNodeFlags extends SettingFlags {
  readonly vswitchId?: readonly string[]
  readonly securityGroupId?: string
  readonly zoneId?: string
  readonly resourceGroupId?: string
  readonly publicNetwork?: boolean
  readonly taint?: readonly Taint[]
}

/** A change may take a setting away: '' for none. */
export function addSettingOptions(command: Command, { isChange }: { readonly isChange: boolean }): Command {
  const none = isChange ? "; '' for none" : ''
  const orNone = (read: (text: string) => string) => (text: string) =>
    isChange && text === '' ? '' : read(text)
  const dns = isChange ? '' : ' (default: that of the Service kube-dns)'
  return command
    .option(
      '--custom-resources <list>',
      `a=1,b=2: resources that Pods may request${none}`,
      orNone(customResources),
    )
    .option(
      '--cluster-dns <addresses>',
      `DNS servers of its Pods, comma-separated${none}${dns}`,
      orNone(addresses),
    )
    .option('--cluster-domain <domain>', `DNS domain of the cluster${none}`)
    .option('--tag <key=value>', `${isChange ? 'add or change a tag' : 'a tag'} (repeatable)`, keyValues)
}

export function addVirtualNodeOptions(command: Command): Command {
  command
    .option(
      '--vswitch-id <ids>',
      "1 to 10 vSwitches of one VPC, comma-separated (default: the context's)",
      commaList,
    )
    .option('--security-group-id <id>', "security group in that VPC (default: the context's)")
  return addSettingOptions(command, { isChange: false })
    .option('--zone-id <id>', 'zone of the VNode')
    .option('--resource-group-id <id>', 'resource group of the VNode')
    .option('--public-network', 'give the VNode a public address')
    .option('--taint <key=value:effect>', 'a taint of its Node (repeatable)', taints)
}

/** What the flags say besides the VNode's name and network, which have defaults of each command's own. */
export function virtualNodeOf(
  flags: VirtualNodeFlags,
): Omit<VirtualNodeSettings, 'name' | 'vSwitchIds' | 'securityGroupId'> {
  const { zoneId, resourceGroupId, clusterDns, clusterDomain, customResources, tag, taint } = flags
  return {
    zoneId,
    resourceGroupId,
    clusterDNS: clusterDns,
    clusterDomain,
    customResources,
    tags: tag ?? [],
    taints: taint ?? [],
    hasPublicNetwork: flags.publicNetwork === true,
  }
}

/** Ours say whose a VNode is, and what has to be sent again. */
export function checkTags(keys: readonly string[]): void {
  const own = keys.filter(isOwnTag)
  if (own.length > 0) throw new VnodeError('USAGE', `the tag ${own.join(', ')} is set by vnode itself`)
}

function customResources(text: string): string {
  const isRight = commaList(text).every(item => /^[A-Za-z0-9][\w./-]*=\d+$/.test(item))
  if (isRight && commaList(text).length > 0) return commaList(text).join(',')
  throw new InvalidArgumentError('must be name=number,…, such as example.com/gpu=4')
}

function addresses(text: string): string {
  const list = commaList(text)
  if (list.length > 0 && list.every(item => isIP(item) !== 0)) return list.join(',')
  throw new InvalidArgumentError('must be IP addresses, comma-separated')
}

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] as const

/** `key=value:effect`, `key:effect`; of a flag that is given several times, or comma-separated. */
function taints(text: string, previous: readonly Taint[] | undefined): readonly Taint[] {
  const found = commaList(text).map(item => {
    const [, key = '', value = '', effect = ''] = /^([^=:\s]+)(?:=([^=:\s]*))?:(\w+)$/.exec(item) ?? []
    const known = EFFECTS.find(one => one === effect)
    if (known !== undefined) return { key, value, effect: known }
    throw new InvalidArgumentError(
      `${JSON.stringify(item)} is not key=value:effect, with one of ${EFFECTS.join(', ')}`,
    )
  })
  return [...(previous ?? []), ...found]
}
