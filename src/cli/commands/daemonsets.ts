import { Command, Option } from 'commander'
import { applyEnvironment } from '../../config/flags.ts'
import type { ChangeFlags, DaemonSetsFlags } from '../daemonsets/flags.ts'
import type { Io } from '../io.ts'
import { OUTPUTS } from '../output-format.ts'
import { addPlacementOptions, readPlacement } from '../settings-flags.ts'

const EXAMPLES = `
Examples:
  vnode daemonsets list
  vnode daemonsets fence kube-system/kube-proxy --dry-run
  vnode daemonsets fence --all
  vnode daemonsets unfence kube-system/kube-proxy`

export function daemonSetsCommand(io: Io): Command {
  return new Command('daemonsets')
    .summary('Keep the DaemonSets of a cluster off VNodes.')
    .description(
      'Show which DaemonSets get Pods on VNodes, which run no daemons, and keep them off by a required node affinity.',
    )
    .addCommand(listCommand(io))
    .addCommand(fenceCommand(io))
    .addCommand(unfenceCommand(io))
    .addHelpText('after', EXAMPLES)
}

function shared(command: Command): Command {
  command
    .option(
      '-n, --namespace <name>',
      'of DaemonSets that are named without one; only these, where none is named',
    )
    .addOption(new Option('-o, --output <format>', 'how to print').choices(OUTPUTS).default('table'))
    .option('--kubeconfig <file>', 'cluster (default: the one this runs in, then the usual places)')
    .option('--context <name>', 'context of the kubeconfig (default: its current one)')
  return addPlacementOptions(command)
}

function listCommand(io: Io): Command {
  const command = new Command('list')
    .description(
      'Show of every DaemonSet whether it gets Pods on VNodes, what keeps it off, how many Pods it has there now, and who manages it.',
    )
    .addHelpText('after', '\nExample:\n  vnode daemonsets list -o json')
  return shared(command).action(async () => {
    const { runList } = await import('../daemonsets/list.ts')
    await runList(flagsOf<DaemonSetsFlags>(command, io), io)
  })
}

function fenceCommand(io: Io): Command {
  const command = new Command('fence')
    .summary('Keep DaemonSets off VNodes.')
    .description(
      'Keep DaemonSets off VNodes: type NotIn [virtual-kubelet] is added to every term of their required node affinity. That changes the Pod template, so the daemon restarts on every node. What was added is recorded, so that unfence takes away just that.',
    )
    .option(
      '--opt-in',
      'remove the label vnode-profile.io/fence=off of those that have it, and fence them too',
    )
  return changing(command, 'kube-system/kube-proxy').action(async (names: readonly string[]) => {
    const { runFence } = await import('../daemonsets/change.ts')
    await runFence(names, flagsOf<ChangeFlags>(command, io), io)
  })
}

function unfenceCommand(io: Io): Command {
  const command = new Command('unfence')
    .summary('Take our fences away again.')
    .description(
      'Take away what a fence of ours added, by command or by admission, and nothing else; and set the label vnode-profile.io/fence=off, so that admission does not put it up again. The daemon restarts on every node.',
    )
  return changing(command, 'kube-system/kube-proxy').action(async (names: readonly string[]) => {
    const { runUnfence } = await import('../daemonsets/change.ts')
    await runUnfence(names, flagsOf<ChangeFlags>(command, io), io)
  })
}

function changing(command: Command, example: string): Command {
  command
    .argument('[name...]', 'DaemonSets, as NAMESPACE/NAME or NAME')
    .option('--all', 'all that there are')
    .option('--dry-run', 'have the API server go through it, show the changes, and store nothing')
    .addOption(new Option('--dry', 'the same').hideHelp())
    .option('--ignore-not-found', 'a named DaemonSet that is absent is no error')
    .addHelpText('after', `\nExample:\n  vnode daemonsets ${command.name()} ${example} --dry-run`)
  return shared(command)
}

function flagsOf<T extends DaemonSetsFlags>(command: Command, io: Io): T {
  applyEnvironment(command, io.env)
  return { ...command.opts<T>(), settings: readPlacement(command, io) }
}
