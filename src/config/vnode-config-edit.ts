/** Changes of `~/.vnode/config` as text: comments, order and whatever else stands there stay. */
import { type Document, isMap, isScalar, isSeq, type ParsedNode, parseDocument, type YAMLMap } from 'yaml'
import type { ContextKey } from './vnode-config.ts'

const EMPTY = 'kind: vnode\ncontexts: []\n'

type Parsed = Document.Parsed<ParsedNode>

/** The text with this current context. */
export function withCurrentContext(text: string, name: string): string {
  const document = parse(text)
  const node = document.get('current-context', true)
  if (isScalar(node) && node.range) return splice(text, node.range, scalarText(name))
  document.set('current-context', name)
  return render(document)
}

/** The text with these values in the context, which is appended where there is none of that name; what is undefined is taken out. */
export function withContextValues(
  text: string,
  name: string,
  values: ReadonlyMap<ContextKey, string | undefined>,
): string {
  const started = withContext(text.trim() === '' ? EMPTY : text, name)
  return [...values].reduce(
    (changed, [key, value]) => withContextValue(changed, name, { key, value }),
    started,
  )
}

function withContextValue(
  text: string,
  name: string,
  { key, value }: { readonly key: ContextKey; readonly value: string | undefined },
): string {
  const document = parse(text)
  const context = findContext(document, name)
  if (value === undefined) return context?.delete(key) === true ? render(document) : text
  const node = context?.get(key, true)
  if (isScalar(node) && node.range) return splice(text, node.range, scalarText(value))
  context?.set(key, value)
  return render(document)
}

function withContext(text: string, name: string): string {
  const document = parse(text)
  if (findContext(document, name) !== undefined) return text
  const contexts = document.get('contexts', true)
  const entry = document.createNode({ name })
  if (isSeq(contexts)) {
    contexts.flow = false
    contexts.add(entry)
  } else document.set('contexts', document.createNode([{ name }]))
  return render(document)
}

function findContext(document: Parsed, name: string): YAMLMap | undefined {
  const contexts = document.get('contexts', true)
  if (!isSeq(contexts)) return undefined
  return contexts.items.filter(item => isMap(item)).find(item => item.get('name') === name)
}

function parse(text: string): Parsed {
  return parseDocument(text, { logLevel: 'silent' })
}

/** Lines are never broken: a long one is a secret or a path. */
function render(document: Parsed): string {
  return document.toString({ lineWidth: 0 })
}

/** A scalar in one place of the text; the rest keeps every character. */
function splice(text: string, [start, end]: readonly [number, number, number], value: string): string {
  return `${text.slice(0, start)}${value}${text.slice(end)}`
}

/** Plain where that reads back as the same string, else in quotes. */
function scalarText(value: string): string {
  const isPlain = /^[A-Za-z/~][\w./:=,@+-]*$/.test(value) && parseDocument(value).toJS() === value
  return isPlain ? value : JSON.stringify(value)
}
