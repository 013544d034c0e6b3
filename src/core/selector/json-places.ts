/**
 * Where things stand in a text that is JSON. The parser that reads everything builds a tree of all of it, hundreds of bytes for each sign;
 * here only what leads to the places that somebody asks for is looked at.
 */
import type { Locator, Path, Position } from './problem.ts'

/** A member's or an item's place, in UTF-16 units from the beginning of the text. */
interface Spot {
  readonly at: number
  /** Of a member. */
  readonly keyAt?: number
}

/** By key, or by index as text. */
type Children = ReadonlyMap<string, Spot>

interface Found extends Spot {
  /** False where the path leads further than the text does. */
  readonly isWhole: boolean
}

/**
 * From `start` on the text must be valid JSON in which no object has a key twice; white space may stand around it, and other JSON may
 * follow.
 */
export function jsonLocator(text: string, start = 0): Locator {
  const children = new Map<number, Children>()
  const starts = lineStarts(text)
  const childrenAt = (at: number): Children => {
    const known = children.get(at) ?? childrenOf(text, at)
    children.set(at, known)
    return known
  }
  const find = (path: Path): Found => {
    let spot: Spot = { at: afterSpace(text, start) }
    for (const segment of path) {
      const child = childrenAt(spot.at).get(String(segment))
      if (child === undefined) return { ...spot, isWhole: false }
      spot = child
    }
    return { ...spot, isWhole: true }
  }
  return {
    locate: (path, wanted) => {
      const { at, keyAt = at, isWhole } = find(path)
      return positionOf(wanted === 'value' && isWhole ? at : keyAt, starts())
    },
    typed: path => {
      const { at, isWhole } = find(path)
      return isWhole ? scalarAt(text, at) : undefined
    },
  }
}

/** The beginnings of the lines, looked for once. */
function lineStarts(text: string): () => readonly number[] {
  let starts: number[] | undefined
  return () => {
    if (starts !== undefined) return starts
    starts = [0]
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
    return starts
  }
}

function positionOf(offset: number, starts: readonly number[]): Position {
  let [low, high] = [0, starts.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((starts[middle] ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 }
}

function childrenOf(text: string, at: number): Children {
  const found = new Map<string, Spot>()
  const isObject = text[at] === '{'
  if (!isObject && text[at] !== '[') return found
  let next = afterSpace(text, at + 1)
  while (next < text.length && text[next] !== '}' && text[next] !== ']') {
    const keyAt = next
    let key = String(found.size)
    if (isObject) {
      const keyEnd = afterValue(text, keyAt)
      key = String(JSON.parse(text.slice(keyAt, keyEnd)))
      // Past the colon.
      next = afterSpace(text, afterSpace(text, keyEnd) + 1)
    }
    found.set(key, isObject ? { at: next, keyAt } : { at: next })
    next = afterSpace(text, afterValue(text, next))
    if (text[next] === ',') next = afterSpace(text, next + 1)
  }
  return found
}

const SPACE = /[\t\n\r ]*/y
const STRING = /"(?:[^"\\]|\\.)*"/y
const WORD = /[^\t\n\r ,\]}]+/y
/** Up to the next string or bracket. */
const BETWEEN = /[^"[\]{}]*/y

function afterMatch(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : text.length
}

function afterSpace(text: string, at: number): number {
  return afterMatch(SPACE, text, at)
}

function afterValue(text: string, at: number): number {
  if (text[at] === '"') return afterMatch(STRING, text, at)
  if (text[at] !== '{' && text[at] !== '[') return afterMatch(WORD, text, at)
  let depth = 1
  let next = at + 1
  while (depth > 0 && next < text.length) {
    next = afterMatch(BETWEEN, text, next)
    if (text[next] === '"') next = afterMatch(STRING, text, next)
    else {
      depth += text[next] === '{' || text[next] === '[' ? 1 : -1
      next += 1
    }
  }
  return next
}

/** As it was typed, without the quotes of a string; undefined of an object or a list. */
function scalarAt(text: string, at: number): string | undefined {
  if (text[at] === '{' || text[at] === '[') return undefined
  const token = text.slice(at, afterValue(text, at))
  return token.startsWith('"') ? String(JSON.parse(token)) : token
}
