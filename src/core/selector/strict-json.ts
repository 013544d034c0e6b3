/** The short way to read rules that are plain JSON, as programs write them: a fiftieth of the time that a parser takes which knows places. */

/** More is for the parser that can say where it is too deep. */
const DEEPEST_NESTING = 100

/**
 * The value of a text that is a JSON object or list in which no object has a key twice. Undefined if it is anything else, or if that is
 * not sure.
 */
export function readStrictJson(text: string): { readonly value: object } | undefined {
  if (!/^[\t\n\r ]*[[{]/.test(text)) return undefined
  const { deepest, colons } = outsideStrings(text)
  if (deepest > DEEPEST_NESTING) return undefined
  try {
    const value: object = JSON.parse(text)
    // A key that is there twice has two colons, and one member is left of it.
    return countMembers(value) === colons ? { value } : undefined
  } catch {
    return undefined
  }
}

export interface StreamedValue {
  readonly value: object
  /** Where it, or the white space before it, begins in the text. */
  readonly start: number
}

/**
 * The values of a text that is several JSON objects one after the other, as `kubectl get -o json` in a loop and `jq -c` write them, each as
 * {@link readStrictJson} takes it. Undefined if it is anything else.
 */
export function readJsonStream(text: string): readonly StreamedValue[] | undefined {
  if (!/^[\t\n\r ]*{/.test(text)) return undefined
  const values: StreamedValue[] = []
  let start = 0
  for (const end of endsOf(text)) {
    const read = readStrictJson(text.slice(start, end))
    if (read === undefined) return undefined
    values.push({ ...read, start })
    start = end
  }
  return values.length > 1 && text.slice(start).trim() === '' ? values : undefined
}

/** Where each outermost bracket closes. */
function endsOf(text: string): number[] {
  let depth = 0
  const ends: number[] = []
  for (const { 0: mark, index } of text.matchAll(STRING_OR_MARK)) {
    if (mark === '[' || mark === '{') depth += 1
    else if (mark === ']' || mark === '}') depth -= 1
    if (depth === 0 && (mark === ']' || mark === '}')) ends.push(index + 1)
  }
  return ends
}

function outsideStrings(text: string): { readonly deepest: number; readonly colons: number } {
  let depth = 0
  let deepest = 0
  let colons = 0
  for (const [character] of text.matchAll(STRING_OR_MARK)) {
    if (character === ':') colons += 1
    else if (character === '[' || character === '{') depth += 1
    else if (character === ']' || character === '}') depth -= 1
    deepest = Math.max(deepest, depth)
  }
  return { deepest, colons }
}

const STRING_OR_MARK = /"(?:[^"\\]|\\.)*"|[[\]{}:]/g

function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const members = Object.values(value)
  const own = Array.isArray(value) ? 0 : members.length
  return members.reduce<number>((sum, member) => sum + countMembers(member), own)
}
