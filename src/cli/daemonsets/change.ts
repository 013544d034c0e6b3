/** `vnode daemonsets fence` and `unfence`: one DaemonSet after the other; what goes wrong with one does not keep the others. */
import { recordOf } from '../../core/daemonset/fence-record.ts'
import { landingOf } from '../../core/daemonset/landing.ts'
import { planFence, planUnfence } from '../../core/daemonset/plan.ts'
import { messageOf, VnodeError } from '../../core/errors.ts'
import type { KubeClient } from '../../kube/api.ts'
import {
  type ChangeOptions,
  changeDaemonSet,
  type DaemonSetChange,
  type DaemonSetRef,
  listDaemonSets,
  readVnodes,
} from '../../kube/daemonsets.ts'
import { ExitStatus, type Io } from '../io.ts'
import { renderValue } from '../table.ts'
import { changeJson, changeText, type Verb } from './change-text.ts'
import { type ChangeFlags, withClient } from './flags.ts'

export async function runFence(names: readonly string[], flags: ChangeFlags, io: Io): Promise<void> {
  checkArguments(names, flags)
  await withClient(flags, io, async client => {
    const environment = { settings: flags.settings, vnodes: await readVnodes(client) }
    const optIn = flags.optIn === true
    const refs = flags.all
      ? (await listDaemonSets(client, flags.namespace)).filter(({ pod, isOptedOut }) =>
          isOptedOut ? optIn : landingOf(pod, environment).code === 'lands',
        )
      : refsOf(names, flags, client)
    await changeAll(client, refs, {
      verb: 'fence',
      flags,
      io,
      plan: daemonSet => planFence(daemonSet, { environment, optIn }),
    })
  })
}

export async function runUnfence(names: readonly string[], flags: ChangeFlags, io: Io): Promise<void> {
  checkArguments(names, flags)
  await withClient(flags, io, async client => {
    const refs = flags.all
      ? (await listDaemonSets(client, flags.namespace)).filter(one => recordOf(one) !== undefined)
      : refsOf(names, flags, client)
    await changeAll(client, refs, { verb: 'unfence', flags, io, plan: planUnfence })
  })
}

function checkArguments(names: readonly string[], { all = false }: ChangeFlags): void {
  const next = 'See the names: vnode daemonsets list'
  if (names.length === 0 && !all) throw new VnodeError('USAGE', 'name DaemonSets, or give --all', { next })
  if (names.length > 0 && all) throw new VnodeError('USAGE', 'give either names or --all, not both', { next })
}

function refsOf(
  names: readonly string[],
  { namespace }: ChangeFlags,
  client: KubeClient,
): readonly DaemonSetRef[] {
  return names.map(text => {
    const [first = '', second, ...more] = text.split('/')
    if (first === '' || second === '' || more.length > 0)
      throw new VnodeError('USAGE', `${JSON.stringify(text)} is neither NAMESPACE/NAME nor NAME`)
    if (second !== undefined) return { namespace: first, name: second }
    return { namespace: namespace ?? client.namespace ?? 'default', name: first }
  })
}

interface Work extends Pick<ChangeOptions, 'plan'> {
  readonly verb: Verb
  readonly flags: ChangeFlags
  readonly io: Io
}

async function changeAll(client: KubeClient, refs: readonly DaemonSetRef[], work: Work): Promise<void> {
  const { verb, flags, io, plan } = work
  const isDryRun = flags.dryRun === true || flags.dry === true
  const told: object[] = []
  let hasFailed = false
  for (const { namespace, name } of refs) {
    const ref = { namespace, name }
    const change = await attempt(changeDaemonSet(client, ref, { plan, isDryRun }))
    const context = { ref, verb, isDryRun, hasColor: io.hasColor }
    if (change instanceof Error || (change.kind === 'absent' && !flags.ignoreNotFound)) {
      io.stderr(
        `vnode: ${namespace}/${name}: ${change instanceof Error ? messageOf(change) : 'there is no such DaemonSet'}\n`,
      )
      hasFailed = true
    } else if (flags.output === 'table') io.stdout(changeText(change, context))
    else told.push(changeJson(change, context))
  }
  if (flags.output !== 'table') io.stdout(renderValue(told, flags.output))
  else if (refs.length === 0) io.stdout(`There is nothing to ${verb}.\n`)
  if (hasFailed) throw new ExitStatus(1)
}

/** What went wrong as a value; what is no mistake of the user's or the cluster's goes on. */
async function attempt(change: Promise<DaemonSetChange>): Promise<DaemonSetChange | VnodeError> {
  try {
    return await change
  } catch (error) {
    if (error instanceof VnodeError) return error
    throw error
  }
}
