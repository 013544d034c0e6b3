/** Flags of the commands on VNodes. Apart from the session, which loads the SDK. */
import type { Command } from 'commander'
import { addEciOptions, type EciFlags } from '../../config/eci.ts'

export interface ContextFlags {
  readonly config?: string
  readonly context?: string
}

export interface SessionFlags extends ContextFlags, EciFlags {
  readonly kubeconfig?: string
}

const HELP = `
The flags win over the context, and each is also an environment variable: --eci-endpoint is VNODE_ECI_ENDPOINT. A proxy is taken from HTTPS_PROXY and NO_PROXY.`

export function addSessionOptions(command: Command): Command {
  command
    .option('--config <file>', 'file of contexts (default: ~/.vnode/config)')
    .option('--context <name>', 'context of that file (default: its current one)')
    .addHelpText('after', HELP)
  return addEciOptions(command)
}
