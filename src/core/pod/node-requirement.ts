/** The requirements of node selectors and required node affinity, as the scheduler and the DaemonSet controller read them. */
import { asRecords, asString, asStrings } from '../kubernetes/objects.ts'
import type { VnodeSet } from '../vnode/vnode-set.ts'

/** The only field that a node selector's matchFields may ask about. */
export const NAME_FIELD = 'metadata.name'
/** Stands for the name of a VNode that is not known yet. */
export const ANY_VNODE_NAME = Symbol('the name of any VNode')
/** Stands for the value of a label that a node may have or not: it may meet every requirement. */
export const ANY_VALUE = Symbol('any value, or none')

/** A label's value on a node, or the node's name for {@link NAME_FIELD}; undefined if it has none. */
export type NodeValue = string | undefined | typeof ANY_VNODE_NAME | typeof ANY_VALUE

export interface NodeRequirement {
  readonly key: string
  readonly operator: string
  readonly values: readonly string[]
}

/** Of an untrusted `matchExpressions` or `matchFields`. */
export function requirementsOf(value: unknown): readonly NodeRequirement[] {
  return asRecords(value).map(({ key, operator, values }) => ({
    key: asString(key) ?? '',
    operator: asString(operator) ?? '',
    values: asStrings(values),
  }))
}

/** Does a node with this value meet the requirement? An operator that Kubernetes does not know is met by no node. */
export function meets({ operator, values }: NodeRequirement, value: NodeValue, vnodes: VnodeSet): boolean {
  if (value === ANY_VALUE) return true
  switch (operator) {
    case 'In':
      return value === ANY_VNODE_NAME
        ? values.some(name => vnodes.hasName(name))
        : value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || value === ANY_VNODE_NAME || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    case 'Gt':
    case 'Lt':
      return typeof value === 'string' && isBeyond(operator, value, values[0])
    default:
      return false
  }
}

const WHOLE_NUMBER = /^[+-]?\d+$/

function isBeyond(operator: 'Gt' | 'Lt', value: string, bound: string | undefined): boolean {
  if (bound === undefined || !WHOLE_NUMBER.test(value) || !WHOLE_NUMBER.test(bound)) return false
  const [number, limit] = [Number(value), Number(bound)]
  return operator === 'Gt' ? number > limit : number < limit
}

/** `zone In [a, b]`, for people. */
export function renderNodeRequirement({ key, operator, values }: NodeRequirement): string {
  const takesNone = operator === 'Exists' || operator === 'DoesNotExist'
  return takesNone ? `${key} ${operator}` : `${key} ${operator} [${values.join(', ')}]`
}
