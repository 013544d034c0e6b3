import { Command, Option } from 'commander'
import { applyEnvironment } from '../../config/flags.ts'
import { RULES_CONFIGMAP, RULES_NAMESPACE } from '../../core/names.ts'
import { connectorOf } from '../connector.ts'
import type { Io } from '../io.ts'
import type { InitOptions } from '../rules/init.ts'

const EXAMPLES = `
Examples:
  vnode rules init --dry-run
  vnode rules init --kubeconfig ~/.kube/config`

interface Flags extends Omit<InitOptions, 'connect' | 'isDryRun'> {
  readonly kubeconfig?: string
  readonly context?: string
  readonly dryRun?: boolean
  readonly dry?: boolean
}

export function rulesInitCommand(io: Io): Command {
  const command = new Command('init')
    .summary('Make the rules ConfigMap with the default rules, where there is none.')
    .description(
      'Make the rules ConfigMap with the default rules, where there is none. One that exists is left as it is, whatever is in it.',
    )
    .option('--rules-namespace <name>', 'namespace of the rules ConfigMap', RULES_NAMESPACE)
    .option('--rules-name <name>', 'name of the rules ConfigMap', RULES_CONFIGMAP)
    .option('--kubeconfig <file>', 'cluster (default: the one this runs in, then the usual places)')
    .option('--context <name>', 'context of the kubeconfig (default: its current one)')
    .option('--dry-run', 'say what would be done, and do nothing')
    .addOption(new Option('--dry', 'the same').hideHelp())
    .addHelpText('after', EXAMPLES)
  return command.action(async () => {
    applyEnvironment(command, io.env)
    const { kubeconfig, context, dryRun, dry, ...place } = command.opts<Flags>()
    const { runInit } = await import('../rules/init.ts')
    const connect = connectorOf({ kubeconfig, context }, io)
    await runInit({ ...place, isDryRun: dryRun === true || dry === true, connect }, io)
  })
}
