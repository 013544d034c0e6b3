/** Problems found in rules: each says which rule, where, what value and why, so that all can be mended at once. */

export type PathSegment = string | number
export type Path = readonly PathSegment[]

export interface Position {
  /** Both count from 1, in the text that was parsed. */
  readonly line: number
  readonly column: number
}

export interface Problem {
  /** An `error` keeps the rule (and the edit it came with) out; a `warning` is told and the rule works. */
  readonly severity: 'error' | 'warning'
  /** Name of the rule, or `#3` for the third one of a list when it has none. */
  readonly rule?: string
  /** Where in the value, e.g. `[2].objectSelector.matchLabels["app.io/x"]`; empty for the whole. */
  readonly path: string
  readonly message: string
  /** The value found there as JSON, cut to some 60 characters. */
  readonly value?: string
  readonly line?: number
  readonly column?: number
}

/** Finds where a path stands in the text it was parsed from; undefined where there is no text. */
export interface Locator {
  locate(path: Path, at: 'key' | 'value'): Position | undefined
  /** The scalar at the path exactly as it was typed, so that `1.10` does not become `1.1`. */
  typed(path: Path): string | undefined
}

export const NO_TEXT: Locator = { locate: () => undefined, typed: () => undefined }

export interface Complaint {
  readonly path: Path
  readonly message: string
  readonly value?: unknown
  /** Point at the key rather than its value: for keys that should not be there. */
  readonly at?: 'key' | 'value'
}

/** Of a rule with more problems than that somebody mends the first ones first; a million of them would fill the memory. */
const MOST_OF_A_RULE = 100

/** Gathers the problems of one rule. */
export class Problems {
  readonly #list: Problem[] = []
  readonly #locator: Locator
  readonly #rule: string | undefined
  #errorCount = 0
  #omitted = 0

  constructor(locator: Locator = NO_TEXT, rule?: string) {
    this.#locator = locator
    this.#rule = rule
  }

  /** What was found, in order; last, if there are more, how many. */
  get list(): readonly Problem[] {
    if (this.#omitted === 0) return this.#list
    const severity = this.#errorCount > 0 ? 'error' : 'warning'
    const rule = this.#rule === undefined ? {} : { rule: this.#rule }
    return [...this.#list, { severity, ...rule, path: '', message: `and ${this.#omitted} more problems` }]
  }

  error(complaint: Complaint): void {
    this.#add('error', complaint)
  }

  warn(complaint: Complaint): void {
    this.#add('warning', complaint)
  }

  get errorCount(): number {
    return this.#errorCount
  }

  /** The value at the path as it was typed, where that is known. */
  typed(path: Path): string | undefined {
    return this.#locator.typed(path)
  }

  #add(severity: Problem['severity'], { path, message, value, at = 'value' }: Complaint): void {
    if (severity === 'error') this.#errorCount += 1
    if (this.#list.length >= MOST_OF_A_RULE) {
      this.#omitted += 1
      return
    }
    this.#list.push({
      severity,
      ...(this.#rule === undefined ? {} : { rule: this.#rule }),
      path: renderPath(path),
      message,
      ...(value === undefined ? {} : { value: renderValue(value) }),
      ...this.#locator.locate(path, at),
    })
  }
}

/** The first of the problems of many rules, and how many more there are. */
export class Gathering {
  readonly #list: Problem[] = []
  readonly #most: number
  #omitted = 0
  #hasOmittedErrors = false

  constructor(most: number) {
    this.#most = most
  }

  get isFull(): boolean {
    return this.#list.length >= this.#most
  }

  add(problems: readonly Problem[]): void {
    for (const problem of problems) {
      if (!this.isFull) this.#list.push(problem)
      else {
        this.#omitted += 1
        this.#hasOmittedErrors ||= problem.severity === 'error'
      }
    }
  }

  get list(): readonly Problem[] {
    if (this.#omitted === 0) return this.#list
    const severity = this.#hasOmittedErrors ? 'error' : 'warning'
    return [...this.#list, { severity, path: '', message: `and ${this.#omitted} more problems further on` }]
  }
}

export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some(problem => problem.severity === 'error')
}

/** `['selectors', 0, 'a.b']` becomes `selectors[0]["a.b"]`. */
export function renderPath(path: Path): string {
  let text = ''
  for (const segment of path) {
    if (typeof segment === 'number') text += `[${segment}]`
    else if (!/^[A-Za-z_][\w-]*$/.test(segment)) text += `[${JSON.stringify(segment)}]`
    else text += text === '' ? segment : `.${segment}`
  }
  return text
}

/** One line: `line 4, column 9: rule "ci": [0].policy: says what (found "x")`. */
export function renderProblem(problem: Problem): string {
  const place = problem.line === undefined ? '' : `line ${problem.line}, column ${problem.column}: `
  const rule = problem.rule === undefined ? '' : `rule ${JSON.stringify(problem.rule)}: `
  const path = problem.path === '' ? '' : `${problem.path}: `
  const found = problem.value === undefined ? '' : ` (found ${problem.value})`
  return `${place}${rule}${path}${problem.message}${found}`
}

const LONGEST_VALUE = 60

function renderValue(value: unknown): string {
  const text = preview(value, LONGEST_VALUE + 1)
  return text.length > LONGEST_VALUE ? `${cutText(text, LONGEST_VALUE)}…` : text
}

/** The beginning of the value's JSON, of `room` characters or a little more: aliases can make the whole of it gigabytes. */
function preview(value: unknown, room: number): string {
  if (typeof value === 'string') return JSON.stringify(cutText(value, room))
  if (typeof value !== 'object' || value === null) return String(value)
  const isList = Array.isArray(value)
  let text = ''
  for (const key in value) {
    const left = room - text.length - 1
    if (left < 0) break
    const name = isList ? '' : `${preview(key, left)}:`
    text += `${text === '' ? '' : ','}${name}${preview(Reflect.get(value, key), Math.max(0, left - name.length))}`
  }
  return isList ? `[${text}]` : `{${text}}`
}

/** The first `length` UTF-16 units, less one rather than half a character. */
export function cutText(text: string, length: number): string {
  const end = text.charCodeAt(length - 1) >> 10 === 0xd800 >> 10 && text.length > length ? length - 1 : length
  return text.slice(0, end)
}
