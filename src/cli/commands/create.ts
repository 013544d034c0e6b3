import { isIP } from 'node:net'
import { Command, InvalidArgumentError, Option } from 'commander'
import {
  applyEnvironment,
  commaList,
  durationOption,
  httpsUrl,
  type KeyValue,
  keyValues,
} from '../../config/flags.ts'
import { VnodeError } from '../../core/errors.ts'
import { VNODE_KEY } from '../../core/names.ts'
import type { Io } from '../io.ts'
import { addSessionOptions, type SessionFlags } from '../vnode/session-flags.ts'
import { checkTags } from './update.ts'

interface VnodeTaint extends KeyValue {
  readonly effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute'
}

interface Flags extends SessionFlags {
  readonly name: string
  readonly vswitchId?: readonly string[]
  readonly securityGroupId?: string
  readonly customResources?: string
  readonly clusterDns?: string
  readonly clusterDomain?: string
  readonly zoneId?: string
  readonly resourceGroupId?: string
  readonly eip?: string
  readonly publicNetwork?: boolean
  readonly tag?: readonly KeyValue[]
  readonly taint?: readonly VnodeTaint[]
  readonly preferNoSchedule?: boolean
  readonly apiserver?: string
  readonly bootstrapKubeconfig?: string
  readonly leastCredentialLife: number
  readonly additional?: boolean
  readonly wait?: boolean
  readonly timeout: number
  readonly output: 'json' | 'yaml'
  readonly dryRun?: boolean
  readonly dry?: boolean
}

const DEFAULT_NAME = 'vnode'
const EXAMPLES = `
Examples:
  vnode create
  vnode create --wait --custom-resources example.com/gpu=4
  vnode create --name spare --additional --prefer-no-schedule`

export function createCommand(io: Io): Command {
  const command = new Command('create')
    .summary('Register a VNode: one for each cluster and name.')
    .description(
      'Register a VNode with ECI. It joins the cluster with the kubeconfig of the context, and costs what an instance of 2 vCPU and 8 GiB does for as long as it exists. There is one for each cluster and name: running this again gives the same one, and finishes what was interrupted.',
    )
  addNodeOptions(command)
  addJoinOptions(command)
  return addSessionOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      applyEnvironment(command, io.env)
      const flags = command.opts<Flags>()
      checkTags((flags.tag ?? []).map(({ key }) => key))
      if (flags.additional === true && command.getOptionValueSource('name') === 'default') {
        throw new VnodeError(
          'USAGE',
          '--additional needs a --name, by which the VNodes of a cluster are told apart',
        )
      }
      const { runCreate } = await import('../vnode/create.ts')
      await runCreate(
        {
          flags,
          virtualNode: virtualNodeOf(flags),
          apiserver: flags.apiserver,
          bootstrapKubeconfig: flags.bootstrapKubeconfig,
          isAdditional: flags.additional === true,
          leastCredentialLifeMs: flags.leastCredentialLife,
          waitMs: flags.wait === true ? flags.timeout : undefined,
          output: flags.output,
          isDryRun: flags.dryRun === true || flags.dry === true,
        },
        io,
      )
    })
}

function addNodeOptions(command: Command): Command {
  return command
    .option('--name <name>', 'name of the VNode', DEFAULT_NAME)
    .option('--vswitch-id <ids>', "vSwitches, comma-separated (default: the context's)", commaList)
    .option('--security-group-id <id>', "security group (default: the context's)")
    .option('--custom-resources <list>', 'a=1,b=2: resources that Pods may request', customResources)
    .option(
      '--cluster-dns <addresses>',
      'DNS servers of its Pods (default: that of the Service kube-dns)',
      addresses,
    )
    .option('--cluster-domain <domain>', 'DNS domain of the cluster')
    .option('--zone-id <id>', 'zone of the VNode')
    .option('--resource-group-id <id>', 'resource group of the VNode')
    .option('--eip <id>', 'elastic IP of the VNode')
    .option('--public-network', 'give the VNode a way to the Internet')
    .option('--tag <key=value>', 'a tag (repeatable)', keyValues)
    .option('--taint <key=value:effect>', 'a taint of the Node (repeatable)', taints)
    .option(
      '--prefer-no-schedule',
      'taint it with PreferNoSchedule: all Pods of the cluster may go there, real nodes first',
    )
}

function addJoinOptions(command: Command): Command {
  return command
    .option('--kubeconfig <file>', "kubeconfig that is sent to ECI (default: the context's)")
    .option(
      '--apiserver <url>',
      "the API server's address in the VPC, in place of the kubeconfig's",
      httpsUrl,
    )
    .option(
      '--bootstrap-kubeconfig <file>',
      'sent in its place: it has a bootstrap token, with which the VNode asks for a certificate',
    )
    .addOption(
      durationOption('--least-credential-life <duration>', 'refuse a credential that ends sooner', '720h'),
    )
    .option('--additional', 'beside VNodes of other names that the cluster has')
    .option('--wait', 'wait until its Node is Ready')
    .addOption(durationOption('--timeout <duration>', 'how long --wait may take', '10m'))
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['json', 'yaml']).default('json'))
    .option('--dry-run', 'print the request without its secrets, and send nothing')
    .addOption(new Option('--dry', 'the same').hideHelp())
    .addOption(new Option('--kubernetes-version <version>', "VNodectl's; not needed").hideHelp())
}

function virtualNodeOf(flags: Flags) {
  const { name, vswitchId, securityGroupId, zoneId, resourceGroupId, clusterDns, clusterDomain } = flags
  const preference: readonly VnodeTaint[] =
    flags.preferNoSchedule === true ? [{ key: VNODE_KEY, value: 'true', effect: 'PreferNoSchedule' }] : []
  return {
    ...{ name, vSwitchIds: vswitchId, securityGroupId, zoneId, resourceGroupId },
    ...{ clusterDNS: clusterDns, clusterDomain, customResources: flags.customResources },
    tags: flags.tag ?? [],
    taints: [...preference, ...(flags.taint ?? [])],
    eipInstanceId: flags.eip,
    hasPublicNetwork: flags.publicNetwork === true,
  }
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

function taints(text: string, previous: readonly VnodeTaint[] | undefined): readonly VnodeTaint[] {
  const found = commaList(text).map(item => {
    const [, key = '', value = '', effect = ''] = /^([^=:]+)(?:=([^:]*))?:(\w+)$/.exec(item) ?? []
    const known = EFFECTS.find(one => one === effect)
    if (known !== undefined) return { key, value, effect: known }
    throw new InvalidArgumentError(
      `${JSON.stringify(item)} is not key=value:effect, with one of ${EFFECTS.join(', ')}`,
    )
  })
  return [...(previous ?? []), ...found]
}
