/**
 * What is decided by: rules, namespaces and VNodes, put together from whatever the sources report. A reader takes
 * `environment`, one immutable value that a single assignment replaces after everything has compiled.
 */
import { RULES_CONFIGMAP, RULES_NAMESPACE, SELECTOR_KIND } from '../core/names.ts'
import type { RuledEnvironment } from '../core/policy/decide.ts'
import { compileRulesText, namespaceLabels, type RulesText } from '../core/selector/documents.ts'
import { hasErrors, type Locator, type Problem } from '../core/selector/problem.ts'
import type { Labels } from '../core/selector/requirement.ts'
import { type CompiledSelector, compileSelector } from '../core/selector/resource-rules.ts'
import type { Rule } from '../core/selector/rule.ts'
import { orderRules, RuleSet, selfDefeatingLabels } from '../core/selector/rule-set.ts'
import type { Settings } from '../core/settings.ts'
import { type Vnode, VnodeSet } from '../core/vnode/vnode-set.ts'

/** Where rules come from, for messages and Events. */
export interface RuleOrigin {
  readonly kind: 'ConfigMap' | 'Selector'
  /** For messages: `ConfigMap kube-system/eci-profile`, or a file's name. */
  readonly label: string
  /** Only of what lives in a cluster. */
  readonly involved?: InvolvedObject
}

export interface InvolvedObject {
  readonly apiVersion: string
  readonly namespace?: string
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
}

/** What became of an edit. */
export interface RulesReport {
  readonly kind: 'refused' | 'mended' | 'accepted' | 'removed'
  readonly origin: RuleOrigin
  readonly problems: readonly Problem[]
  /** What is in force in place of a refused edit. */
  readonly inForce?: 'last-good' | 'valid-part' | 'without-it'
}

export interface RulesSummary {
  readonly configMapRules: number
  readonly selectorRules: number
  /** Rules with an error in the newest text; Selectors left out. */
  readonly refusedConfigMapRules: number
  readonly refusedSelectors: number
  readonly isNewest: boolean
}

export interface RulesStateOptions {
  readonly settings: Settings
  readonly onReport?: (report: RulesReport) => void
  /** After each exchange of the rules. */
  readonly onExchange?: (summary: RulesSummary) => void
  /** A text without an error has come into force, to be kept for replicas that start while the newest is bad. */
  readonly onGoodText?: (text: string) => void
}

interface ConfigMapState {
  readonly origin: RuleOrigin
  readonly rules: readonly Rule[]
  readonly problems: readonly Problem[]
}

interface SelectorState {
  readonly origin: RuleOrigin
  readonly compiled: CompiledSelector
}

/** Changes that come within this time are put in force together: the first list of 10,000 Selectors is one exchange. */
const GATHER_MS = 10

export class RulesState {
  readonly #options: RulesStateOptions
  readonly #namespaces = new Map<string, Labels>()
  /** Who waits for a namespace to be known. */
  readonly #awaited = new Map<string, Set<() => void>>()
  readonly #vnodes = new Map<string, Vnode>()
  readonly #selectors = new Map<string, SelectorState>()
  /** Labels of origins that cannot be read. */
  readonly #unreadable = new Set<string>()
  #configMap: ConfigMapState | undefined
  #lastGood: { readonly text: string; readonly rules: readonly Rule[] } | undefined
  #environment: RuledEnvironment
  /** Not so where only VNodes changed: their heartbeats must not index 10,000 rules anew. */
  #areRulesNew = true
  #timer: NodeJS.Timeout | undefined

  constructor(options: RulesStateOptions) {
    this.#options = options
    this.#environment = { settings: options.settings, rules: new RuleSet([]), vnodes: new VnodeSet() }
  }

  get environment(): RuledEnvironment {
    return this.#environment
  }

  /** Of a namespace that is not known yet, the one label that every namespace has. */
  labelsOfNamespace(name: string): Labels {
    return this.#namespaces.get(name) ?? namespaceLabels(name, new Map())
  }

  knowsNamespace(name: string): boolean {
    return this.#namespaces.has(name)
  }

