/** What can be found out for nothing about the network and the quota, before a VNode is paid for. */
import { VnodeError } from '../core/errors.ts'
import { EciError, hasApiCode } from '../eci/error.ts'
import type { EciClient } from '../eci/virtual-node.ts'
import type { Progress } from './progress.ts'
import type { VirtualNodeSettings } from './settings.ts'

export interface NetworkCheckOptions {
  readonly eci: Pick<EciClient, 'describeVSwitches' | 'describeSecurityGroup' | 'cpuQuota' | 'regionId'>
  readonly virtualNode: Pick<VirtualNodeSettings, 'vSwitchIds' | 'securityGroupId'>
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** A VNode keeps so many for itself. */
const CPUS_OF_A_VNODE = 2

/** Throws a VnodeError with what to do next. What cannot be found out is left to the call that creates, which checks it too. */
export async function checkNetwork(options: NetworkCheckOptions): Promise<void> {
  const { progress } = options
  progress.say('Checking', 'the vSwitches, the security group and the quota')
  const vpcId = await allowed(options, () => checkVSwitches(options))
  await allowed(options, () => checkSecurityGroup(options, vpcId))
  await allowed(options, () => checkQuota(options))
}

/** The one VPC of all of them. */
async function checkVSwitches({
  eci,
  virtualNode,
  signal,
}: NetworkCheckOptions): Promise<string | undefined> {
  const { vSwitchIds } = virtualNode
  const found = await eci.describeVSwitches(vSwitchIds, { signal })
  const missing = vSwitchIds.filter(id => !found.some(({ vSwitchId }) => vSwitchId === id))
  if (missing.length > 0)
    throw refused(
      `there is no vSwitch ${missing.join(', ')} in ${eci.regionId}`,
      'Correct the vSwitch ids (--vswitch-ids, bootstrap.vSwitchIds) or the region.',
    )
  const vpcs = [...new Set(found.map(({ vpcId }) => vpcId))]
  if (vpcs.length > 1) {
    const listed = found.map(({ vSwitchId, vpcId }) => `${vSwitchId} in ${vpcId}`).join(', ')
    throw refused(
      `the vSwitches are not in one VPC: ${listed}`,
      'Give vSwitches of the one VPC that the cluster is in.',
    )
  }
  return vpcs[0]
}

async function checkSecurityGroup(
  { eci, virtualNode, signal }: NetworkCheckOptions,
  vpcId: string | undefined,
): Promise<void> {
  const { securityGroupId } = virtualNode
  const group = await eci.describeSecurityGroup(securityGroupId, { signal })
  if (group === undefined)
    throw refused(
      `there is no security group ${securityGroupId} in ${eci.regionId}`,
      'Correct the security group (--security-group-id, bootstrap.securityGroupId) or the region.',
    )
  if (vpcId !== undefined && group.vpcId !== vpcId)
    throw refused(
      `security group ${securityGroupId} is in ${group.vpcId}, the vSwitches are in ${vpcId}`,
      "Give a security group of the vSwitches' VPC.",
    )
}

async function checkQuota({ eci, signal }: NetworkCheckOptions): Promise<void> {
  const quota = await eci.cpuQuota({ signal })
  if (quota === undefined || quota.used + CPUS_OF_A_VNODE <= quota.limit) return
  throw refused(
    `the quota of ECI in ${eci.regionId} has no room for a VNode: ${quota.used} of ${quota.limit} vCPUs are in use, and it takes ${CPUS_OF_A_VNODE}`,
    'Ask for a higher quota in the Quota Center, or end what is no longer needed.',
  )
}

async function allowed<T>(
  { progress }: NetworkCheckOptions,
  check: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await check()
  } catch (error) {
    if (!(error instanceof EciError) || !isUnanswered(error)) throw error
    progress.say('Unchecked', `${error.message}. It is left to ECI.`)
    return undefined
  }
}

/**
 * True where nothing was learnt of the network: these credentials may not ask; nobody answers; or whoever answers does not have such a
 * call, as an endpoint of ECI alone, given by name, has none of VPC and ECS.
 */
function isUnanswered(error: EciError): boolean {
  return (
    error.httpStatus === 403 ||
    error.httpStatus === 0 ||
    ['Forbidden', 'InvalidVersion', 'InvalidAction'].some(code => hasApiCode(error, code))
  )
}

function refused(message: string, next: string): VnodeError {
  return new VnodeError('REFUSED', message, { next })
}
