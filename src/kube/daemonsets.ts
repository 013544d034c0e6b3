/** DaemonSets of a cluster, read and changed by whoever has the rights: the command line, and steps of an installation. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Operation } from 'fast-json-patch'
import { type DaemonSetFacts, daemonSetFacts } from '../core/daemonset/daemon-set.ts'
import type { DaemonSetPlan, PlannedChange } from '../core/daemonset/plan.ts'
import { VnodeError } from '../core/errors.ts'
import { asArray, asRecord, asRecords, asString } from '../core/kubernetes/objects.ts'
import { FIELD_MANAGER, VNODE_TYPE_LABEL, VNODE_TYPE_VALUE } from '../core/names.ts'
import { VnodeSet, vnodeOf } from '../core/vnode/vnode-set.ts'
import { isStatus, type KubeClient } from './api.ts'
import { resourcePath } from './path.ts'
import { listAll, readUnlessMissing } from './read.ts'

export interface DaemonSetRef {
  readonly namespace: string
  readonly name: string
}

type Requests = Pick<KubeClient, 'request' | 'stream'>

/** The VNodes of the cluster. */
export async function readVnodes(client: Requests): Promise<VnodeSet> {
  const labelSelector = `${VNODE_TYPE_LABEL}=${VNODE_TYPE_VALUE}`
  const nodes = await listAll(client, resourcePath({ version: 'v1', plural: 'nodes' }), { labelSelector })
  return new VnodeSet(nodes.map(vnodeOf).filter(vnode => vnode !== undefined))
}

/** Those of one namespace, or of all, in the order of their names. */
export async function listDaemonSets(client: Requests, namespace?: string): Promise<DaemonSetFacts[]> {
  const path = resourcePath({ group: 'apps', version: 'v1', plural: 'daemonsets', namespace })
  return (await listAll(client, path)).map(daemonSetFacts)
}

/** How many Pods of each DaemonSet, by its uid, are bound to these nodes. */
export async function countDaemonPods(
  client: Requests,
  nodes: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (const node of nodes) {
    const fieldSelector = `spec.nodeName=${node}`
    const pods = await listAll(client, resourcePath({ version: 'v1', plural: 'pods' }), { fieldSelector })
    for (const pod of pods) {
      const owners = asRecords(asRecord(pod.metadata)?.ownerReferences)
      const uid = asString(
        owners.find(({ controller, kind }) => controller === true && kind === 'DaemonSet')?.uid,
      )
      if (uid !== undefined) counts.set(uid, (counts.get(uid) ?? 0) + 1)
    }
  }
  return counts
}

export type DaemonSetChange =
  | { readonly kind: 'absent' }
  | (Extract<DaemonSetPlan, { kind: 'leave' }> & { readonly before: DaemonSetFacts })
  | (Pick<PlannedChange, 'outcome' | 'patch' | 'notes'> & {
      readonly kind: 'changed'
      readonly before: DaemonSetFacts
      /** As the API server has it, or would have it. */
      readonly after: DaemonSetFacts
    })

export interface ChangeOptions {
  readonly plan: (daemonSet: DaemonSetFacts) => DaemonSetPlan
  /** The API server goes through all of it and stores nothing. */
  readonly isDryRun?: boolean
}

/** As often somebody may be faster than we are; an operator at work on it does not go on for ever. */
const MOST_ATTEMPTS = 20
/** So much longer before each further one: its controller writes the status of a DaemonSet that is rolled out many times a second. */
const PAUSE_MS = 20

/**
 * Reads one DaemonSet, plans, and sends the patch, which holds for exactly the version that was read: where somebody was faster, it is read
 * and planned anew.
 */
