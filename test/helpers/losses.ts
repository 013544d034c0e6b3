import { asRecord } from '../../src/core/kubernetes/objects.ts'

const MARK = /^metadata\.annotations\.vnode-profile\.io\/(?:rules|policy|warnings)$/
const AWAY = /^spec\.tolerations\.\d+\.tolerationSeconds$/

/** Paths at which the result lacks, or has otherwise, what the author wrote; our marks and lengthened tolerations apart. */
export function losses(before: unknown, after: unknown, path = ''): string[] {
  const isOurs = MARK.test(path) || (AWAY.test(path) && before === 300 && after === 86_400)
  if (before === null || before === undefined || isOurs) return []
  if (Array.isArray(before)) {
    return Array.isArray(after)
      ? before.flatMap((item, index) => losses(item, after[index], `${path}.${index}`))
      : [path]
  }
  const members = asRecord(before)
  if (members === undefined) return before === after ? [] : [path]
  const kept = asRecord(after)
  if (kept === undefined) return [path]
  return Object.entries(members).flatMap(([key, value]) =>
    value !== null && !Object.hasOwn(kept, key)
      ? [`${path}.${key}`]
      : losses(value, kept[key], path === '' ? key : `${path}.${key}`),
  )
}
