/** Files of rules: YAML or JSON documents that hold the ConfigMap, Selectors, and the Namespaces and VNodes that rules look at. */
import { asRecord, asString } from '../kubernetes/objects.ts'
import { LABEL_NAMESPACE_NAME, RULES_CONFIGMAP, RULES_KEY, SELECTOR_GROUP, SELECTOR_KIND } from '../names.ts'
import type { NamespaceFacts } from '../policy/decide.ts'
import { type Vnode, vnodeOf } from '../vnode/vnode-set.ts'
import { type CompiledRules, compileConfigMapRules } from './configmap-rules.ts'
import { type Locator, type Path, type Position, type Problem, Problems } from './problem.ts'
import { type Labels, labelsOf } from './requirement.ts'
import { type CompiledSelector, compileSelector, type ResourceScope } from './resource-rules.ts'
import type { Rule } from './rule.ts'
import { orderRules, selfDefeatingLabels } from './rule-set.ts'
import { type BlockPlace, parseText, type TextDocument } from './text.ts'

/** One object of a file, with the means to say where its parts stand. */
export interface FileObject {
  readonly object: Record<string, unknown>
  readonly locator: Locator
}

/** The text of `data.selectors`, and where it stands in its file. */
export interface RulesText {
  readonly text: string
  /** If it stands there line by line, places in it are places in the file. */
  readonly place?: BlockPlace
  /** Else the beginning is all that can be said: in quotes, or folded, its lines are not those of the file. */
  readonly start?: Position | undefined
  /** The ConfigMap it is in; none if it is a bare list. */
  readonly configMap?: Readonly<Record<string, unknown>>
}

export interface RuleDocuments {
  readonly rulesTexts: readonly RulesText[]
  readonly selectors: readonly FileObject[]
  readonly namespaces: readonly NamespaceFacts[]
  readonly vnodes: readonly Vnode[]
  /** Objects that are none of these, for whoever knows what to do with them (Pods and workloads, to `vnode explain`). */
  readonly others: readonly FileObject[]
  readonly problems: readonly Problem[]
}

/**
 * Sorts the objects of a text, which is read as kubectl reads manifests: merge keys too, outside of rules. Lists (`kind: List`) are opened; a bare JSON or YAML list is taken as the rules of a ConfigMap. A
 * ConfigMap counts only under the given name. Never throws.
 */
export function readRuleDocuments(text: string, configMapName: string = RULES_CONFIGMAP): RuleDocuments {
  const parsed = parseText(text, { allowsMerges: true })
  const reader = new Reader(configMapName)
  for (const document of parsed.documents) reader.read(document, text, parsed.documents.length === 1)
  return { ...reader, problems: [...parsed.problems, ...reader.problems] }
}

class Reader implements RuleDocuments {
  readonly rulesTexts: RulesText[] = []
  readonly selectors: FileObject[] = []
  readonly namespaces: NamespaceFacts[] = []
  readonly vnodes: Vnode[] = []
  readonly others: FileObject[] = []
  readonly problems: Problem[] = []
  readonly #configMapName: string

  constructor(configMapName: string) {
    this.#configMapName = configMapName
  }

  read(document: TextDocument, text: string, isOnly: boolean): void {
    if (document.value === null || document.value === undefined) return
    if (Array.isArray(document.value) && isOnly) {
      this.rulesTexts.push({ text, place: { line: 1, indent: 0 } })
      return
    }
    this.#sort(document.value, document, [])
  }

