import { DEFAULT_SETTINGS, type Settings } from '../../src/core/settings.ts'

export interface SelectorOverrides {
  /** Absent for the cluster-scoped kind. */
  readonly namespace?: string
  readonly name?: string
  readonly createdAt?: string
  /** In place of `{objectLabels: {matchLabels: {app: web}}, policy: {virtualNodeOnly: {}}}`. */
  readonly spec?: unknown
}

/** A Selector resource as the apiserver sends it. */
export function makeSelector({ namespace, name = 'web', createdAt, spec }: SelectorOverrides = {}): object {
  return {
    apiVersion: 'eci.aliyun.com/v1',
    kind: 'Selector',
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(createdAt === undefined ? {} : { creationTimestamp: createdAt }),
    },
    spec: spec ?? { objectLabels: { matchLabels: { app: 'web' } }, policy: { virtualNodeOnly: {} } },
  }
}

export function makeSettings(overrides: Partial<Settings> = {}): Settings {
  return { ...DEFAULT_SETTINGS, ...overrides }
}
