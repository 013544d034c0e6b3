/** VNodes as they are printed. Programs get the API's own names. */
import type { Tag, VirtualNode, VirtualNodeEvent } from '../../eci/virtual-node.ts'
import type { Output } from '../output-format.ts'
import { renderTable, renderValue } from '../table.ts'

const HEAD = ['VIRTUAL NODE', 'NAME', 'STATUS', 'REGION', 'VSWITCH', 'SECURITY GROUP', 'CREATED']

export function renderList(virtualNodes: readonly VirtualNode[], output: Output): string {
  if (output !== 'table') return renderValue(virtualNodes.map(apiValue), output)
  if (virtualNodes.length === 0) return 'There are no VNodes.\n'
  const rows = virtualNodes.map(one => [
    one.virtualNodeId,
    one.virtualNodeName,
    one.status,
    one.regionId,
    one.vSwitchId,
    one.securityGroupId,
    one.creationTime,
  ])
  return renderTable(HEAD, rows)
}

export function renderDetails(virtualNode: VirtualNode, output: Output): string {
  if (output !== 'table') return renderValue(apiValue(virtualNode), output)
  const one = virtualNode
  const facts: readonly (readonly [string, string])[] = [
    ['Virtual node', one.virtualNodeId],
    ['Name', one.virtualNodeName],
    ['Node', `${one.regionId}.${one.virtualNodeId}`],
    ['Status', one.status],
    ['Region', one.regionId],
    ['VPC', one.vpcId],
    ['vSwitch', one.vSwitchId],
    ['Security group', one.securityGroupId],
    ['Resource group', one.resourceGroupId],
    ['Private address', one.intranetIp],
    ['Public address', one.internetIp],
    ['Created', one.creationTime],
  ]
  const lines = facts
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name.padEnd(18)}${value}\n`)
  return `${lines.join('')}${section('Tags', one.tags.map(renderTag))}${section('Events', one.events.map(renderEvent))}`
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${title}\n${lines.map(line => `  ${line}\n`).join('')}`
}

function renderTag({ key, value }: Tag): string {
  return value === '' ? key : `${key}=${value}`
}

function renderEvent({ type, reason, message, count, lastTimestamp }: VirtualNodeEvent): string {
  const times = count > 1 ? ` (${count} times)` : ''
  return `${lastTimestamp}  ${type}  ${reason}: ${message}${times}`
}

function apiValue(one: VirtualNode): object {
  return {
    VirtualNodeId: one.virtualNodeId,
    VirtualNodeName: one.virtualNodeName,
    Status: one.status,
    RegionId: one.regionId,
    VpcId: one.vpcId,
    VirtualNodeVSwitchId: one.vSwitchId,
    VirtualNodeSecurityGroupId: one.securityGroupId,
    ResourceGroupId: one.resourceGroupId,
    IntranetIp: one.intranetIp,
    InternetIp: one.internetIp,
    CreationTime: one.creationTime,
    Tags: one.tags.map(({ key, value }) => ({ Key: key, Value: value })),
    Events: one.events.map(event => ({
      Type: event.type,
      Reason: event.reason,
      Message: event.message,
      Name: event.name,
      Count: event.count,
      FirstTimestamp: event.firstTimestamp,
      LastTimestamp: event.lastTimestamp,
    })),
  }
}
