import { Command, Option } from 'commander'
import { applyEnvironment } from '../../config/flags.ts'
import type { Io } from '../io.ts'
import { addSessionOptions, type SessionFlags } from '../vnode/session-flags.ts'

interface Flags extends SessionFlags {
  readonly dryRun?: boolean
  readonly dry?: boolean
}

const EXAMPLE = '\nExample:\n  vnode cluster clean --kubeconfig ~/.kube/config --dry-run'

export function clusterCommand(io: Io): Command {
  return new Command('cluster')
    .summary('Clean a cluster of what VNodes have left.')
    .description('Clean a cluster of what VNodes and this program have left.')
    .addCommand(cleanCommand(io))
    .addHelpText('after', EXAMPLE)
}

function cleanCommand(io: Io): Command {
  const command = new Command('clean')
    .description(
      'Remove the Nodes of VNodes that do not exist any more and, where neither a release nor a VNode of the cluster is left, the identities, records and registrations that were made for them. Rules and Selectors stay. Running it again does no harm.',
    )
    .option('--kubeconfig <file>', "cluster (default: the context's, then the usual places)")
    .option('--dry-run', 'say what would be removed, and remove nothing')
    .addOption(new Option('--dry', 'the same').hideHelp())
    .addOption(new Option('--kubernetes-version <version>', "VNodectl's; not needed").hideHelp())
    .addHelpText('after', EXAMPLE)
  return addSessionOptions(command).action(async () => {
    applyEnvironment(command, io.env)
    const flags = command.opts<Flags>()
    const { runClean } = await import('../cluster/clean.ts')
    await runClean({ flags, isDryRun: flags.dryRun === true || flags.dry === true }, io)
  })
}
