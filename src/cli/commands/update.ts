import { Command, Option } from 'commander'
import { applyEnvironment, repeated } from '../../config/flags.ts'
import type { Io } from '../io.ts'
import { ANSWER_OUTPUTS, type AnswerOutput } from '../output-format.ts'
import { addSessionOptions, type SessionFlags } from '../vnode/session-flags.ts'
import { addSettingOptions, checkTags, type SettingFlags } from '../vnode/virtual-node-flags.ts'

interface Flags extends SessionFlags, SettingFlags {
  readonly name?: string
  readonly removeTag?: readonly string[]
  readonly force?: boolean
  readonly output: AnswerOutput
  readonly dryRun?: boolean
  readonly dry?: boolean
}

export function updateCommand(io: Io): Command {
  const command = new Command('update')
    .summary('Change a VNode.')
    .description(
      'Change a VNode, which must be Ready. What is not named stays as it is: it is read first and sent again, as the API resets what is left out.',
    )
    .argument('<id>', "the VNode's id, vnd-…, or the name of its Node")
    .option('--name <name>', 'its name')
  addSettingOptions(command, { isChange: true })
    .option('--remove-tag <key>', 'remove a tag (repeatable)', repeated)
    .option('--kubeconfig <file>', "cluster that the VNode belongs to (default: the context's)")
    .option('--force', 'whosever it is')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(ANSWER_OUTPUTS).default('json'))
    .option('--dry-run', 'print the request, and send nothing')
    .addOption(new Option('--dry', 'the same').hideHelp())
    .addOption(new Option('--kubernetes-version <version>', "VNodectl's; not needed").hideHelp())
    .addHelpText('after', '\nExample:\n  vnode update vnd-7xvetkyase7gb62u0000 --cluster-dns 10.96.0.10')
  return addSessionOptions(command).action(async (virtualNodeId: string) => {
    applyEnvironment(command, io.env)
    const flags = command.opts<Flags>()
    const { name, clusterDns, clusterDomain, customResources, tag = [], removeTag = [] } = flags
    checkTags([...tag.map(({ key }) => key), ...removeTag])
    const { runUpdate } = await import('../vnode/update.ts')
    await runUpdate(
      {
        flags,
        virtualNodeId,
        changes: {
          name,
          clusterDNS: clusterDns,
          clusterDomain,
          customResources,
          tags: tag,
          removedTags: removeTag,
        },
        isForced: flags.force === true,
        isDryRun: flags.dryRun === true || flags.dry === true,
        output: flags.output,
      },
      io,
    )
  })
}
