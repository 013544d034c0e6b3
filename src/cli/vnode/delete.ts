/** `vnode delete`: refuses while Pods run on the VNode, unless told what shall become of them. */
import { messageOf, VnodeError } from '../../core/errors.ts'
import { asRecord, asString, own } from '../../core/kubernetes/objects.ts'
import { nodeNameOf } from '../../core/vnode/virtual-node-name.ts'
import { EciError, hasApiCode } from '../../eci/error.ts'
import type { VirtualNode } from '../../eci/virtual-node.ts'
import { isStatus, type KubeClient } from '../../kube/api.ts'
import { sleep, systemClock } from '../../kube/clock.ts'
import { cordon, drain, type NodePod, podsOfNode, uncordon } from '../../kube/node-pods.ts'
import { resourcePath } from '../../kube/path.ts'
import type { Io } from '../io.ts'
import type { AnswerOutput } from '../output-format.ts'
import { counted } from '../problem-text.ts'
import { checkBelonging, findNode } from './belonging.ts'
import { findVirtualNode } from './list.ts'
import { renderAnswer, renderRequest } from './request.ts'
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
  readonly output: AnswerOutput
}

export async function runDelete(options: DeleteOptions, io: Io): Promise<void> {
  await withSession(options.flags, io, async session => {
    const virtualNode = await findVirtualNode(session, options.virtualNodeId)
    const client = await connectUnlessForced(session, options, io)
    try {
      if (client !== undefined) await look(virtualNode, client, { options, io })
      const isAtOnce = client === undefined || options.isDryRun
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
  if (!options.isDryRun) return
  const fate = options.isDrained ? 'evicted' : 'deleted at once'
  io.stdout(`Node ${nodeName}: would be cordoned, and ${counted(pods.length, 'Pod')} ${fate}\n`)
}

/** A Pod could come between the look and the deletion, so no new ones may; where the VNode stays after all, they may again. */
async function removeCordoned(
  session: Session,
  { virtualNode, client }: { readonly virtualNode: VirtualNode; readonly client: KubeClient },
  ways: Ways,
): Promise<void> {
  const nodeName = nodeNameOf(virtualNode.regionId, virtualNode.virtualNodeId)
  const signal = ways.io.stopSignal()
  const wasOpen = await cordonNode(nodeName, client, ways)
  const isEmptied = ways.options.isDrained || ways.options.isForced
  let left: readonly NodePod[] = []
  try {
    left = isEmptied ? await emptyNode(nodeName, client, ways) : await podsOfNode(client, nodeName)
    if (signal.aborted)
      throw new VnodeError('REFUSED', `interrupted; VNode ${virtualNode.virtualNodeId} stays`)
    if (left.length > 0) throw isEmptied ? podsAreLeft(nodeName, left) : podsAreThere(nodeName, left)
    await remove(session, virtualNode, ways)
  } catch (error) {
    // A drain that has not finished goes on with the next run.
    const isKept = isEmptied && left.length > 0
    if (wasOpen && !isKept) await uncordonNode(nodeName, client, { error, io: ways.io })
    throw error
  }
}

/** True if it was open until then; one that is not there is not: nothing comes to it. */
async function cordonNode(nodeName: string, client: KubeClient, { options, io }: Ways): Promise<boolean> {
  try {
    const node = await findNode(client, nodeName)
    const isCordoned = own(asRecord(own(asRecord(node), 'spec')), 'unschedulable') === true
    if (node === undefined || isCordoned) return false
    await cordon({ client, nodeName, clock: systemClock, signal: io.stopSignal() })
    return true
  } catch (error) {
    if (isStatus(error, 404)) return false
    const what = `Node ${nodeName} cannot be cordoned, so that Pods could come while it is deleted: ${messageOf(error)}`
    if (!options.isForced)
      throw new VnodeError('API', what, {
        next: 'Give a kubeconfig that may get and patch nodes, or say --force.',
      })
    io.stderr(`vnode: warning: ${what}\n`)
    return false
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

/**
 * What is left there. ECI deletes no VNode that has Pods, so by force they are deleted first; those that a drain shall move are given its
 * time before.
 */
async function emptyNode(nodeName: string, client: KubeClient, ways: Ways): Promise<readonly NodePod[]> {
  const { isDrained, isForced } = ways.options
  const left = isDrained ? await drainNode(nodeName, client, ways) : undefined
  if (!isForced || left?.length === 0) return left ?? []
  return drainNode(nodeName, client, { ...ways, isForced }).catch(error => {
    ways.io.stderr(`vnode: warning: what runs there cannot be deleted: ${messageOf(error)}\n`)
    return []
  })
}

function drainNode(
  nodeName: string,
  client: KubeClient,
  { options, io, isForced = false }: Ways & { readonly isForced?: boolean },
): Promise<readonly NodePod[]> {
  return drain({
    client,
    nodeName,
    clock: systemClock,
    limitMs: options.drainLimitMs,
    isForced,
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

async function remove(session: Session, virtualNode: VirtualNode, ways: Ways): Promise<void> {
  const { options, io } = ways
  const { virtualNodeId } = virtualNode
  if (options.isDryRun) {
    const parameters = { RegionId: session.eci.regionId, VirtualNodeId: virtualNodeId }
    return io.stdout(renderRequest({ action: 'DeleteVirtualNode', parameters }, options.output))
  }
  const requestId = await askEci(session, virtualNodeId, ways)
  io.stdout(renderAnswer({ RequestId: requestId, VirtualNodeId: virtualNodeId }, options.output))
}

/** Of a Pod that is deleted by force the cluster knows nothing more; its instance takes ECI some seconds longer. */
const ENDING_MS = 60_000
const ASK_AGAIN_MS = 2000

async function askEci({ eci }: Session, virtualNodeId: string, { options, io }: Ways): Promise<string> {
  const signal = io.stopSignal()
  const end = systemClock.now() + (options.isForced ? Math.min(ENDING_MS, options.drainLimitMs) : 0)
  for (;;) {
    try {
      return (await eci.deleteVirtualNode(virtualNodeId)).requestId
    } catch (error) {
      const isEnding = hasApiCode(error, 'IncorrectStatus.ContainerGroupExists')
      if (!isEnding || systemClock.now() >= end || signal.aborted) throw error
      io.stderr(`vnode: ECI still has Pods on VNode ${virtualNodeId}; asking again\n`)
      await sleep(systemClock, ASK_AGAIN_MS, signal)
    }
  }
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
