/**
 * YAML's merge keys (`<<: *anchor`), as kubectl reads them in manifests: what the map itself says counts, then the earlier of several
 * sources. The library's own way copies what is below a source each time, so that a short text would expand without end.
 */
import { isScalar, type Pair } from 'yaml'
import { asRecord, asRecords, own } from '../kubernetes/objects.ts'

/** In place of a merge key while the document becomes a value: a quoted "<<" is a key like any other. */
const MARK = '\u0000<<'

/** No sane file copies so many members, and a thousand copies of a large map would fill the memory. */
const MOST_MERGED = 100_000

export function markMerges(merges: readonly Pair[]): void {
  for (const { key } of merges) if (isScalar(key)) key.value = MARK
}

/** The value with its marked members merged. What several places shared they share still. Throws where there is too much to copy. */
export function mergeMarked(value: unknown): unknown {
  return new Merger().read(value)
}

class Merger {
  readonly #read = new Map<object, unknown>()
  #merged = 0

  read(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value
    const known = this.#read.get(value)
    if (known !== undefined) return known
    const result = Array.isArray(value)
      ? value.map(item => this.read(item))
      : this.#merge(Object.entries(value), sourcesOf(value))
    this.#read.set(value, result)
    return result
  }

  #merge(entries: readonly [string, unknown][], sources: readonly Record<string, unknown>[]): unknown {
    const members = new Map<string, unknown>()
    for (const [key, value] of entries) if (key !== MARK) members.set(key, this.read(value))
    for (const source of sources) {
      for (const [key, value] of Object.entries(asRecord(this.read(source)) ?? {})) {
        if (members.has(key)) continue
        members.set(key, value)
        this.#merged += 1
        if (this.#merged > MOST_MERGED)
          throw new Error(`merge keys (<<) bring in more than ${MOST_MERGED} members`)
      }
    }
    // Defines what is keyed __proto__ as an ordinary member.
    return Object.fromEntries(members)
  }
}

function sourcesOf(value: object): readonly Record<string, unknown>[] {
  const source = own(asRecord(value), MARK)
  const single = asRecord(source)
  return single === undefined ? asRecords(source) : [single]
}
