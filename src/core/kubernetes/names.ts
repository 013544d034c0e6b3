/**
 * The apiserver's own checks of keys and values, one sentence for people per problem. As strict as the apiserver and no
 * stricter: one wrong key or value in a patch makes it refuse the Pod even under failurePolicy Ignore.
 */

/** Limit of all keys and values of an object's annotations together, in UTF-8 bytes. */
export const MAX_ANNOTATIONS_BYTES = 256 * 1024

const MAX_NAME = 63
const MAX_SUBDOMAIN = 253
const NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/
const SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/
const NAME_RULE = "holds only letters, digits, '-', '_' and '.', and starts and ends with a letter or digit."

/** What is wrong with a label key, if anything. */
export function labelKeyProblem(key: string): string | undefined {
  const slash = key.indexOf('/')
  if (slash === -1) return namePartProblem(key)
  if (key.indexOf('/', slash + 1) !== -1)
    return "A key has at most one '/': an optional DNS prefix, then a name."
  return prefixProblem(key.slice(0, slash)) ?? namePartProblem(key.slice(slash + 1))
}

/** What is wrong with an annotation key, if anything: the rule for labels, but upper case is fine in the prefix too. */
export function annotationKeyProblem(key: string): string | undefined {
  return labelKeyProblem(key.toLowerCase())
}

/** What is wrong with a label's value, if anything. It may be empty. */
export function labelValueProblem(value: string): string | undefined {
  if (value === '') return undefined
  if (value.length > MAX_NAME) return `A label value has at most ${MAX_NAME} characters.`
  return NAME.test(value) ? undefined : `A label value ${NAME_RULE}`
}

/** What is wrong with the name of a ConfigMap, Pod, Node and most other objects, if anything. */
export function dns1123SubdomainProblem(name: string): string | undefined {
  if (name === '') return 'A name is not empty.'
  if (name.length > MAX_SUBDOMAIN) return `A name has at most ${MAX_SUBDOMAIN} characters.`
  if (SUBDOMAIN.test(name)) return undefined
  return "A name holds only lower-case letters, digits, '-' and '.', and each part between dots starts and ends with a letter or digit."
}

/** What is wrong with the name of a namespace, if anything. */
export function dns1123LabelProblem(name: string): string | undefined {
  if (name === '') return 'A name is not empty.'
  if (name.length > MAX_NAME) return `The name of a namespace has at most ${MAX_NAME} characters.`
  if (SUBDOMAIN.test(name) && !name.includes('.')) return undefined
  return "The name of a namespace holds only lower-case letters, digits and '-', and starts and ends with a letter or digit."
}

const MAX_INT32 = 2_147_483_647

/** What is wrong with the value of `controller.kubernetes.io/pod-deletion-cost`, if anything. */
export function deletionCostProblem(value: string): string | undefined {
  const cost = Number(value)
  const written = /^(?:0|[1-9][0-9]*|-[0-9]+)$/.test(value)
  if (written && cost >= -MAX_INT32 - 1 && cost <= MAX_INT32) return undefined
  return `A deletion cost is a whole number from ${-MAX_INT32 - 1} to ${MAX_INT32}, without a plus sign or leading zeros.`
}

/** Bytes that annotations count for, to compare with {@link MAX_ANNOTATIONS_BYTES}. A Map, or `Object.entries` of an object. */
export function annotationsSize(entries: Iterable<readonly [string, string]>): number {
  let size = 0
  for (const [key, value] of entries) size += Buffer.byteLength(key) + Buffer.byteLength(value)
  return size
}

/** True if they are no more bytes than that for sure, by their lengths alone: a unit of UTF-16 is three bytes at most. Cheap, for the usual case. */
export function areSurelyWithin(bytes: number, ...all: readonly ReadonlyMap<string, string>[]): boolean {
  let units = 0
  for (const entries of all) for (const [key, value] of entries) units += key.length + value.length
  return units * 3 <= bytes
}

function prefixProblem(prefix: string): string | undefined {
  if (prefix === '') return "A key does not start with '/'."
  if (prefix.length > MAX_SUBDOMAIN) return `A key's prefix has at most ${MAX_SUBDOMAIN} characters.`
  if (SUBDOMAIN.test(prefix)) return undefined
  return "A key's prefix is a DNS name: lower-case letters, digits, '-' and '.', each part starting and ending with a letter or digit."
}

function namePartProblem(name: string): string | undefined {
  if (name === '') return 'A key has a name that is not empty.'
  if (name.length > MAX_NAME) return `A key's name has at most ${MAX_NAME} characters.`
  return NAME.test(name) ? undefined : `A key's name ${NAME_RULE}`
}
