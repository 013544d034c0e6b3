/** Whatever tells a program its rules, namespaces and VNodes. */
export interface RuleSource {
  /** Resolves when watching has begun, which is not yet when all is loaded: health() says that. */
  start(): Promise<void>
  stop(): Promise<void>
  health(): readonly SourceHealth[]
  /** For a namespace that is not known: resolves when it is, or soon. Undefined where waiting is no use. */
  awaitNamespace?(name: string): Promise<void> | undefined
}

export interface SourceHealth {
  /** Plural name of the resource, for readiness and metrics. */
  readonly resource: string
  /** True from the first complete list on, also while the API server is away. */
  readonly isSynced: boolean
  /** A sentence; says what is missing where something is. */
  readonly reason: string
  /** Whether it is being watched right now. */
  readonly isWatched?: boolean
  /** Seconds since the API server was last heard about it. */
  readonly ageSeconds?: number
}
