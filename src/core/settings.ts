/** What an operator can set about decisions; every program and `vnode explain` decide with the same values. */
import type { Toleration } from './kubernetes/objects.ts'
import { INSTALL_NAMESPACE, VNODE_KEY } from './names.ts'
import type { ResourceScope } from './selector/resource-rules.ts'

export interface Settings extends ResourceScope {
  /** Node labels that a Pod for a VNode selects. */
  readonly nodeSelector: ReadonlyMap<string, string>
  /** What a Pod for a VNode tolerates. */
  readonly toleration: Toleration
  /** Pods of these namespaces are never touched; the installation's own is always among them. */
  readonly excludedNamespaces: ReadonlySet<string>
  /** Whose label `vnode-profile.io/skip` counts: a Pod's and a Namespace's, a Namespace's only, nobody's. */
  readonly allowSkip: 'pod' | 'namespace' | 'never'
  /** How long a Pod on a VNode outlives an unreachable VNode, in seconds; 0 leaves the apiserver's 300. */
  readonly unreachableTolerationSeconds: number
}

export const DEFAULT_SETTINGS: Settings = {
  installNamespace: INSTALL_NAMESPACE,
  selectorScope: 'namespace',
  tenantEffects: new Set(),
  nodeSelector: new Map([[VNODE_KEY, 'true']]),
  toleration: { key: VNODE_KEY, operator: 'Equal', value: 'true', effect: 'NoSchedule' },
  excludedNamespaces: new Set(['kube-system', INSTALL_NAMESPACE]),
  allowSkip: 'pod',
  unreachableTolerationSeconds: 86_400,
}
