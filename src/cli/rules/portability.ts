/** What other programs than ours, or a CRD that is not ours, would make of converted rules. */
import type { ConversionNote } from '../../core/selector/conversion.ts'
import { compileSelector, type ResourceScope } from '../../core/selector/resource-rules.ts'
import type { Rule } from '../../core/selector/rule.ts'

/** Rules that use what the vendor's eci-profile does not know. */
export function dialectNotes(rules: readonly Rule[], format: 'selectors' | 'configmap'): ConversionNote[] {
  return rules.flatMap((rule): ConversionNote[] => {
    const fields = format === 'selectors' ? fieldsBeyondCrd(rule) : fieldsBeyondConfigMap(rule)
    if (fields.length === 0) return []
    const message =
      format === 'selectors'
        ? `uses ${fields.join(', ')}: a CRD that is the vendor's drops that without a word; use the one of vnode-profile`
        : `uses ${fields.join(', ')}: eci-profile of the vendor does not read that, and sends all that the selectors match to ECI`
    return [{ kind: 'note', rule: rule.name, message }]
  })
}

function fieldsBeyondCrd({ namespaces, policy }: Rule): readonly string[] {
  return [
    ...(namespaces === undefined ? [] : ['namespaces']),
    ...(policy?.kind === 'fair' && policy.preferRealNodes ? ['preferRealNodes'] : []),
    ...(policy?.kind === 'normalNodePrefer' && policy.spillAfterSeconds !== undefined ? ['spillAfter'] : []),
  ]
}

function fieldsBeyondConfigMap({ namespaces, policy }: Rule): readonly string[] {
  return [
    ...(namespaces === undefined ? [] : ['namespaces']),
    ...(policy === undefined || policy.kind === 'virtualNodeOnly' ? [] : ['policy']),
  ]
}

/** What the namespace that the new Selectors are in keeps them from. */
export function scopeNotes(
  selectors: readonly Record<string, unknown>[],
  scope: ResourceScope,
): ConversionNote[] {
  return selectors.flatMap((object): ConversionNote[] => {
    const { rule, problems } = compileSelector(object, scope)
    const refusals = problems
      .filter(problem => problem.severity === 'error')
      .map(
        (problem): ConversionNote => ({
          kind: 'loss',
          rule: problem.rule ?? '',
          message: `is refused: ${problem.path} ${problem.message}`,
        }),
      )
    if (rule?.onlyNamespace === undefined) return refusals
    const message = `acts on Pods of namespace ${rule.onlyNamespace} only; on all of them it would in ${scope.installNamespace}`
    return [...refusals, { kind: 'loss', rule: rule.name, message }]
  })
}
