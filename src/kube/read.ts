/** The cluster as it is now, for whoever looks once and follows nothing. */
import { asRecord, asRecords } from '../core/kubernetes/objects.ts'
import { isStatus, type KubeClient } from './api.ts'
import { listPages } from './watch.ts'

export interface Selectors {
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

const PAGE_SIZE = 500
const TIMEOUT_MS = 30_000

/** The objects of a collection, a page of them in memory at a time. */
export async function* listEach(
  client: Pick<KubeClient, 'request' | 'stream'>,
  path: string,
  { labelSelector, fieldSelector }: Selectors = {},
): AsyncGenerator<Record<string, unknown>> {
  const collection = { client, path, labelSelector, fieldSelector, metadataOnly: false }
  const { signal } = new AbortController()
  for await (const page of listPages(collection, { pageSize: PAGE_SIZE, timeoutMs: TIMEOUT_MS, signal }))
    yield* asRecords(page.items)
}

/** All of them. */
export async function listAll(
  client: Pick<KubeClient, 'request' | 'stream'>,
  path: string,
  selectors: Selectors = {},
): Promise<Record<string, unknown>[]> {
  const all: Record<string, unknown>[] = []
  for await (const object of listEach(client, path, selectors)) all.push(object)
  return all
}

/** The object at the path; undefined if there is none. */
export async function readUnlessMissing(
  client: Pick<KubeClient, 'request'>,
  path: string,
  signal?: AbortSignal,
): Promise<Record<string, unknown> | undefined> {
  try {
    return asRecord(
      await client.request<unknown>({ method: 'GET', path, ...(signal === undefined ? {} : { signal }) }),
    )
  } catch (error) {
    if (isStatus(error, 404)) return undefined
    throw error
  }
}
