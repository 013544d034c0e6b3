/** `vnode explain --live`: Pods of a cluster, and manifests by what a cluster has in force. Nothing is written. */
import type { Command } from 'commander'
import { type SettingsOptions, settingsFrom } from '../../config/settings.ts'
import { type SpillTimesOptions, spillTimesFrom } from '../../config/spill-times.ts'
import { type ErrorCode, messageOf, VnodeError } from '../../core/errors.ts'
import { type Workload, workloadOf } from '../../core/explain/workload.ts'
import { asRecord } from '../../core/kubernetes/objects.ts'
import { helperNames } from '../../core/rbac.ts'
import type { KubeClient } from '../../kube/api.ts'
import { isStatus } from '../../kube/api.ts'
import { connect } from '../../kube/client.ts'
import { STAYS } from '../../rules/reporter.ts'
import { configMapLabel, type RulesReport } from '../../rules/rules-state.ts'
import { ExitStatus, type Io } from '../io.ts'
import { VERSION } from '../version.ts'
import { type ClusterFacts, explainInput, type Item, namespacesOfManifests } from './explained.ts'
import {
  chooseInstallation,
  type HelperFacts,
  type Installation,
  readInstallations,
  takeOver,
  UNKNOWN_HELPER,
} from './installation.ts'
import { LiveCluster, type PodRef } from './live-cluster.ts'
import { checkOptions, type ExplainOptions, readManifests, report } from './run.ts'

export interface LiveFlags extends ExplainOptions, SettingsOptions, SpillTimesOptions {
  readonly kubeconfig?: string
  readonly context?: string
  readonly rulesNamespace: string
  readonly installation: boolean
}

/** `names`: Pods as `NAME` or `NAMESPACE/NAME`. */
export async function runLive(names: readonly string[], command: Command, io: Io): Promise<void> {
  const { kubeconfig, context } = command.opts<LiveFlags>()
  checkFlags(names, command.opts<LiveFlags>())
  const client = await connect({ kubeconfig, context, env: io.env, userAgent: `vnode-profile/${VERSION}` })
  try {
    await explainLive(names, { command, client, io })
  } finally {
    await client.close()
  }
}

function checkFlags(names: readonly string[], options: LiveFlags): void {
  checkOptions(options)
  if (options.rules !== undefined)
    throw new VnodeError('USAGE', '--rules and --live go not together: the rules are those of the cluster', {
      next: 'Leave out --live to explain manifests by rules of files.',
    })
  if (names.length > 0 || (options.filename ?? []).length > 0) return
  throw new VnodeError('USAGE', '--live is given neither a Pod nor a file to explain', {
    next: 'Name Pods, as NAMESPACE/POD or POD, or manifests with -f FILE.',
  })
}

interface Session {
  readonly command: Command
  readonly client: KubeClient
  readonly io: Io
}

async function explainLive(names: readonly string[], { command, client, io }: Session): Promise<void> {
  const { helper, words } = await settle(command, client)
  const flags = command.opts<LiveFlags>()
  const isNamed = command.getOptionValueSource('namespace') !== 'default'
  const namespace = isNamed ? flags.namespace : (client.namespace ?? flags.namespace)
  const settings = settingsFrom(flags)
  const { rulesNamespace, rulesName, namespaceLabels = new Map() } = flags
  const cluster = await openCluster({
    client,
    settings,
    spill: spillTimesFrom(flags),
    spills: helper.spills,
    lease: helperNames(helper.name).lease,
    lastGoodName: helperNames(helper.name).lastGood,
    rulesNamespace,
    rulesName,
    namespaceLabels,
  })
  const refs = names.map(name => refOf(name, namespace))
  const pods = await explainPods(refs, cluster, client.server)
  const manifests = await readManifests(flags, io)
  const needed = namespacesOfManifests(manifests, namespace)
  const namespaces = await Promise.all(needed.map(name => cluster.namespace(name)))
  const facts = factsOf(cluster, { flags, server: client.server, words })
  const input = { manifests, rules: [], settings, defaultNamespace: namespace, namespaceLabels }
  const explained = explainInput({ ...input, cluster: { ...facts, namespaces } })
  for (const { ref } of pods.missing) tellMissing(ref, io)
  const items = [...explained.items, ...pods.items]
  if (items.length > 0) report({ ...explained, items }, flags, io)
  if (pods.missing.length > 0) throw new ExitStatus(1)
}

