export interface Readiness {
  readonly isReady: boolean
  /** A line for each thing that is looked at, `ok` or what is missing. */
  readonly checks: readonly ReadinessCheck[]
}

export interface ReadinessCheck {
  readonly name: string
  readonly isOk: boolean
  readonly reason: string
}