  setNamespace(name: string, labels: Labels): void {
    this.#namespaces.set(name, namespaceLabels(name, labels))
    for (const tell of this.#awaited.get(name) ?? []) tell()
  }

  /** Resolves once the namespace is known, after so many milliseconds at the latest. */
  arrivalOf(name: string, ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = this.#awaited.get(name) ?? new Set()
    this.#awaited.set(name, waiting.add(resolve))
    const timer = setTimeout(resolve, ms)
    return promise.finally(() => {
      clearTimeout(timer)
      waiting.delete(resolve)
      if (waiting.size === 0 && this.#awaited.get(name) === waiting) this.#awaited.delete(name)
    })
  }

  deleteNamespace(name: string): void {
    this.#namespaces.delete(name)
  }

  setVnode(vnode: Vnode): void {
    this.#vnodes.set(vnode.name, vnode)
    this.#gather()
  }

  deleteVnode(name: string): void {
    if (this.#vnodes.delete(name)) this.#gather()
  }

  /** The newest text of the ConfigMap's rules. */
  setConfigMap(rulesText: RulesText, origin: RuleOrigin): void {
    const before = this.#configMap
    const { rules, problems } = compileRulesText(rulesText)
    this.#configMap = { origin, rules, problems: [...problems, ...selfDefeatingLabels(rules)] }
    const { kind, inForce } = this.#judge(before)
    if (kind !== 'refused') {
      this.#lastGood = { text: rulesText.text, rules }
      this.#options.onGoodText?.(rulesText.text)
    }
    this.#schedule()
    this.#options.onReport?.({
      kind,
      origin,
      problems: this.#configMap.problems,
      ...(inForce === undefined ? {} : { inForce }),
    })
  }

  #judge(before: ConfigMapState | undefined): Pick<RulesReport, 'kind' | 'inForce'> {
    if (this.#isRefused)
      return { kind: 'refused', inForce: this.#lastGood === undefined ? 'valid-part' : 'last-good' }
    return { kind: before !== undefined && hasErrors(before.problems) ? 'mended' : 'accepted' }
  }

  /** The ConfigMap is gone: so are its rules, since that is what somebody asked for. */
  deleteConfigMap(): void {
    const gone = this.#configMap
    if (gone === undefined) return
    this.#configMap = undefined
    this.#schedule()
    this.#options.onReport?.({ kind: 'removed', origin: gone.origin, problems: [] })
  }

  /**
   * The text that some replica kept as the last good one. It counts while the newest is refused: a replica that starts then, or
   * that missed a good edit between two bad ones, answers like the others.
   */
  setLastGoodText(text: string): void {
    if (text === this.#lastGood?.text || (this.#configMap !== undefined && !this.#isRefused)) return
    const { rules, problems } = compileRulesText({ text })
    if (hasErrors(problems)) return
    this.#lastGood = { text, rules }
    this.#schedule()
  }

  setSelector(key: string, object: unknown, origin: RuleOrigin, locator?: Locator): void {
    const compiled = compileSelector(object, this.#options.settings, locator)
    const wasBad = hasErrors(this.#selectors.get(key)?.compiled.problems ?? [])
    const isBad = hasErrors(compiled.problems)
    this.#selectors.set(key, { origin, compiled })
    this.#schedule()
    const { problems } = compiled
    if (isBad) this.#options.onReport?.({ kind: 'refused', origin, problems, inForce: 'without-it' })
    else this.#options.onReport?.({ kind: wasBad ? 'mended' : 'accepted', origin, problems })
  }

  deleteSelector(key: string): void {
    const gone = this.#selectors.get(key)
    if (gone === undefined) return
    this.#selectors.delete(key)
    this.#schedule()
    this.#options.onReport?.({ kind: 'removed', origin: gone.origin, problems: [] })
  }

  /** What should hold rules is no text of that kind at all: what is in force stays, until {@link mend}. */
  refuse(origin: RuleOrigin, problems: readonly Problem[], inForce: 'last-good' | 'valid-part'): void {
    this.#unreadable.add(origin.label)
    this.#schedule()
    this.#options.onReport?.({ kind: 'refused', origin, problems, inForce })
  }

  /** It can be read again, whatever it says. */
  mend(origin: RuleOrigin): void {
    if (!this.#unreadable.delete(origin.label)) return
    this.#schedule()
    this.#options.onReport?.({ kind: 'mended', origin, problems: [] })
  }

  /** Puts what has been reported so far in force now. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const { settings, onExchange } = this.#options
    const areRulesNew = this.#areRulesNew
    this.#areRulesNew = false
    this.#environment = {
      settings,
      rules: areRulesNew ? this.#ruleSet() : this.#environment.rules,
      vnodes: new VnodeSet([...this.#vnodes.values()]),
    }
    if (areRulesNew) onExchange?.(this.summary())
  }

  #ruleSet(): RuleSet {
    const selectors = [...this.#selectors.values()].map(one => one.compiled)
    return new RuleSet(orderRules(selectors, this.#configMapRules()))
  }

  summary(): RulesSummary {
    const { rules } = this.#environment.rules
    const configMapRules = rules.filter(rule => rule.origin === 'ConfigMap').length
    const refused = new Set((this.#configMap?.problems ?? []).filter(isError).map(problem => problem.rule))
    return {
      configMapRules,
      selectorRules: rules.length - configMapRules,
      refusedConfigMapRules: refused.size,
      refusedSelectors: [...this.#selectors.values()].filter(one => one.compiled.rule === undefined).length,
      isNewest: !this.#isRefused && this.#unreadable.size === 0,
    }
  }

  /** False while something that was reported is not in force yet. */
  get isSettled(): boolean {
    return this.#timer === undefined
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  get #isRefused(): boolean {
    return hasErrors(this.#configMap?.problems ?? [])
  }

  #configMapRules(): readonly Rule[] {
    if (this.#configMap === undefined) return []
    return this.#isRefused ? (this.#lastGood?.rules ?? this.#configMap.rules) : this.#configMap.rules
  }

  /** Rules changed, or what is to be said of them. */
  #schedule(): void {
    this.#areRulesNew = true
    this.#gather()
  }

  #gather(): void {
    this.#timer ??= setTimeout(() => this.flush(), GATHER_MS)
  }
}

function isError(problem: Problem): boolean {
  return problem.severity === 'error'
}

/** The origin of rules that come from a file; of a Selector with its name, since a file holds many. */
export function fileOrigin(kind: RuleOrigin['kind'], file: string, name?: string): RuleOrigin {
  return { kind, label: name === undefined ? file : `${SELECTOR_KIND} ${name} in ${file}` }
}

export function configMapLabel(namespace: string = RULES_NAMESPACE, name: string = RULES_CONFIGMAP): string {
  return `ConfigMap ${namespace}/${name}`
}
