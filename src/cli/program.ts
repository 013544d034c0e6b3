/** The command line as a value: which commands there are, and what becomes of their errors. */
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { messageOf, VnodeError } from '../core/errors.ts'
import { addonCommand } from './commands/addon.ts'
import { approverCommand } from './commands/approver.ts'
import { bootstrapCommand } from './commands/bootstrap.ts'
import { clusterCommand } from './commands/cluster.ts'
import { configCommand } from './commands/config.ts'
import { createCommand } from './commands/create.ts'
import { daemonSetsCommand } from './commands/daemonsets.ts'
import { deleteCommand } from './commands/delete.ts'
import { explainCommand } from './commands/explain.ts'
import { helperCommand } from './commands/helper.ts'
import { describeCommand, listCommand } from './commands/list.ts'
import { probeCommand } from './commands/probe.ts'
import { rulesCommand } from './commands/rules.ts'
import { unregisterCommand } from './commands/unregister.ts'
import { updateCommand } from './commands/update.ts'
import { versionCommand } from './commands/version.ts'
import { webhookCommand } from './commands/webhook.ts'
import { ExitStatus, type Io } from './io.ts'
import { plainLines } from './plain-text.ts'
import { VERSION } from './version.ts'

export const EXIT = { done: 0, fault: 1, usage: 2 } as const

/** Runs one command and returns its exit status: 0 done, 1 fault, 2 usage. Never throws; whatever goes wrong is told on stderr. */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  try {
    await buildProgram(io).parseAsync(argv, { from: 'user' })
    return EXIT.done
  } catch (error) {
    return statusOf(error, io)
  }
}

/** The program with all its commands; nothing is read before it is run. */
export function buildProgram(io: Io): Command {
  const program = new Command('vnode')
    .description('Sends Pods of a self-managed Kubernetes cluster to Alibaba Cloud ECI through VNodes.')
    .version(VERSION, '--version', 'print the version')
    .addCommand(webhookCommand(io))
    .addCommand(helperCommand(io))
    .addCommand(approverCommand(io))
    .addCommand(bootstrapCommand(io))
    .addCommand(probeCommand(io))
    .addCommand(explainCommand(io))
    .addCommand(daemonSetsCommand(io))
    .addCommand(configCommand(io))
    .addCommand(createCommand(io))
    .addCommand(listCommand(io))
    .addCommand(describeCommand(io))
    .addCommand(updateCommand(io))
    .addCommand(deleteCommand(io))
    .addCommand(addonCommand(io))
    .addCommand(clusterCommand(io))
    .addCommand(rulesCommand(io))
    .addCommand(unregisterCommand(io))
    .addCommand(versionCommand(io))
  return framed(program, io)
}

/** Commands that were built apart do not inherit what is configured here. */
function framed(command: Command, io: Io): Command {
  command
    .exitOverride()
    .helpOption('-h, --help', 'show this help')
    .configureOutput({
      writeOut: io.stdout,
      writeErr: io.stderr,
      outputError: (text, write) => write(text.replace(/^error: /, 'vnode: ')),
      getOutHelpWidth: () => io.columns,
      getErrHelpWidth: () => io.columns,
      getOutHasColors: () => io.hasColor,
      getErrHasColors: () => io.hasColor,
    })
    .showHelpAfterError(`Run "${pathOf(command)} --help" to see how it is used.`)
  for (const child of command.commands) framed(child, io)
  return command
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

function statusOf(error: unknown, io: Io): number {
  if (error instanceof ExitStatus) return error.status
  // Thrown by what reads variables of the environment, which commander does not see; of a flag it makes an error of its own.
  if (error instanceof InvalidArgumentError) {
    io.stderr(`vnode: ${error.message}\n`)
    return EXIT.usage
  }
  // Commander has printed the help or its complaint already; it says 1 for the latter.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
  if (error instanceof VnodeError) {
    io.stderr(plainLines(`vnode: ${error.message}\n`))
    if (error.next !== undefined) io.stderr(plainLines(`${error.next}\n`))
    return error.isUserError ? EXIT.usage : EXIT.fault
  }
  io.stderr(plainLines(`vnode: internal error: ${messageOf(error)}\n`))
  if (io.env.VNODE_DEBUG && error instanceof Error) io.stderr(`${error.stack}\n`)
  else io.stderr('This is a bug. Set VNODE_DEBUG=1 to see where it comes from, and report it.\n')
  return EXIT.fault
}
