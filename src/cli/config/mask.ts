/** The file as it may be shown. */
import { isCollection, isMap, isScalar, isSeq, type Node, parseDocument, visit } from 'yaml'
import { SECRET_KEYS } from '../../config/vnode-config.ts'

const HIDDEN = '****'

/** What may be shown of a secret: of an AccessKey id its first four characters. */
export function maskedValue(key: string, value: string): string {
  return key === 'access-key-id' ? `${value.slice(0, 4)}${HIDDEN}` : HIDDEN
}

/** What {@link maskedValue} makes, and YAML's signs of an anchor or alias. */
const IS_MASKED = /^(?:.{4})?\*{4}$|^[*&]/

/** A line that sets a secret key: for comments, of which the parser knows nothing. */
const SECRET_LINE = new RegExp(String.raw`((${SECRET_KEYS.join('|')})["']?\s*[:=]\s*)(\S+)`, 'g')

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
  for (const { values, shown } of secrets) {
    const long = values.filter(value => value.length > HIDDEN.length)
    for (const value of long) masked = masked.replaceAll(value, shown.trimEnd())
  }
  return masked
}

interface Secret {
  readonly start: number
  readonly stop: number
  /** More than one, or none, where a list or a mapping stands in place of the secret. */
  readonly values: readonly string[]
  readonly shown: string
}

/** In the order of the text. */
function secretsOf(text: string): Secret[] {
  const contexts = parseDocument(text, { logLevel: 'silent' }).get('contexts', true)
  const items = isSeq(contexts) ? contexts.items : []
  const pairs = items.flatMap(context => (isMap(context) ? context.items : []))
  const secrets = pairs.flatMap(({ key, value }) => {
    const name = isScalar(key) ? String(key.value) : ''
    const isNode = isScalar(value) || isCollection(value)
    return SECRET_KEYS.includes(name) && isNode ? secretOf(name, value, text) : []
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
  return [{ start, stop, values, shown }]
}

function scalarsOf(node: Node): string[] {
  const found: string[] = []
  visit(node, { Scalar: (_key, { value }) => void found.push(String(value ?? '')) })
  return found.filter(value => value !== '')
}
