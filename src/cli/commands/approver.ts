import { Command, Option } from 'commander'
import { applyEnvironment, wholeNumber } from '../../config/flags.ts'
import { OPS_PORT, VNODE_USER_PREFIX } from '../../core/names.ts'
import { LOG_LEVELS, type LogLevel } from '../../telemetry/logger.ts'
import { connectorOf } from '../connector.ts'
import type { Io } from '../io.ts'

interface Flags {
  readonly commonNamePrefix: string
  readonly host?: string
  readonly opsPort: number
  readonly kubeconfig?: string
  readonly context?: string
  readonly logLevel: LogLevel
}

const HELP = `
A request is approved if it asks the signer kubernetes.io/kube-apiserver-client for a certificate of organization system:vnodes, whose
common name is the prefix and the name of a Node, for exactly digital signature, key encipherment and client auth, without alternative
names; and if whoever asks may create certificatesigningrequests/nodeclient, or renews its own certificate and may create
certificatesigningrequests/selfnodeclient (named system:vnodes, of certificates.k8s.io). Any other is left alone; an Event says why.

Examples:
  vnode approver
  vnode approver --common-name-prefix system:vnode --kubeconfig ~/.kube/config    as the vendor's vnode-approver matches names`

export function approverCommand(io: Io): Command {
  const command = new Command('approver')
    .description("Approve VNodes' certificate signing requests, and leave all others alone.")
    .addOption(
      new Option('--common-name-prefix <prefix>', 'what the common name begins with')
        .choices([VNODE_USER_PREFIX, 'system:vnode'])
        .default(VNODE_USER_PREFIX),
    )
    .option('--host <address>', 'address to listen on (default: all)')
    .option(
      '--ops-port <n>',
      'plain HTTP port for /healthz, /readyz and /metrics',
      wholeNumber(0, 65_535),
      OPS_PORT,
    )
    .option('--kubeconfig <file>', 'cluster (default: the one this runs in, then the usual places)')
    .option('--context <name>', 'context of the kubeconfig (default: its current one)')
    .addOption(
      new Option('--log-level <level>', 'least important lines to log').choices(LOG_LEVELS).default('info'),
    )
    .addHelpText('after', HELP)
  return command.action(async () => {
    applyEnvironment(command, io.env)
    await serve(command.opts<Flags>(), io)
  })
}

async function serve(flags: Flags, io: Io): Promise<void> {
  const stopped = io.stopSignal()
  const { commonNamePrefix, host, opsPort, kubeconfig, context, logLevel } = flags
  const [{ startApprover }, { createJsonLog }] = await Promise.all([
    import('../../approver/run.ts'),
    import('../../telemetry/json-log.ts'),
  ])
  const { log, close } = createJsonLog(logLevel, 1)
  try {
    const approver = await startApprover({
      settings: { commonNamePrefix },
      connect: connectorOf({ kubeconfig, context }, io),
      ...(host === undefined ? {} : { host }),
      opsPort,
      log,
    })
    await new Promise<void>(resolve => {
      if (stopped.aborted) resolve()
      else stopped.addEventListener('abort', () => resolve(), { once: true })
    })
    await approver.stop()
  } finally {
    await close()
  }
}
