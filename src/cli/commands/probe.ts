import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { applyEnvironment, dnsLabel, durationOption } from '../../config/flags.ts'
import { messageOf } from '../../core/errors.ts'
import { INSTALL_NAMESPACE } from '../../core/names.ts'
import { DEFAULT_NAME, helperNames } from '../../core/rbac.ts'
import type { ProbeResult } from '../../core/registration/probe.ts'
import type { KubeClient } from '../../kube/api.ts'
import { connectorOf } from '../connector.ts'
import { ExitStatus, type Io } from '../io.ts'

interface Flags {
  readonly installNamespace: string
  readonly name: string
  readonly wait: number
  readonly kubeconfig?: string
  readonly context?: string
}

const HELP = `
The Pod is never stored. Ends with 0 if the webhook has marked it, with 1 if not. Says also if the vendor's eci-profile is in the cluster.

Example:
  vnode probe --install-namespace vnode-system`

const LOOK_MS = 1_000

const NEXT: Readonly<Record<ProbeResult['outcome'], string>> = {
  ok: '',
  missed:
    "See the helper's Events and log: kubectl get events -n default; it registers the webhook once that serves.",
  failed:
    'See whether the webhook is ready, and whether API servers reach it: NetworkPolicies, security groups, hostNetwork.',
  refused: 'What refused the Pod is none of ours; mend that, or ask for an exception for this one Pod.',
}

export function probeCommand(io: Io): Command {
  const command = new Command('probe')
    .description(
      'Prove that API servers call the webhook: create a Pod for show, and see whether it is marked.',
    )
    .option('--install-namespace <name>', 'namespace of the installation', dnsLabel, INSTALL_NAMESPACE)
    .option('--name <prefix>', 'by which the objects of the installation are named', dnsLabel, DEFAULT_NAME)
    .addOption(durationOption('--wait <duration>', 'how long to try until it succeeds', '30s'))
    .option('--kubeconfig <file>', 'cluster (default: the one this runs in, then the usual places)')
    .option('--context <name>', 'context of the kubeconfig (default: its current one)')
    .addHelpText('after', HELP)
  return command.action(async () => {
    applyEnvironment(command, io.env)
    await prove(command.opts<Flags>(), io)
  })
}

async function prove({ installNamespace, name, wait, kubeconfig, context }: Flags, io: Io): Promise<void> {
  const client = await connectorOf({ kubeconfig, context }, io)()
  try {
    const place = { namespace: installNamespace, name: helperNames(name).probe }
    const { outcome, reason } = await tryFor(wait, () => probeOnce(client, place))
    io.stderr(await vendorText(client))
    if (outcome === 'ok') return io.stdout(`ok: ${reason}\n`)
    io.stderr(`vnode: the probe failed (${outcome}): ${reason}\n${NEXT[outcome]}\n`)
    throw new ExitStatus(1)
  } finally {
    await client.close()
  }
}

/** What is found of the vendor's is told whether the probe succeeds or not; it may be why it does not. */
async function vendorText(client: KubeClient): Promise<string> {
  const { lookForVendor } = await import('../../scheduler/vendor.ts')
  try {
    return (await lookForVendor(client)).map(({ message }) => `warning: ${message}\n`).join('')
  } catch (error) {
    return `note: the vendor's eci-profile could not be looked for: ${messageOf(error)}\n`
  }
}

async function probeOnce(
  client: KubeClient,
  place: { readonly namespace: string; readonly name: string },
): Promise<ProbeResult> {
  const { runProbe } = await import('../../scheduler/probe.ts')
  return runProbe(client, place)
}

/** The first success, or the last failure. */
async function tryFor(ms: number, probe: () => Promise<ProbeResult>): Promise<ProbeResult> {
  const deadline = performance.now() + ms
  for (;;) {
    const isLast = performance.now() >= deadline
    try {
      const result = await probe()
      if (result.outcome === 'ok' || isLast) return result
    } catch (error) {
      if (isLast) throw error
    }
    await sleep(LOOK_MS)
  }
}
