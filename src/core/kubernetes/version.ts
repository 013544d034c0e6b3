import { asRecord, asString, own } from './objects.ts'

export interface KubernetesVersion {
  readonly major: number
  readonly minor: number
}

/** The answer of `/version`; undefined for what is none. Providers write minors such as `28+`. */
export function parseVersion(answer: unknown): KubernetesVersion | undefined {
  const read = (key: string) => Number.parseInt(asString(own(asRecord(answer), key)) ?? '', 10)
  const [major, minor] = [read('major'), read('minor')]
  return Number.isNaN(major) || Number.isNaN(minor) ? undefined : { major, minor }
}

export function isAtLeast(version: KubernetesVersion, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor)
}
