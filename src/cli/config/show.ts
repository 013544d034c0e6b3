/** `vnode config get-contexts`, `current-context` and `view`: what is in the file, without its secrets. */
import { CONTEXT_KEYS, SECRET_KEYS, type VnodeConfig, type VnodeContext } from '../../config/vnode-config.ts'
import { VnodeError } from '../../core/errors.ts'
import type { Io } from '../io.ts'
import type { Output } from '../output-format.ts'
import { renderTable, renderValue } from '../table.ts'
import { allProblems, checkProblems, requireConfig, sayProblems } from './load.ts'
import { maskedText, maskedValue } from './mask.ts'

export interface ShowOptions {
  readonly file: string
  readonly output: Output
}

const HEAD = ['CURRENT', 'NAME', 'REGION', 'VSWITCH', 'SECURITY GROUP', 'KUBECONFIG']

export async function runGetContexts({ file, output }: ShowOptions, io: Io): Promise<void> {
  const loaded = await requireConfig(file, io)
  sayProblems(file, allProblems(loaded), io)
  const { contexts, currentContext } = loaded.config
  const rows = contexts.map(({ name, regionId, vswitchId, securityGroupId, kubeconfig }) => {
    const current = name === currentContext ? '*' : ' '
    return [current, name, regionId ?? '', vswitchId ?? '', securityGroupId ?? '', kubeconfig ?? '']
  })
  io.stdout(output === 'table' ? renderTable(HEAD, rows) : renderValue(contextValues(loaded.config), output))
}

export async function runCurrentContext(file: string, io: Io): Promise<void> {
  const { config } = await requireConfig(file, io)
  if (config.currentContext === undefined) throw noCurrent(file)
  io.stdout(`${config.currentContext}\n`)
}

export function noCurrent(file: string): VnodeError {
  return new VnodeError('BAD_FILE', `${file} has no current-context`, {
    next: 'Choose one with: vnode config set-context NAME',
  })
}

/** The text itself, or its values for programs; either way without secrets. */
export async function runView({ file, output }: ShowOptions, io: Io): Promise<void> {
  const loaded = await requireConfig(file, io)
  const problems = allProblems(loaded)
  // Of a text that cannot be read nobody knows what in it is secret.
  if (loaded.config.contexts.length === 0) checkProblems(file, problems, io)
  sayProblems(file, problems, io)
  if (output === 'json') {
    const { contexts, currentContext } = loaded.config
    const values = contexts.map(context => contextValue(context))
    io.stdout(renderValue({ kind: 'vnode', contexts: values, 'current-context': currentContext }, 'json'))
  } else io.stdout(maskedText(loaded.text))
}

function contextValues({ contexts, currentContext }: VnodeConfig): object[] {
  return contexts.map(context => ({ ...contextValue(context), current: context.name === currentContext }))
}

function contextValue(context: VnodeContext): Record<string, string> {
  const values = valuesOf(context)
  const shown = CONTEXT_KEYS.flatMap(key => {
    const value = values[key]
    if (value === undefined) return []
    return [[key, SECRET_KEYS.includes(key) ? maskedValue(key, value) : value]]
  })
  return { name: context.name, ...Object.fromEntries(shown) }
}

function valuesOf(context: VnodeContext): Record<(typeof CONTEXT_KEYS)[number], string | undefined> {
  return {
    'region-id': context.regionId,
    'access-key-id': context.accessKeyId,
    'access-key-secret': context.accessKeySecret,
    'security-token': context.securityToken,
    'vswitch-id': context.vswitchId,
    'security-group-id': context.securityGroupId,
    kubeconfig: context.kubeconfig,
  }
}
