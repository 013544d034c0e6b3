import type { KeyValue } from '../../config/flags.ts'
import type { IdentityKind } from '../../core/vnode/identity.ts'
import type { SessionFlags } from '../vnode/session-flags.ts'

export interface TaintFlag {
  readonly key: string
  readonly value: string
  readonly effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute'
}

/** What commander makes of the flags of `vnode bootstrap`. */
export interface BootstrapFlags extends SessionFlags {
  readonly installNamespace: string
  readonly name: string
  readonly credentialsSecret?: string
  readonly vnodeName?: string
  readonly vswitchId?: readonly string[]
  readonly securityGroupId?: string
  readonly zoneId?: string
  readonly resourceGroupId?: string
  readonly clusterDns?: string
  readonly clusterDomain?: string
  readonly customResources?: string
  readonly tag?: readonly KeyValue[]
  readonly taint?: readonly TaintFlag[]
  readonly eipInstanceId?: string
  readonly publicNetwork?: boolean
  readonly apiserver?: string
  readonly identity: IdentityKind
  readonly kubeconfigSecret?: string
  readonly leastCredentialLife: number
  readonly skipReachCheck?: boolean
  readonly additional?: boolean
  readonly wait: number
  readonly verbose?: boolean
  readonly remove?: boolean
  readonly dryRun?: boolean
  readonly dry?: boolean
}
