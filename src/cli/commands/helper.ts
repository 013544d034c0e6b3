import { hostname } from 'node:os'
import { Command, Option } from 'commander'
import {
  applyEnvironment,
  dnsLabel,
  durationOption,
  httpsUrl,
  installationName,
  objectName,
  wholeNumber,
} from '../../config/flags.ts'
import { addSettingsOptions, type SettingsOptions, settingsFrom } from '../../config/settings.ts'
import { addSpillTimes, type SpillTimesOptions, spillTimesFrom } from '../../config/spill-times.ts'
import { VnodeError } from '../../core/errors.ts'
import { OPS_PORT, RULES_CONFIGMAP, RULES_NAMESPACE } from '../../core/names.ts'
import { DEFAULT_NAME, helperNames } from '../../core/rbac.ts'
import type { FailurePolicy, Target } from '../../core/registration/configuration.ts'
import type { HelperOptions } from '../../scheduler/run.ts'
import type { HelperSettings } from '../../scheduler/settings.ts'
import { DEFAULT_SPILL, type SpillProgramSettings } from '../../scheduler/spill/settings.ts'
import { LOG_LEVELS, type LogLevel } from '../../telemetry/logger.ts'
import { connectorOf } from '../connector.ts'
import type { Io } from '../io.ts'

interface Flags extends SettingsOptions, SpillTimesOptions {
  readonly name: string
  readonly service?: string
  readonly servicePort: number
  readonly webhookUrl?: string
  readonly failurePolicy: FailurePolicy
  readonly timeout: number
  readonly rulesNamespace: string
  readonly rulesName: string
  readonly certSource: HelperSettings['certSource']
  readonly certificate?: { readonly namespace: string; readonly name: string }
  readonly caLife: number
  readonly certLife: number
  readonly owner?: string
  readonly grace: number
  readonly probeInterval: number
  readonly spill: boolean
  readonly spillRate: number
  readonly spillBurst: number
  readonly leaseDuration: number
  readonly renewDeadline: number
  readonly retryPeriod: number
  readonly host?: string
  readonly opsPort: number
  readonly kubeconfig?: string
  readonly context?: string
  readonly logLevel: LogLevel
}

const HELP = `
One of several helpers leads, by a Lease; the others stand by. Each flag is also an environment variable: --ca-life is VNODE_CA_LIFE.
Flags win. Durations are written as in Go: 90s, 5m, 24h.

Examples:
  vnode helper --install-namespace vnode-system
  vnode helper --webhook-url https://10.0.0.7:8443 --kubeconfig ~/.kube/config    the webhook runs outside of the cluster`

const MOST_PORTS = 65_535
/** X.509 counts in seconds, and a third of a life has to hold several settle times. */
const LEAST_LIFE = 30
/** A year and a quarter of one: long enough to be of no trouble, short enough to be exercised. */
const CA_LIFE = '8760h'
const CERT_LIFE = '2160h'
const MOST_SPILLS = 100_000
const PERIOD_MS = 10_000

export function helperCommand(io: Io): Command {
  const command = new Command('helper').description(
    'Keep certificates and registration of the webhook right, prove that it is called, and let Pods spill to VNodes.',
  )
  addSettingsOptions(command)
  addRegistration(command)
  addCertificates(command)
  addSpill(command)
  addProgram(command)
  return command.addHelpText('after', HELP).action(async () => {
    applyEnvironment(command, io.env)
    await serve(command.opts<Flags>(), io)
  })
}

function addRegistration(command: Command): void {
  command
    .option(
      '--name <prefix>',
      'by which the Lease, the Secret and the configurations are named',
      installationName,
      DEFAULT_NAME,
    )
    .option('--service <name>', "the webhook's Service (default: <prefix>-webhook)", dnsLabel)
    .option('--service-port <n>', "the Service's port", wholeNumber(1, MOST_PORTS), 443)
    .option('--webhook-url <url>', 'where the webhook is reached, in place of a Service', httpsUrl)
    .addOption(
      new Option('--failure-policy <policy>', 'what becomes of Pods when the webhook fails')
        .choices(['Ignore', 'Fail'])
        .default('Ignore'),
    )
    .option('--timeout <seconds>', 'how long an API server waits for the webhook', wholeNumber(1, 10), 2)
    .option('--rules-namespace <name>', 'namespace of the rules ConfigMap', dnsLabel, RULES_NAMESPACE)
    .option('--rules-name <name>', 'name of the rules ConfigMap', RULES_CONFIGMAP)
    .option('--owner <name>', 'ClusterRole with which the registration vanishes (default: <prefix>-helper)')
    .addOption(
      durationOption(
        '--grace <duration>',
        'how long the webhook may not serve before it is withdrawn',
        '1m',
        1,
      ),
    )
    .addOption(durationOption('--probe-interval <duration>', 'between two probes', '5m', 1))
}

