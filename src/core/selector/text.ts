/**
 * Reads the text that people write rules in: JSON, JSON with comments (`#`, `//` and block comments: the vendor's own samples
 * carry `#`), or YAML. Positions survive, so that a problem can say line and column.
 */
import {
  type Document,
  isScalar,
  Lexer,
  LineCounter,
  type Node,
  type ParsedNode,
  parseAllDocuments,
} from 'yaml'
import { messageOf } from '../errors.ts'
import { jsonLocator } from './json-places.ts'
import { markMerges, mergeMarked } from './merge-keys.ts'
import { type Flaw, MOST_ALIASES, type Outline, offsetOf, outlineOf } from './outline.ts'
import type { Locator, Path, Position, Problem } from './problem.ts'
import { readJsonStream, readStrictJson, type StreamedValue } from './strict-json.ts'

export interface TextDocument extends Locator {
  /** Plain JSON-like value; a key `__proto__` is an ordinary own member. */
  readonly value: unknown
  /** Where a string inside the text begins, if the string stands there line by line (a block scalar). */
  block(path: Path): BlockPlace | undefined
}

export interface BlockPlace {
  /** The line of the string's first line, and the columns that every line is indented by. */
  readonly line: number
  readonly indent: number
}

export type ParsedText =
  | { readonly documents: readonly TextDocument[]; readonly problems: readonly [] }
  | { readonly documents: readonly []; readonly problems: readonly Problem[] }

export interface ParseOptions {
  /** Merge keys (`<<`) are read, as kubectl does in manifests; else they are refused. */
  readonly allowsMerges?: boolean
  /**
   * How many words, signs and spaces a text may have that is not JSON (with or without comments). Each takes up to half a kilobyte for as
   * long as the text is looked at.
   */
  readonly mostTokens?: number
}

/**
 * Parses one or several documents: YAML, or JSON objects one after the other. Never throws; a text that cannot be read yields problems
 * with their positions.
 */
export function parseText(text: string, options: ParseOptions = {}): ParsedText {
  try {
    return readJson(text) ?? parseDocuments(text, options)
  } catch (error) {
    // Aliases that expand without end, or a stack that is exhausted already.
    return {
      documents: [],
      problems: [unreadable(messageOf(error))],
    }
  }
}

/** JSON as programs write it. */
function readJson(text: string): ParsedText | undefined {
  const strict = readStrictJson(text)
  const values = strict === undefined ? readJsonStream(text) : [{ ...strict, start: 0 }]
  return values && { documents: values.map(one => jsonDocument(text, one)), problems: [] }
}

/** Places are looked for when somebody asks for one: in rules without a problem nobody does. */
function jsonDocument(text: string, { value, start }: StreamedValue): TextDocument {
  // Only YAML has blocks.
  return { value, ...jsonLocator(text, start), block: () => undefined }
}

/** Not strict: what was parsed has contents, and be it null. */
type ParsedDocument = Document.Parsed<ParsedNode, false>

const TOO_DEEP = 'it is nested too deeply'

function parseDocuments(text: string, { mostTokens, allowsMerges }: ParseOptions): ParsedText {
  const lines = new LineCounter()
  // A byte order mark is invisible, and would count as a column.
  const bare = text.startsWith('\uFEFF') ? text.slice(1) : text
  const isJson = isJsonLike(bare)
  const source = isJson ? blankComments(bare) : bare
  // Of most that people write in JSON, comments are all that is not JSON.
  const json = isJson ? readJson(source) : undefined
  if (json !== undefined) return json
  if (mostTokens !== undefined && hasMoreTokens(source, mostTokens))
    return { documents: [], problems: [tooLarge(source, isJson)] }
  // The library's own search for duplicate keys compares each with all others: minutes, for a map of 100,000.
  const options = { lineCounter: lines, prettyErrors: false, logLevel: 'silent', uniqueKeys: false } as const
  const parsed = parseAllDocuments<ParsedNode, false>(source, options)
  const documents = 'empty' in parsed ? [] : parsed
  const flaws = documents.flatMap(syntaxFlaws)
  if (flaws.length > 0) return refusal(flaws, lines)
  const outlined = documents.map(document => ({
    document,
    outline: outlineOf(document.contents, allowsMerges),
  }))
  const deeper = outlined.flatMap(({ outline }) => outline.flaws)
  if (deeper.length > 0) return refusal(deeper, lines)
  return { documents: outlined.map(one => toTextDocument({ ...one, lines, source })), problems: [] }
}

/** What the lexer gives where a document begins, and how many other tokens take as much memory. */
const DOCUMENT_TOKEN = '\u0002'
const DOCUMENT_WEIGHT = 50

/** The lexer keeps nothing of what it has read. */
function hasMoreTokens(source: string, most: number): boolean {
  let count = 0
  for (const token of new Lexer().lex(source)) {
    count += token === DOCUMENT_TOKEN ? DOCUMENT_WEIGHT : 1
    if (count > most) return true
  }
  return false
}

