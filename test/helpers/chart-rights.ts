/** Rights as lines, of the lists in src and of what the chart renders, so that they can be compared. */
import type { AccessRule } from '../../src/core/rbac.ts'
import type { Manifest } from './chart.ts'

interface PolicyRule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames?: readonly string[]
  readonly verbs: readonly string[]
}

/** One right as a line: `vnode-system: patch /secrets vnode-profile-tls`. */
function linesOf(namespace: string, rule: PolicyRule): string[] {
  return rule.apiGroups.flatMap(group =>
    rule.resources.flatMap(resource =>
      rule.verbs.flatMap(verb =>
        (rule.resourceNames ?? ['*']).map(name => `${namespace}: ${verb} ${group}/${resource} ${name}`),
      ),
    ),
  )
}

export function listed(rules: readonly AccessRule[]): string[] {
  return unique(
    rules.flatMap(rule => linesOf(rule.namespace ?? '(cluster)', { ...rule, apiGroups: [rule.apiGroup] })),
  )
}

/** What the roles that are bound to a ServiceAccount, a user or a group of this name give it. */
export function rendered(manifests: readonly Manifest[], account: string): string[] {
  const bindings = manifests.filter(
    one =>
      one.kind.endsWith('RoleBinding') &&
      (one.subjects as { name: string }[]).some(({ name }) => name === account),
  )
  const roles = bindings.flatMap(({ kind, metadata, roleRef }) => {
    const { name } = roleRef as { name: string }
    const bound = manifests.filter(
      one =>
        one.kind === kind.replace('Binding', '') &&
        one.metadata.name === name &&
        one.metadata.namespace === metadata.namespace,
    )
    // Of two, the API server would keep the one that is applied last.
    if (bound.length !== 1) throw new Error(`${kind}/${metadata.name} binds ${bound.length} roles`)
    return bound
  })
  return unique(
    roles.flatMap(({ metadata, rules }) =>
      (rules as PolicyRule[]).flatMap(rule => linesOf(metadata.namespace ?? '(cluster)', rule)),
    ),
  )
}

export const unique = (lines: readonly string[]) => [...new Set(lines)].sort()
