import { parseQuantity, UNIT } from '../kubernetes/quantity.ts'
import { memoize } from '../memo.ts'

/** Checks the value of one annotation: undefined if ECI can read it, else what it must be, to follow "it must be". */
export type ValueRule = (value: string) => string | undefined

export function anyText(value: string): string | undefined {
  return value.trim() === '' ? 'a value that is not empty' : undefined
}

export function flag(value: string): string | undefined {
  return value === 'true' || value === 'false' ? undefined : '"true" or "false"'
}

export function oneOf(...allowed: readonly string[]): ValueRule {
  return value => (allowed.includes(value) ? undefined : `one of ${allowed.join(', ')}`)
}

export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): ValueRule {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  return value => {
    const fits = /^[0-9]{1,15}$/.test(value) && Number(value) >= least && Number(value) <= most
    return fits ? undefined : `a whole number ${range}`
  }
}

export function shaped(shape: RegExp, description: string): ValueRule {
  return value => (shape.test(value) ? undefined : description)
}

/** Comma-separated; the vendor's samples also put a space after the comma. */
export function listOf(item: RegExp, description: string, most = Number.MAX_SAFE_INTEGER): ValueRule {
  return value => {
    const items = splitList(value)
    if (items.length > most) return `a list of at most ${most}, separated by commas`
    return items.every(text => item.test(text)) ? undefined : description
  }
}

export function splitList(value: string): string[] {
  return value.split(',').map(item => item.trim())
}

export function json(kind: 'object' | 'array'): ValueRule {
  const description = kind === 'array' ? 'a JSON array' : 'a JSON object'
  return value => (kindOfJson(value) === kind ? undefined : description)
}

function kindOfJson(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value
  } catch {
    return undefined
  }
}

/** An amount with or without a suffix, such as `40M` or `50Gi`, from `least` (in units) up. */
export function amount(least: bigint, description: string): ValueRule {
  return value => {
    const parsed = parseQuantity(value)
    return parsed !== undefined && parsed >= least * UNIT ? undefined : description
  }
}

const MOST_SPECS = 5
const SIZE_SPEC = /^([0-9]+(?:\.[0-9]+)?)-([0-9]+(?:\.[0-9]+)?Gi)$/
const TYPE_SPEC = /^ecs\.[a-z0-9]+(?:[.-][a-z0-9]+)+$/
/** Families with GPUs are gn, vgn, sgn, ebmgn …, followed by their generation. */
const GPU_SPEC = /^ecs\.[a-z]*gn[0-9]/

/** One entry of `eci-use-specs`: a size (`2-4Gi`; in nano-units) or an ECS instance type (`ecs.c6.xlarge`). */
export type UseSpec =
  | { readonly kind: 'size'; readonly cpu: bigint; readonly memory: bigint }
  | { readonly kind: 'type'; readonly gpu: boolean }

/** The entries of `eci-use-specs` in their order; undefined in the place of one that is neither form. */
export const parseUseSpecs = memoize((value: string): readonly (UseSpec | undefined)[] =>
  splitList(value).map(text => {
    const size = SIZE_SPEC.exec(text)
    if (size === null) return TYPE_SPEC.test(text) ? { kind: 'type', gpu: GPU_SPEC.test(text) } : undefined
    const cpu = parseQuantity(size[1])
    const memory = parseQuantity(size[2])
    return cpu === undefined || memory === undefined ? undefined : { kind: 'size', cpu, memory }
  }),
)

export function useSpecs(value: string): string | undefined {
  const specs = parseUseSpecs(value)
  if (specs.length > MOST_SPECS) return `a list of at most ${MOST_SPECS}, separated by commas`
  const known = specs.filter(spec => spec !== undefined)
  if (known.length < specs.length)
    return 'sizes such as 2-4Gi or ECS types such as ecs.c6.xlarge, separated by commas'
  const gpus = known.filter(spec => spec.kind === 'type' && spec.gpu).length
  return gpus === 0 || gpus === known.length
    ? undefined
    : 'either GPU types only or none: they cannot be mixed'
}
