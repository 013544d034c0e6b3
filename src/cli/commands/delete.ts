import { Command, Option } from 'commander'
import { applyEnvironment, durationOption } from '../../config/flags.ts'
import type { Io } from '../io.ts'
import { ANSWER_OUTPUTS, type AnswerOutput } from '../output-format.ts'
import { addSessionOptions, type SessionFlags } from '../vnode/session-flags.ts'

interface Flags extends SessionFlags {
  readonly drain?: boolean
  readonly force?: boolean
  readonly output: AnswerOutput
  readonly timeout: number
  readonly dryRun?: boolean
  readonly dry?: boolean
}

export function deleteCommand(io: Io): Command {
  const command = new Command('delete')
    .summary('Delete a VNode.')
    .description(
      'Delete a VNode and its Node, and end what it costs. Refused while Pods run there, or when it belongs to another cluster.',
    )
    .argument('<id>', "the VNode's id, vnd-…, or the name of its Node")
    .option('--drain', 'evict its Pods first, and wait until they are gone')
    .addOption(durationOption('--timeout <duration>', 'how long --drain or --force may take', '10m'))
    .option('--force', 'whosever it is; what runs there is deleted at once, after --drain what is left of it')
    .option('--kubeconfig <file>', "cluster that the VNode belongs to (default: the context's)")
    .addOption(new Option('-o, --output <format>', 'how to print').choices(ANSWER_OUTPUTS).default('json'))
    .option('--dry-run', 'say what would be done, and do nothing')
    .addOption(new Option('--dry', 'the same').hideHelp())
    .addOption(new Option('--kubernetes-version <version>', "VNodectl's; not needed").hideHelp())
    .addHelpText('after', '\nExample:\n  vnode delete vnd-7xvetkyase7gb62u0000 --drain')
  return addSessionOptions(command).action(async (virtualNodeId: string) => {
    applyEnvironment(command, io.env)
    const flags = command.opts<Flags>()
    const { runDelete } = await import('../vnode/delete.ts')
    await runDelete(
      {
        flags,
        virtualNodeId,
        isDrained: flags.drain === true,
        isForced: flags.force === true,
        isDryRun: flags.dryRun === true || flags.dry === true,
        output: flags.output,
        drainLimitMs: flags.timeout,
      },
      io,
    )
  })
}
