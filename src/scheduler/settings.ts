import type { Lives } from '../core/certificate/rotation-state.ts'
import type { RegistrationSpec } from '../core/registration/configuration.ts'
import type { Settings } from '../core/settings.ts'
import type { SpillProgramSettings } from './spill/settings.ts'

export interface HelperSettings {
  /** What does not depend on the version of the API server. */
  readonly registration: Omit<RegistrationSpec, 'hasMatchConditions'>
  /** What the webhook decides by as well. */
  readonly decisions: Settings
  /** Undefined where Pods that exist are left alone. */
  readonly spill: SpillProgramSettings | undefined
  /** The ClusterRole that owns the webhook configurations. */
  readonly owner: string
  /** Whose the certificates are; cert-manager's are left to it, caBundle included. */
  readonly certSource: 'helper' | 'cert-manager'
  /** Of the installation's namespace, as all that follows. */
  readonly secret: string
  readonly probe: string
  readonly lease: string
  /** The ConfigMap with the last good rules. */
  readonly lastGood: string
  readonly lives: Lives
  /** For how long the webhook may not serve before its registration is withdrawn. */
  readonly graceMs: number
  readonly probeIntervalMs: number
  /** Between two rounds when nothing happens. */
  readonly periodMs: number
}
