/** Explanations for programs. Fields are only ever added to this shape. */
import type { Explanation } from '../../core/explain/explanation.ts'
import type { Rule } from '../../core/selector/rule.ts'
import { problemJson } from '../problem-text.ts'
import type { Explained, Item } from './explained.ts'
import { liveJson } from './live-text.ts'

export function explainedJson(explained: Explained): unknown {
  const { items, rules, ruleFiles, unknownNamespaces, ignored, cluster } = explained
  return {
    ...(cluster === undefined ? {} : { cluster }),
    rules: {
      files: ruleFiles,
      areShipped: ruleFiles.length === 0 && cluster === undefined,
      names: rules.rules.map(rule => rule.name),
      problems: rules.problems.map(problemJson),
    },
    namespacesWithoutLabels: unknownNamespaces,
    workloads: items.map(itemJson),
    ignored: Object.fromEntries(ignored),
  }
}

function itemJson({ file, workload, explanation, fault, live }: Item): unknown {
  const { kind, name, namespace } = workload
  return {
    file,
    kind,
    namespace,
    name,
    ...(explanation === undefined ? { fault } : explanationJson(explanation)),
    ...(live === undefined ? {} : { live: liveJson(live, name) }),
  }
}

function explanationJson(explanation: Explanation): object {
  const { decision, whereabouts, rules, added, addedOnVnode, kept, isOverBudget, advice, patch, fence } =
    explanation
  return {
    outcome: decision.outcome,
    reason: decision.reason,
    ...('code' in decision ? { code: decision.code } : {}),
    ...('conflict' in decision ? { code: decision.conflict.code } : {}),
    ...('route' in decision ? { route: decision.route } : {}),
    ...('rule' in decision ? { rule: decision.rule?.name } : {}),
    ...('policy' in decision ? { policy: decision.policy } : {}),
    runsOn: whereabouts,
    rules: rules.map(({ rule, matches, applies, reason }) => ({
      ...ruleJson(rule),
      matches,
      applies,
      reason,
    })),
    added,
    addedOnVnode,
    kept,
    isOverBudget,
    advice,
    patch,
    ...(fence === undefined ? {} : { fence }),
  }
}

function ruleJson({ name, origin }: Rule): object {
  return { name, origin }
}
