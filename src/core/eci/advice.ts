/**
 * `refused`: ECI will not run the Pod so. `billed`: it costs more than it seems. `ignored`: it has no effect.
 * `old-name`: there is a newer name.
 */
export type AdviceKind = 'refused' | 'billed' | 'ignored' | 'old-name'

/** Stable short names; the Pod's `warnings` annotation lists them. */
export type AdviceCode =
  | 'host-network'
  | 'host-pid'
  | 'host-ipc'
  | 'host-port'
  | 'reserved-port'
  | 'privileged'
  | 'capability'
  | 'read-only-root'
  | 'proc-mount'
  | 'sysctl'
  | 'host-path'
  | 'too-many-volumes'
  | 'too-many-containers'
  | 'too-large'
  | 'gpu-request'
  | 'spot-size'
  | 'spot-price-missing'
  | 'spot-price-unused'
  | 'default-size'
  | 'rounded-up'
  | 'ephemeral-storage'
  | 'pending-billed'
  | 'job-sidecar'
  | 'annotation-value'
  | 'annotation-old-name'
  | 'annotation-platform'
  | 'annotation-unknown'

export interface Advice {
  readonly code: AdviceCode
  readonly kind: AdviceKind
  /** Where in the Pod, such as `spec.containers[0].securityContext.privileged`. */
  readonly path: string
  /** Under 200 characters: what is the matter, and what to do. */
  readonly message: string
}

/** What the checks look at, and where they put what they find. */
export interface Subject {
  readonly metadata: Record<string, unknown>
  readonly spec: Record<string, unknown>
  /** The value that ECI will see: the Pod's own, else the one that the rules add. */
  readonly annotation: (key: string) => string | undefined
  /** Also what is merely billed or ignored: for people who ask, not for every admission. */
  readonly everything: boolean
  readonly found: Advice[]
}

/** An admission warning of more characters may be cut off by the apiserver. */
const LONGEST_MESSAGE = 199

/** Notes one piece of advice, if the reader wants that kind. */
export function advise(subject: Subject, advice: Advice): void {
  if (!subject.everything && !isUrgent(advice.kind)) return
  const { message } = advice
  const text = message.length <= LONGEST_MESSAGE ? message : `${message.slice(0, LONGEST_MESSAGE - 1)}…`
  subject.found.push({ ...advice, message: text })
}

function isUrgent(kind: AdviceKind): boolean {
  return kind === 'refused' || kind === 'old-name'
}
