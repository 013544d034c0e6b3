import { Command } from 'commander'
import type { Io } from '../io.ts'
import { rulesCheckCommand } from './rules-check.ts'
import { rulesConvertCommand } from './rules-convert.ts'
import { rulesInitCommand } from './rules-init.ts'

export function rulesCommand(io: Io): Command {
  return new Command('rules')
    .summary('Check rules, or convert them between their two formats.')
    .description('Check files of rules, convert them, or begin with the default ones.')
    .addCommand(rulesCheckCommand(io))
    .addCommand(rulesConvertCommand(io))
    .addCommand(rulesInitCommand(io))
    .addHelpText('after', '\nExample:\n  vnode rules check rules.yaml')
}
