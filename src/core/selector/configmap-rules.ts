/** The rules that people edit in the ConfigMap's `data.selectors`: a list in JSON, JSON with comments, or YAML. */
import { asRecord } from '../kubernetes/objects.ts'
import { VIRTUAL_NODE_ONLY } from '../policy/policy.ts'
import { isEmptyEffect } from './effect.ts'
import { Gathering, hasErrors, type Locator, NO_TEXT, type Path, type Problem, Problems } from './problem.ts'
import { hasSelector, type Rule } from './rule.ts'
import { type BodyFormat, compileBody } from './rule-body.ts'
import { parseText } from './text.ts'

/**
 * Of a text that is not plain JSON: whoever may edit the ConfigMap, or send a review, must not fill the memory of all who read it. Some
 * 1,500 rules in YAML.
 */
const MOST_TOKENS = 60_000
/** Nobody mends more than that before he looks again. */
const MOST_PROBLEMS = 1000

export interface CompiledRules {
  /** The rules without an error, in their order. */
  readonly rules: readonly Rule[]
  /** Everything wrong with the text, in its order. */
  readonly problems: readonly Problem[]
}

const NOTHING: CompiledRules = { rules: [], problems: [] }

/**
 * Compiles the text. An empty one is a list without rules. Whether rules of a partly wrong text may be used is the caller's
 * decision: an edit with an error is not applied at all, unless there is nothing older to keep.
 */
export function compileConfigMapRules(text: string): CompiledRules {
  const parsed = parseText(text, { mostTokens: MOST_TOKENS })
  const found = new Gathering(MOST_PROBLEMS)
  found.add(parsed.problems)
  if (parsed.problems.length > 0) return { rules: [], problems: found.list }
  const [document, ...more] = parsed.documents
  if (document === undefined || document.value === null || document.value === undefined) return NOTHING
  if (more.length > 0) return refusal('must be one list; it holds several YAML documents', document)
  if (!Array.isArray(document.value)) return refusal('must be a list of rules', document)
  const rules: Rule[] = []
  const names = new NamesSeen()
  for (const [index, item] of document.value.entries()) {
    // What is not kept need not be looked for in the text either.
    const locator = found.isFull ? { ...NO_TEXT, typed: document.typed } : document
    const { rule, problems } = compileRule(item, index, locator)
    found.add(problems)
    if (rule === undefined) continue
    rules.push(rule)
    found.add(names.problems(rule.name, index, locator))
  }
  return { rules, problems: found.list }
}

function refusal(message: string, locator: Locator): CompiledRules {
  const problems = new Problems(locator)
  problems.error({ path: [], message })
  return { rules: [], problems: problems.list }
}

const FORMAT: BodyFormat = {
  origin: 'ConfigMap',
  namespaceSelector: 'namespaceSelector',
  objectSelector: 'objectSelector',
}
const RULE_KEYS = ['name', 'namespaceSelector', 'objectSelector', 'effect', 'policy', 'namespaces']

interface CompiledRule {
  readonly rule?: Rule
  readonly problems: readonly Problem[]
}

function compileRule(value: unknown, index: number, locator: Locator): CompiledRule {
  const record = asRecord(value)
  const name = nameOf(record?.name)
  const problems = new Problems(locator, name ?? `#${index + 1}`)
  const path: Path = [index]
  if (record === undefined) {
    problems.error({ path, value, message: 'must be an object with name, selectors and effect' })
    return { problems: problems.list }
  }
  checkKeys(record, path, problems)
  if (name === undefined) {
    problems.error({
      path: [...path, 'name'],
      value: record.name,
      message: 'must be a name of 1 to 253 characters without control characters',
    })
  }
  const { body, isSelectorBroken } = compileBody({ record, path }, FORMAT, problems)
  const rule: Rule = { name: name ?? '', ...body }
  if (!isSelectorBroken) checkSense(rule, path, problems)
  if (hasErrors(problems.list)) return { problems: problems.list }
  const schedules = hasSelector(rule) && rule.policy === undefined
  return { rule: schedules ? { ...rule, policy: VIRTUAL_NODE_ONLY } : rule, problems: problems.list }
}

/** A name is written into an annotation and into Events, where control characters and pages of text are no use. */
function nameOf(name: unknown): string | undefined {
  if (typeof name !== 'string' || name === '' || name.length > 253) return undefined
  return name.isWellFormed() && !/\p{Cc}/u.test(name) ? name : undefined
}

function checkKeys(record: Record<string, unknown>, path: Path, problems: Problems): void {
  for (const key of Object.keys(record)) {
    if (RULE_KEYS.includes(key)) continue
    problems.error({
      path: [...path, key],
      at: 'key',
      message: `unknown field; a rule has ${RULE_KEYS.join(', ')}`,
    })
  }
}

function checkSense(rule: Rule, path: Path, problems: Problems): void {
  if (hasSelector(rule)) return
  if (rule.policy !== undefined) {
    problems.error({
      path: [...path, 'policy'],
      at: 'key',
      message: `needs a selector: without one the rule schedules no Pod. To mean every namespace that "namespaces" names, add namespaceSelector {matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]}`,
    })
  } else if (isEmptyEffect(rule.effect) && problems.errorCount === 0) {
    problems.warn({ path, message: 'has neither a selector nor an effect, and does nothing' })
  }
}

class NamesSeen {
  readonly #names = new Set<string>()

  problems(name: string, index: number, locator: Locator): readonly Problem[] {
    if (!this.#names.has(name)) {
      this.#names.add(name)
      return []
    }
    const problems = new Problems(locator, name)
    const message = 'another rule has the same name; annotations and Events cannot tell them apart'
    problems.warn({ path: [index, 'name'], message })
    return problems.list
  }
}
