/** The rights of each program, and why it has them: the chart's roles, the tests' identities and the documentation are this list. */

import type { AccessRule } from './access-rule.ts'
import {
  INSTALL_NAMESPACE,
  RULES_CONFIGMAP,
  RULES_NAMESPACE,
  SELECTOR_GROUP,
  SELECTOR_PLURAL,
} from './names.ts'
import { REGISTRATION_GROUP } from './registration/configuration.ts'
import { spillAccess } from './spill/access.ts'

export type { AccessRule } from './access-rule.ts'

const READ = ['get', 'list', 'watch']
const APPLY = ['create', 'patch']

export interface RulesPlace {
  /** By which all objects of the installation are named; see {@link helperNames}. */
  readonly name?: string
  readonly installNamespace: string
  readonly rulesNamespace: string
  readonly rulesName: string
}

export interface WebhookPlace extends RulesPlace {
  /** Of the installation's namespace; undefined where certificates come from files. */
  readonly certSecret?: string
  /** A helper writes Events and the last good rules; see the flag --read-only. */
  readonly isReadOnly?: boolean
}

export function webhookAccess(place: WebhookPlace): readonly AccessRule[] {
  const { installNamespace, certSecret, isReadOnly = false } = place
  return [
    ...rulesAccess(place, !isReadOnly),
    ...(certSecret === undefined
      ? []
      : [
          {
            role: 'certificate',
            namespace: installNamespace,
            apiGroup: '',
            resources: ['secrets'],
            resourceNames: [certSecret],
            verbs: READ,
            reason: 'the certificate that is served',
          },
        ]),
  ]
}

/** What following the rules takes; whoever keeps them writes Events about them, and the last good text. */
function rulesAccess(place: RulesPlace, isKeeper: boolean): readonly AccessRule[] {
  const { installNamespace, rulesNamespace, rulesName, name = DEFAULT_NAME } = place
  const everywhere = { role: 'cluster', apiGroup: '' }
  const configMap = { apiGroup: '', resources: ['configmaps'] }
  return [
    {
      ...everywhere,
      resources: ['namespaces', 'nodes'],
      verbs: READ,
      reason: 'labels of namespaces, and which nodes are VNodes, decide',
    },
    {
      ...everywhere,
      apiGroup: SELECTOR_GROUP,
      resources: [SELECTOR_PLURAL],
      verbs: READ,
      reason: 'rules of every namespace',
    },
    ...(isKeeper
      ? [
          {
            ...everywhere,
            resources: ['events'],
            verbs: APPLY,
            reason: 'an Event is in the namespace of what it is about: the rules, or any Selector',
          },
        ]
      : []),
    {
      ...configMap,
      role: 'rules',
      namespace: rulesNamespace,
      resourceNames: [rulesName],
      verbs: READ,
      reason: 'the rules',
    },
    {
      ...configMap,
      role: 'last-good',
      namespace: installNamespace,
      resourceNames: [helperNames(name).lastGood],
      verbs: isKeeper ? [...READ, ...APPLY] : READ,
      reason: 'the last good rules, for a replica that starts while an edit is refused',
    },
  ]
}

export interface HelperPlace extends RulesPlace {
  readonly name: string
  /** The ClusterRole that owns the webhook configurations. */
  readonly owner: string
  /** Whose the certificates are. */
  readonly certSource: 'helper' | 'cert-manager'
  /** False before Kubernetes 1.18; there the Service's Endpoints are read. */
  readonly hasSlices?: boolean
  /** Whether Pods spill; the right to change them is given only then. */
  readonly spills: boolean
}

/** What the objects of an installation are called that its programs make or follow. */
export function helperNames(name: string) {
  return {
    lease: `${name}-helper`,
    secret: `${name}-tls`,
    probe: `${name}-probe`,
    /** The ConfigMap of the last good rules: of each installation its own, which may have rules of its own. */
    lastGood: `${name}-last-good-rules`,
    registration: name,
    service: `${name}-webhook`,
    owner: `${name}-helper`,
    certificate: `${name}-webhook`,
  } as const
}

/** Without what it does as other duties are added. */
export function helperAccess(place: HelperPlace): readonly AccessRule[] {
  const { installNamespace: namespace, name, owner, certSource, hasSlices = true, spills } = place
  const names = helperNames(name)
  return [
    ...rulesAccess(place, true),
    ...registrationAccess(names.registration, owner),
    {
      role: 'install',
      namespace,
      apiGroup: 'coordination.k8s.io',
      resources: ['leases'],
      resourceNames: [names.lease],
      verbs: ['get', ...APPLY],
      reason: 'one helper leads',
    },
    ...(certSource === 'cert-manager' ? [] : [secretAccess(namespace, names.secret)]),
    endpointsAccess(namespace, names.service, hasSlices),
    ...probeAccess(namespace, names.probe),
    ...(spills ? spillAccess() : []),
  ]
}

