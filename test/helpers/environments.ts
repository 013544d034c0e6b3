import type { NamespaceFacts, RuledEnvironment } from '../../src/core/policy/decide.ts'
import { compileConfigMapRules } from '../../src/core/selector/configmap-rules.ts'
import { namespaceLabels } from '../../src/core/selector/documents.ts'
import { labelsOf } from '../../src/core/selector/requirement.ts'
import { compileSelector } from '../../src/core/selector/resource-rules.ts'
import type { Rule } from '../../src/core/selector/rule.ts'
import { orderRules, RuleSet } from '../../src/core/selector/rule-set.ts'
import type { Settings } from '../../src/core/settings.ts'
import { type Vnode, VnodeSet, vnodeOf } from '../../src/core/vnode/vnode-set.ts'
import type { PlainLabels, PlainRule } from './naive-rules.ts'
import { linesOf } from './problems.ts'
import { makeSelector, makeSettings, type SelectorOverrides } from './selectors.ts'

export interface EnvironmentOverrides {
  /** Rules of the ConfigMap. */
  readonly rules?: readonly PlainRule[]
  readonly selectors?: readonly SelectorOverrides[]
  readonly settings?: Partial<Settings>
  /** Known VNodes; none are known without it. */
  readonly vnodes?: readonly Vnode[]
}

/** What decisions are made with. Throws if a rule has an error, so that no case passes because its rule was left out. */
export function makeEnvironment({
  rules = [],
  selectors = [],
  vnodes = [],
  ...rest
}: EnvironmentOverrides = {}): RuledEnvironment {
  const settings = makeSettings(rest.settings)
  const resources = selectors.map(one => compileSelector(makeSelector(one), settings))
  const errors = resources.flatMap(one => one.problems.filter(problem => problem.severity === 'error'))
  if (errors.length > 0) throw new Error(linesOf(errors).join('\n'))
  return {
    settings,
    rules: new RuleSet(orderRules(resources, compileAll(rules))),
    vnodes: new VnodeSet(vnodes),
  }
}

export function makeNamespace(name = 'default', labels: PlainLabels = {}): NamespaceFacts {
  return { name, labels: namespaceLabels(name, labelsOf(labels)) }
}

export function makeVnode(name = 'cn-hangzhou.vnd-1', labels: PlainLabels = {}): Vnode {
  const vnode = vnodeOf({
    metadata: { name, labels: { type: 'virtual-kubelet', 'k8s.aliyun.com/vnode': 'true', ...labels } },
    spec: { taints: [{ key: 'k8s.aliyun.com/vnode', value: 'true', effect: 'NoSchedule' }] },
  })
  if (vnode === undefined) throw new Error('the labels make it a real node')
  return vnode
}

/** Compiles rules as the ConfigMap's. Throws if one has an error, so that no case passes because its rule was left out. */
export function compileAll(rules: readonly PlainRule[]): readonly Rule[] {
  const compiled = compileConfigMapRules(JSON.stringify(rules))
  const errors = compiled.problems.filter(problem => problem.severity === 'error')
  if (errors.length > 0) throw new Error(linesOf(errors).join('\n'))
  return compiled.rules
}
