/** `vnode delete`: refuses while Pods run on the VNode, unless told what shall become of them. */
import { messageOf, VnodeError } from '../../core/errors.ts'
import { asRecord, asString, own } from '../../core/kubernetes/objects.ts'
import { nodeNameOf } from '../../core/vnode/virtual-node-name.ts'
import { EciError } from '../../eci/error.ts'
import type { VirtualNode } from '../../eci/virtual-node.ts'
import { isStatus, type KubeClient } from '../../kube/api.ts'
import { systemClock } from '../../kube/clock.ts'
import { cordon, drain, type NodePod, podsOfNode, uncordon } from '../../kube/node-pods.ts'
import { resourcePath } from '../../kube/path.ts'
import type { Io } from '../io.ts'
import { counted } from '../problem-text.ts'
import { checkBelonging, findNode } from './belonging.ts'
import { findVirtualNode } from './list.ts'
import { renderRequest } from './request.ts'
import { type Session, withSession } from './session.ts'
import type { SessionFlags } from './session-flags.ts'

export interface DeleteOptions {
  readonly flags: SessionFlags
  readonly virtualNodeId: string
  /** Move the Pods away first. */
  readonly isDrained: boolean
  /** Whatever runs there, and whosever it is. */
  readonly isForced: boolean
  readonly isDryRun: boolean
  readonly drainLimitMs: number
}

export async function runDelete(options: DeleteOptions, io: Io): Promise<void> {
  await withSession(options.flags, io, async session => {
    const virtualNode = await findVirtualNode(session, options.virtualNodeId)
    const client = await connectUnlessForced(session, options, io)
    try {
      if (client !== undefined) await look(virtualNode, client, { options, io })
      const isAtOnce = client === undefined || options.isForced || options.isDryRun
      if (isAtOnce) await remove(session, virtualNode, { options, io })
      else await removeCordoned(session, { virtualNode, client }, { options, io })
      if (client !== undefined && !options.isDryRun) await forgetNode(virtualNode, client, io)
    } finally {
      await client?.close()
    }
  })
}

interface Ways {
  readonly options: DeleteOptions
  readonly io: Io
}

async function connectUnlessForced(
  { connect }: Session,
  { isForced }: DeleteOptions,
  io: Io,
): Promise<KubeClient | undefined> {
  try {
    return await connect()
  } catch (error) {
    if (!isForced) throw error
    io.stderr(`vnode: warning: no cluster is asked what runs there: ${String(error)}\n`)
    return undefined
  }
}

/** What runs there now: a reason to stop, or said. */
async function look(virtualNode: VirtualNode, client: KubeClient, { options, io }: Ways): Promise<void> {
  const nodeName = nodeNameOf(virtualNode.regionId, virtualNode.virtualNodeId)
  if (!options.isForced) await checkBelonging(virtualNode, client)
  const pods = await podsOfNode(client, nodeName).catch(error => {
    if (!options.isForced) throw error
    io.stderr(`vnode: warning: what runs there cannot be seen: ${String(error)}\n`)
    return []
  })
  if (pods.length === 0) return
  if (options.isForced) io.stderr(`vnode: warning: ${renderLoss(nodeName, pods)}`)
  else if (!options.isDrained) throw podsAreThere(nodeName, pods)
  else if (options.isDryRun)
    io.stdout(`Node ${nodeName}: would be cordoned, and ${counted(pods.length, 'Pod')} evicted\n`)
}

/** A Pod could come between the look and the deletion, so no new ones may; where the VNode stays after all, they may again. */
async function removeCordoned(
  session: Session,
  { virtualNode, client }: { readonly virtualNode: VirtualNode; readonly client: KubeClient },
  ways: Ways,
): Promise<void> {
  const nodeName = nodeNameOf(virtualNode.regionId, virtualNode.virtualNodeId)
  const signal = ways.io.stopSignal()
  const wasOpen = await cordonNode(nodeName, client, signal)
  const { isDrained } = ways.options
  let left: readonly NodePod[] = []
  try {
    left = isDrained ? await drainNode(nodeName, client, ways) : await podsOfNode(client, nodeName)
    if (left.length > 0) throw isDrained ? podsAreLeft(nodeName, left) : podsAreThere(nodeName, left)
    if (signal.aborted)
      throw new VnodeError('REFUSED', `interrupted; VNode ${virtualNode.virtualNodeId} stays`)
    await remove(session, virtualNode, ways)
  } catch (error) {
    // A drain that has not finished goes on with the next run.
    const isKept = isDrained && left.length > 0
    if (wasOpen && !isKept) await uncordonNode(nodeName, client, { error, io: ways.io })
    throw error
  }
}

