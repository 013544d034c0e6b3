/** Taints and tolerations as the scheduler reads them (k8s.io/component-helpers' rules). */
import type { Taint, Toleration } from '../kubernetes/objects.ts'

/** Does one of the tolerations let a Pod onto a node with this taint? */
export function tolerates(tolerations: readonly Toleration[], taint: Taint): boolean {
  return tolerations.some(one => {
    if (one.effect && one.effect !== taint.effect) return false
    if (one.key && one.key !== taint.key) return false
    if (one.operator === 'Exists') return true
    return isEqual(one) && Boolean(one.key) && (one.value ?? '') === (taint.value ?? '')
  })
}

/** Is everything that `wanted` tolerates already tolerated, so that adding it would change nothing? */
export function covers(tolerations: readonly Toleration[], wanted: Toleration): boolean {
  return tolerations.some(one => {
    if (one.effect && one.effect !== wanted.effect) return false
    // A toleration that ends after some seconds is less than one without an end.
    if (one.tolerationSeconds !== undefined && one.tolerationSeconds !== wanted.tolerationSeconds)
      return false
    if (one.operator === 'Exists') return !one.key || one.key === wanted.key
    return (
      isEqual(one) && isEqual(wanted) && one.key === wanted.key && (one.value ?? '') === (wanted.value ?? '')
    )
  })
}

function isEqual({ operator }: Toleration): boolean {
  return operator === undefined || operator === '' || operator === 'Equal'
}

const AWAY_TAINTS: ReadonlySet<string | undefined> = new Set([
  'node.kubernetes.io/not-ready',
  'node.kubernetes.io/unreachable',
])
/** What the apiserver's DefaultTolerationSeconds admission plugin writes; it has run when webhooks are called (observed). */
export const DEFAULT_AWAY_SECONDS = 300

/**
 * Indexes of the apiserver's own default tolerations of an unreachable node. After their 300 s a VNode that lost its
 * connection would have all its paid Pods evicted. A second, longer toleration would not help: the shortest that matches counts.
 */
export function defaultAwayTolerations(tolerations: readonly Toleration[]): number[] {
  return tolerations.flatMap((one, index) => {
    const isDefault =
      AWAY_TAINTS.has(one.key) &&
      one.operator === 'Exists' &&
      one.effect === 'NoExecute' &&
      one.tolerationSeconds === DEFAULT_AWAY_SECONDS
    return isDefault ? [index] : []
  })
}

/** `key=value:Effect`, as kubectl writes taints; a taint reads the same. */
export function renderToleration({ key, operator, value, effect }: Toleration): string {
  const subject = key === undefined || key === '' ? 'everything' : key
  const equals = operator === 'Exists' || value === undefined || value === '' ? '' : `=${value}`
  return `${subject}${equals}${effect ? `:${effect}` : ''}`
}
