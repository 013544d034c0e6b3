/**
 * The nodes of one parsed YAML document, walked once: finds what the parser lets pass, and answers where something stands without
 * searching for it again.
 */
import { isMap, isScalar, isSeq, type Node, type Pair, visit, type YAMLMap } from 'yaml'
import type { Path } from './problem.ts'

export interface Flaw {
  readonly message: string
  /** Where in the text, in UTF-16 units. */
  readonly offset: number
}

export interface Place {
  readonly key?: Node
  /** What stands there, or the key where nothing stands after it … */
  readonly node: Node
  /** … and what it means: an alias is looked through. */
  readonly target: Node | undefined
  /** True when the whole path was walked, false when it stopped at the last node that is there. */
  readonly isWhole: boolean
}

export interface Outline {
  readonly flaws: readonly Flaw[]
  /** The merge keys with their sources; each is a flaw where they are not allowed. */
  readonly merges: readonly Pair[]
  readonly find: (path: Path) => Place
}

/** No sane file has so many; a text with more is a bomb, and the parser's time grows with their square. */
export const MOST_ALIASES = 1000

type Members = ReadonlyMap<string, Pair>

/** `root`: the contents of a document as they were parsed. */
export function outlineOf(root: Node, allowsMerges = false): Outline {
  const flaws: Flaw[] = []
  const anchors = new Map<string, Node>()
  const targets = new Map<unknown, Node>()
  const maps = new Map<unknown, Members>()
  const merges: Pair[] = []
  visit(root, {
    Value: (_, node) => {
      if (node.anchor !== undefined) anchors.set(node.anchor, node)
      if (isMap(node)) maps.set(node, membersOf(node, flaws, allowsMerges ? merges : undefined))
    },
    Alias: (_, alias, parents) => {
      const target = anchors.get(alias.source)
      if (target === undefined) flaws.push(flawAt(alias, `*${alias.source} has no anchor before it`))
      else if (parents.includes(target)) flaws.push(flawAt(alias, `*${alias.source} contains itself`))
      else targets.set(alias, target)
      if (targets.size <= MOST_ALIASES) return undefined
      flaws.push(flawAt(alias, `it has more than ${MOST_ALIASES} aliases`))
      return visit.BREAK
    },
  })
  for (const { key, value } of merges) {
    if (isSource(value, targets) || (isSeq(value) && value.items.every(item => isSource(item, targets))))
      continue
    flaws.push(flawAt(key as Node, 'a merge key (<<) takes an object, or a list of objects'))
  }
  return { flaws, merges, find: path => find(root, path, { targets, maps }) }
}

function isSource(value: unknown, targets: ReadonlyMap<unknown, Node>): boolean {
  return isMap(targets.get(value) ?? value)
}

function flawAt(node: Node, message: string): Flaw {
  return { message, offset: offsetOf(node) }
}

/** What was parsed has a range; only nodes made by hand have none. */
export function offsetOf(node: Node): number {
  return Number(node.range?.[0])
}

/** The members by key, as they become the keys of a plain object. */
function membersOf(map: YAMLMap, flaws: Flaw[], merges: Pair[] | undefined): Members {
  const members = new Map<string, Pair>()
  for (const pair of map.items) {
    if (!isScalar(pair.key)) {
      // The library would write such a key out as text, in a time that grows with the square of its depth and more.
      flaws.push(
        flawAt(pair.key as Node, 'a key is a single word or text, not a list, an object or an alias'),
      )
      continue
    }
    const key = keyOf(pair.key.value)
    if (members.has(key))
      flaws.push(flawAt(pair.key, `the key ${JSON.stringify(key.slice(0, 60))} is there twice`))
    // Reading past them would lose what they bring in.
    if (key === '<<' && pair.key.type === 'PLAIN') {
      if (merges !== undefined) merges.push(pair)
      else flaws.push(flawAt(pair.key, 'merge keys (<<) are not read: write the members out'))
    }
    members.set(key, pair)
  }
  return members
}

function keyOf(value: unknown): string {
  return value === null ? '' : String(value)
}

interface Index {
  readonly targets: ReadonlyMap<unknown, Node>
  readonly maps: ReadonlyMap<unknown, Members>
}

function find(root: Node, path: Path, { targets, maps }: Index): Place {
  const meaning = (value: unknown) => targets.get(value) ?? (value as Node | undefined)
  let place: Place = { node: root, target: meaning(root), isWhole: true }
  for (const segment of path) {
    const pair = maps.get(place.target)?.get(String(segment))
    const item = isSeq(place.target) ? place.target.items[Number(segment)] : undefined
    if (pair !== undefined) {
      const key = pair.key as Node
      place = { key, node: (pair.value ?? key) as Node, target: meaning(pair.value), isWhole: true }
    } else if (item !== undefined) place = { node: item as Node, target: meaning(item), isWhole: true }
    else return { ...place, isWhole: false }
  }
  return place
}