/** True if it was open until then; one that is not there is not: nothing comes to it. */
async function cordonNode(nodeName: string, client: KubeClient, signal: AbortSignal): Promise<boolean> {
  try {
    const node = await findNode(client, nodeName)
    const isCordoned = own(asRecord(own(asRecord(node), 'spec')), 'unschedulable') === true
    if (node === undefined || isCordoned) return false
    await cordon({ client, nodeName, clock: systemClock, signal })
    return true
  } catch (error) {
    if (isStatus(error, 404)) return false
    throw new VnodeError(
      'API',
      `Node ${nodeName} cannot be cordoned, so that Pods could come while it is deleted: ${messageOf(error)}`,
      { next: 'Give a kubeconfig that may get and patch nodes, or say --force.' },
    )
  }
}

interface Stayed {
  /** Why the VNode stays. */
  readonly error: unknown
  readonly io: Io
}

async function uncordonNode(nodeName: string, client: KubeClient, { error, io }: Stayed): Promise<void> {
  const command = `kubectl uncordon ${nodeName}`
  if (error instanceof EciError && error.isOutcomeUnknown) {
    io.stderr(
      `vnode: warning: Node ${nodeName} stays cordoned, as its VNode may be deleted all the same\nIf vnode list still has it, run this again, or: ${command}\n`,
    )
    return
  }
  try {
    await uncordon(client, nodeName)
  } catch (failure) {
    if (isStatus(failure, 404)) return
    io.stderr(
      `vnode: warning: Node ${nodeName} stays cordoned: ${messageOf(failure)}\nTake it back into use with: ${command}\n`,
    )
  }
}

function podsAreThere(nodeName: string, pods: readonly NodePod[]): VnodeError {
  return new VnodeError('REFUSED', renderLoss(nodeName, pods).trimEnd(), {
    next: 'Move them away with --drain, or say --force to lose them.',
  })
}

const MOST_NAMED = 10

function renderLoss(nodeName: string, pods: readonly NodePod[]): string {
  const lost = pods.filter(({ controller }) => controller === undefined).length
  const named = pods.slice(0, MOST_NAMED).map(({ namespace, name, controller }) => {
    const fate =
      controller === undefined ? 'lost for good: nothing makes it anew' : `made anew by its ${controller}`
    return `  ${namespace}/${name}  ${fate}\n`
  })
  const more = pods.length > MOST_NAMED ? `  and ${pods.length - MOST_NAMED} more\n` : ''
  const forGood = lost === 0 ? '' : `, ${lost} of which would be lost for good`
  return `${counted(pods.length, 'Pod')} on Node ${nodeName}${forGood}:\n${named.join('')}${more}`
}

/** What is left there. */
function drainNode(nodeName: string, client: KubeClient, { options, io }: Ways): Promise<readonly NodePod[]> {
  return drain({
    client,
    nodeName,
    clock: systemClock,
    limitMs: options.drainLimitMs,
    signal: io.stopSignal(),
    onProgress: (pods, held) => {
      const waiting = held.length === 0 ? '' : `; a PodDisruptionBudget holds ${held.length} of them`
      io.stderr(`vnode: ${counted(pods.length, 'Pod')} left on ${nodeName}${waiting}\n`)
    },
  })
}

function podsAreLeft(nodeName: string, pods: readonly NodePod[]): VnodeError {
  return new VnodeError(
    'API',
    `Node ${nodeName} still has ${counted(pods.length, 'Pod')}; the VNode stays, cordoned`,
    {
      next: `Run this again, give it longer with --timeout, or take it back into use: kubectl uncordon ${nodeName}`,
    },
  )
}

async function remove({ eci }: Session, virtualNode: VirtualNode, { options, io }: Ways): Promise<void> {
  const { virtualNodeId } = virtualNode
  if (options.isDryRun) {
    const parameters = { RegionId: eci.regionId, VirtualNodeId: virtualNodeId }
    return io.stdout(renderRequest('DeleteVirtualNode', parameters))
  }
  const { requestId } = await eci.deleteVirtualNode(virtualNodeId)
  io.stdout(`${JSON.stringify({ RequestId: requestId, VirtualNodeId: virtualNodeId })}\n`)
}

/** The VNode is gone; its Node would only stay behind, not ready, with whatever is still bound to it. */
async function forgetNode(virtualNode: VirtualNode, client: KubeClient, io: Io): Promise<void> {
  const name = nodeNameOf(virtualNode.regionId, virtualNode.virtualNodeId)
  try {
    const node = await findNode(client, name)
    const uid = asString(own(asRecord(own(asRecord(node), 'metadata')), 'uid'))
    if (uid === undefined) return
    const path = resourcePath({ version: 'v1', plural: 'nodes', name })
    await client.request({ method: 'DELETE', path, body: { preconditions: { uid } } })
    io.stderr(`vnode: Node ${name} is removed from the cluster\n`)
  } catch (error) {
    if (isStatus(error, 404)) return
    io.stderr(
      `vnode: warning: Node ${name} stays in the cluster: ${String(error)}\nRemove it with: kubectl delete node ${name}\n`,
    )
  }
}
