import type { Test } from 'tap'
import { RULES_CONFIGMAP, RULES_NAMESPACE, SELECTOR_GROUP, SELECTOR_PLURAL } from '../../src/core/names.ts'
import type { ControlPlane } from './control-plane.ts'
import { makePod } from './pods.ts'
import { holds } from './webhook.ts'

/** What the apiserver is to call: ours, or a server of a test. */
export interface Callee {
  readonly url: string
  readonly caPem: string
  /** How many reviews it has had of `pods`, or of `rules`. */
  reviews(resource: string): number | Promise<number>
}

export interface RegistrationOptions {
  /** Of the configurations; the order in which several webhooks are called is that of their names. */
  readonly name?: string
  /** `Fail` in tests, so that it shows when a webhook was not called. */
  readonly failurePolicy?: 'Fail' | 'Ignore'
  readonly admissionReviewVersions?: readonly string[]
  readonly timeoutSeconds?: number
  readonly reinvocationPolicy?: 'Never' | 'IfNeeded'
  /** Which Pods; all of them unless said otherwise. */
  readonly namespaceSelector?: object
  readonly objectSelector?: object
  /** Resources and operations in place of `pods`, CREATE. */
  readonly rules?: readonly object[]
  /** Registers also the route that validates rules. */
  readonly validate?: boolean
  /** Registers only that. */
  readonly mutate?: boolean
  /** Registers also the route that keeps DaemonSets off VNodes, for all namespaces. */
  readonly daemonSets?: boolean
  readonly rulesNamespace?: string
  readonly rulesName?: string
  /** Sends all ConfigMaps to be validated, as by a Kubernetes without matchConditions. */
  readonly allConfigMaps?: boolean
  /** Where the probes are sent; a `namespaceSelector` must let it through. */
  readonly probeNamespace?: string
}

const API = '/apis/admissionregistration.k8s.io/v1'
const PODS_CREATED = {
  apiGroups: [''],
  apiVersions: ['v1'],
  resources: ['pods'],
  operations: ['CREATE'],
  scope: 'Namespaced',
}
const PROBE = 'probe-of-a-registration'

/**
 * Registers the webhook with the apiserver, and waits until it is called: a new configuration takes a moment to be heard of. Removed
 * with the test, and the apiserver has heard of that too when the next test starts.
 */
export async function registerWebhook(
  t: Test,
  controlPlane: ControlPlane,
  callee: Callee,
  options: RegistrationOptions = {},
): Promise<void> {
  const { name = 'vnode-profile', mutate = true, validate = false } = options
  const register = (kind: string, webhooks: object[], probed: Probed) =>
    registerOne(t, controlPlane, { kind, body: { metadata: { name }, webhooks }, callee, probed })
  if (mutate) {
    const probe = () => probePods(controlPlane, options)
    const entries = [
      mutatingEntry(callee, options),
      ...(options.daemonSets ? [daemonSetsEntry(callee, options)] : []),
    ]
    await register('mutating', entries, { resource: 'pods', probe })
  }
  if (validate) {
    const probe = () => probeRules(controlPlane, options)
    await register('validating', validatingEntries(callee, options), { resource: 'rules', probe })
  }
}

interface Probed {
  readonly resource: string
  readonly probe: () => Promise<unknown>
}

interface Configuration {
  readonly kind: string
  readonly body: { readonly metadata: { readonly name: string }; readonly webhooks: readonly object[] }
  readonly callee: Callee
  readonly probed: Probed
}

async function registerOne(
  t: Test,
  controlPlane: ControlPlane,
  { kind, body, callee, probed: { resource, probe } }: Configuration,
): Promise<void> {
  const isCalled = async (): Promise<boolean> => {
    const before = await callee.reviews(resource)
    await probe()
    return (await callee.reviews(resource)) > before
  }
  const collection = `${API}/${kind}webhookconfigurations`
  await controlPlane.ask('POST', collection, { body })
  const remove = async (): Promise<void> => {
    await controlPlane.request('DELETE', `${collection}/${body.metadata.name}`, { timeout: 5000 })
    await holds(async () => !(await isCalled()), 5000)
  }
  // The test may have ended the apiserver.
  t.teardown(() => remove().catch(() => undefined))
  await holds(isCalled, 15_000).catch(() => {
    throw new Error(`the apiserver does not call ${callee.url} for ${resource}`)
  })
}

interface Entry {
  readonly name: string
  readonly path: string
  readonly rules: readonly object[]
}

function entry(callee: Callee, options: RegistrationOptions, { name, path, rules }: Entry): object {
  return {
    name,
    clientConfig: { url: `${callee.url}${path}`, caBundle: Buffer.from(callee.caPem).toString('base64') },
    rules,
    failurePolicy: options.failurePolicy ?? 'Fail',
    sideEffects: 'None',
    admissionReviewVersions: options.admissionReviewVersions ?? ['v1'],
    timeoutSeconds: options.timeoutSeconds ?? 5,
  }
}

function mutatingEntry(callee: Callee, options: RegistrationOptions): object {
  const { rules = [PODS_CREATED], reinvocationPolicy = 'IfNeeded' } = options
  const { namespaceSelector = {}, objectSelector = {} } = options
  return {
    ...entry(callee, options, { name: 'pods.vnode-profile.io', path: '/mutate/pods', rules }),
    reinvocationPolicy,
    namespaceSelector,
    objectSelector,
  }
}

function daemonSetsEntry(callee: Callee, options: RegistrationOptions): object {
  const edited = { ...PODS_CREATED, operations: ['CREATE', 'UPDATE'] }
  const rules = [{ ...edited, apiGroups: ['apps'], resources: ['daemonsets'] }]
  return {
    ...entry(callee, options, { name: 'daemonsets.vnode-profile.io', path: '/mutate/daemonsets', rules }),
    reinvocationPolicy: options.reinvocationPolicy ?? 'IfNeeded',
  }
}

function validatingEntries(callee: Callee, options: RegistrationOptions): object[] {
  const { rulesNamespace = RULES_NAMESPACE, rulesName = RULES_CONFIGMAP } = options
  const edited = { operations: ['CREATE', 'UPDATE'], apiVersions: ['*'] }
  const path = '/validate/rules'
  const configMaps = { ...edited, apiGroups: [''], resources: ['configmaps'] }
  const selectors = { ...edited, apiGroups: [SELECTOR_GROUP], resources: [SELECTOR_PLURAL] }
  const isOurs = `request.namespace == '${rulesNamespace}' && request.name == '${rulesName}'`
  return [
    {
      ...entry(callee, options, { name: 'rules.vnode-profile.io', path, rules: [configMaps] }),
      ...(options.allConfigMaps ? {} : { matchConditions: [{ name: 'is-ours', expression: isOurs }] }),
    },
    entry(callee, options, { name: 'selectors.vnode-profile.io', path, rules: [selectors] }),
  ]
}

async function probePods(controlPlane: ControlPlane, { probeNamespace }: RegistrationOptions): Promise<void> {
  const path = `/api/v1/namespaces/${probeNamespace ?? 'default'}/pods?dryRun=All`
  await controlPlane.request('POST', path, { body: makePod({ name: PROBE }) })
}

/** That there is such a ConfigMap already comes to light only after admission. */
async function probeRules(controlPlane: ControlPlane, options: RegistrationOptions): Promise<void> {
  const { rulesNamespace = RULES_NAMESPACE, rulesName = RULES_CONFIGMAP } = options
  const body = { metadata: { name: rulesName }, data: {} }
  await controlPlane.request('POST', `/api/v1/namespaces/${rulesNamespace}/configmaps?dryRun=All`, { body })
}
