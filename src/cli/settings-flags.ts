/** The flags about decisions, for commands that decide offline as the webhook would. */
import { Command } from 'commander'
import { applyEnvironment, variableOf } from '../config/flags.ts'
import { addSettingsOptions, type SettingsOptions, settingsFrom } from '../config/settings.ts'
import type { ResourceScope } from '../core/selector/resource-rules.ts'
import { DEFAULT_SETTINGS, type Settings } from '../core/settings.ts'
import type { Io } from './io.ts'

/** Their values: flags, then VNODE_… variables, then defaults. Variables of the command's other flags are not looked at. */
export function readSettings(command: Command, io: Io): Settings {
  const shared = addSettingsOptions(new Command()).options.map(variableOf)
  applyEnvironment(command, only(shared, io))
  return settingsFrom(command.opts<SettingsOptions>())
}

const SCOPE_FLAGS = ['--install-namespace', '--selector-scope', '--tenant-effects']

/** Of the flags about decisions those that say what Selectors may do, which is all that checking rules needs. */
export function addScopeOptions(command: Command): Command {
  const shared = addSettingsOptions(new Command()).options
  for (const option of shared) if (SCOPE_FLAGS.includes(option.long ?? '')) command.addOption(option)
  return command
}

/** The values of {@link addScopeOptions}. */
export function readScope(command: Command, io: Io): ResourceScope {
  const shared = command.options.filter(option => SCOPE_FLAGS.includes(option.long ?? '')).map(variableOf)
  applyEnvironment(command, only(shared, io))
  const { installNamespace, selectorScope, tenantEffects } = command.opts<SettingsOptions>()
  return { installNamespace, selectorScope, tenantEffects: new Set(tenantEffects) }
}

const PLACEMENT_FLAGS = ['--vnode-node-selector', '--vnode-toleration']

/** Of the flags about decisions those that say what a VNode is. */
export function addPlacementOptions(command: Command): Command {
  const shared = addSettingsOptions(new Command()).options
  for (const option of shared) if (PLACEMENT_FLAGS.includes(option.long ?? '')) command.addOption(option)
  return command
}

/** The values of {@link addPlacementOptions}, in settings that are the defaults otherwise. */
export function readPlacement(command: Command, io: Io): Settings {
  const shared = command.options.filter(option => PLACEMENT_FLAGS.includes(option.long ?? '')).map(variableOf)
  applyEnvironment(command, only(shared, io))
  const { vnodeNodeSelector, vnodeToleration } = command.opts<SettingsOptions>()
  return { ...DEFAULT_SETTINGS, nodeSelector: vnodeNodeSelector, toleration: vnodeToleration }
}

function only(names: readonly string[], { env }: Io): Io['env'] {
  return Object.fromEntries(names.map(name => [name, env[name]]))
}
