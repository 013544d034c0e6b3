import { ECI_PREFIX } from '../names.ts'
import {
  amount,
  anyText,
  flag,
  json,
  listOf,
  oneOf,
  shaped,
  useSpecs,
  type ValueRule,
  wholeNumber,
} from './annotation-values.ts'

/**
 * The annotations that ECI documents ("ECI Pod Annotation" and the page of each feature), and what their values must look like.
 * ECI reads them when it creates the instance, so a wrong one shows as a Pod that hangs or lacks a feature.
 */
export interface KnownAnnotation {
  readonly key: string
  /** `platform` ones are written by ECI after creation; `old` ones have another name today. */
  readonly kind: 'setting' | 'platform' | 'old'
  /** Lends rights or reaches networks: not for everybody who may write a rule. */
  readonly power: boolean
  readonly rule?: ValueRule
  /** What to use in place of an old name. */
  readonly instead?: string
}

export interface AnnotationAdvice {
  readonly code: 'annotation-value' | 'annotation-old-name' | 'annotation-platform' | 'annotation-unknown'
  readonly message: string
}

const SPOT_PRICE = shaped(/^[0-9]+(?:\.[0-9]{1,3})?$/, 'a price with at most three decimals, such as 0.5')
const RAM_ARN = listOf(/^acs:ram::[^,\s]+$/, 'a RAM role such as acs:ram::123456:role/name')
// The kubelet and ECI read the same two keys; the bounds are the kubelet's.
const BANDWIDTH = amount(1000n, 'a rate in bits per second such as 40M')
const ENTRY = /^[^\s:]+:[^\s]+$/

