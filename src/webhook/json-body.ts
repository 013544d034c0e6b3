/** Reads a request's body as JSON, with a limit on nesting, and without what nobody here reads. */
import { VnodeError } from '../core/errors.ts'

/** Far deeper than any Kubernetes object (a CRD's schema may nest some 60 levels), far shallower than what hurts a recursive reader. */
export const DEEPEST_NESTING = 512

/**
 * Throws BAD_REVIEW where the body is not JSON or nests too deeply. `__proto__` becomes an ordinary own member. Lists of
 * `managedFields` come out empty: they say who last wrote which field, which is a third of a Pod and takes half of the time to parse.
 */
export function parseJsonBody(body: Buffer): unknown {
  const lists = managedFieldsIn(body)
  try {
    return JSON.parse(textBetween(body, lists))
  } catch (error) {
    throw new VnodeError('BAD_REVIEW', 'the body is not JSON', { cause: error })
  }
}

/** The body without what is in the lists. */
function textBetween(body: Buffer, lists: readonly List[]): string {
  let text = ''
  let keptFrom = 0
  for (const { from, to } of lists) {
    text += body.toString('utf8', keptFrom, from)
    keptFrom = to
  }
  return text + body.toString('utf8', keptFrom)
}

/** What is between the brackets of a list. */
interface List {
  readonly from: number
  readonly to: number
}

const MANAGED_FIELDS = Buffer.from('managedFields')
const OPEN = 0x5b
const CLOSE = 0x5d
/** Of brackets and braces alone, this leaves {@link OPEN} or {@link CLOSE}. */
const BRACKET_OR_BRACE = 0xdf
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a

/**
 * The lists of managedFields that are in no other such list; one without an end reaches to the end of the body. Throws where brackets
 * nest too deeply. Bytes will do: those of brackets, quotes and backslashes are no part of any other character in UTF-8.
 */
// biome-ignore lint/complexity/noExcessiveCognitiveComplexity: each byte of each request passes here; a call for each string would take as long as all the rest
function managedFieldsIn(body: Buffer): readonly List[] {
  const lists: List[] = []
  const end = body.length
  let depth = 0
  let from = -1
  let depthOfList = 0
  for (let at = 0; at < end; at++) {
    const byte = body[at] ?? 0
    if (byte === QUOTE) {
      const begin = at + 1
      while (++at < end && body[at] !== QUOTE) if (body[at] === BACKSLASH) at++
      // Only a key is followed by a colon.
      if (at - begin === MANAGED_FIELDS.length && from < 0 && isListOfManagedFields(body, begin)) {
        from = at + 3
        depthOfList = depth
      }
    } else if ((byte & BRACKET_OR_BRACE) === OPEN) {
      if (++depth > DEEPEST_NESTING) throw new VnodeError('BAD_REVIEW', TOO_DEEP)
    } else if ((byte & BRACKET_OR_BRACE) === CLOSE) {
      if (--depth === depthOfList && from >= 0) {
        lists.push({ from, to: at })
        from = -1
      }
    }
  }
  if (from >= 0) lists.push({ from, to: end })
  return lists
}

function isListOfManagedFields(body: Buffer, begin: number): boolean {
  const end = begin + MANAGED_FIELDS.length
  return (
    body[end + 1] === COLON &&
    body[end + 2] === OPEN &&
    body.compare(MANAGED_FIELDS, 0, MANAGED_FIELDS.length, begin, end) === 0
  )
}

const TOO_DEEP = `the body nests more than ${DEEPEST_NESTING} levels`