function endpointsAccess(namespace: string, service: string, hasSlices: boolean): AccessRule {
  const rule = { role: 'install', namespace, verbs: ['list', 'watch'] }
  if (!hasSlices)
    return {
      ...rule,
      apiGroup: '',
      resources: ['endpoints'],
      resourceNames: [service],
      reason: 'where the webhook answers',
    }
  return {
    ...rule,
    apiGroup: 'discovery.k8s.io',
    resources: ['endpointslices'],
    reason: 'where the webhook answers; their names are not known beforehand',
  }
}

/** Of `vnode probe`, which `helm test` runs. */
export function probeProgramAccess(namespace: string, probe: string): readonly AccessRule[] {
  return [
    ...probeAccess(namespace, probe),
    {
      role: 'cluster',
      apiGroup: REGISTRATION_GROUP,
      resources: ['mutatingwebhookconfigurations'],
      verbs: ['list'],
      reason: 'those of the vendor are told, whatever they are called',
    },
  ]
}

/** Of `vnode rules init`, which the chart runs once after its installation; its identity goes when that is done. */
export function rulesInitAccess(rulesNamespace: string): readonly AccessRule[] {
  return [
    {
      role: 'rules-init',
      namespace: rulesNamespace,
      apiGroup: '',
      resources: ['configmaps'],
      verbs: ['create'],
      reason: 'makes the rules by a POST, which never overwrites, and of which no name is known',
    },
  ]
}

/** Of `vnode unregister`, which the chart runs before anything else when it is uninstalled. */
export function unregisterAccess(registration: string, owner: string): readonly AccessRule[] {
  return [
    {
      role: 'cluster',
      apiGroup: REGISTRATION_GROUP,
      resources: ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'],
      resourceNames: [registration],
      verbs: ['delete'],
      reason: 'the registration goes before what serves it',
    },
    {
      role: 'cluster',
      apiGroup: 'rbac.authorization.k8s.io',
      resources: ['clusterroles'],
      resourceNames: [owner],
      verbs: ['delete'],
      reason: "their owner is the helper's right to make them anew; deleting it gives nobody a right",
    },
  ]
}

/**
 * Limited to a dry run by the chart's ValidatingAdmissionPolicy, which RBAC cannot say. Kubernetes older than 1.30 has none: there it is the
 * right to run anything as a Pod of this name.
 */
function probeAccess(namespace: string, probe: string): readonly AccessRule[] {
  return [
    {
      role: 'install',
      namespace,
      apiGroup: '',
      resources: ['pods'],
      resourceNames: [probe],
      verbs: APPLY,
      reason: 'the probe, a Pod that is created for show',
    },
  ]
}

function registrationAccess(name: string, owner: string): readonly AccessRule[] {
  const rule = { role: 'cluster', apiGroup: REGISTRATION_GROUP }
  const [mutating, validating] = [['mutatingwebhookconfigurations'], ['validatingwebhookconfigurations']]
  const verbs = [...APPLY, 'delete']
  return [
    {
      ...rule,
      resources: mutating,
      verbs: READ,
      reason: 'those of the vendor are found and told, whatever they are called',
    },
    {
      ...rule,
      resources: mutating,
      resourceNames: [name],
      verbs,
      reason: 'ours is registered, healed and withdrawn',
    },
    {
      ...rule,
      resources: validating,
      resourceNames: [name],
      verbs: [...READ, ...verbs],
      reason: 'the same for what validates rules',
    },
    {
      role: 'cluster',
      apiGroup: 'rbac.authorization.k8s.io',
      resources: ['clusterroles'],
      resourceNames: [owner],
      verbs: ['get'],
      reason: 'its uid: the configurations are owned by it, and vanish with it',
    },
  ]
}

function secretAccess(namespace: string, name: string): AccessRule {
  return {
    role: 'install',
    namespace,
    apiGroup: '',
    resources: ['secrets'],
    resourceNames: [name],
    verbs: [...READ, ...APPLY, 'delete'],
    reason: 'CA and certificate; deleted only where somebody made it immutable',
  }
}

export const DEFAULT_NAME = 'vnode-profile'
export const DEFAULT_WEBHOOK_PLACE: WebhookPlace = {
  installNamespace: INSTALL_NAMESPACE,
  rulesNamespace: RULES_NAMESPACE,
  rulesName: RULES_CONFIGMAP,
  certSecret: helperNames(DEFAULT_NAME).secret,
}
