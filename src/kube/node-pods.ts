/** The Pods of a node, and getting them off it. */
import { asRecord, asRecords, asString, own } from '../core/kubernetes/objects.ts'
import { ANNOTATION_MIRROR } from '../core/names.ts'
import { isStatus, type KubeClient } from './api.ts'
import { type Clock, sleep } from './clock.ts'
import { resourcePath } from './path.ts'

export interface NodePod {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** `Deployment`, `Job`, …: whoever makes another one; undefined for a Pod that is lost when it goes. */
  readonly controller: string | undefined
}

/** Pods of a node that run or are about to; those of DaemonSets and of the node itself are its own affair. */
export async function podsOfNode(
  client: Pick<KubeClient, 'request'>,
  nodeName: string,
  signal?: AbortSignal,
): Promise<readonly NodePod[]> {
  const found: NodePod[] = []
  let next: string | undefined
  do {
    const list: unknown = await client.request<unknown>({
      method: 'GET',
      path: resourcePath({ version: 'v1', plural: 'pods' }),
      query: { fieldSelector: `spec.nodeName=${nodeName}`, limit: PAGE, continue: next },
      ...(signal === undefined ? {} : { signal }),
    })
    found.push(...asRecords(own(asRecord(list), 'items')).flatMap(podOf))
    next = asString(own(asRecord(own(asRecord(list), 'metadata')), 'continue')) || undefined
  } while (next !== undefined)
  return found
}

const PAGE = 500

function podOf(pod: Record<string, unknown>): NodePod[] {
  const metadata = asRecord(own(pod, 'metadata'))
  const phase = own(asRecord(own(pod, 'status')), 'phase')
  const owner = asRecords(own(metadata, 'ownerReferences')).find(
    reference => own(reference, 'controller') === true,
  )
  const controller = asString(own(owner, 'kind'))
  const isMirror = own(asRecord(own(metadata, 'annotations')), ANNOTATION_MIRROR) !== undefined
  if (phase === 'Succeeded' || phase === 'Failed' || controller === 'DaemonSet' || isMirror) return []
  const text = (key: string) => asString(own(metadata, key)) ?? ''
  return [{ namespace: text('namespace'), name: text('name'), uid: text('uid'), controller }]
}

export interface CordonOptions {
  readonly client: Pick<KubeClient, 'request'>
  readonly nodeName: string
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** A scheduler that has chosen the node before it saw the cordon binds the Pod within that. */
const BINDING_MS = 1000

/** When it is done, or the signal aborts, nothing new is scheduled there. */
export async function cordon({ client, nodeName, clock, signal }: CordonOptions): Promise<void> {
  await setUnschedulable(client, nodeName, true)
  await sleep(clock, BINDING_MS, signal)
}

/** The opposite of {@link cordon}. */
export async function uncordon(client: Pick<KubeClient, 'request'>, nodeName: string): Promise<void> {
  await setUnschedulable(client, nodeName, null)
}

async function setUnschedulable(
  client: Pick<KubeClient, 'request'>,
  nodeName: string,
  unschedulable: true | null,
): Promise<void> {
  await client.request({
    method: 'PATCH',
    path: resourcePath({ version: 'v1', plural: 'nodes', name: nodeName }),
    contentType: 'application/merge-patch+json',
    body: { spec: { unschedulable } },
  })
}

export interface DrainOptions extends CordonOptions {
  readonly limitMs: number
  /** Delete them at once in place of evicting them: no PodDisruptionBudget is heeded, and no Pod has time to end. */
  readonly isForced?: boolean
  /** What is left, whenever it has changed. */
  readonly onProgress: (left: readonly NodePod[], held: readonly NodePod[]) => void
}

const LOOK_MS = 1000

/**
 * Evicts every Pod of {@link podsOfNode} and waits until they are gone. An eviction that a PodDisruptionBudget does not allow now is
 * asked for again. Gives what is left when the time is up or the signal aborts: nothing, if it went well.
 */
export async function drain(options: DrainOptions): Promise<readonly NodePod[]> {
  const { client, nodeName, clock, limitMs, signal, onProgress } = options
  const remove = options.isForced === true ? deleteAtOnce : evict
  const end = clock.now() + limitMs
  let told = ''
  for (;;) {
    const left = await podsOfNode(client, nodeName, signal)
    if (left.length === 0) return left
    const held: NodePod[] = []
    for (const pod of left) if (!(await isAsked(() => remove(client, pod)))) held.push(pod)
    const state = `${left.length} ${held.length}`
    if (state !== told) onProgress(left, held)
    told = state
    if (clock.now() >= end || signal.aborted) return left
    await sleep(clock, LOOK_MS, signal)
  }
}

/** False where a PodDisruptionBudget does not allow it now. */
async function isAsked(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask()
    return true
  } catch (error) {
    // Gone, or another one of that name by now.
    if (isStatus(error, 404) || isStatus(error, 409)) return true
    if (isStatus(error, 429)) return false
    throw error
  }
}

type Client = Pick<KubeClient, 'request'>

function evict(client: Client, pod: NodePod): Promise<unknown> {
  return postEviction(client, pod, 'policy/v1').catch(error => {
    // Kubernetes 1.21 and older know the eviction of v1beta1 alone.
    if (isStatus(error, 400)) return postEviction(client, pod, 'policy/v1beta1')
    throw error
  })
}

function postEviction(
  client: Client,
  { namespace, name, uid }: NodePod,
  apiVersion: string,
): Promise<unknown> {
  const path = resourcePath({ version: 'v1', plural: 'pods', namespace, name, subresource: 'eviction' })
  const deleteOptions = { preconditions: { uid } }
  const body = { apiVersion, kind: 'Eviction', metadata: { name, namespace }, deleteOptions }
  return client.request({ method: 'POST', path, body })
}

function deleteAtOnce(client: Client, { namespace, name, uid }: NodePod): Promise<unknown> {
  const path = resourcePath({ version: 'v1', plural: 'pods', namespace, name })
  return client.request({ method: 'DELETE', path, body: { gracePeriodSeconds: 0, preconditions: { uid } } })
}