function tooLarge(source: string, isJson: boolean): Problem {
  const problem = {
    severity: 'error',
    path: '',
    message:
      'the text is too large to be read as YAML; written as JSON, with or without comments, it may be as large as a ConfigMap',
  } as const
  return isJson ? { ...problem, ...jsonFault(source) } : problem
}

/** In V8's words, which tell line and column, or the position alone. */
function jsonFault(source: string): Pick<Problem, 'message'> & Partial<Position> {
  try {
    JSON.parse(source)
  } catch (error) {
    const message = messageOf(error).replaceAll(/\s+/g, ' ')
    const offset = /at position (\d+)/.exec(message)?.[1]
    const place = offset === undefined ? {} : jsonPosition(source, Number(offset))
    return { message: `the text is not valid JSON: ${message}`, ...place }
  }
  return { message: 'an object in the text has a key twice, or objects and lists are nested too deeply' }
}

function jsonPosition(source: string, offset: number): Position {
  const before = source.slice(0, offset).split('\n')
  return { line: before.length, column: (before.at(-1) ?? '').length + 1 }
}

function syntaxFlaws({ errors }: ParsedDocument): Flaw[] {
  const flaws = errors.map(({ message, pos: [offset] }) => ({ message, offset }))
  const exhausted = errors.find(error => error.code === 'RESOURCE_EXHAUSTION')
  // The rest would only say that brackets do not close where the parser gave up.
  return exhausted === undefined ? flaws : [{ message: TOO_DEEP, offset: exhausted.pos[0] }]
}

function refusal(flaws: readonly Flaw[], lines: LineCounter): ParsedText {
  return {
    documents: [],
    problems: flaws.map(({ message, offset }) => unreadable(message, lines.linePos(offset))),
  }
}

function unreadable(reason: string, position?: { line: number; col: number }): Problem {
  return {
    severity: 'error',
    path: '',
    message: `the text is not valid JSON or YAML: ${reason.replaceAll(/\s+/g, ' ').trim()}`,
    ...(position === undefined ? {} : { line: position.line, column: position.col }),
  }
}

interface Parsed {
  readonly document: ParsedDocument
  readonly outline: Outline
  readonly lines: LineCounter
  readonly source: string
}

function toTextDocument({ document, outline, lines, source }: Parsed): TextDocument {
  markMerges(outline.merges)
  const plain: unknown = document.toJS({ maxAliasCount: MOST_ALIASES })
  const value = outline.merges.length === 0 ? plain : mergeMarked(plain)
  const nodeAt = (path: Path): Node | undefined => {
    const place = outline.find(path)
    return place.isWhole ? place.target : undefined
  }
  return {
    value,
    locate: (path, at) => {
      const place = outline.find(path)
      const node = at === 'value' && place.isWhole ? place.node : (place.key ?? place.node)
      return positionOf(node, lines)
    },
    typed: path => {
      const node = nodeAt(path)
      return isScalar(node) ? node.source : undefined
    },
    block: path => blockPlace(nodeAt(path), lines, source),
  }
}

function positionOf(node: Node, lines: LineCounter): Position {
  const { line, col } = lines.linePos(offsetOf(node))
  return { line, column: col }
}

function blockPlace(node: Node | undefined, lines: LineCounter, source: string): BlockPlace | undefined {
  if (!isScalar(node) || node.type !== 'BLOCK_LITERAL') return undefined
  const header = positionOf(node, lines).line
  const first = source.split('\n').slice(header).find(isWritten)
  const within = String(node.value).split('\n').find(isWritten)
  if (first === undefined || within === undefined) return undefined
  // The first line may be indented further than the block is (`|2`).
  return { line: header + 1, indent: indentOf(first) - indentOf(within) }
}

function isWritten(row: string): boolean {
  return row.trim() !== ''
}

function indentOf(row: string): number {
  return row.length - row.trimStart().length
}

/** JSON-like text opens with a bracket, or ends, once white space and comments are past. */
function isJsonLike(text: string): boolean {
  const start = text.replace(/^(?:\s|\uFEFF|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)+/, '')
  return start === '' || start.startsWith('[') || start.startsWith('{')
}

// A string ("…", or '…' where a word begins), or a comment that does not stand inside a bare word (`http://x`); tabs are white
// space in JSON but not in YAML.
const STRING_OR_COMMENT =
  /"(?:[^"\\]|\\[\s\S])*"?|(?<=^|[\s,[\]{}:])'(?:[^']|'')*'?|(?<=^|[\s,[\]{}"'])(?:#|\/\/)[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\t|\uFEFF/g

/** Replaces comments by spaces, keeping every character in its place. */
function blankComments(text: string): string {
  return text.replaceAll(STRING_OR_COMMENT, match =>
    /^["']/.test(match) ? match : match.replaceAll(/[^\n]/g, ' '),
  )
}
