/** `vnode addon`: lists add-ons, and turns them on and off through Helm. */

import type { KubeClient } from '../../kube/api.ts'
import { ExitStatus, type Io } from '../io.ts'
import type { Output } from '../output-format.ts'
import { renderTable, renderValue } from '../table.ts'
import { ADDON_TEXTS, ADDONS, type AddonName, type Installed, installedAddons } from './addons.ts'
import { findChart, findHelm, renderCommand, runHelm } from './helm.ts'

export interface AddonOptions {
  readonly connect: () => Promise<KubeClient>
  /** For Helm; undefined: the usual one. */
  readonly kubeconfig: string | undefined
}

export interface ListAddonsOptions extends AddonOptions {
  readonly output: Output
}

const HEAD = ['ADDON', 'STATUS', 'READY', 'RELEASE', 'VERSION', 'WHAT IT DOES']

export async function runListAddons({ connect, output }: ListAddonsOptions, io: Io): Promise<void> {
  const installed = await withClient(connect, installedAddons)
  const all = ADDONS.map(name => ({ name, installed: installed.find(({ addon }) => addon === name) }))
  if (output === 'table') {
    const rows = all.map(one => [one.name, ...stateOf(one.installed), ADDON_TEXTS[one.name]])
    return io.stdout(renderTable(HEAD, rows))
  }
  const values = all.map(({ name, installed: found }) => ({
    name,
    enabled: found !== undefined,
    ...(found === undefined ? {} : { ...found, addon: undefined }),
  }))
  io.stdout(renderValue(values, output))
}

function stateOf(installed: Installed | undefined): string[] {
  if (installed === undefined) return ['disabled', '', '', '']
  const { ready, wanted, namespace, release, version } = installed
  return ['enabled', `${ready}/${wanted}`, `${namespace}/${release}`, version]
}

export interface SwitchOptions extends AddonOptions {
  readonly addon: AddonName
  /** Where a release is made if there is none. */
  readonly namespace: string
  readonly release: string
  /** In place of the chart that came along. */
  readonly chart: string | undefined
  /** Handed to Helm as they are. */
  readonly values: readonly string[]
  readonly set: readonly string[]
  readonly isDryRun: boolean
}

export async function runEnableAddon(options: SwitchOptions, io: Io): Promise<void> {
  const { addon, isDryRun } = options
  const installed = await withClient(options.connect, installedAddons)
  const isAlone = addon === 'vnode-approver' && !installed.some(one => one.addon === 'eci-profile')
  if (isAlone) io.stderr('vnode: eci-profile is in the same release, and is enabled with it\n')
  const wanted = addon === 'vnode-approver' ? ['--set', 'approver.enabled=true'] : []
  const helm = upgrade(options, { installed, chart: await chartOf(options), wanted })
  if (await runOrPrint(helm, { isDryRun, io })) io.stdout(`Add-on ${addon} is enabled.\n`)
}

export async function runDisableAddon(options: SwitchOptions, io: Io): Promise<void> {
  const { addon, isDryRun } = options
  const installed = await withClient(options.connect, installedAddons)
  const found = installed.find(one => one.addon === addon)
  if (found === undefined) return io.stdout(`Add-on ${addon} is not enabled.\n`)
  const helm =
    addon === 'eci-profile'
      ? ['uninstall', found.release, '--namespace', found.namespace, ...kubeconfigOf(options)]
      : upgrade(options, {
          installed,
          chart: await chartOf(options),
          wanted: ['--set', 'approver.enabled=false'],
        })
  if (addon === 'eci-profile' && installed.some(one => one.addon === 'vnode-approver'))
    io.stderr('vnode: vnode-approver is in the same release, and goes with it\n')
  if (await runOrPrint(helm, { isDryRun, io })) io.stdout(`Add-on ${addon} is disabled.\n`)
}

interface Wanted {
  readonly installed: readonly Installed[]
  readonly chart: string
  readonly wanted: readonly string[]
}

/** What is installed keeps its values, as far as nothing else is said. */
function upgrade(options: SwitchOptions, { installed, chart, wanted }: Wanted): string[] {
  const [first] = installed
  const { release, namespace } = first ?? options
  const isNew = first === undefined
  return [
    'upgrade',
    release,
    chart,
    '--namespace',
    namespace,
    ...(isNew ? ['--install', '--create-namespace'] : ['--reset-then-reuse-values']),
    ...options.values.flatMap(file => ['--values', file]),
    ...options.set.flatMap(pair => ['--set', pair]),
    ...wanted,
    ...kubeconfigOf(options),
  ]
}

function kubeconfigOf({ kubeconfig }: AddonOptions): string[] {
  return kubeconfig === undefined ? [] : ['--kubeconfig', kubeconfig]
}

async function chartOf({ chart }: SwitchOptions): Promise<string> {
  return chart ?? (await findChart()) ?? 'charts/vnode-profile'
}

/** False where nothing was done: in a dry run. Without Helm the command is printed, and the exit status says that it was not run. */
async function runOrPrint(
  args: readonly string[],
  { isDryRun, io }: { readonly isDryRun: boolean; readonly io: Io },
): Promise<boolean> {
  if (isDryRun) {
    io.stdout(renderCommand(args))
    return false
  }
  const program = await findHelm(io.env)
  if (program === undefined) {
    io.stderr('vnode: helm is not on this machine; where it is, run:\n')
    io.stdout(renderCommand(args))
    throw new ExitStatus(1)
  }
  await runHelm(program, args, io)
  return true
}

async function withClient<T>(
  connect: () => Promise<KubeClient>,
  run: (client: KubeClient) => Promise<T>,
): Promise<T> {
  const client = await connect()
  try {
    return await run(client)
  } finally {
    await client.close()
  }
}
