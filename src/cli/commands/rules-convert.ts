import { Command, Option } from 'commander'
import { RULES_CONFIGMAP } from '../../core/names.ts'
import type { Io } from '../io.ts'
import type { ConvertOptions } from '../rules/convert.ts'
import { addScopeOptions, readScope } from '../settings-flags.ts'

const EXAMPLES = `
Examples:
  kubectl -n kube-system get configmap eci-profile -o yaml | vnode rules convert --to selectors - > selectors.yaml
  vnode rules convert --to configmap selectors.yaml eci-profile.yaml | kubectl apply -f -`

export function rulesConvertCommand(io: Io): Command {
  const command = new Command('convert')
    .summary('Turn ConfigMap rules into Selectors, or Selectors into ConfigMap rules.')
    .description(
      'Turn ConfigMap rules into Selectors, or Selectors into ConfigMap rules: YAML for kubectl apply on stdout. What the other format cannot say is named on stderr and in comments.',
    )
    .argument('<path...>', 'ConfigMap, Selectors, or a bare list of rules: files, folders, or - for stdin')
    .addOption(new Option('--to <format>').choices(['selectors', 'configmap']).makeOptionMandatory())
    .option(
      '--namespace <name>',
      'namespace of the new Selectors; "" for a cluster-scoped CRD (default: --install-namespace)',
    )
    .addOption(
      new Option('--api-version <version>', 'version of the new Selectors')
        .choices(['v1', 'v1beta1'])
        .default('v1'),
    )
    .option('--rules-name <name>', 'name of the rules ConfigMap', RULES_CONFIGMAP)
    .addHelpText('after', EXAMPLES)
  return addScopeOptions(command).action(async (paths: readonly string[]) => {
    const scope = readScope(command, io)
    const { runConvert } = await import('../rules/convert.ts')
    await runConvert(paths, { ...command.opts<Omit<ConvertOptions, 'scope'>>(), scope }, io)
  })
}