export async function changeDaemonSet(
  client: Pick<KubeClient, 'request'>,
  ref: DaemonSetRef,
  { plan, isDryRun = false }: ChangeOptions,
): Promise<DaemonSetChange> {
  const path = resourcePath({ group: 'apps', version: 'v1', plural: 'daemonsets', ...ref })
  const change = await persist(ref, async () => {
    const before = await readDaemonSet(client, path)
    if (before === undefined) return { kind: 'absent' } as const
    const planned = plan(before)
    if (planned.kind === 'leave') return { ...planned, before }
    const { outcome, patch, notes } = planned
    const after = await send(client, path, { patch, before, isDryRun })
    return after === undefined
      ? undefined
      : ({ kind: 'changed', outcome, patch, notes, before, after } as const)
  })
  if (change.kind !== 'absent' && !isDryRun)
    await disown(client, ref, change.kind === 'changed' ? change.after : change.before)
  return change
}

/** Until somebody else is not faster. */
async function persist<T>(
  { namespace, name }: DaemonSetRef,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  for (let attempts = 1; attempts <= MOST_ATTEMPTS; attempts += 1) {
    const result = await attempt()
    if (result !== undefined) return result
    await delay(PAUSE_MS * attempts)
  }
  throw new VnodeError('API', `DaemonSet ${namespace}/${name} changes all the time`, {
    next: 'See who writes to it (kubectl get daemonset -o yaml --show-managed-fields), and try again.',
  })
}

/**
 * Gives up the ownership of what was written, which a fence by admission does not have either: terms are one field, and whoever applies his
 * own by server-side apply (Helm 4 does) would otherwise be refused for ever, whatever he came to change. One that is left as it is may have
 * it from an earlier run that was cut off.
 */
async function disown(
  client: Pick<KubeClient, 'request'>,
  ref: DaemonSetRef,
  changed: DaemonSetFacts,
): Promise<void> {
  const path = resourcePath({ group: 'apps', version: 'v1', plural: 'daemonsets', ...ref })
  let current: DaemonSetFacts | undefined = changed
  await persist(ref, async () => {
    const before = current
    const patch = before === undefined ? undefined : disowning(before)
    if (before === undefined || patch === undefined) return true
    const after = await send(client, path, { patch, before, isDryRun: false })
    if (after === undefined) current = await readDaemonSet(client, path)
    return after === undefined ? undefined : true
  })
}

/** Undefined where nothing of it is ours. */
function disowning({ object }: DaemonSetFacts): Operation[] | undefined {
  const metadata = asRecord(object.metadata)
  const index = asArray(metadata?.managedFields).findIndex(
    entry => asRecord(entry)?.manager === FIELD_MANAGER,
  )
  if (index < 0) return undefined
  const path = `/metadata/managedFields/${index}`
  return [
    { op: 'replace', path: '/metadata/resourceVersion', value: metadata?.resourceVersion },
    { op: 'test', path: `${path}/manager`, value: FIELD_MANAGER },
    { op: 'remove', path },
  ]
}

async function readDaemonSet(
  client: Pick<KubeClient, 'request'>,
  path: string,
): Promise<DaemonSetFacts | undefined> {
  const found = await readUnlessMissing(client, path)
  return found === undefined ? undefined : daemonSetFacts(found)
}

interface Sending {
  readonly patch: readonly Operation[]
  /** What the patch was made for. */
  readonly before: DaemonSetFacts
  readonly isDryRun: boolean
}

/** Undefined where the DaemonSet is another, or no more, by now. */
async function send(
  client: Pick<KubeClient, 'request'>,
  path: string,
  { patch, before, isDryRun }: Sending,
): Promise<DaemonSetFacts | undefined> {
  try {
    const answer = await client.request<unknown>({
      method: 'PATCH',
      path,
      query: { fieldManager: FIELD_MANAGER, dryRun: isDryRun ? 'All' : undefined },
      contentType: 'application/json-patch+json',
      body: patch,
    })
    return daemonSetFacts(answer)
  } catch (error) {
    if (isStatus(error, 409) || isStatus(error, 404)) return undefined
    // A patch that does not apply to what the DaemonSet has become is a 422, before any look at the version.
    if (isStatus(error, 422) && versionOf(await readDaemonSet(client, path)) !== versionOf(before))
      return undefined
    throw error
  }
}

function versionOf(daemonSet: DaemonSetFacts | undefined): unknown {
  return asRecord(daemonSet?.object.metadata)?.resourceVersion
}
