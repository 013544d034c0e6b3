import { memoize } from '../memo.ts'
import { asArray, asRecord, asRecords, own } from './objects.ts'

/** One unit (a core, a byte) in the nano-units that all amounts here are counted in: the finest step Kubernetes keeps. */
export const UNIT = 1_000_000_000n

const SHAPE = /^([+-]?)(\d*)(?:\.(\d*))?(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d+))?$/
const DECIMAL_EXPONENTS: ReadonlyMap<string, number> = new Map([
  ['n', -9],
  ['u', -6],
  ['m', -3],
  ['k', 3],
  ['M', 6],
  ['G', 9],
  ['T', 12],
  ['P', 15],
  ['E', 18],
])
const BINARY_EXPONENTS: ReadonlyMap<string, bigint> = new Map([
  ['Ki', 10n],
  ['Mi', 20n],
  ['Gi', 30n],
  ['Ti', 40n],
  ['Pi', 50n],
  ['Ei', 60n],
])
/** Kubernetes caps amounts with a binary suffix (and no others) at the largest int64. */
const LARGEST_BINARY = (2n ** 63n - 1n) * UNIT
/** Longer text is no amount anybody means, and BigInt arithmetic on it would cost real time. */
const LONGEST_TEXT = 100
/** Past this power of ten every amount is as good as infinite, or, below zero, as good as nothing. */
const LARGEST_EXPONENT = 120

/**
 * A Kubernetes quantity in nano-units, as the apiserver reads it: `500m`, `1.5Gi`, `1e3`, `.5`; finer than nano rounds away
 * from zero. Undefined for what is none.
 */
export function parseQuantity(text: unknown): bigint | undefined {
  if (typeof text === 'number') return Number.isFinite(text) ? parseText(String(text)) : undefined
  return typeof text === 'string' ? parseText(text.trim()) : undefined
}

const parseText = memoize((text: string): bigint | undefined => {
  if (text === '' || text.length > LONGEST_TEXT) return undefined
  const match = SHAPE.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', suffix = '', power = '0'] = match
  // The apiserver reads some texts without any digit, such as `Ki`, as zero, and writes them so: here they never arrive.
  if (whole === '' && fraction === '') return undefined
  const digits = BigInt(whole + fraction)
  const binary = BINARY_EXPONENTS.get(suffix)
  const exponent = DECIMAL_EXPONENTS.get(suffix) ?? Number(power)
  const amount =
    binary === undefined
      ? scale(digits, exponent - fraction.length)
      : smaller(scale(digits << binary, -fraction.length), LARGEST_BINARY)
  return sign === '-' ? -amount : amount
})

