import { Command, Option } from 'commander'
import { applyEnvironment, repeated, variableOf } from '../../config/flags.ts'
import { repeatedLabels } from '../../config/settings.ts'
import { VnodeError } from '../../core/errors.ts'
import { addInstallationOptions } from '../explain/installation.ts'
import type { ExplainOptions } from '../explain/run.ts'
import type { Io } from '../io.ts'
import { readSettings } from '../settings-flags.ts'

const EXAMPLES = `
Examples:
  vnode explain -f deployment.yaml --rules rules.yaml
  vnode explain -f manifests/ --namespace ci --namespace-labels eci=true --diff
  kubectl get deployments,namespaces -A -o yaml | vnode explain -f - --rules rules.yaml -o json
  vnode explain --live ci/web-7d4f5-x2x8p
  vnode explain --live -f deployment.yaml`

export function explainCommand(io: Io): Command {
  const command = new Command('explain')
    .summary('Say what becomes of the Pods of some manifests, or of a cluster, and why.')
    .description(
      "Say what admission does with the Pods of some manifests, and why: which rules match and which do not, where the Pods will run, what is added, and what of them ECI refuses or bills. Only the files given are read. With --live, Pods of a cluster: also whether they spill to a VNode, and what holds them back. There the rules, namespaces and VNodes are the cluster's, and the settings those of its installation, where no flag says otherwise; nothing is written.",
    )
    .argument('[pod...]', 'with --live: Pods, as NAMESPACE/POD or POD')
    .option('--live', 'look at the cluster')
    .option(
      '--kubeconfig <file>',
      'with --live: cluster (default: the one this runs in, then the usual places)',
    )
    .option('--context <name>', 'with --live: context of the kubeconfig (default: its current one)')
    .option('--no-installation', "with --live: leave the settings of the cluster's installation alone")
    .option('-f, --filename <path>', 'manifests: a file, a folder, or - for stdin (repeatable)', repeated)
    .option(
      '--rules <path>',
      'rules, Namespaces and Nodes; without it, rules among the manifests, else the shipped ones (repeatable)',
      repeated,
    )
    .option(
      '-n, --namespace <name>',
      'namespace of manifests and Pods that name none (--live: that of the context)',
      'default',
    )
    .option(
      '--namespace-labels <labels>',
      'labels that every namespace has besides, k=v,… (repeatable)',
      repeatedLabels,
    )
    .addOption(
      new Option(
        '-o, --output <format>',
        'text, json, yaml (the Pods as they will be), or patch (JSON Patch, a line for each)',
      )
        .choices(['text', 'json', 'yaml', 'patch'])
        .default('text'),
    )
    .option('--diff', 'show each changed Pod before and after')
    .option('--all-rules', 'show all rules that do not match, not only the nearest')
    .option('--no-color', 'no colours')
    .addHelpText('after', EXAMPLES)
  return addInstallationOptions(command).action(async (pods: readonly string[]) => {
    const options = command.opts<ExplainOptions & { readonly live?: boolean }>()
    if (options.live) return await explainLive(pods, command, io)
    if (pods.length > 0) throw namesAlone(pods)
    const settings = readSettings(command, io)
    const { runExplain } = await import('../explain/run.ts')
    await runExplain(options, settings, io)
  })
}

async function explainLive(pods: readonly string[], command: Command, io: Io): Promise<void> {
  const names = addInstallationOptions(new Command()).options.map(variableOf)
  applyEnvironment(command, Object.fromEntries(names.map(name => [name, io.env[name]])))
  const { runLive } = await import('../explain/live.ts')
  await runLive(pods, command, io)
}

function namesAlone(pods: readonly string[]): VnodeError {
  return new VnodeError('USAGE', `${pods.join(', ')}: Pods of a cluster are explained with --live`, {
    next: 'Add --live, or name files with -f.',
  })
}
