/**
 * The two webhook configurations as the API server shall have them. Every field is spelled out: what an apply does not name survives a
 * foreign edit (observed).
 */
import {
  DAEMONSETS_PATH,
  LABEL_NAMESPACE_NAME,
  LABEL_PROBE,
  OWN_PREFIX,
  PODS_PATH,
  PROBE_PATH,
  RULES_PATH,
  SELECTOR_GROUP,
  SELECTOR_PLURAL,
} from '../names.ts'

export type FailurePolicy = 'Ignore' | 'Fail'

/** How the API server reaches the webhook. */
export type Target =
  | { readonly kind: 'service'; readonly namespace: string; readonly name: string; readonly port: number }
  /** Without a path. For what runs outside of the cluster. */
  | { readonly kind: 'url'; readonly url: string }

export interface RegistrationSpec {
  /** Of both configurations. */
  readonly name: string
  readonly target: Target
  readonly installNamespace: string
  /** Besides kube-system and the installation's own. */
  readonly excludedNamespaces: readonly string[]
  /** For Pods. DaemonSets and rules are always let through when the webhook fails: people must be able to mend things. */
  readonly failurePolicy: FailurePolicy
  readonly timeoutSeconds: number
  readonly rulesNamespace: string
  readonly rulesName: string
  /** Kubernetes 1.28 and newer. Without them every ConfigMap of the cluster would be sent to us: then none is. */
  readonly hasMatchConditions: boolean
  /** `namespace/name` of the Certificate by which cert-manager fills in the caBundle; undefined where that is ours. */
  readonly injectFrom: string | undefined
}

export interface Owner {
  readonly name: string
  readonly uid: string
}

export interface Entry {
  readonly name: string
  readonly clientConfig: object
  readonly [field: string]: unknown
}

export interface Configuration {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly annotations: Readonly<Record<string, string>>
    readonly ownerReferences: readonly object[]
  }
  readonly webhooks: readonly Entry[]
}

/** Ours of the two kinds. */
export type ConfigurationKind = 'mutating' | 'validating'
export const CONFIGURATION_KINDS = ['mutating', 'validating'] as const

export const REGISTRATION_GROUP = 'admissionregistration.k8s.io'
export const INJECT_ANNOTATION = 'cert-manager.io/inject-ca-from'
/** Of both configurations. */
export const LABELS = {
  'app.kubernetes.io/name': 'vnode-profile',
  'app.kubernetes.io/managed-by': 'vnode-helper',
} as const

/** What {@link renderConfiguration} puts in besides the spec. */
export interface Binding {
  readonly owner: Owner
  /** PEM; undefined: left to whoever injects it. */
  readonly bundle: string | undefined
}

export function renderConfiguration(
  kind: ConfigurationKind,
  spec: RegistrationSpec,
  { owner, bundle }: Binding,
): Configuration {
  const caBundle = bundle === undefined ? undefined : Buffer.from(bundle, 'utf8').toString('base64')
  const { injectFrom } = spec
  return {
    apiVersion: `${REGISTRATION_GROUP}/v1`,
    kind: kindOf(kind),
    metadata: {
      name: spec.name,
      labels: LABELS,
      annotations: injectFrom === undefined ? {} : { [INJECT_ANNOTATION]: injectFrom },
      ownerReferences: [ownerReference(owner)],
    },
    webhooks: (kind === 'mutating' ? mutatingEntries(spec) : validatingEntries(spec)).map(entry =>
      renderEntry(entry, spec, { kind, caBundle }),
    ),
  }
}

export function kindOf(kind: ConfigurationKind): string {
  return kind === 'mutating' ? 'MutatingWebhookConfiguration' : 'ValidatingWebhookConfiguration'
}

/** Where it is, for requests. */
export function pluralOf(kind: ConfigurationKind): string {
  return `${kind}webhookconfigurations`
}

/** Gone with its owner; `blockOwnerDeletion` would need another right. */
export function ownerReference({ name, uid }: Owner): object {
  const apiVersion = 'rbac.authorization.k8s.io/v1'
  return { apiVersion, kind: 'ClusterRole', name, uid, controller: false, blockOwnerDeletion: false }
}

interface EntrySpec {
  /** Before the domain. */
  readonly name: string
  readonly path: string
  readonly rule: Rule
  readonly namespaceSelector: object
  readonly objectSelector: object
  readonly failurePolicy: FailurePolicy
  readonly timeoutSeconds: number
  readonly matchConditions?: readonly { readonly name: string; readonly expression: string }[]
}

interface Rule {
  readonly apiGroups: readonly string[]
  readonly apiVersions: readonly string[]
  readonly resources: readonly string[]
  readonly operations: readonly string[]
  readonly scope: 'Namespaced' | '*'
}

