import { formatCpu, formatMemory, parseQuantity, podRequests, UNIT } from '../kubernetes/quantity.ts'
import { ECI_PREFIX } from '../names.ts'
import { advise, type Subject } from './advice.ts'
import { parseUseSpecs, type UseSpec } from './annotation-values.ts'
import {
  type BilledSize,
  billedSize,
  DEFAULT_SIZE,
  FREE_STORAGE,
  fits,
  type InstanceSize,
  isSold,
  MOST_VCPU,
  sizedAmount,
} from './instance-size.ts'

const USE_SPECS = `${ECI_PREFIX}eci-use-specs`
const FAMILY = `${ECI_PREFIX}eci-instance-family`
const GENERATION = `${ECI_PREFIX}eci-instance-generation`
const SPOT_STRATEGY = `${ECI_PREFIX}eci-spot-strategy`
const SPOT_PRICE = `${ECI_PREFIX}eci-spot-price-limit`
const EXTRA_STORAGE = `${ECI_PREFIX}eci-extra-ephemeral-storage`
const MAX_PENDING = `${ECI_PREFIX}eci-max-pending-minute`
/** By size alone ECI sells spot instances from here up. */
const LEAST_SPOT_VCPU = 2n * UNIT

/** What the Pod's size, its way of buying and its storage mean on ECI. */
export function adviseOnSize(subject: Subject): void {
  const text = subject.annotation(USE_SPECS)
  const specs = text === undefined ? [] : parseUseSpecs(text).filter(spec => spec !== undefined)
  const demand = demandOf(subject, specs)
  const path = specs.length === 0 ? 'spec.containers' : annotationPath(USE_SPECS)
  adviseOnTooLarge(subject, path, demand)
  adviseOnGpu(subject, specs)
  adviseOnSpot(subject, specs, demand)
  if (!subject.everything) return
  if (!specs.some(spec => spec.kind === 'type') && !isFiltered(subject))
    adviseOnRounding(subject, path, demand)
  adviseOnStorage(subject)
  adviseOnPending(subject)
}

/** `eci-use-specs` outranks the containers; of several the first is meant. Undefined if neither names a size. */
function demandOf(subject: Subject, specs: readonly UseSpec[]): InstanceSize | undefined {
  const [first] = specs
  if (first !== undefined) return first.kind === 'size' ? first : undefined
  const cpu = sizedAmount(subject.spec, 'cpu')
  const memory = sizedAmount(subject.spec, 'memory')
  return cpu === undefined && memory === undefined ? undefined : { cpu: cpu ?? 0n, memory: memory ?? 0n }
}

function adviseOnTooLarge(subject: Subject, path: string, demand: InstanceSize | undefined): void {
  if (demand === undefined || isSold(demand)) return
  const limit = demand.cpu > MOST_VCPU ? `${formatCpu(MOST_VCPU)} vCPU are` : 'that is more than'
  advise(subject, {
    code: 'too-large',
    kind: 'refused',
    path,
    message: `${spell(demand)}: ${limit} the most an ECI instance has. Lower limits and requests, or keep the Pod on real nodes.`,
  })
}

function adviseOnGpu(subject: Subject, specs: readonly UseSpec[]): void {
  if (!specs.some(spec => spec.kind === 'type' && spec.gpu) || podRequests(subject.spec).gpu > 0n) return
  advise(subject, {
    code: 'gpu-request',
    kind: 'refused',
    path: annotationPath(USE_SPECS),
    message: 'eci-use-specs names a GPU type, but no container asks for one: set the limit nvidia.com/gpu.',
  })
}