/** digits × 10^exponent in nano-units; a remainder rounds up, so that a tiny request does not become none. */
function scale(digits: bigint, exponent: number): bigint {
  const power = Math.max(-LARGEST_EXPONENT, Math.min(LARGEST_EXPONENT, exponent)) + 9
  if (power >= 0) return digits * 10n ** BigInt(power)
  const divisor = 10n ** BigInt(-power)
  return (digits + divisor - 1n) / divisor
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

/** Cores for people, to the thousandth, rounded up: `0.5`, `2`. */
export function formatCpu(amount: bigint): string {
  const step = UNIT / 1000n
  return decimal(amount < 0n ? amount / step : (amount + step - 1n) / step, 3)
}

/** Bytes for people: `512 MiB`, `1.5 GiB`; two decimals at most. */
export function formatMemory(amount: bigint): string {
  const bytes = (amount < 0n ? -amount : amount) / UNIT
  const [unit, power] = MEMORY_UNITS.find(([, shift]) => bytes >> shift > 0n) ?? ['B', 0n]
  const hundredths = (((bytes * 100n) << 1n) / (1n << power) + 1n) >> 1n
  return `${amount < 0n ? '-' : ''}${decimal(hundredths, 2)} ${unit}`
}

const MEMORY_UNITS: readonly (readonly [string, bigint])[] = [
  ['TiB', 40n],
  ['GiB', 30n],
  ['MiB', 20n],
  ['KiB', 10n],
]

function decimal(amount: bigint, places: number): string {
  const digits = String(amount < 0n ? -amount : amount).padStart(places + 1, '0')
  const fraction = digits.slice(-places).replace(/0+$/, '')
  return `${amount < 0n ? '-' : ''}${digits.slice(0, -places)}${fraction === '' ? '' : `.${fraction}`}`
}

export interface PodResources {
  readonly cpu: bigint
  readonly memory: bigint
  readonly ephemeralStorage: bigint
  readonly gpu: bigint
}

/** Reads one resource of one container; undefined where the container does not name it. */
export type AmountReader = (container: Record<string, unknown>, resource: string) => bigint | undefined

/**
 * What the scheduler counts for a Pod, in nano-units. Both are untrusted JSON: what cannot be read counts as nothing. With the status of a
 * Pod that runs, what is being resized in place counts with the larger of what it has and what it is to have, unless its node can never give
 * that.
 */
export function podRequests(podSpec: unknown, podStatus?: unknown): PodResources {
  const spec = asRecord(podSpec) ?? {}
  const status = asRecord(podStatus)
  const read = requestReader(status)
  const sum = (resource: string) => schedulerRequest(spec, resource, { read, status })
  return {
    cpu: sum('cpu'),
    memory: sum('memory'),
    ephemeralStorage: sum('ephemeral-storage'),
    gpu: sum('nvidia.com/gpu'),
  }
}

/** Only these may be set for the Pod as a whole. */
const POD_LEVEL_RESOURCES: ReadonlySet<string> = new Set(['cpu', 'memory'])

interface Running {
  readonly read: AmountReader
  readonly status: Record<string, unknown> | undefined
}

function schedulerRequest(
  spec: Record<string, unknown>,
  resource: string,
  { read, status }: Running,
): bigint {
  const overhead = amountIn(spec.overhead, resource) ?? 0n
  const ofContainers = effectiveAmount(spec, resource, read)
  if (!POD_LEVEL_RESOURCES.has(resource)) return (ofContainers ?? 0n) + overhead
  const pod = asRecord(spec.resources)
  const requested = amountIn(pod?.requests, resource)
  const ofItself =
    requested === undefined ? undefined : resized(requested, { given: status, status, resource })
  const ofPod = ofItself ?? ofContainers ?? amountIn(pod?.limits, resource)
  return (ofPod ?? 0n) + overhead
}

/**
 * The containers' sum, or what the init containers need at their peak if that is more. Init containers run one after the
 * other beside the sidecars (init containers with restartPolicy Always) started before them. Undefined if none names the resource.
 */
export function effectiveAmount(
  spec: Record<string, unknown>,
  resource: string,
  read: AmountReader,
): bigint | undefined {
  let running: bigint | undefined
  for (const item of asArray(spec.containers)) running = add(running, readFrom(item, resource, read))
  let sidecars: bigint | undefined
  let peak: bigint | undefined
  for (const item of asArray(spec.initContainers)) {
    const amount = readFrom(item, resource, read)
    if (asRecord(item)?.restartPolicy === 'Always') {
      running = add(running, amount)
      sidecars = add(sidecars, amount)
      peak = larger(peak, sidecars)
    } else {
      peak = larger(peak, add(sidecars, amount))
    }
  }
  return larger(running, peak)
}

function readFrom(item: unknown, resource: string, read: AmountReader): bigint | undefined {
  const container = asRecord(item)
  return container === undefined ? undefined : read(container, resource)
}

/** The apiserver fills an absent request in from the limit. */
function requestOf(container: Record<string, unknown>, resource: string): bigint | undefined {
  const resources = asRecord(container.resources)
  return amountIn(resources?.requests, resource) ?? amountIn(resources?.limits, resource)
}

/** Requests, and of containers that run what they were given: a resize in place changes the one before the other. */
function requestReader(status: Record<string, unknown> | undefined): AmountReader {
  const running = [...asRecords(status?.containerStatuses), ...asRecords(status?.initContainerStatuses)]
  const known = running.filter(hasAmounts)
  if (known.length === 0) return requestOf
  const byName = new Map(known.map(one => [one.name, one]))
  return (container, resource) =>
    resized(requestOf(container, resource), { given: byName.get(container.name), status, resource })
}

function hasAmounts(one: Record<string, unknown>): boolean {
  return own(one, 'resources') !== undefined || own(one, 'allocatedResources') !== undefined
}

interface Resize {
  /** The status of the container, or of the Pod as a whole. */
  readonly given: Record<string, unknown> | undefined
  /** The Pod's. */
  readonly status: Record<string, unknown> | undefined
  readonly resource: string
}

/** Whoever may resize a Pod may ask for more than any node has: that alone takes nothing of the node. */
function resized(requested: bigint | undefined, { given, status, resource }: Resize): bigint | undefined {
  if (given === undefined || !hasAmounts(given)) return requested
  const has = larger(
    amountIn(asRecord(own(given, 'resources'))?.requests, resource),
    amountIn(own(given, 'allocatedResources'), resource),
  )
  return isInfeasible(status) ? has : larger(requested, has)
}

function isInfeasible(status: Record<string, unknown> | undefined): boolean {
  const condition = asRecords(status?.conditions).find(({ type }) => type === 'PodResizePending')
  return condition?.reason === 'Infeasible'
}

/** One amount of a resource list (`limits`, `requests`, `overhead`); negative ones, which the apiserver refuses, are none. */
export function amountIn(list: unknown, resource: string): bigint | undefined {
  const amount = parseQuantity(own(asRecord(list), resource))
  return amount === undefined || amount < 0n ? undefined : amount
}

function add(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  return a === undefined || b === undefined ? (a ?? b) : a + b
}

function larger(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  return a === undefined || b === undefined ? (a ?? b) : a > b ? a : b
}
