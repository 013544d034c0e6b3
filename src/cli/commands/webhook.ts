import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { applyEnvironment, installationName, objectName, repeated, wholeNumber } from '../../config/flags.ts'
import { addSettingsOptions, type SettingsOptions, settingsFrom } from '../../config/settings.ts'
import { VnodeError } from '../../core/errors.ts'
import { OPS_PORT, RULES_CONFIGMAP, RULES_NAMESPACE, WEBHOOK_PORT } from '../../core/names.ts'
import { DEFAULT_NAME, helperNames } from '../../core/rbac.ts'
import { LOG_LEVELS, type LogLevel } from '../../telemetry/logger.ts'
import type { SecretName } from '../../webhook/open-certificate.ts'
import type { RunningWebhook, WebhookOptions } from '../../webhook/run.ts'
import { connectorOf } from '../connector.ts'
import type { Io } from '../io.ts'

interface Flags extends SettingsOptions {
  readonly rules?: readonly string[]
  readonly kubeconfig?: string
  readonly context?: string
  readonly rulesNamespace: string
  readonly rulesName: string
  readonly name: string
  readonly readOnly?: boolean
  readonly host?: string
  readonly port: number
  readonly opsPort: number
  readonly certDir: string
  readonly certSecret?: SecretName
  readonly devCerts?: boolean
  readonly shutdownDelay: number
  readonly drainLimit: number
  readonly logLevel: LogLevel
  readonly hints?: boolean
}

const HELP = `
Each flag is also an environment variable: --ops-port is VNODE_OPS_PORT. Flags win; lists are comma-separated.

Examples:
  vnode webhook --dev-certs --cert-dir certs --rules examples/default-rules.yaml
  vnode webhook --cert-dir /certs --kubeconfig ~/.kube/config`

const MOST_PORTS = 65_535
const LONGEST_WAIT = 3_600

export function webhookCommand(io: Io): Command {
  const command = new Command('webhook')
    .description('Serve the admission webhook over HTTPS until told to stop.')
    .option(
      '--rules <file>',
      'read rules from this file and follow it, in place of the cluster (repeatable)',
      repeated,
    )
    .option(
      '--kubeconfig <file>',
      'cluster to read rules from (default: the one this runs in, then the usual places)',
    )
    .option('--context <name>', 'context of the kubeconfig (default: its current one)')
    .option('--rules-namespace <name>', 'namespace of the rules ConfigMap', RULES_NAMESPACE)
    .option('--rules-name <name>', 'name of the rules ConfigMap', RULES_CONFIGMAP)
    .option(
      '--name <prefix>',
      'by which the ConfigMap with the last good rules is named, as the helper is told',
      installationName,
      DEFAULT_NAME,
    )
    .option('--read-only', 'leave Events about rules, and keeping the last good ones, to the helper')
    .option('--host <address>', 'address to listen on (default: all)')
    .option(
      '--port <n>',
      'HTTPS port for reviews; 0 takes a free one',
      wholeNumber(0, MOST_PORTS),
      WEBHOOK_PORT,
    )
    .option(
      '--ops-port <n>',
      'plain HTTP port for /healthz, /readyz and /metrics',
      wholeNumber(0, MOST_PORTS),
      OPS_PORT,
    )
    .option('--cert-dir <dir>', 'folder with tls.crt, tls.key and ca.crt; followed when they change', 'certs')
    .option(
      '--cert-secret <namespace/name>',
      'serve the certificate of this Secret and follow it, in place of a folder',
      objectName,
    )
    .option('--dev-certs', 'make certificates for local use in that folder where there are none')
    .option(
      '--shutdown-delay <seconds>',
      'how long new connections are still taken after the signal',
      wholeNumber(0, LONGEST_WAIT),
      5,
    )
    .option(
      '--drain-limit <seconds>',
      'how long requests may still take after that',
      wholeNumber(0, LONGEST_WAIT),
      20,
    )
    .addOption(
      new Option('--log-level <level>', 'least important lines to log').choices(LOG_LEVELS).default('info'),
    )
    .option('--hints', 'say on stderr what to try next, once serving')
    .addHelpText('after', HELP)
  return addSettingsOptions(command).action(async () => {
    applyEnvironment(command, io.env)
    const flags = command.opts<Flags>()
    const hasFolder = flags.devCerts === true || command.getOptionValueSource('certDir') !== 'default'
    if (flags.certSecret !== undefined && hasFolder) throw twoCertificates()
    await serve(flags, io)
  })
}

function twoCertificates(): VnodeError {
  return new VnodeError('USAGE', '--cert-secret goes neither with --cert-dir nor with --dev-certs', {
    next: 'Name one place for the certificate: the Secret, or the folder.',
  })
}

async function serve(flags: Flags, io: Io): Promise<void> {
  const stopped = io.stopSignal()
  const [{ startWebhook }, { createJsonLog }] = await Promise.all([
    import('../../webhook/run.ts'),
    import('../../telemetry/json-log.ts'),
  ])
  const { log, close } = createJsonLog(flags.logLevel, 1)
  try {
    const webhook = await startWebhook({ ...webhookOptions(flags, io), log })
    if (flags.hints) io.stderr(hints(webhook, flags))
    await new Promise<void>(resolve => {
      if (stopped.aborted) resolve()
      else stopped.addEventListener('abort', () => resolve(), { once: true })
    })
    await webhook.stop()
  } finally {
    await close()
  }
}

function webhookOptions(flags: Flags, io: Io): Omit<WebhookOptions, 'log'> {
  const { kubeconfig, context } = flags
  return {
    settings: settingsFrom(flags),
    files: (flags.rules ?? []).map(file => resolve(io.cwd, file)),
    connect: connectorOf({ kubeconfig, context }, io),
    rulesNamespace: flags.rulesNamespace,
    rulesName: flags.rulesName,
    lastGoodName: helperNames(flags.name).lastGood,
    isReadOnly: flags.readOnly === true,
    ...(flags.host === undefined ? {} : { host: flags.host }),
    port: flags.port,
    opsPort: flags.opsPort,
    certDir: resolve(io.cwd, flags.certDir),
    ...(flags.certSecret === undefined ? {} : { certSecret: flags.certSecret }),
    isDev: flags.devCerts === true,
    shutdownDelayMs: flags.shutdownDelay * 1000,
    drainLimitMs: flags.drainLimit * 1000,
    isVerbose: flags.logLevel === 'debug',
  }
}

function hints({ address, opsAddress }: RunningWebhook, { certDir, rules = [] }: Flags): string {
  const flags = rules.map(file => `--rules ${file}`).join(' ')
  return `
The webhook serves https://127.0.0.1:${address.port} by the rules in ${rules.join(' and ') || 'the cluster'}. In another terminal:

  # a review as an API server sends it; the patch in the answer is base64
  curl --cacert ${certDir}/ca.crt -H 'content-type: application/json' \\
       -d @examples/review.json https://127.0.0.1:${address.port}/mutate/pods

  # the same in words, for any manifests
  npm run -s vnode -- explain -f examples/pods.yaml ${flags}

  # what is loaded; /metrics has the numbers
  curl http://127.0.0.1:${opsAddress.port}/readyz

Edit the rules while it runs: the next review follows them. Ctrl-C stops.

`
}
