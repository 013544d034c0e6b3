import { Command, Option } from 'commander'
import { applyEnvironment, durationOption, httpsUrl } from '../../config/flags.ts'
import { VnodeError } from '../../core/errors.ts'
import { VNODE_KEY } from '../../core/names.ts'
import type { Taint } from '../../eci/virtual-node.ts'
import type { Io } from '../io.ts'
import { ANSWER_OUTPUTS, type AnswerOutput } from '../output-format.ts'
import { addSessionOptions, type SessionFlags } from '../vnode/session-flags.ts'
import {
  addVirtualNodeOptions,
  checkTags,
  type VirtualNodeFlags,
  virtualNodeOf,
} from '../vnode/virtual-node-flags.ts'

interface Flags extends SessionFlags, VirtualNodeFlags {
  readonly name: string
  readonly eip?: string
  readonly preferNoSchedule?: boolean
  readonly apiserver?: string
  readonly bootstrapKubeconfig?: string
  readonly leastCredentialLife: number
  readonly additional?: boolean
  readonly wait?: boolean
  readonly timeout: number
  readonly output: AnswerOutput
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
          virtualNode: wantedOf(flags),
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
  command.option('--name <name>', 'name of the VNode', DEFAULT_NAME)
  return addVirtualNodeOptions(command)
    .option('--eip <id>', 'elastic IP of the VNode')
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
    .addOption(new Option('-o, --output <format>', 'how to print').choices(ANSWER_OUTPUTS).default('json'))
    .option('--dry-run', 'print the request without its secrets, and send nothing')
    .addOption(new Option('--dry', 'the same').hideHelp())
    .addOption(new Option('--kubernetes-version <version>', "VNodectl's; not needed").hideHelp())
}

const PREFERENCE: Taint = { key: VNODE_KEY, value: 'true', effect: 'PreferNoSchedule' }

function wantedOf(flags: Flags) {
  const settings = virtualNodeOf(flags)
  return {
    ...settings,
    name: flags.name,
    vSwitchIds: flags.vswitchId,
    securityGroupId: flags.securityGroupId,
    taints: flags.preferNoSchedule === true ? [PREFERENCE, ...settings.taints] : settings.taints,
    eipInstanceId: flags.eip,
  }
}