const SETTINGS: Readonly<Record<string, ValueRule>> = {
  'eci-use-specs': useSpecs,
  'eci-instance-family': listOf(/^-?ecs\.[a-z0-9-]+$/, 'families such as ecs.c6, or -ecs.c6 to exclude one'),
  'eci-instance-generation': listOf(/^-?[0-9]+$/, 'generations such as 6, or -6 to exclude one'),
  'eci-compute-category': listOf(/^(?:economy|general)$/, 'economy, general or both, separated by commas'),
  'eci-gpu-driver-version': shaped(/^[a-z]+=[^\s]+$/i, 'a driver such as tesla=535'),
  'eci-cpu-option-core': wholeNumber(1),
  'eci-cpu-option-ht': wholeNumber(1),
  'eci-spot-strategy': oneOf('SpotAsPriceGo', 'SpotWithPriceLimit', 'NoSpot'),
  'eci-spot-price-limit': SPOT_PRICE,
  'eci-spot-duration': wholeNumber(0, 1),
  'eci-spot-fallback': flag,
  'eci-privatepool-matchcriteria': oneOf('Open', 'Target'),
  'eci-privatepool-id': anyText,
  // Two pages of the vendor spell them with a capital and a small V.
  'eci-schedule-strategy': oneOf('VSwitchOrdered', 'VSwitchRandom', 'vSwitchOrdered', 'vSwitchRandom'),
  'eci-enable-ipv6': flag,
  'eci-ipv6-bandwidth-enable': flag,
  'eci-ipv6-bandwidth': shaped(/^[0-9]+M?$/, 'a bandwidth such as 100M'),
  'eci-private-ip-address': shaped(/^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$/, 'an IPv4 address'),
  'eci-fixed-ip': flag,
  'eci-fixed-ip-retain-hour': wholeNumber(1),
  'eci-custom-dnsconfig': json('object'),
  'eci-auto-imc': flag,
  'imc-perfect-match': flag,
  'imc-match-count-request': wholeNumber(1),
  'eci-imc-id': shaped(/^imc-[a-z0-9]+$/, 'the id of an image cache, imc-…'),
  'acr-instance-ids': listOf(
    /^(?:[a-z0-9-]+:)?cri-[a-z0-9]+$/,
    'ids of registry instances, cri-… or region:cri-…',
  ),
  'acr-service-arns': RAM_ARN,
  'acr-user-arns': RAM_ARN,
  'plain-http-registry': anyText,
  'insecure-registry': anyText,
  'eci-max-pending-minute': wholeNumber(10, 1440),
  'eci-fail-strategy': oneOf('fail-back', 'fail-over', 'fail-fast'),
  'eci-eviction-enable': flag,
  'eci-extra-ephemeral-storage': amount(1n, 'a size such as 50Gi'),
  'eci-ephemeral-storage-options': json('object'),
  'eci-custom-tags': listOf(ENTRY, 'tags such as env:test,name:alice', 3),
  'eci-custom-hosts': json('array'),
  'eci-ntp-server': anyText,
  'eci-core-pattern': shaped(/^\//, 'an absolute path'),
  'eci-sls-enable': flag,
  'eci-host-sysctls': json('array'),
  'eci-data-cache-bucket': anyText,
  'eci-data-cache-pl': oneOf('PL0', 'PL1', 'PL2', 'PL3'),
  'eci-data-cache-provisionedIops': wholeNumber(0, 50_000),
  'eci-data-cache-burstingEnabled': flag,
  'eci-resource-group-id': shaped(/^rg-[a-z0-9]+$/, 'the id of a resource group, rg-…'),
}

const POWERS: Readonly<Record<string, ValueRule>> = {
  'eci-ram-role-name': shaped(/^[A-Za-z0-9._-]{1,64}$/, 'the name of a RAM role'),
  'eci-security-group': listOf(/^sg-[a-z0-9]+$/, 'ids of security groups, sg-…, separated by commas', 5),
  'eci-vswitch': listOf(/^vsw-[a-z0-9]+$/, 'ids of vSwitches, vsw-…, separated by commas'),
  'eci-with-eip': flag,
  'eci-eip-instanceid': shaped(/^eip-[a-z0-9]+$/, 'the id of an EIP, eip-…'),
  'eip-bandwidth': wholeNumber(1),
  'eip-isp': oneOf('BGP', 'BGP_PRO'),
  'eip-internet-charge-type': oneOf('PayByBandwidth', 'PayByTraffic'),
  'eip-common-bandwidth-package-id': shaped(/^cbwp-[a-z0-9]+$/, 'the id of a bandwidth plan, cbwp-…'),
  'eip-public-ip-address-pool-id': shaped(/^pippool-[a-z0-9]+$/, 'the id of an address pool, pippool-…'),
}

const PLATFORM: readonly string[] = [
  'eci-request-id',
  'eci-instance-id',
  'eci-instance-spec',
  'eci-instance-compute-category',
  'eci-vpc',
  'eni-instance-id',
  'eci-created-by-template',
  'eci-matched-image-cache',
  'eci-schedule-result',
  // Not on the page, but on every ECI Pod.
  'eci-client-token',
  'eci-instance-cpu',
  'eci-instance-mem',
  'eci-instance-zone',
]
/** `allocated-eipAddress`, `allocated-ipv6Address` and whatever else the platform hands out. */
const PLATFORM_PREFIX = `${ECI_PREFIX}allocated-`
const EIP_PREFIX = `${ECI_PREFIX}eip-`

const OLD: Readonly<Record<string, string>> = {
  'eci-image-cache': 'eci-auto-imc',
  'eci-image-snapshot-id': 'eci-imc-id',
  'acr-instance-id': 'acr-instance-ids',
  'eci-instance-type': 'eci-use-specs',
  'eci-gpu-type': 'eci-use-specs',
  'eci-cpu': 'eci-use-specs',
  'eci-memory': 'eci-use-specs',
  'eci-reschedule-enable': 'eci-fail-strategy',
  'pod-fail-on-create-err': 'eci-fail-strategy',
  'eip-common-bandwith-package-id': 'eip-common-bandwidth-package-id',
}

/** Every annotation we know, by its whole key. */
export const KNOWN_ANNOTATIONS: ReadonlyMap<string, KnownAnnotation> = new Map(
  [
    ...Object.entries(SETTINGS).map(([name, rule]) => known(name, { kind: 'setting', rule })),
    ...Object.entries(POWERS).map(([name, rule]) => known(name, { kind: 'setting', power: true, rule })),
    ...PLATFORM.map(name => known(name, { kind: 'platform' })),
    ...Object.entries(OLD).map(([name, instead]) =>
      known(name, { kind: 'old', instead: ECI_PREFIX + instead }),
    ),
    { key: 'kubernetes.io/ingress-bandwidth', kind: 'setting' as const, power: false, rule: BANDWIDTH },
    { key: 'kubernetes.io/egress-bandwidth', kind: 'setting' as const, power: false, rule: BANDWIDTH },
  ].map(annotation => [annotation.key, annotation]),
)

function known(
  name: string,
  rest: Partial<KnownAnnotation> & Pick<KnownAnnotation, 'kind'>,
): KnownAnnotation {
  return { key: ECI_PREFIX + name, power: name.startsWith('eip-'), ...rest }
}

/** What to mend about an annotation, if anything: advice, for ECI alone decides. Silent about keys that are not ECI's. */
export function annotationAdvice(key: string, value: string): AnnotationAdvice | undefined {
  const annotation = KNOWN_ANNOTATIONS.get(key)
  if (annotation === undefined) return adviceOnStranger(key)
  if (annotation.kind === 'platform') return adviceOnPlatformKey(key)
  if (annotation.instead !== undefined) {
    return { code: 'annotation-old-name', message: `${key} is an old name: use ${annotation.instead}.` }
  }
  const expected = annotation.rule?.(value)
  if (expected === undefined) return undefined
  return { code: 'annotation-value', message: `${key} is ${quoted(value)}; it must be ${expected}.` }
}

/** Written by the platform itself, so that a rule that sets it would tell lies. */
export function isPlatformKey(key: string): boolean {
  return KNOWN_ANNOTATIONS.get(key)?.kind === 'platform' || key.startsWith(PLATFORM_PREFIX)
}

/** Lends a role, a public address or a place in a network: a namespace's own rules may set it only where that is allowed. */
export function isPowerKey(key: string): boolean {
  return KNOWN_ANNOTATIONS.get(key)?.power === true || key.startsWith(EIP_PREFIX)
}

function adviceOnStranger(key: string): AnnotationAdvice | undefined {
  if (!key.startsWith(ECI_PREFIX)) return undefined
  if (isPlatformKey(key)) return adviceOnPlatformKey(key)
  return {
    code: 'annotation-unknown',
    message: `ECI documents no annotation ${clipped(key, 80)}: check its spelling.`,
  }
}

function adviceOnPlatformKey(key: string): AnnotationAdvice {
  return {
    code: 'annotation-platform',
    message: `${clipped(key, 80)} is written by ECI itself: leave it out.`,
  }
}

function quoted(value: string): string {
  return clipped(JSON.stringify(value), 42)
}

function clipped(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`
}
