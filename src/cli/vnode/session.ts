/** What commands on VNodes have in common: a context of `~/.vnode/config`, and a client of ECI and of the cluster by it. */
import { dirname, resolve } from 'node:path'
import { type EciSettings, eciSettingsFrom } from '../../config/eci.ts'
import type { VnodeContext } from '../../config/vnode-config.ts'
import { expandHome } from '../../config/vnode-config-file.ts'
import { VnodeError } from '../../core/errors.ts'
import type { AccessKey } from '../../core/vnode/credential-settings.ts'
import { openEci } from '../../eci/open.ts'
import type { EciClient } from '../../eci/virtual-node.ts'
import type { KubeClient } from '../../kube/api.ts'
import { checkProblems, configFileOf, loadConfig } from '../config/load.ts'
import { noCurrent } from '../config/show.ts'
import { connectorOf } from '../connector.ts'
import type { Io } from '../io.ts'
import { VERSION } from '../version.ts'
import type { ContextFlags, SessionFlags } from './session-flags.ts'

const USER_AGENT = `vnode-profile/${VERSION}`

export interface Session {
  /** Undefined where there is no file of contexts. */
  readonly context: VnodeContext | undefined
  readonly settings: EciSettings
  readonly eci: EciClient
  /** The cluster of the kubeconfig that is named by the flag or the context, else the usual one. */
  readonly connect: () => Promise<KubeClient>
  /** Its path; undefined where none is named. */
  readonly kubeconfig: string | undefined
}

/**
 * Nothing is sent yet. Everything that is wrong with the context is said at once. An AccessKey that is given wins over whatever the flags
 * say of credentials.
 */
export async function openSession(flags: SessionFlags, io: Io, accessKey?: AccessKey): Promise<Session> {
  const file = configFileOf(flags.config, io)
  const context = await chooseContext(file, flags, io)
  const settings = eciSettingsFrom({ flags, env: io.env, context, accessKey })
  const kubeconfig = kubeconfigOf(file, { flags, context, io })
  const extraCaFile = settings.extraCaFile === undefined ? undefined : resolve(io.cwd, settings.extraCaFile)
  const eci = await openEci({
    ...settings,
    extraCaFile,
    userAgent: USER_AGENT,
    onRetry: ({ action, reason, delayMs }) =>
      io.stderr(`vnode: ${action}: ${reason}; trying again in ${Math.ceil(delayMs / 1000)} s\n`),
  })
  const connect = connectorOf({ kubeconfig }, io)
  return { context, settings, eci, connect, kubeconfig }
}

/** Does something with a session, whose connections are closed afterwards. */
export async function withSession<T>(
  flags: SessionFlags,
  io: Io,
  run: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(flags, io)
  try {
    return await run(session)
  } finally {
    await session.eci.close()
  }
}

async function chooseContext(file: string, flags: ContextFlags, io: Io): Promise<VnodeContext | undefined> {
  const loaded = await loadConfig(file, io)
  if (loaded === undefined) {
    // Everything may come by flags and variables; but a file or a context that was named must be there.
    if (flags.config === undefined && flags.context === undefined) return undefined
    throw new VnodeError('BAD_FILE', `there is no ${file}`, { next: 'Make it with: vnode config set NAME …' })
  }
  const { config } = loaded
  checkProblems(file, config.problems, io)
  const name = flags.context ?? config.currentContext
  if (name === undefined) throw noCurrent(file)
  const context = config.contexts.find(one => one.name === name)
  if (context === undefined) {
    const known = config.contexts.map(one => one.name).join(', ') || 'none'
    throw new VnodeError('USAGE', `${file} has no context "${name}"; there are: ${known}`)
  }
  checkProblems(file, context.problems, io)
  return context
}

interface KubeconfigInputs {
  readonly flags: SessionFlags
  readonly context: VnodeContext | undefined
  readonly io: Io
}

function kubeconfigOf(file: string, { flags, context, io }: KubeconfigInputs): string | undefined {
  if (flags.kubeconfig !== undefined) return resolve(io.cwd, flags.kubeconfig)
  if (context?.kubeconfig === undefined) return undefined
  return resolve(dirname(file), expandHome(context.kubeconfig, io.env))
}
