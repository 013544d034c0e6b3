import { Command, Option } from 'commander'
import { applyEnvironment, type KeyValue, keyValues } from '../../config/flags.ts'
import type { Io } from '../io.ts'
import { OUTPUTS, type Output } from '../output-format.ts'
import { addSessionOptions, type SessionFlags } from '../vnode/session-flags.ts'

interface Flags extends SessionFlags {
  readonly name?: string
  readonly status?: string
  readonly tag?: readonly KeyValue[]
  readonly output: Output
}

export function listCommand(io: Io): Command {
  const command = new Command('list')
    .description('List the VNodes of a region, of all clusters.')
    .option('--name <name>', 'only VNodes of this name')
    .option('--status <status>', 'only VNodes with this status, such as Ready')
    .option('--tag <key=value>', 'only VNodes with this tag (repeatable)', keyValues)
    .addOption(new Option('-o, --output <format>', 'how to print').choices(OUTPUTS).default('table'))
    .addHelpText('after', '\nExample:\n  vnode list --status Ready -o json')
  return addSessionOptions(command).action(async () => {
    applyEnvironment(command, io.env)
    const flags = command.opts<Flags>()
    const { runList } = await import('../vnode/list.ts')
    const { output, name, status, tag = [] } = flags
    await runList({ flags, output, name, status, tags: tag }, io)
  })
}

export function describeCommand(io: Io): Command {
  const command = new Command('describe')
    .description('Print what ECI says of a VNode: where it is, its tags, and what has happened to it.')
    .argument('<id>', "the VNode's id, vnd-…, or the name of its Node")
    .addOption(new Option('-o, --output <format>', 'how to print').choices(OUTPUTS).default('table'))
    .addHelpText('after', '\nExample:\n  vnode describe vnd-7xvetkyase7gb62u0000')
  return addSessionOptions(command).action(async (virtualNodeId: string) => {
    applyEnvironment(command, io.env)
    const flags = command.opts<Flags>()
    const { runDescribe } = await import('../vnode/list.ts')
    await runDescribe({ flags, output: flags.output, virtualNodeId }, io)
  })
}
