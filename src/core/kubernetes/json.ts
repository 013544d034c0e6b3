import { asRecord, own } from './objects.ts'

/** Equal as JSON, whatever the order of members; a member that is undefined is one that is missing. */
export function isSameJson(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((member, index) => isSameJson(member, other[index]))
  const [a, b] = [asRecord(one), asRecord(other)]
  if (a === undefined || b === undefined) return one === other
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every(key =>
    isSameJson(own(a, key), own(b, key)),
  )
}
