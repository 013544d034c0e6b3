/** Files of rules, compiled as one cluster's, with every problem's file beside it. */
import {
  compileRulesText,
  type FileObject,
  type RuleDocuments,
  type RulesText,
  readRuleDocuments,
} from '../core/selector/documents.ts'
import { chosenRulesText, hasRules, namespaceOfRules } from '../core/selector/found-rules.ts'
import type { Problem } from '../core/selector/problem.ts'
import {
  type CompiledSelector,
  compileSelector,
  type ResourceScope,
} from '../core/selector/resource-rules.ts'
import type { Rule } from '../core/selector/rule.ts'
import { orderRules, selfDefeatingLabels } from '../core/selector/rule-set.ts'
import type { InputFile } from './input.ts'

export interface RuleFile extends InputFile {
  readonly documents: RuleDocuments
}

export interface FileProblem {
  readonly file: string
  readonly problem: Problem
}

export interface CompiledFiles {
  /** Every usable rule, in the order in which rules are tried. */
  readonly rules: readonly Rule[]
  readonly selectors: readonly CompiledSelector[]
  readonly configMapRules: readonly Rule[]
  readonly problems: readonly FileProblem[]
  /** Which file each rule is from. */
  readonly origins: ReadonlyMap<string, string>
}

/** The file of the rule that the problem is about. */
export function fileOfRule({ origins }: Pick<CompiledFiles, 'origins'>, { rule = '' }: Problem): string {
  return origins.get(rule) ?? ''
}

export function readRuleFiles(inputs: readonly InputFile[], configMapName: string): readonly RuleFile[] {
  return inputs.map(input => ({ ...input, documents: readRuleDocuments(input.text, configMapName) }))
}

export function isEmptyFile({ documents }: RuleFile): boolean {
  const { rulesTexts, selectors, namespaces, vnodes, others } = documents
  return [rulesTexts, selectors, namespaces, vnodes, others].every(list => list.length === 0)
}

/** Could the file not be parsed, or holds it something that is no object? */
export function isUnreadable({ documents }: RuleFile): boolean {
  return documents.problems.some(problem => problem.severity === 'error')
}

export function unreadableProblems({ path, documents }: RuleFile): readonly FileProblem[] {
  return documents.problems.map(problem => inFile(path, problem))
}

export function holdsRules({ documents }: RuleFile): boolean {
  return hasRules(documents)
}

/** Compiles the rules of all files. Of several ConfigMaps one counts, as in the webhook; the others are checked too. */
export function compileRuleFiles(files: readonly RuleFile[], scope: ResourceScope): CompiledFiles {
  const compiled = files.map(file => compileFile(file, scope))
  const chosen = chosenRulesText(files.flatMap(file => file.documents.rulesTexts))
  const selectors = compiled.flatMap(one => one.selectors)
  const configMapRules = compiled.flatMap(one => one.texts).find(one => one.text === chosen)?.rules ?? []
  const rules = orderRules(selectors, configMapRules)
  const origins = new Map(compiled.flatMap(({ path, names }) => names.map(name => [name, path] as const)))
  const across = [...selfDefeatingLabels(rules), ...sameNames(selectors)].map(
    (problem): FileProblem => ({ file: fileOfRule({ origins }, problem), problem }),
  )
  const problems = [...compiled.flatMap(one => one.problems), ...furtherConfigMaps(files, chosen), ...across]
  return { rules, selectors, configMapRules, problems, origins }
}

interface CompiledText {
  readonly text: RulesText
  readonly rules: readonly Rule[]
  readonly problems: readonly Problem[]
}

interface CompiledFile {
  readonly path: string
  readonly texts: readonly CompiledText[]
  readonly selectors: readonly CompiledSelector[]
  readonly names: readonly string[]
  readonly problems: readonly FileProblem[]
}

function compileFile({ path, documents }: RuleFile, scope: ResourceScope): CompiledFile {
  const texts = documents.rulesTexts.map(text => ({ text, ...compileRulesText(text) }))
  const selectors = documents.selectors.map(({ object, locator }: FileObject) =>
    compileSelector(object, scope, locator),
  )
  const rules = [...texts.flatMap(one => one.rules), ...selectors.flatMap(one => one.rule ?? [])]
  return {
    path,
    texts,
    selectors,
    names: rules.map(rule => rule.name),
    problems: [
      ...documents.problems.map(problem => inFile(path, problem)),
      ...[...texts, ...selectors].flatMap(one => one.problems).map(problem => inFile(path, problem)),
    ],
  }
}

function inFile(file: string, problem: Problem): FileProblem {
  return { file, problem }
}

function furtherConfigMaps(files: readonly RuleFile[], chosen: RulesText | undefined): FileProblem[] {
  const texts = files.flatMap(({ path, documents }) => documents.rulesTexts.map(text => ({ path, text })))
  const place = texts.find(({ text }) => text === chosen)?.path
  const namespace = chosen && namespaceOfRules(chosen)
  return texts
    .filter(({ text }) => text !== chosen)
    .map(({ path, text }) => {
      const own = namespaceOfRules(text)
      const isSame = own === namespace
      const whose = isSame || own === undefined ? '' : `, of namespace ${own}`
      const which = isSame || namespace === undefined ? 'the first' : `that of namespace ${namespace}`
      const message = `another ConfigMap of rules${whose}; a cluster has one, and only ${which} counts (in ${place})`
      return inFile(path, { severity: 'warning', path: '', message })
    })
}

function sameNames(selectors: readonly CompiledSelector[]): Problem[] {
  const seen = new Set<string>()
  return selectors.flatMap(({ rule }): Problem[] => {
    if (rule === undefined) return []
    const isKnown = seen.has(rule.name)
    seen.add(rule.name)
    const message = 'another Selector has the same name; applied to a cluster, the later replaces the earlier'
    return isKnown ? [{ severity: 'warning', rule: rule.name, path: '', message }] : []
  })
}
