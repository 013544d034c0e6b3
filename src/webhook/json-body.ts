/** Reads a request's body as JSON, with a limit on nesting, and without what nobody here reads. */
import { VnodeError } from '../core/errors.ts'

/** Far deeper than any Kubernetes object (a CRD's schema may nest some 60 levels), far shallower than what hurts a recursive reader. */
export const DEEPEST_NESTING = 512

/**
 * Throws BAD_REVIEW where the body is not JSON or nests too deeply. `__proto__` becomes an ordinary own member. Lists of
 * `managedFields` come out empty: they say who last wrote which field, which is a third of a Pod and takes half of the time to parse.
 */
export function parseJsonBody(body: Buffer): unknown {
  // For the limit on nesting alone.
  closingBracket(body, 0)
  try {
    return JSON.parse(withoutManagedFields(body))
  } catch (error) {
    throw new VnodeError('BAD_REVIEW', 'the body is not JSON', { cause: error })
  }
}

const MANAGED_FIELDS = Buffer.from('"managedFields":[')

/** Quotes inside a string are escaped, so this is a key wherever it stands, or the end of one. */
function withoutManagedFields(body: Buffer): string {
  let text = ''
  let keptFrom = 0
  for (let list = indexOfList(body, 0); list >= 0; list = indexOfList(body, keptFrom)) {
    text += body.toString('utf8', keptFrom, list)
    keptFrom = closingBracket(body, list)
  }
  return text + body.toString('utf8', keptFrom)
}

/** Behind the opening bracket. */
function indexOfList(body: Buffer, from: number): number {
  const key = body.indexOf(MANAGED_FIELDS, from)
  return key < 0 ? key : key + MANAGED_FIELDS.length
}

const OPEN_OBJECT = 0x7b
const OPEN_ARRAY = 0x5b
const CLOSE_OBJECT = 0x7d
const CLOSE_ARRAY = 0x5d
const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * The place of the bracket that closes what is open at `from`; the end if there is none. Bytes will do: those of brackets, quotes and
 * backslashes are no part of any other character in UTF-8.
 */
// biome-ignore lint/complexity/noExcessiveCognitiveComplexity: each byte of each request passes here; a call for each string would take as long as all the rest
function closingBracket(body: Buffer, from: number): number {
  let depth = 0
  for (let at = from; at < body.length; at++) {
    const byte = body[at]
    if (byte === QUOTE) {
      while (++at < body.length && body[at] !== QUOTE) if (body[at] === BACKSLASH) at++
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (++depth > DEEPEST_NESTING) throw new VnodeError('BAD_REVIEW', TOO_DEEP)
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      if (--depth < 0) return at
    }
  }
  return body.length
}

const TOO_DEEP = `the body nests more than ${DEEPEST_NESTING} levels`