/** Whose settings count: what was given, else the installation's, else the defaults. */
async function settle(
  command: Command,
  client: KubeClient,
): Promise<{ readonly helper: HelperFacts; readonly words: string }> {
  const given = { helper: UNKNOWN_HELPER, words: 'given as flags, or the defaults' }
  const { installation, installNamespace } = command.opts<LiveFlags>()
  if (!installation) return given
  const isNamed = command.getOptionValueSource('installNamespace') !== 'default'
  const found = await readInstallations(client).catch(error => {
    if (isStatus(error, 403)) return messageOf(error)
    throw error
  })
  if (typeof found === 'string')
    return { ...given, words: `${given.words}: those of the installation may not be looked at (${found})` }
  const chosen = chooseInstallation(found, isNamed ? installNamespace : undefined)
  if (chosen === undefined)
    return { ...given, words: `${given.words}: no installation of the chart was found` }
  return { helper: takeOver(command, chosen), words: `of ${namesOf(chosen)}` }
}

function namesOf({ deployments }: Installation): string {
  return `${deployments.length === 1 ? 'Deployment' : 'Deployments'} ${deployments.join(' and ')}`
}

async function openCluster(options: Parameters<typeof LiveCluster.open>[0]): Promise<LiveCluster> {
  try {
    return await LiveCluster.open(options)
  } catch (error) {
    if (!isStatus(error, 403)) throw error
    const { rulesNamespace, rulesName } = options
    throw new VnodeError('API', messageOf(error), {
      cause: error,
      next: `Without ${configMapLabel(rulesNamespace, rulesName)} no answer would be true. It takes the right to get it; Nodes, Namespaces, Selectors, Events and claims are said to be missing where they may not be looked at.`,
    })
  }
}

function refOf(name: string, defaultNamespace: string): PodRef {
  const parts = name.split('/')
  const [first = '', second = first] = parts
  if (parts.length <= 2 && parts.every(part => part !== ''))
    return { namespace: parts.length === 2 ? first : defaultNamespace, name: second }
  throw new VnodeError('USAGE', `${JSON.stringify(name)} names no Pod`, {
    next: 'Write NAMESPACE/POD, or POD with --namespace.',
  })
}

interface FoundPods {
  readonly items: readonly Item[]
  readonly missing: readonly { readonly ref: PodRef }[]
}

async function explainPods(
  refs: readonly PodRef[],
  cluster: LiveCluster,
  server: string,
): Promise<FoundPods> {
  const items: Item[] = []
  const missing: { readonly ref: PodRef }[] = []
  for (const ref of refs) {
    const raw = await cluster.read(ref)
    if (raw === undefined) missing.push({ ref })
    else items.push(await explainOne(raw, cluster, server))
  }
  return { items, missing }
}

/** Of a Pod with a shape that no apiserver takes, and of a patch that would make one. */
const FAULTS: readonly ErrorCode[] = ['BAD_REVIEW', 'INTERNAL']

async function explainOne(
  found: Record<string, unknown>,
  cluster: LiveCluster,
  server: string,
): Promise<Item> {
  const raw = { apiVersion: 'v1', kind: 'Pod', ...found }
  const workload = workloadOfPod(withoutManagedFields(raw))
  try {
    const { explanation, live } = await cluster.explain(raw)
    const result = withoutManagedFields(explanation.result)
    return { file: server, workload, explanation: { ...explanation, result }, live }
  } catch (error) {
    // The rest of the answers stands.
    if (error instanceof VnodeError && FAULTS.includes(error.code))
      return { file: server, workload, fault: messageOf(error) }
    throw error
  }
}

function workloadOfPod(raw: Record<string, unknown>): Workload {
  const found = workloadOf(raw, '')
  if (found !== undefined) return found
  throw new VnodeError('API', 'the API server answered with something else than a Pod')
}

/** They say who wrote which field, and are most of a Pod's text. */
function withoutManagedFields(pod: Record<string, unknown>): Record<string, unknown> {
  const { managedFields: _, ...metadata } = asRecord(pod.metadata) ?? {}
  return { ...pod, metadata }
}

function tellMissing({ namespace, name }: PodRef, io: Io): void {
  io.stderr(`vnode: there is no Pod ${namespace}/${name}\n`)
  io.stderr(`See which there are: kubectl get pods -n ${namespace}\n`)
}

function factsOf(
  cluster: LiveCluster,
  { flags, server, words }: { readonly flags: LiveFlags; readonly server: string; readonly words: string },
): Omit<ClusterFacts, 'namespaces'> {
  const { environment, hasConfigMap, reports } = cluster.rules
  const label = configMapLabel(flags.rulesNamespace, flags.rulesName)
  const absent = hasConfigMap ? [] : [`There is no ${label}.`]
  const refused = reports.flatMap(({ kind, origin, inForce = 'last-good' }: RulesReport) =>
    kind === 'refused' ? [`${origin.label} is refused; ${STAYS[inForce]}.`] : [],
  )
  const problems = reports.flatMap(({ origin, problems: found }) =>
    found.map(problem => ({ file: origin.label, problem })),
  )
  const notes = [...absent, ...refused, ...cluster.notes]
  return { environment, problems, introduction: { server, settings: words, notes } }
}
