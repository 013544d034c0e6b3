/** Removes a release's VNode, and all that was made for it. Each step may be repeated; what is written down goes last. */
import { VnodeError } from '../core/errors.ts'
import { isGone as isGoneStatus, refusalOfCaller, type SeenVirtualNode } from '../core/vnode/registration.ts'
import { nodeNameOf } from '../core/vnode/virtual-node-name.ts'
import { isGone } from '../eci/client.ts'
import { isStatus } from '../kube/api.ts'
import { systemClock } from '../kube/clock.ts'
import { cordon, drain } from '../kube/node-pods.ts'
import { resourcePath } from '../kube/path.ts'
import { isRefusal, listAfterRefusal, listSeen } from './listing.ts'
import { checkOwner, checkSilent } from './ownership.ts'
import type { BootstrapOptions, Prepared } from './prepare.ts'
import type { Progress } from './progress.ts'
import type { StoredRecord } from './record.ts'

/** The VNode's id; undefined where none was registered. Throws while Pods are left on it, and while it is not known which it is. */
export async function removeVnode(
  options: BootstrapOptions,
  { register, identity }: Prepared,
  progress: Progress,
): Promise<string | undefined> {
  const { records } = register
  const record = await records.read()
  if (record === undefined)
    return tellNotOurs(await listSeen(register, undefined), register.wish.name, progress)
  progress.follow(record)
  const id = await registeredId(options, record, register)
  progress.follow({ ...record, virtualNodeId: id })
  if (id !== undefined) {
    const seen = await listSeen(register, { ...record, virtualNodeId: id })
    await checkOurs(record, { id, seen, register })
    await removeOne(options, id, { register, progress })
    const others = seen.filter(one => one.virtualNodeId !== id)
    tellNotOurs(others, record.name, progress)
  }
  await identity.removeAll()
  await register.claims.release()
  if (!(await records.end(record)))
    throw new VnodeError('API', 'what is written down has changed meanwhile', {
      next: 'Somebody registers a VNode at the same time; run this again when that is over.',
    })
  return id
}

/** What a removal would do, found out without writing anything or asking ECI for more than its list. */
export type RemovalPlan =
  | { readonly kind: 'delete'; readonly virtualNodeId: string }
  /** A request was sent, and had no answer: it is sent once more, and what it has made is deleted. */
  | { readonly kind: 'ask'; readonly name: string }
  | { readonly kind: 'none'; readonly notOurs: readonly string[] }

/** Throws what a removal would throw before it does anything. */
export async function planRemoval({ register }: Prepared): Promise<RemovalPlan> {
  const record = await register.records.read()
  const seen = await listSeen(register, record)
  if (record === undefined) return { kind: 'none', notOurs: notOurs(seen, register.wish.name) }
  checkRegion(record, register)
  const { virtualNodeId: id, name } = record
  if (id !== undefined) {
    await checkOurs(record, { id, seen, register })
    return { kind: 'delete', virtualNodeId: id }
  }
  if (!record.isSent || record.intent === undefined) return { kind: 'none', notOurs: [] }
  checkCaller(record, register)
  return { kind: 'ask', name }
}

interface Listed {
  readonly id: string
  readonly seen: readonly SeenVirtualNode[]
  readonly register: Prepared['register']
}

/** Before the drain: whoever does not see it could not delete it either. */
async function checkOurs(record: StoredRecord, { id, seen, register }: Listed): Promise<void> {
  const known = seen.find(one => one.virtualNodeId === id)
  if (known !== undefined) return checkOwner(known, register)
  checkCaller(record, register)
  await checkSilent(id, register)
}

function notOurs(seen: readonly SeenVirtualNode[], name: string): readonly string[] {
  return seen.filter(one => one.virtualNodeName === name && !isGoneStatus(one)).map(one => one.virtualNodeId)
}

/** What is not written down as this release's may be somebody's own. */
function tellNotOurs(seen: readonly SeenVirtualNode[], name: string, progress: Progress): undefined {
  for (const virtualNodeId of notOurs(seen, name))
    progress.tell({
      reason: 'VnodeNotOurs',
      isWarning: true,
      message: `VNode ${virtualNodeId} named ${name} is not written down as this release's, and stays, and is paid for; vnode delete ${virtualNodeId} removes it`,
    })
  return undefined
}

