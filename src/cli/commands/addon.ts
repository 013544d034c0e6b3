import { Command, Option } from 'commander'
import { applyEnvironment, dnsLabel, repeated } from '../../config/flags.ts'
import { INSTALL_NAMESPACE } from '../../core/names.ts'
import type { SwitchOptions } from '../addon/run.ts'
import { connectorOf } from '../connector.ts'
import type { Io } from '../io.ts'
import { OUTPUTS, type Output } from '../output-format.ts'

interface Flags {
  readonly kubeconfig?: string
  readonly output: Output
  readonly namespace: string
  readonly release: string
  readonly chart?: string
  readonly values?: readonly string[]
  readonly set?: readonly string[]
  readonly dryRun?: boolean
  readonly dry?: boolean
}

export function addonCommand(io: Io): Command {
  return new Command('addon')
    .summary("Turn VNodectl's add-ons on and off.")
    .description(
      'List the add-ons eci-profile and vnode-approver, or turn them on and off. Both are parts of the chart, so it is Helm that does the work; without Helm the command for it is printed.',
    )
    .addCommand(listCommand(io))
    .addCommand(switchCommand(io, 'enable'))
    .addCommand(switchCommand(io, 'disable'))
    .addHelpText('after', '\nExample:\n  vnode addon enable vnode-approver --kubeconfig ~/.kube/config')
}

function listCommand(io: Io): Command {
  const command = new Command('list')
    .description('List the add-ons, and which of them the cluster has.')
    .option('--kubeconfig <file>', 'cluster (default: the usual places)')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(OUTPUTS).default('table'))
    .addHelpText('after', '\nExample:\n  vnode addon list --kubeconfig ~/.kube/config')
  return command.action(async () => {
    applyEnvironment(command, io.env)
    const flags = command.opts<Flags>()
    const { runListAddons } = await import('../addon/run.ts')
    await runListAddons(
      {
        connect: connectorOf({ kubeconfig: flags.kubeconfig }, io),
        kubeconfig: flags.kubeconfig,
        output: flags.output,
      },
      io,
    )
  })
}

function switchCommand(io: Io, verb: 'enable' | 'disable'): Command {
  const command = new Command(verb)
    .description(
      verb === 'enable'
        ? 'Install an add-on, or bring it up to date. What was set before stays.'
        : 'Remove an add-on. Rules stay, and so do VNodes.',
    )
    .argument('<addon>', 'eci-profile or vnode-approver')
    .option('--kubeconfig <file>', 'cluster (default: the usual places)')
    .option('--namespace <name>', 'namespace, where there is no release yet', dnsLabel, INSTALL_NAMESPACE)
    .option('--release <name>', "Helm's name, where there is no release yet", dnsLabel, 'vnode-profile')
    .option('--chart <chart>', 'a chart in place of the one that came along')
    .option('--values <file>', 'values for Helm (repeatable)', repeated)
    .option('--set <key=value>', 'a value for Helm (repeatable)', repeated)
    .option('--dry-run', "print Helm's command, and run nothing")
    .addOption(new Option('--dry', 'the same').hideHelp())
    .addOption(new Option('--kubernetes-version <version>', "VNodectl's; Helm asks the cluster").hideHelp())
    .addHelpText('after', `\nExample:\n  vnode addon ${verb} eci-profile --kubeconfig ~/.kube/config`)
  return command.action(async (addon: string) => {
    applyEnvironment(command, io.env)
    const flags = command.opts<Flags>()
    const [{ runEnableAddon, runDisableAddon }, { parseAddon }] = await Promise.all([
      import('../addon/run.ts'),
      import('../addon/addons.ts'),
    ])
    const { kubeconfig, namespace, release, chart, values = [], set = [] } = flags
    const isDryRun = flags.dryRun === true || flags.dry === true
    const options: SwitchOptions = {
      ...{ addon: parseAddon(addon), connect: connectorOf({ kubeconfig }, io), kubeconfig },
      ...{ namespace, release, chart, values, set, isDryRun },
    }
    await (verb === 'enable' ? runEnableAddon(options, io) : runDisableAddon(options, io))
  })
}
