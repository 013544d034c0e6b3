import { Command, Option } from 'commander'
import { RULES_CONFIGMAP } from '../../core/names.ts'
import type { Io } from '../io.ts'
import type { CheckOptions } from '../rules/check.ts'
import { addScopeOptions, readScope } from '../settings-flags.ts'

const EXAMPLES = `
Examples:
  vnode rules check rules.yaml selectors/
  kubectl -n kube-system get configmap eci-profile -o yaml | vnode rules check -`

export function rulesCheckCommand(io: Io): Command {
  const command = new Command('check')
    .summary('Find every problem of files of rules.')
    .description(
      'Find every problem of files of rules, as strictly as the webhook and the apiserver do. Exits with 1 if there is one. Warnings are told and change nothing.',
    )
    .argument('<path...>', 'ConfigMap, Selectors, or a bare list of rules: files, folders, or - for stdin')
    .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
    .option('--warnings-as-errors', 'exit with 1 for warnings too')
    .option('--rules-name <name>', 'name of the rules ConfigMap', RULES_CONFIGMAP)
    .option('--no-color', 'no colours')
    .addHelpText('after', EXAMPLES)
  return addScopeOptions(command).action(async (paths: readonly string[]) => {
    const scope = readScope(command, io)
    const { runCheck } = await import('../rules/check.ts')
    await runCheck(paths, { ...command.opts<Omit<CheckOptions, 'scope'>>(), scope }, io)
  })
}
