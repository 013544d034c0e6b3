import { asArray, asRecord } from '../kubernetes/objects.ts'
import { amountIn, effectiveAmount, UNIT } from '../kubernetes/quantity.ts'

/** vCPU and bytes, both in nano-units. */
export interface InstanceSize {
  readonly cpu: bigint
  readonly memory: bigint
}

/** ECI's limit of vCPU for one instance. */
export const MOST_VCPU = 64n * UNIT
/** What ECI creates for a Pod that names neither CPU nor memory, in any container or by `eci-use-specs`. */
export const DEFAULT_SIZE: InstanceSize = size(2, 4)
/** Temporary storage that every instance has for nothing. */
export const FREE_STORAGE = gib(30)
/** Environment variable of a container; `TRUE` leaves it out when ECI adds up the instance's size. */
const IGNORED_CONTAINER = '__ECI_RESOURCE_IGNORE__'

/** vCPU and GiB of the sizes that exist in every region (page "Specify vCPU and memory", seen 2026-06). */
const EVERYWHERE = sizes([
  [0.25, [0.5, 1]],
  [0.5, [1, 2]],
  [1, [2, 4, 8]],
  [2, [1, 2, 4, 8, 16]],
  [4, [2, 4, 8, 16, 32]],
  [8, [4, 8, 16, 32, 64]],
  [12, [12, 24, 48, 96]],
  [16, [16, 32, 64, 128]],
  [24, [24, 48, 96, 192]],
  [32, [32, 64, 128, 256]],
  [52, [96, 192, 384]],
  [64, [128, 256, 512]],
])

/** The sizes between, which most Chinese regions and Singapore have. */
const SOME_REGIONS = sizes([
  [2, [6, 10, 12, 14]],
  [4, [6, 10, 12, 14, 18, 20, 22, 24, 26, 28, 30]],
  [6, evenNumbers(6, 48)],
  [8, evenNumbers(10, 62).filter(memory => memory !== 16 && memory !== 32)],
])

export interface BilledSize {
  /** The nearest size that exists in every region. */
  readonly everywhere: InstanceSize
  /** A smaller one that fits too, if some regions have it. */
  readonly someRegions?: InstanceSize
}

/** The size that ECI bills for this demand; undefined if none is large enough. */
export function billedSize(demand: InstanceSize): BilledSize | undefined {
  const everywhere = smallest(EVERYWHERE, demand)
  if (everywhere === undefined) return undefined
  const regional = smallest(SOME_REGIONS, demand)
  if (regional === undefined || !fits(regional, everywhere)) return { everywhere }
  return { everywhere, someRegions: regional }
}

/** True if {@link billedSize} finds one. Asked of every Pod: the table is searched from its large end, where nearly all fit at once. */
export function isSold(demand: InstanceSize): boolean {
  return EVERYWHERE.findLast(candidate => fits(demand, candidate)) !== undefined
}

/** True if an instance of `size` holds `demand`. */
export function fits(demand: InstanceSize, size: InstanceSize): boolean {
  return demand.cpu <= size.cpu && demand.memory <= size.memory
}

/**
 * What ECI adds up to choose the size: each container's limit, else its request (the scheduler counts requests).
 * Undefined if no container names the resource.
 */
export function sizedAmount(spec: Record<string, unknown>, resource: 'cpu' | 'memory'): bigint | undefined {
  return effectiveAmount(spec, resource, amountForSize)
}

function amountForSize(container: Record<string, unknown>, resource: string): bigint | undefined {
  const resources = asRecord(container.resources)
  const named = amountIn(resources?.limits, resource) ?? amountIn(resources?.requests, resource)
  return named !== undefined && isLeftOut(container) ? undefined : named
}

function isLeftOut(container: Record<string, unknown>): boolean {
  return asArray(container.env).some(item => {
    const variable = asRecord(item)
    return variable?.name === IGNORED_CONTAINER && variable.value === 'TRUE'
  })
}

/** In the order of the table: fewer vCPU first, then less memory, which is also the cheaper way to round up. */
function smallest(table: readonly InstanceSize[], demand: InstanceSize): InstanceSize | undefined {
  return table.find(candidate => fits(demand, candidate))
}

function sizes(rows: readonly (readonly [number, readonly number[]])[]): InstanceSize[] {
  return rows.flatMap(([vcpu, memories]) => memories.map(memory => size(vcpu, memory)))
}

/** vCPU and GiB, both with at most two binary places. */
function size(vcpu: number, memory: number): InstanceSize {
  return { cpu: (BigInt(vcpu * 100) * UNIT) / 100n, memory: gib(memory) }
}

function gib(amount: number): bigint {
  return (BigInt(amount * 4) * 2n ** 30n * UNIT) / 4n
}

function evenNumbers(first: number, last: number): number[] {
  return Array.from({ length: (last - first) / 2 + 1 }, (_, index) => first + 2 * index)
}
