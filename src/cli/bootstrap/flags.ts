import type { IdentityKind } from '../../core/vnode/identity.ts'
import type { AnswerOutput } from '../output-format.ts'
import type { SessionFlags } from '../vnode/session-flags.ts'
import type { VirtualNodeFlags } from '../vnode/virtual-node-flags.ts'

/** What commander makes of the flags of `vnode bootstrap`. */
export interface BootstrapFlags extends SessionFlags, VirtualNodeFlags {
  readonly installNamespace: string
  readonly name: string
  readonly credentialsSecret?: string
  readonly vnodeName?: string
  readonly eipInstanceId?: string
  readonly apiserver?: string
  readonly identity: IdentityKind
  readonly kubeconfigSecret?: string
  readonly leastCredentialLife: number
  readonly skipReachCheck?: boolean
  readonly additional?: boolean
  readonly wait: number
  readonly verbose?: boolean
  readonly output: 'text' | AnswerOutput
  readonly remove?: boolean
  readonly dryRun?: boolean
  readonly dry?: boolean
}