function adviseOnSpot(subject: Subject, specs: readonly UseSpec[], demand: InstanceSize | undefined): void {
  const strategy = subject.annotation(SPOT_STRATEGY)
  const price = subject.annotation(SPOT_PRICE)
  if (price !== undefined && strategy !== 'SpotWithPriceLimit') {
    advise(subject, {
      code: 'spot-price-unused',
      kind: 'ignored',
      path: annotationPath(SPOT_PRICE),
      message: 'ECI reads eci-spot-price-limit only with eci-spot-strategy SpotWithPriceLimit: set that too.',
    })
  }
  if (strategy === undefined || strategy === 'NoSpot') return
  if (price === undefined && strategy === 'SpotWithPriceLimit') {
    advise(subject, {
      code: 'spot-price-missing',
      kind: 'refused',
      path: annotationPath(SPOT_STRATEGY),
      message: 'SpotWithPriceLimit needs a price per hour: set eci-spot-price-limit, or use SpotAsPriceGo.',
    })
  }
  if (isSpotSize(specs, demand)) return
  advise(subject, {
    code: 'spot-size',
    kind: 'refused',
    path: annotationPath(SPOT_STRATEGY),
    message:
      'ECI sells spot instances from 2 vCPU up: ask for 2, name an ECS type in eci-use-specs, or buy at the normal price.',
  })
}

function isSpotSize(specs: readonly UseSpec[], demand: InstanceSize | undefined): boolean {
  if (specs.some(spec => spec.kind === 'type' || spec.cpu >= LEAST_SPOT_VCPU)) return true
  const billed = billedSize(demand ?? DEFAULT_SIZE)
  return billed === undefined || billed.everywhere.cpu >= LEAST_SPOT_VCPU
}

function adviseOnRounding(subject: Subject, path: string, demand: InstanceSize | undefined): void {
  if (demand === undefined) {
    const message = `No container names CPU or memory: ECI creates and bills ${spell(DEFAULT_SIZE)}. Set limits or eci-use-specs.`
    advise(subject, { code: 'default-size', kind: 'billed', path, message })
    return
  }
  const billed = billedSize(demand)
  if (billed === undefined || fits(billed.everywhere, demand)) return
  advise(subject, { code: 'rounded-up', kind: 'billed', path, message: roundingMessage(demand, billed) })
}

function roundingMessage(demand: InstanceSize, { everywhere, someRegions }: BilledSize): string {
  if (someRegions === undefined)
    return `ECI has no size of ${spell(demand)}: it bills the next, ${spell(everywhere)}.`
  if (fits(someRegions, demand)) {
    return `Only some regions have ${spell(demand)}: elsewhere ECI bills ${spell(everywhere)}.`
  }
  return `ECI has no size of ${spell(demand)}: it bills ${spell(someRegions)} in some regions, ${spell(everywhere)} elsewhere.`
}

/** Instances chosen by family or generation are billed as the ECS type that is found. */
function isFiltered(subject: Subject): boolean {
  return subject.annotation(FAMILY) !== undefined || subject.annotation(GENERATION) !== undefined
}

function adviseOnStorage(subject: Subject): void {
  const requested = podRequests(subject.spec).ephemeralStorage - FREE_STORAGE
  const added = parseQuantity(subject.annotation(EXTRA_STORAGE)) ?? 0n
  const extra = added > requested ? added : requested
  if (extra <= 0n) return
  advise(subject, {
    code: 'ephemeral-storage',
    kind: 'billed',
    path: added > requested ? annotationPath(EXTRA_STORAGE) : 'spec.containers',
    message: `${formatMemory(extra)} of temporary storage are billed on top of the free ${formatMemory(FREE_STORAGE)}.`,
  })
}

function adviseOnPending(subject: Subject): void {
  if (subject.annotation(MAX_PENDING) !== undefined) return
  advise(subject, {
    code: 'pending-billed',
    kind: 'billed',
    path: annotationPath(MAX_PENDING),
    message:
      'A Pod that hangs, on a missing image for example, is billed for 4 hours: eci-max-pending-minute (10 to 1440) ends it sooner.',
  })
}

function spell(amount: InstanceSize): string {
  return `${formatCpu(amount.cpu)} vCPU and ${formatMemory(amount.memory)}`
}

function annotationPath(key: string): string {
  return `metadata.annotations[${key}]`
}