function checkCaller(record: StoredRecord, { wish }: Prepared['register']): void {
  const refusal = refusalOfCaller(record, wish)
  if (refusal !== undefined) throw new VnodeError('REFUSED', refusal.message, { next: refusal.next })
}

function checkRegion({ regionId }: StoredRecord, { wish }: Prepared['register']): void {
  if (regionId === wish.regionId) return
  throw new VnodeError('REFUSED', `the VNode of this release is in ${regionId}, not in ${wish.regionId}`, {
    next: `Set the region back to ${regionId}.`,
  })
}

/** Of a request that was sent, and had no answer, only the same request tells what came of it. */
async function registeredId(
  { eci, signal }: BootstrapOptions,
  record: StoredRecord,
  register: Prepared['register'],
): Promise<string | undefined> {
  checkRegion(record, register)
  if (record.virtualNodeId !== undefined || !record.isSent || record.intent === undefined)
    return record.virtualNodeId
  checkCaller(record, register)
  try {
    return (await eci.createVirtualNode(record.intent.request, { signal })).virtualNodeId
  } catch (error) {
    if (!isRefusal(error)) throw error
    const seen = await listAfterRefusal(register, record, error)
    return seen.find(one => one.virtualNodeName === record.name && !isGoneStatus(one))?.virtualNodeId
  }
}

async function removeOne(
  options: BootstrapOptions,
  virtualNodeId: string,
  { register, progress }: Pick<Prepared, 'register'> & { readonly progress: Progress },
): Promise<void> {
  const { eci, signal } = options
  const nodeName = nodeNameOf(eci.regionId, virtualNodeId)
  await empty(options, nodeName, progress)
  progress.say('Deleting', `asking ECI to delete VNode ${virtualNodeId}`)
  // By its id, listed or not: what was created a moment ago need not be.
  const requestId = await eci.deleteVirtualNode(virtualNodeId, { signal }).then(
    answer => answer.requestId,
    async error => {
      if (!isGone(error)) throw error
      await checkSilent(virtualNodeId, register)
      return undefined
    },
  )
  await removeIfThere(options, resourcePath({ version: 'v1', plural: 'nodes', name: nodeName }))
  const message =
    requestId === undefined
      ? `VNode ${virtualNodeId} was gone already`
      : `VNode ${virtualNodeId} is deleted, and costs nothing any more; ECI's request id is ${requestId}`
  progress.tell({ reason: 'VnodeRemoved', message })
}

/** Nothing new is scheduled there, and what runs there moves away. ECI deletes no VNode that has Pods. */
async function empty(options: BootstrapOptions, nodeName: string, progress: Progress): Promise<void> {
  const { client, settings, signal, clock = systemClock } = options
  // Without its Node there may be Pods bound to it still.
  await cordon({ client, nodeName, clock, signal }).catch(error => {
    if (!isStatus(error, 404)) throw error
  })
  const left = await drain({
    client,
    nodeName,
    clock,
    limitMs: settings.waitMs,
    signal,
    onProgress: (pods, held) => {
      const waiting = held.length === 0 ? '' : `; a PodDisruptionBudget holds ${held.length} of them`
      progress.say('Draining', `Pods left on ${nodeName}: ${pods.length}${waiting}`)
    },
  })
  signal.throwIfAborted()
  if (left.length === 0) return
  const [{ namespace, name } = { namespace: '', name: '' }] = left
  throw new VnodeError(
    'REFUSED',
    `Node ${nodeName} still has ${left.length} Pods, such as ${namespace}/${name}`,
    {
      next: 'See which PodDisruptionBudgets hold them, and run this again; or keep the VNode: bootstrap.deleteOnUninstall=false.',
    },
  )
}

async function removeIfThere({ client }: BootstrapOptions, path: string): Promise<void> {
  await client.request({ method: 'DELETE', path }).catch(error => {
    if (!isStatus(error, 404)) throw error
  })
}
