/** Waits until a VNode's Node is Ready in the cluster, and looks at ECI's side of it meanwhile. */
import { VnodeError } from '../core/errors.ts'
import { redact } from '../eci/redact.ts'
import type { EciClient } from '../eci/virtual-node.ts'
import type { KubeClient } from '../kube/api.ts'
import { type Clock, sleep } from '../kube/clock.ts'
import { resourcePath } from '../kube/path.ts'
import { Reflector } from '../kube/reflector.ts'
import { isReadyNode } from './cluster.ts'
import type { Progress } from './progress.ts'

export interface AwaitNodeOptions {
  readonly client: Pick<KubeClient, 'request' | 'stream'>
  readonly eci: Pick<EciClient, 'describeVirtualNodes'>
  readonly virtualNodeId: string
  readonly nodeName: string
  readonly waitMs: number
  readonly progress: Progress
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Between two looks at ECI's side. */
const LOOK_MS = 5_000
/** How often it is said again that nothing has changed. */
const SAY_MS = 30_000

/** Resolves when the Node is Ready. Throws a VnodeError when the time is over or ECI says that it failed. */
export async function awaitNode(options: AwaitNodeOptions): Promise<void> {
  const { client, nodeName, signal, progress } = options
  const ready = new AbortController()
  let state = 'there is no such Node yet'
  const nodes = new Reflector<boolean>({
    client,
    path: resourcePath({ version: 'v1', plural: 'nodes' }),
    fieldSelector: `metadata.name=${nodeName}`,
    keep: isReadyNode,
    onChange: ({ type, value }) => {
      state = type === 'deleted' ? 'the Node was deleted' : value ? 'Ready' : 'the Node is not Ready'
      progress.say('Node', `${nodeName}: ${state}`)
      if (type !== 'deleted' && value) ready.abort()
    },
    onError: error => progress.say('Node', `watching Nodes had a fault: ${error.message}`),
  })
  progress.tell({ reason: 'NodeAwaited', message: `waiting until Node ${nodeName} is Ready` })
  nodes.start()
  try {
    await follow(options, AbortSignal.any([signal, ready.signal]), () => state)
    signal.throwIfAborted()
    if (ready.signal.aborted) return
    throw late(options, state)
  } finally {
    await nodes.stop()
  }
}

/** Until the signal, or the time is over. */
async function follow(options: AwaitNodeOptions, signal: AbortSignal, state: () => string): Promise<void> {
  const { clock, waitMs, nodeName, progress } = options
  const begun = clock.now()
  let said = begun
  while (!signal.aborted && clock.now() - begun < waitMs) {
    await lookAtEci(options, signal)
    if (clock.now() - said >= SAY_MS) {
      said = clock.now()
      progress.say('Node', `${nodeName}: ${state()}, after ${Math.round((said - begun) / 1000)} s`)
    }
    await sleep(clock, Math.min(LOOK_MS, waitMs - (clock.now() - begun)), signal)
  }
}

/** Throws when it has failed there; whatever else goes wrong is no reason to give up. */
async function lookAtEci(
  { eci, virtualNodeId, progress }: AwaitNodeOptions,
  signal: AbortSignal,
): Promise<void> {
  const found = await eci
    .describeVirtualNodes({ virtualNodeIds: [virtualNodeId] }, { signal })
    .catch(error => {
      if (!signal.aborted) progress.say('Eci', error instanceof Error ? error.message : String(error))
      return []
    })
  const failed = found.find(({ status }) => status === 'Failed')
  if (failed === undefined || signal.aborted) return
  const [event] = failed.events.toReversed()
  const why = event === undefined ? '' : `: ${redact(`${event.reason}: ${event.message}`, [])}`
  throw new VnodeError('ECI', `VNode ${virtualNodeId} has failed on ECI's side${why}`, {
    next: `It exists, and is paid for. See vnode describe ${virtualNodeId}; vnode delete ${virtualNodeId} removes it, and running this again registers a new one.`,
  })
}

function late({ nodeName, virtualNodeId, waitMs }: AwaitNodeOptions, state: string): VnodeError {
  return new VnodeError('API', `${nodeName} is not Ready after ${Math.round(waitMs / 1000)} s: ${state}`, {
    next: `VNode ${virtualNodeId} is registered, and paid for; running this again waits for it once more. See vnode describe ${virtualNodeId}, kubectl get csr, and whether VNodes reach the API server.`,
  })
}
