import type { KubeHttp, KubeList, KubeObject, WatchEvent } from './kube-http.ts'
import { patience } from './patience.ts'

export interface WaitSettings {
  /** Milliseconds; 15 s unless said otherwise, which is long for whatever a test waits for. */
  readonly timeout?: number
  /** What is waited for, for the error when it does not come. */
  readonly what?: string
}

/** Waits, by a watch, until the one object at the path (undefined while there is none) is as wanted, and gives it. */
export async function waitForObject<T extends KubeObject = KubeObject>(
  http: KubeHttp,
  path: string,
  isWanted: (object: T | undefined) => boolean,
  settings: WaitSettings = {},
): Promise<T | undefined> {
  const { collection, name } = splitPath(path)
  const named = `${collection}?fieldSelector=${encodeURIComponent(`metadata.name=${name}`)}`
  const objects = await waitForObjects<T>(http, named, ([object]) => isWanted(object), {
    what: path,
    ...settings,
  })
  return objects[0]
}

/**
 * Waits, by a watch, until the objects of a collection (its path may have selectors) are as wanted, and gives them.
 * The question is asked of the whole list first and after every change of it, never of a part of it.
 */
export async function waitForObjects<T extends KubeObject = KubeObject>(
  http: KubeHttp,
  path: string,
  areWanted: (objects: T[]) => boolean,
  { timeout = 15_000, what = path }: WaitSettings = {},
): Promise<T[]> {
  const deadline = AbortSignal.timeout(patience(timeout))
  let last: T[] = []
  const areWantedNow = (objects: T[]): boolean => {
    last = objects
    return areWanted(objects)
  }
  while (!deadline.aborted) {
    const found = await followOnce(http, path, areWantedNow, deadline)
    if (found !== undefined) return found
  }
  const seen = JSON.stringify(last, null, 1).slice(0, 4000)
  throw new Error(`${what}: not as wanted after ${patience(timeout) / 1000} s; last seen: ${seen}`)
}

/** Lists and watches until the objects are as wanted; undefined when the time is up or the watch cannot go on. */
async function followOnce<T extends KubeObject>(
  http: KubeHttp,
  path: string,
  areWanted: (objects: T[]) => boolean,
  deadline: AbortSignal,
): Promise<T[] | undefined> {
  const { items, metadata } = await http.ask<KubeList<T>>('GET', path)
  if (areWanted(items)) return items
  const objects = new Map(items.map(item => [keyOf(item), item]))
  const separator = path.includes('?') ? '&' : '?'
  const { promise, resolve, reject } = Promise.withResolvers<T[] | undefined>()
  const onEvent = ({ type, object }: WatchEvent<T>): void => {
    if (type === 'ERROR') {
      resolve(undefined)
      return
    }
    if (type === 'DELETED') objects.delete(keyOf(object))
    else objects.set(keyOf(object), object)
    try {
      if (areWanted([...objects.values()])) resolve([...objects.values()])
    } catch (error) {
      reject(error)
    }
  }
  const giveUp = (): void => resolve(undefined)
  deadline.addEventListener('abort', giveUp)
  const stop = await http.watch(`${path}${separator}resourceVersion=${metadata.resourceVersion}`, onEvent)
  try {
    return await promise
  } finally {
    stop()
    deadline.removeEventListener('abort', giveUp)
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`
}

/** `/api/v1/namespaces/a/pods/b` is the object `b` of `/api/v1/namespaces/a/pods`. */
function splitPath(path: string): { collection: string; name: string } {
  const end = path.lastIndexOf('/')
  return { collection: path.slice(0, end), name: path.slice(end + 1) }
}