  #sort(value: unknown, document: TextDocument, path: Path): void {
    const object = asRecord(value)
    if (object === undefined) {
      this.#complain(document, path, 'must be a Kubernetes object')
      return
    }
    const kind = asString(object.kind) ?? ''
    if (kind.endsWith('List') && Array.isArray(object.items)) {
      for (const [index, item] of object.items.entries())
        this.#sort(typedItem(item, object, kind), document, [...path, 'items', index])
      return
    }
    this.#place({ kind, object, document, path })
  }

  #place({
    kind,
    object,
    document,
    path,
  }: {
    kind: string
    object: Record<string, unknown>
    document: TextDocument
    path: Path
  }): void {
    const locator = path.length === 0 ? document : below(document, path)
    const group = asString(object.apiVersion)?.split('/')[0]
    if (kind === 'ConfigMap' && asRecord(object.metadata)?.name === this.#configMapName) {
      this.#addConfigMap(object, document, path)
    } else if (kind === SELECTOR_KIND && group === SELECTOR_GROUP) this.selectors.push({ object, locator })
    else if (kind === 'Namespace') this.#addNamespace(object)
    else if (kind === 'Node') {
      const vnode = vnodeOf(object)
      if (vnode !== undefined) this.vnodes.push(vnode)
    } else this.others.push({ object, locator })
  }

  #addConfigMap(object: Record<string, unknown>, document: TextDocument, path: Path): void {
    const at = [...path, 'data', RULES_KEY]
    const text = rulesTextOf(object)
    if (text === undefined) {
      this.rulesTexts.push({ text: '', configMap: object })
      return
    }
    if (typeof text !== 'string') {
      this.#complain(document, at, 'must be a string: write it as a block, "selectors: |"')
      return
    }
    const place = document.block(at)
    const where = place === undefined ? { start: document.locate(at, 'value') } : { place }
    this.rulesTexts.push({ text, ...where, configMap: object })
  }

  #addNamespace(object: Record<string, unknown>): void {
    const metadata = asRecord(object.metadata)
    const name = asString(metadata?.name)
    if (name !== undefined)
      this.namespaces.push({ name, labels: namespaceLabels(name, labelsOf(metadata?.labels)) })
  }

  #complain(locator: Locator, path: Path, message: string): void {
    const problems = new Problems(locator)
    problems.error({ path, message })
    this.problems.push(...problems.list)
  }
}

/** An item of `PodList` and the like says neither kind nor version: both are the list's, as every client of the API reads them. */
function typedItem(item: unknown, list: Record<string, unknown>, listKind: string): unknown {
  const object = asRecord(item)
  const kind = listKind.slice(0, -'List'.length)
  if (object === undefined || kind === '' || asString(object.kind)) return item
  return { ...(list.apiVersion === undefined ? {} : { apiVersion: list.apiVersion }), ...object, kind }
}

/** `data.selectors` of a ConfigMap, of whatever type it has; undefined if there is none. */
export function rulesTextOf(configMap: unknown): unknown {
  return asRecord(asRecord(configMap)?.data)?.[RULES_KEY] ?? undefined
}

/** A namespace's labels with the one that the apiserver gives every namespace from 1.21 on, for older ones and for files. */
export function namespaceLabels(name: string, labels: Labels): Labels {
  return labels.has(LABEL_NAMESPACE_NAME) ? labels : new Map([...labels, [LABEL_NAMESPACE_NAME, name]])
}

function below(document: TextDocument, prefix: Path): Locator {
  return {
    locate: (path, at) => document.locate([...prefix, ...path], at),
    typed: path => document.typed([...prefix, ...path]),
  }
}

/** Compiles the rules of a ConfigMap's text. Positions count in its file; in the text, if it comes from none. */
export function compileRulesText({ text, place, start }: RulesText): CompiledRules {
  const compiled = compileConfigMapRules(text)
  const toFile = ({ line, column }: Position): Position =>
    place === undefined
      ? (start ?? { line, column })
      : { line: line + place.line - 1, column: column + place.indent }
  const problems = compiled.problems.map(problem =>
    problem.line === undefined || problem.column === undefined
      ? { ...problem, ...start }
      : { ...problem, ...toFile({ line: problem.line, column: problem.column }) },
  )
  return { rules: compiled.rules, problems }
}

export interface CompiledDocuments {
  /** Every usable rule of the documents, in order. */
  readonly rules: readonly Rule[]
  readonly problems: readonly Problem[]
}

/** Compiles all rules of some documents as if they were one cluster's. */
export function compileDocuments(
  documents: readonly RuleDocuments[],
  scope: ResourceScope,
): CompiledDocuments {
  const texts = documents.flatMap(one => one.rulesTexts).map(compileRulesText)
  const selectors: CompiledSelector[] = documents
    .flatMap(one => one.selectors)
    .map(({ object, locator }) => compileSelector(object, scope, locator))
  const rules = orderRules(
    selectors,
    texts.flatMap(one => one.rules),
  )
  const problems = [...documents, ...texts, ...selectors].flatMap(one => one.problems)
  return { rules, problems: [...problems, ...selfDefeatingLabels(rules)] }
}