function addCertificates(command: Command): void {
  command
    .addOption(
      new Option('--cert-source <whose>', 'who makes the certificates')
        .choices(['helper', 'cert-manager'])
        .default('helper'),
    )
    .option(
      '--certificate <namespace/name>',
      "cert-manager's Certificate (default: <prefix>-webhook of the installation)",
      objectName,
    )
    .addOption(durationOption('--ca-life <duration>', 'how long a CA lives', CA_LIFE, LEAST_LIFE))
    .addOption(
      durationOption('--cert-life <duration>', 'how long a certificate lives', CERT_LIFE, LEAST_LIFE),
    )
}

function addSpill(command: Command): void {
  const { rate, burst } = DEFAULT_SPILL
  command.option(
    '--no-spill',
    'leave Pods that exist alone: none of them goes to a VNode later than at its creation',
  )
  addSpillTimes(command)
    .option('--spill-rate <n>', 'spills a second; ECI limits creations', wholeNumber(1, MOST_SPILLS), rate)
    .option('--spill-burst <n>', 'spills at once', wholeNumber(1, MOST_SPILLS), burst)
}

function addProgram(command: Command): void {
  command
    .addOption(
      durationOption('--lease-duration <duration>', 'how long others leave the Lease alone', '15s', 1),
    )
    .addOption(
      durationOption('--renew-deadline <duration>', 'how long the leader may fail to renew', '10s', 1),
    )
    .addOption(durationOption('--retry-period <duration>', 'between two renewals', '2s', 0.1))
    .option('--host <address>', 'address to listen on (default: all)')
    .option(
      '--ops-port <n>',
      'plain HTTP port for /healthz, /readyz and /metrics',
      wholeNumber(0, MOST_PORTS),
      OPS_PORT,
    )
    .option('--kubeconfig <file>', 'cluster (default: the one this runs in, then the usual places)')
    .option('--context <name>', 'context of the kubeconfig (default: its current one)')
    .addOption(
      new Option('--log-level <level>', 'least important lines to log').choices(LOG_LEVELS).default('info'),
    )
}

async function serve(flags: Flags, io: Io): Promise<void> {
  const stopped = io.stopSignal()
  const options = helperOptions(flags, io)
  const [{ startHelper }, { createJsonLog }] = await Promise.all([
    import('../../scheduler/run.ts'),
    import('../../telemetry/json-log.ts'),
  ])
  const { log, close } = createJsonLog(flags.logLevel, 1)
  try {
    const helper = await startHelper({ ...options, log })
    await new Promise<void>(resolve => {
      if (stopped.aborted) resolve()
      else stopped.addEventListener('abort', () => resolve(), { once: true })
    })
    await helper.stop()
  } finally {
    await close()
  }
}

function helperOptions(flags: Flags, io: Io): Omit<HelperOptions, 'log'> {
  const { kubeconfig, context, host, opsPort } = flags
  return {
    settings: helperSettings(flags),
    connect: connectorOf({ kubeconfig, context }, io),
    hostname: hostname(),
    election: {
      leaseDurationMs: flags.leaseDuration,
      renewDeadlineMs: flags.renewDeadline,
      retryPeriodMs: flags.retryPeriod,
    },
    ...(host === undefined ? {} : { host }),
    opsPort,
  }
}

function helperSettings(flags: Flags): HelperSettings {
  const { name, installNamespace, certSource } = flags
  const names = helperNames(name)
  const { namespace, name: certificate } = flags.certificate ?? {
    namespace: installNamespace,
    name: names.certificate,
  }
  return {
    registration: {
      name: names.registration,
      target: targetOf(flags, names.service),
      installNamespace,
      excludedNamespaces: flags.excludeNamespaces,
      failurePolicy: flags.failurePolicy,
      timeoutSeconds: flags.timeout,
      rulesNamespace: flags.rulesNamespace,
      rulesName: flags.rulesName,
      injectFrom: certSource === 'cert-manager' ? `${namespace}/${certificate}` : undefined,
    },
    decisions: settingsFrom(flags),
    spill: flags.spill ? spillSettings(flags) : undefined,
    owner: flags.owner ?? names.owner,
    certSource,
    secret: names.secret,
    probe: names.probe,
    lease: names.lease,
    lastGood: names.lastGood,
    lives: { authorityMs: flags.caLife, servingMs: flags.certLife },
    graceMs: flags.grace,
    probeIntervalMs: flags.probeInterval,
    periodMs: PERIOD_MS,
  }
}

function spillSettings(flags: Flags): SpillProgramSettings {
  return { ...spillTimesFrom(flags), rate: flags.spillRate, burst: flags.spillBurst }
}

function targetOf({ service, servicePort, webhookUrl, installNamespace }: Flags, fallback: string): Target {
  if (webhookUrl === undefined)
    return { kind: 'service', namespace: installNamespace, name: service ?? fallback, port: servicePort }
  if (service === undefined) return { kind: 'url', url: webhookUrl }
  throw new VnodeError('USAGE', '--service and --webhook-url go not together', {
    next: 'Name one way to the webhook: its Service, or its URL.',
  })
}
