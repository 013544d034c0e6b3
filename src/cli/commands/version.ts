import { Command } from 'commander'
import type { Io } from '../io.ts'
import { VERSION } from '../version.ts'

export function versionCommand(io: Io): Command {
  return new Command('version')
    .description('Print the version.')
    .addHelpText('after', '\nExample:\n  vnode version')
    .action(() => io.stdout(`${VERSION}\n`))
}