const PODS_CREATED: Rule = {
  apiGroups: [''],
  apiVersions: ['v1'],
  resources: ['pods'],
  operations: ['CREATE'],
  scope: 'Namespaced',
}
const EDITS = ['CREATE', 'UPDATE']

/** Another duty of the webhook is another entry here. */
function mutatingEntries(spec: RegistrationSpec): readonly EntrySpec[] {
  const { installNamespace, excludedNamespaces, failurePolicy, timeoutSeconds } = spec
  const excluded = [...new Set(['kube-system', installNamespace, ...excludedNamespaces])].sort()
  return [
    {
      name: 'pods',
      path: PODS_PATH,
      rule: PODS_CREATED,
      namespaceSelector: byName('NotIn', excluded),
      objectSelector: {},
      failurePolicy,
      timeoutSeconds,
    },
    {
      name: 'daemonsets',
      path: DAEMONSETS_PATH,
      rule: { ...PODS_CREATED, apiGroups: ['apps'], resources: ['daemonsets'], operations: EDITS },
      // The daemons of kube-system are those that land on VNodes.
      namespaceSelector: byName('NotIn', [installNamespace]),
      objectSelector: {},
      // A daemon on a VNode is a nuisance; a cluster whose network cannot be mended because of us is down.
      failurePolicy: 'Ignore',
      timeoutSeconds,
    },
    {
      name: 'probe',
      path: PROBE_PATH,
      rule: PODS_CREATED,
      namespaceSelector: byName('In', [installNamespace]),
      objectSelector: { matchLabels: { [LABEL_PROBE]: 'true' } },
      // The API server then says why the webhook cannot be called. It concerns a Pod that is never stored.
      failurePolicy: 'Fail',
      timeoutSeconds,
    },
  ]
}

function validatingEntries(spec: RegistrationSpec): readonly EntrySpec[] {
  const { rulesNamespace, rulesName, hasMatchConditions, timeoutSeconds } = spec
  const common = { path: RULES_PATH, objectSelector: {}, failurePolicy: 'Ignore' } as const
  const selectors: EntrySpec = {
    ...common,
    name: 'selectors',
    rule: {
      apiGroups: [SELECTOR_GROUP],
      apiVersions: ['*'],
      resources: [SELECTOR_PLURAL],
      operations: EDITS,
      // The vendor's CRD is cluster-scoped, ours is not.
      scope: '*',
    },
    namespaceSelector: {},
    timeoutSeconds,
  }
  const rules: EntrySpec = {
    ...common,
    name: 'rules',
    rule: { ...PODS_CREATED, resources: ['configmaps'], operations: EDITS },
    namespaceSelector: byName('In', [rulesNamespace]),
    // Leader election of old components writes ConfigMaps of kube-system: nothing may slow those down.
    timeoutSeconds: 1,
    matchConditions: [
      {
        name: 'rules-only',
        expression: `request.namespace == '${rulesNamespace}' && request.name == '${rulesName}'`,
      },
    ],
  }
  return hasMatchConditions ? [selectors, rules] : [selectors]
}

function byName(operator: 'In' | 'NotIn', values: readonly string[]): object {
  return { matchExpressions: [{ key: LABEL_NAMESPACE_NAME, operator, values }] }
}

/** The API server demands a domain name. */
export function entryName(short: string): string {
  return `${short}.${OWN_PREFIX.slice(0, -1)}`
}

function renderEntry(
  entry: EntrySpec,
  { target }: RegistrationSpec,
  { kind, caBundle }: { readonly kind: ConfigurationKind; readonly caBundle: string | undefined },
): Entry {
  const { matchConditions } = entry
  return {
    name: entryName(entry.name),
    clientConfig: { ...clientOf(target, entry.path), ...(caBundle === undefined ? {} : { caBundle }) },
    rules: [entry.rule],
    failurePolicy: entry.failurePolicy,
    matchPolicy: 'Equivalent',
    namespaceSelector: entry.namespaceSelector,
    objectSelector: entry.objectSelector,
    sideEffects: 'None',
    timeoutSeconds: entry.timeoutSeconds,
    admissionReviewVersions: ['v1', 'v1beta1'],
    ...(matchConditions === undefined ? {} : { matchConditions }),
    ...(kind === 'mutating' ? { reinvocationPolicy: 'IfNeeded' } : {}),
  }
}

function clientOf(target: Target, path: string): object {
  if (target.kind === 'url') return { url: `${target.url.replace(/\/$/, '')}${path}` }
  const { namespace, name, port } = target
  return { service: { namespace, name, path, port } }
}
