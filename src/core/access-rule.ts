/** One line of a program's rights; see the lists themselves. */
export interface AccessRule {
  /** Rules of one name make one Role, or ClusterRole, together. */
  readonly role: string
  /** Undefined: in the whole cluster. */
  readonly namespace?: string
  readonly apiGroup: string
  readonly resources: readonly string[]
  /** `create` is limited by names too, as our objects are made by server-side apply alone (observed). */
  readonly resourceNames?: readonly string[]
  readonly verbs: readonly string[]
  readonly reason: string
}
