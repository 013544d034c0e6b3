/** The file as it may be shown. */
import { isCollection, isMap, isScalar, isSeq, type Node, parseDocument, visit } from 'yaml'
import { CONTEXT_KEYS, SECRET_KEYS } from '../../config/vnode-config.ts'

const HIDDEN = '****'

/** What may be shown of a secret: of an AccessKey id its first four characters. */
export function maskedValue(key: string, value: string): string {
  return key === 'access-key-id' ? `${value.slice(0, 4)}${HIDDEN}` : HIDDEN
}

/** What {@link maskedValue} makes, and YAML's signs of an anchor or alias. */
const IS_MASKED = /^(?:.{4})?\*{4}$|^[*&]/

/** Keys that have no secret in them. Of every other one nobody knows: it may be that of a secret, misspelt. */
const SHOWN_KEYS: readonly string[] = [
  ...['kind', 'contexts', 'current-context', 'name'],
  ...CONTEXT_KEYS.filter(key => !SECRET_KEYS.includes(key)),
]

/** A line that sets a secret key, however it is spelt: for comments, of which the parser knows nothing. */
const SECRET_LINE =
  /((access[-_]?key[-_]?id|access[-_]?key[-_]?secret|security[-_]?token)["']?\s*[:=]\s*)(\S+)/gi

/**
 * The text with every secret hidden and everything else, comments too, as it is. The text must be YAML: of one that cannot be read
 * nobody knows what in it is secret.
 */
export function maskedText(text: string): string {
  const secrets = secretsOf(text)
  let masked = ''
  let end = 0
  for (const { start, stop, shown } of secrets) {
    masked += `${text.slice(end, start)}${shown}`
    end = stop
  }
  masked += text.slice(end)
  masked = masked.replaceAll(SECRET_LINE, (line, before: string, key: string, value: string) =>
    IS_MASKED.test(value) ? line : `${before}${maskedValue(key, value)}`,
  )
  // The value of an alias stands elsewhere.
  for (const { key, values, shown } of secrets) {
    // What a key of another meaning has may be a word that stands in other places rightly.
    if (!SECRET_KEYS.includes(key)) continue
    const long = values.filter(value => value.length > HIDDEN.length)
    for (const value of long) masked = masked.replaceAll(value, shown.trimEnd())
  }
  return masked
}

interface Secret {
  readonly key: string
  readonly start: number
  readonly stop: number
  /** More than one, or none, where a list or a mapping stands in place of the secret. */
  readonly values: readonly string[]
  readonly shown: string
}

/** In the order of the text. */
function secretsOf(text: string): Secret[] {
  const { contents } = parseDocument(text, { logLevel: 'silent' })
  const root = isMap(contents) ? contents.items : []
  const contexts = isMap(contents) ? contents.get('contexts', true) : undefined
  const items = isSeq(contexts) ? contexts.items : []
  const pairs = [...root, ...items.flatMap(context => (isMap(context) ? context.items : []))]
  const secrets = pairs.flatMap(({ key, value }) => {
    const name = isScalar(key) ? String(key.value) : ''
    const isNode = isScalar(value) || isCollection(value)
    return !SHOWN_KEYS.includes(name) && isNode ? secretOf(name, value, text) : []
  })
  return secrets.toSorted((a, b) => a.start - b.start)
}

function secretOf(key: string, node: Node, text: string): Secret[] {
  const values = scalarsOf(node)
  if (!node.range || values.length === 0) return []
  const [start, stop] = node.range
  const [secret = ''] = isScalar(node) ? values : []
  // A block scalar takes the end of its last line with it.
  const shown = `${maskedValue(key, secret)}${text.slice(start, stop).endsWith('\n') ? '\n' : ''}`
  return [{ key, start, stop, values, shown }]
}

function scalarsOf(node: Node): string[] {
  const found: string[] = []
  visit(node, { Scalar: (_key, { value }) => void found.push(String(value ?? '')) })
  return found.filter(value => value !== '')
}
