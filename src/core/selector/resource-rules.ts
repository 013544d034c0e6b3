/** The rules that people keep as resources: `Selector` of group eci.aliyun.com, whatever version and scope the cluster's CRD has. */
import { isPowerKey } from '../eci/annotations.ts'
import { dns1123LabelProblem, dns1123SubdomainProblem } from '../kubernetes/names.ts'
import { asRecord, asString } from '../kubernetes/objects.ts'
import { hasErrors, type Locator, NO_TEXT, type Path, type Problem, Problems } from './problem.ts'
import { hasSelector, type Rule } from './rule.ts'
import { type BodyFormat, compileBody } from './rule-body.ts'

/** Which Selectors act where, and what tenants may set. */
export interface ResourceScope {
  /** A Selector in this namespace acts on all namespaces. */
  readonly installNamespace: string
  /** `cluster`: every Selector acts on all namespaces; `namespace`: on its own only. */
  readonly selectorScope: 'namespace' | 'cluster'
  /** Annotation keys that are powers, but which Selectors outside the installation's namespace may set all the same. */
  readonly tenantEffects: ReadonlySet<string>
}

export interface CompiledSelector {
  /** Absent when the Selector has an error: it is left out alone. */
  readonly rule?: Rule
  readonly priority: number
  /** RFC 3339, or empty: older Selectors win ties. */
  readonly createdAt: string
  readonly problems: readonly Problem[]
}

const SPEC_KEYS = ['namespaceLabels', 'objectLabels', 'effect', 'policy', 'priority', 'namespaces']
const SPEC: Path = ['spec']
const FORMAT: BodyFormat = {
  origin: 'Selector',
  namespaceSelector: 'namespaceLabels',
  objectSelector: 'objectLabels',
}

/** Compiles one Selector object as it came from the apiserver or, with a locator, from a file. */
export function compileSelector(
  value: unknown,
  scope: ResourceScope,
  locator: Locator = NO_TEXT,
): CompiledSelector {
  const metadata = asRecord(asRecord(value)?.metadata)
  // In a file, "" is as good as nothing.
  const namespace = asString(metadata?.namespace) || undefined
  const name = selectorName(value)
  const problems = new Problems(locator, name)
  if (locator !== NO_TEXT) checkIdentity(value, problems)
  const createdAt = asString(metadata?.creationTimestamp) ?? ''
  const spec = asRecord(asRecord(value)?.spec)
  if (spec === undefined) {
    problems.error({ path: SPEC, message: 'must be an object' })
    return { priority: 0, createdAt, problems: problems.list }
  }
  checkKeys(spec, problems)
  const priority = compilePriority(spec.priority, problems)
  const isTenant = namespace !== undefined && namespace !== scope.installNamespace
  const { body, isSelectorBroken } = compileBody({ record: spec, path: SPEC }, FORMAT, problems)
  const rule: Rule = {
    name,
    ...body,
    ...(isTenant && scope.selectorScope === 'namespace' ? { onlyNamespace: namespace } : {}),
  }
  if (isTenant) checkPowers(rule, scope, problems)
  if (!isSelectorBroken) checkSense(rule, problems)
  const list = problems.list
  return { priority, createdAt, problems: list, ...(hasErrors(list) ? {} : { rule }) }
}

/** `namespace/name`, or the name alone where there is no namespace. */
export function selectorName(value: unknown): string {
  const metadata = asRecord(asRecord(value)?.metadata)
  const name = asString(metadata?.name) || '(no name)'
  return asString(metadata?.namespace) ? `${metadata?.namespace}/${name}` : name
}

/** Versions of the CRD, the vendor's and ours. A cluster's may have others, and is used as it is. */
const VERSIONS = ['v1', 'v1beta1']

/** What the apiserver has checked of an object that comes from there. */
function checkIdentity(value: unknown, problems: Problems): void {
  const { apiVersion } = asRecord(value) ?? {}
  const { name, namespace } = asRecord(asRecord(value)?.metadata) ?? {}
  const [, version = ''] = String(apiVersion).split('/')
  if (!VERSIONS.includes(version)) {
    const message = `is a version that the CRD of the chart does not have: it has ${VERSIONS.join(' and ')}`
    problems.warn({ path: ['apiVersion'], value: apiVersion, message })
  }
  const nameProblem = typeof name === 'string' ? dns1123SubdomainProblem(name) : 'A Selector has a name.'
  if (nameProblem !== undefined)
    problems.error({ path: ['metadata', 'name'], value: name, message: nameProblem })
  if (namespace === undefined || namespace === null || namespace === '') return
  const namespaceProblem =
    typeof namespace === 'string' ? dns1123LabelProblem(namespace) : 'The name of a namespace is a string.'
  if (namespaceProblem !== undefined)
    problems.error({ path: ['metadata', 'namespace'], value: namespace, message: namespaceProblem })
}

function checkKeys(spec: Record<string, unknown>, problems: Problems): void {
  for (const key of Object.keys(spec)) {
    if (SPEC_KEYS.includes(key)) continue
    problems.error({
      path: [...SPEC, key],
      at: 'key',
      message: `unknown field; a Selector's spec has ${SPEC_KEYS.join(', ')}`,
    })
  }
}

function compilePriority(value: unknown, problems: Problems): number {
  if (value === undefined || value === null) return 0
  if (typeof value === 'number' && Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31)
    return value
  problems.error({ path: [...SPEC, 'priority'], value, message: 'must be a whole number (int32)' })
  return 0
}

function checkPowers(
  { effect }: Rule,
  { installNamespace, tenantEffects }: ResourceScope,
  problems: Problems,
): void {
  for (const key of effect.annotations.keys()) {
    if (!isPowerKey(key) || tenantEffects.has(key)) continue
    problems.error({
      path: [...SPEC, 'effect', 'annotations', key],
      at: 'key',
      message: `is a power that only Selectors in namespace ${installNamespace} may set, unless the setting tenantEffects (--tenant-effects) lists it`,
    })
  }
}

function checkSense(rule: Rule, problems: Problems): void {
  if (hasSelector(rule)) return
  problems.error({
    path: SPEC,
    message: 'must have namespaceLabels or objectLabels with at least one requirement in it',
  })
}
