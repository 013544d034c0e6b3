import { Command, Option } from 'commander'
import { repeated } from '../../config/flags.ts'
import { addSettingsOptions, readLabels } from '../../config/settings.ts'
import { RULES_CONFIGMAP } from '../../core/names.ts'
import type { ExplainOptions } from '../explain/run.ts'
import type { Io } from '../io.ts'
import { readSettings } from '../settings-flags.ts'

const EXAMPLES = `
Examples:
  vnode explain -f deployment.yaml --rules rules.yaml
  vnode explain -f manifests/ --namespace ci --namespace-labels eci=true --diff
  kubectl get deployments,namespaces -A -o yaml | vnode explain -f - --rules rules.yaml -o json`

export function explainCommand(io: Io): Command {
  const command = new Command('explain')
    .summary('Say what becomes of the Pods of some manifests, and why.')
    .description(
      'Say what admission does with the Pods of some manifests, and why: which rules match and which do not, where the Pods will run, what is added, and what of them ECI refuses or bills. Only the files given are read.',
    )
    .requiredOption(
      '-f, --filename <path>',
      'manifests: a file, a folder, or - for stdin (repeatable)',
      repeated,
    )
    .option(
      '--rules <path>',
      'rules, Namespaces and Nodes; without it, rules among the manifests, else the shipped ones (repeatable)',
      repeated,
    )
    .option('--rules-name <name>', 'name of the rules ConfigMap', RULES_CONFIGMAP)
    .option('-n, --namespace <name>', 'namespace of manifests that name none', 'default')
    .option('--namespace-labels <labels>', 'labels that every namespace has besides, k=v,…', readLabels)
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
  return addSettingsOptions(command).action(async () => {
    const settings = readSettings(command, io)
    const { runExplain } = await import('../explain/run.ts')
    await runExplain(command.opts<ExplainOptions>(), settings, io)
  })
}
