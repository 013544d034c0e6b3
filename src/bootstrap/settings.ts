import type { IdentityKind } from '../core/vnode/identity.ts'
import type { Tag, Taint } from '../eci/virtual-node.ts'

export interface BootstrapSettings {
  readonly installNamespace: string
  /** By which the objects of the installation are named. */
  readonly prefix: string
  readonly virtualNode: VirtualNodeSettings
  readonly identity: IdentitySettings
  /** `https://host:port` as a VNode reaches it; undefined: as the cluster says itself. */
  readonly apiserver?: string | undefined
  /** A credential that ends before that is refused. */
  readonly leastCredentialLifeMs: number
  /** Other VNodes may be in this cluster. */
  readonly isAdditional: boolean
  /** The address and the credential are tried from here before anything is paid for. */
  readonly isReachChecked: boolean
  /** How long the Node may take to be Ready. */
  readonly waitMs: number
}

export interface VirtualNodeSettings {
  readonly name: string
  readonly vSwitchIds: readonly string[]
  readonly securityGroupId: string
  readonly zoneId?: string | undefined
  readonly resourceGroupId?: string | undefined
  /** Undefined: the address of the Service kube-dns. */
  readonly clusterDNS?: string | undefined
  readonly clusterDomain?: string | undefined
  readonly customResources?: string | undefined
  /** Besides that of the cluster. */
  readonly tags: readonly Tag[]
  readonly taints: readonly Taint[]
  readonly eipInstanceId?: string | undefined
  readonly hasPublicNetwork: boolean
}

export interface IdentitySettings {
  readonly kind: IdentityKind
  /** Of kind `kubeconfig`: a Secret of the installation's namespace, and its key. */
  readonly kubeconfigSecret?: { readonly name: string; readonly key: string } | undefined
}
