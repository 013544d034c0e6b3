/** One patch of one Pod, made on the Pod as it was seen, and what became of it. */
import { asRecord, asString } from '../../core/kubernetes/objects.ts'
import type { PodPatch } from '../../core/spill/spill-patch.ts'
import { ApiError, isStatus, type KubeClient } from '../../kube/api.ts'
import { resourcePath } from '../../kube/path.ts'

export type Written =
  | { readonly kind: 'done'; readonly pod: unknown }
  /** The Pod is another one by now: this is it. */
  | { readonly kind: 'changed'; readonly pod: unknown }
  | { readonly kind: 'gone' }
  /** The API server does not want this Pod to be so, and never will. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** It may work later; whether it has worked is not known. */
  | {
      readonly kind: 'failed'
      readonly reason: string
      readonly retryAfterMs: number
      /** The API server is away or busy, so that others would fare no better; else it is about this Pod or its namespace. */
      readonly isEverybodys: boolean
    }

export interface PodName {
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

/** What of a refusal lies with the Pod: it is invalid, a policy or webhook denies it, or it would be too large. */
const REFUSALS = [400, 413, 422]
/** Too many requests, and the ways of being away for a while. */
const BUSY = [429, 503, 504]
const MAX_RETRY_AFTER_SECONDS = 60

/** Never rejects: the end of the term is a failure as well, and the caller knows of it. */
export async function writePod(
  client: Pick<KubeClient, 'request'>,
  pod: PodName,
  patch: PodPatch,
  fieldManager: string,
): Promise<Written> {
  const path = resourcePath({ version: 'v1', plural: 'pods', namespace: pod.namespace, name: pod.name })
  try {
    const written = await client.request<unknown>({
      method: 'PATCH',
      path,
      query: { fieldManager },
      body: patch,
      contentType: 'application/json-patch+json',
    })
    return { kind: 'done', pod: written }
  } catch (error) {
    return await afterRefusal(client, { path, pod, version: patch[0].value, error })
  }
}

/** The Pod as it is now; undefined if there is none of this uid any more. */
export async function readPod(client: Pick<KubeClient, 'request'>, pod: PodName): Promise<unknown> {
  const path = resourcePath({ version: 'v1', plural: 'pods', namespace: pod.namespace, name: pod.name })
  try {
    const found = await client.request<unknown>({ method: 'GET', path })
    return metadataOf(found).uid === pod.uid ? found : undefined
  } catch (error) {
    if (isStatus(error, 404)) return undefined
    throw error
  }
}

interface Refusal {
  readonly path: string
  readonly pod: PodName
  readonly version: string
  readonly error: unknown
}

async function afterRefusal(client: Pick<KubeClient, 'request'>, refusal: Refusal): Promise<Written> {
  const { pod, version, error } = refusal
  if (!(error instanceof ApiError)) return failed(error)
  if (error.status === 404) return { kind: 'gone' }
  const isRefused = REFUSALS.includes(error.status)
  if (error.status !== 409 && !isRefused) return failed(error)
  try {
    const found = await readPod(client, pod)
    if (found === undefined) return { kind: 'gone' }
    // A patch that does not apply to what the Pod has become is a 422 as well, before any look at the version.
    if (metadataOf(found).resourceVersion !== version) return { kind: 'changed', pod: found }
    // A webhook may say 409 too, of a Pod that nobody has changed, and as often as it is asked.
    return isRefused ? { kind: 'refused', reason: error.message } : failed(error)
  } catch (readError) {
    return failed(readError)
  }
}

function failed(error: unknown): Written {
  const seconds = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) : 0
  const reason = error instanceof Error ? error.message : String(error)
  const retryAfterMs = Math.min(seconds, MAX_RETRY_AFTER_SECONDS) * 1000
  const isEverybodys = !(error instanceof ApiError) || BUSY.includes(error.status)
  return { kind: 'failed', reason, retryAfterMs, isEverybodys }
}

function metadataOf(raw: unknown): { readonly uid: string; readonly resourceVersion: string } {
  const metadata = asRecord(asRecord(raw)?.metadata)
  return { uid: asString(metadata?.uid) ?? '', resourceVersion: asString(metadata?.resourceVersion) ?? '' }
}
