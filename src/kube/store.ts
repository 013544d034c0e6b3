import { asRecord, asString, own } from '../core/kubernetes/objects.ts'

export interface StoredObject<T> {
  readonly uid: string
  readonly resourceVersion: string
  readonly value: T
}

/** What happened to one object. `value` of a deleted object is the last one known. */
export type Change<T> =
  | { readonly type: 'added'; readonly key: string; readonly value: T; readonly previous?: undefined }
  | { readonly type: 'modified'; readonly key: string; readonly value: T; readonly previous: T }
  | { readonly type: 'deleted'; readonly key: string; readonly value: T; readonly previous: T }

/** `namespace/name`, or the bare name of a cluster-scoped object. */
export interface Identity {
  readonly key: string
  readonly uid: string
  readonly resourceVersion: string
}

/** Undefined for what is not an object of the API. */
export function identify(raw: unknown): Identity | undefined {
  const metadata = asRecord(own(asRecord(raw), 'metadata'))
  const name = asString(own(metadata, 'name'))
  if (name === undefined || name === '') return undefined
  const namespace = asString(own(metadata, 'namespace')) ?? ''
  return {
    key: namespace === '' ? name : `${namespace}/${name}`,
    uid: asString(own(metadata, 'uid')) ?? '',
    resourceVersion: asString(own(metadata, 'resourceVersion')) ?? '',
  }
}

/** The last known objects of one collection; every method says what changed. */
export class ObjectStore<T> {
  readonly #objects = new Map<string, StoredObject<T>>()

  get objects(): ReadonlyMap<string, StoredObject<T>> {
    return this.#objects
  }

  /** An object of the same key with another uid is another object: the old one was deleted unseen. */
  put(key: string, object: StoredObject<T>): Change<T>[] {
    const old = this.#objects.get(key)
    this.#objects.set(key, object)
    return difference(key, old, object)
  }

  remove(key: string): Change<T>[] {
    const old = this.#objects.get(key)
    this.#objects.delete(key)
    return difference(key, old, undefined)
  }

  /** Makes the store hold exactly `next`; deletions come first. */
  replace(next: ReadonlyMap<string, StoredObject<T>>): Change<T>[] {
    const gone = [...this.#objects.keys()].filter(key => !next.has(key)).flatMap(key => this.remove(key))
    return [...gone, ...[...next].flatMap(([key, object]) => this.put(key, object))]
  }
}

function difference<T>(
  key: string,
  old: StoredObject<T> | undefined,
  now: StoredObject<T> | undefined,
): Change<T>[] {
  const added: Change<T>[] = now === undefined ? [] : [{ type: 'added', key, value: now.value }]
  if (old === undefined) return added
  if (old.uid !== now?.uid) return [{ type: 'deleted', key, value: old.value, previous: old.value }, ...added]
  if (old.resourceVersion === now.resourceVersion) return []
  return [{ type: 'modified', key, value: now.value, previous: old.value }]
}
