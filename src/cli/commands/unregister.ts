import { Command, Option } from 'commander'
import { applyEnvironment, installationName } from '../../config/flags.ts'
import { connectorOf } from '../connector.ts'
import type { Io } from '../io.ts'
import type { UnregisterOptions } from '../unregister.ts'

const EXAMPLES = `
Examples:
  vnode unregister --dry-run
  vnode unregister --name vnode-profile --owner vnode-profile-helper`

interface Flags extends Pick<UnregisterOptions, 'name' | 'owner'> {
  readonly kubeconfig?: string
  readonly context?: string
  readonly dryRun?: boolean
  readonly dry?: boolean
}

export function unregisterCommand(io: Io): Command {
  const command = new Command('unregister')
    .summary('Remove the registration of the webhook, for good.')
    .description(
      'Remove the registration of the webhook, and with it the ClusterRole by which the helper would register it anew. New Pods are no longer sent to VNodes. The chart runs it first of all when it is uninstalled; an upgrade of the chart brings everything back.',
    )
    .option('--name <name>', 'name of the webhook configurations', installationName, 'vnode-profile')
    .option('--owner <name>', 'ClusterRole that owns them (default: the name, followed by -helper)')
    .option('--kubeconfig <file>', 'cluster (default: the one this runs in, then the usual places)')
    .option('--context <name>', 'context of the kubeconfig (default: its current one)')
    .option('--dry-run', 'say what would be done, and do nothing')
    .addOption(new Option('--dry', 'the same').hideHelp())
    .addHelpText('after', EXAMPLES)
  return command.action(async () => {
    applyEnvironment(command, io.env)
    const { kubeconfig, context, dryRun, dry, name, owner } = command.opts<Flags>()
    const { runUnregister } = await import('../unregister.ts')
    const connect = connectorOf({ kubeconfig, context }, io)
    const isDryRun = dryRun === true || dry === true
    await runUnregister({ name, owner: owner ?? `${name}-helper`, isDryRun, connect }, io)
  })
}
