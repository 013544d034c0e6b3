import { Command, Option } from 'commander'
import { applyEnvironment } from '../../config/flags.ts'
import type { ContextKey } from '../../config/vnode-config.ts'
import type { Io } from '../io.ts'
import { OUTPUTS, type Output } from '../output-format.ts'

const EXAMPLE = `
Examples:
  vnode config set default --region-id cn-hangzhou --vswitch-id vsw-… --security-group-id sg-… \\
      --kubeconfig ~/.kube/config --access-key-file AccessKey.csv
  vnode config set-context default
  vnode config view`

export function configCommand(io: Io): Command {
  return new Command('config')
    .summary('Look at ~/.vnode/config, or change it.')
    .description(
      'Look at the file of contexts, or change it: ~/.vnode/config, as VNodectl has it, unless --config or VNODE_CONFIG names another. Secrets are never shown.',
    )
    .addCommand(setContextCommand(io))
    .addCommand(getContextsCommand(io))
    .addCommand(currentContextCommand(io))
    .addCommand(viewCommand(io))
    .addCommand(setCommand(io))
    .addHelpText('after', EXAMPLE)
}

interface FileFlags {
  readonly config?: string
}

interface ChangeFlags extends FileFlags {
  readonly dryRun?: boolean
  readonly dry?: boolean
}

function configOption(): Option {
  return new Option('--config <file>', 'file of contexts (default: ~/.vnode/config)')
}

function dryRunOptions(command: Command): Command {
  return command
    .option('--dry-run', 'show what would be written, and write nothing')
    .addOption(new Option('--dry', 'the same').hideHelp())
}

function outputOption(choices: readonly Output[], text: Output): Option {
  return new Option('-o, --output <format>', 'how to print').choices(choices).default(text)
}

function setContextCommand(io: Io): Command {
  const command = new Command('set-context')
    .description('Make a context the current one, which all other commands use.')
    .argument('<name>', 'name of the context')
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  vnode config set-context default')
  return dryRunOptions(command).action(async (name: string) => {
    applyEnvironment(command, io.env)
    const { config, dryRun, dry } = command.opts<ChangeFlags>()
    const [{ runSetContext }, { configFileOf }] = await Promise.all([
      import('../config/change.ts'),
      import('../config/load.ts'),
    ])
    const options = { file: configFileOf(config, io), isDryRun: dryRun === true || dry === true }
    await runSetContext(name, options, io)
  })
}

function getContextsCommand(io: Io): Command {
  const command = new Command('get-contexts')
    .description('List the contexts.')
    .addOption(configOption())
    .addOption(outputOption(OUTPUTS, 'table'))
    .addHelpText('after', '\nExample:\n  vnode config get-contexts')
  return command.action(async () => {
    applyEnvironment(command, io.env)
    const { config, output } = command.opts<FileFlags & { readonly output: Output }>()
    const [{ runGetContexts }, { configFileOf }] = await loadShow()
    await runGetContexts({ file: configFileOf(config, io), output }, io)
  })
}

function currentContextCommand(io: Io): Command {
  const command = new Command('current-context')
    .description('Print the name of the current context.')
    .addOption(configOption())
    .addHelpText('after', '\nExample:\n  vnode config current-context')
  return command.action(async () => {
    applyEnvironment(command, io.env)
    const [{ runCurrentContext }, { configFileOf }] = await loadShow()
    await runCurrentContext(configFileOf(command.opts<FileFlags>().config, io), io)
  })
}

function viewCommand(io: Io): Command {
  const command = new Command('view')
    .description('Print the file, with its comments and without its secrets.')
    .addOption(configOption())
    .addOption(outputOption(['yaml', 'json'], 'yaml'))
    .addHelpText('after', '\nExample:\n  vnode config view')
  return command.action(async () => {
    applyEnvironment(command, io.env)
    const { config, output } = command.opts<FileFlags & { readonly output: Output }>()
    const [{ runView }, { configFileOf }] = await loadShow()
    await runView({ file: configFileOf(config, io), output }, io)
  })
}

function loadShow() {
  return Promise.all([import('../config/show.ts'), import('../config/load.ts')])
}

interface SetFlags extends ChangeFlags {
  readonly regionId?: string
  readonly vswitchId?: string
  readonly securityGroupId?: string
  readonly kubeconfig?: string
  readonly accessKeyFile?: string
  readonly current?: boolean
}

function setCommand(io: Io): Command {
  const command = new Command('set')
    .description(
      'Set values of a context. The context is made where there is none of that name, and so is the file.',
    )
    .argument('<name>', 'name of the context')
    .option('--region-id <id>', 'region of the VNodes, such as cn-hangzhou')
    .option('--vswitch-id <ids>', 'vSwitches of the VNodes, comma-separated')
    .option('--security-group-id <id>', 'security group of the VNodes')
    .option('--kubeconfig <file>', 'kubeconfig of the cluster; relative to the file of contexts')
    .option(
      '--access-key-file <file>',
      "AccessKey.csv of the console, or lines with id, secret and token; '-' is stdin",
    )
    .option('--current', 'make it the current context too')
    .addOption(configOption())
    .addHelpText(
      'after',
      '\nA secret is never taken from the command line, where every process could read it.\n\nExample:\n  vnode config set default --access-key-file AccessKey.csv',
    )
  return dryRunOptions(command).action(async (name: string) => {
    const flags = command.opts<SetFlags>()
    const [{ runSet }, { configFileOf }] = await Promise.all([
      import('../config/change.ts'),
      import('../config/load.ts'),
    ])
    const options = {
      file: configFileOf(flags.config, io),
      isDryRun: flags.dryRun === true || flags.dry === true,
      name,
      values: givenValues(flags),
      accessKeyFile: flags.accessKeyFile,
      isCurrent: flags.current === true,
    }
    await runSet(options, io)
  })
}

function givenValues(flags: SetFlags): Map<ContextKey, string> {
  const given: readonly (readonly [ContextKey, string | undefined])[] = [
    ['region-id', flags.regionId],
    ['vswitch-id', flags.vswitchId],
    ['security-group-id', flags.securityGroupId],
    ['kubeconfig', flags.kubeconfig],
  ]
  return new Map(given.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])))
}
