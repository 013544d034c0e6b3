/** What an apiserver, or a Pod's author, would have against a patch; shares no code with what makes and checks patches. */
import jsonPatch from 'fast-json-patch'

type Plain = Readonly<Record<string, unknown>>
type Path = readonly string[]

const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution'
const NAME = /^[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?$/
const DOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/
const INT32 = /^(?:0|-\d{1,10}|[1-9]\d{0,9})$/
const MOST_ANNOTATION_BYTES = 256 * 1024

/** Empty if all is well. The operations apply to the object as it was sent; nothing of it is lost; what is new is valid. */
export function patchProblems(sent: unknown, operations: readonly object[]): string[] {
  const isAdd = (operation: object) => 'op' in operation && operation.op === 'add'
  if (!operations.every(isAdd)) return ['an operation is not an add']
  let result: unknown
  try {
    const parsed = operations as Parameters<typeof jsonPatch.applyPatch>[1]
    // Validating, and on a copy.
    result = jsonPatch.applyPatch(
      structuredClone(sent),
      structuredClone(parsed),
      true,
      true,
      true,
    ).newDocument
  } catch (error) {
    return [`it does not apply: ${error instanceof Error ? error.name : String(error)}`]
  }
  return [...changes(sent, result, []), ...sizeProblems(sent, result)]
}

function changes(before: unknown, after: unknown, path: Path): string[] {
  if (before === after || isOurMark(path)) return []
  if (isPlain(before) && isPlain(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap(key =>
      memberChanges([before, after], key, [...path, key]),
    )
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const kept = before.flatMap((item, index) => changes(item, after[index], [...path, String(index)]))
    return [...kept, ...after.slice(before.length).flatMap(item => additionProblems(item, [...path, '-']))]
  }
  if (before === null || before === undefined) return additionProblems(after, path)
  return isLengthened(before, after, path) ? [] : [`${path.join('.')} is not what it was`]
}

function memberChanges([before, after]: readonly [Plain, Plain], key: string, path: Path): string[] {
  if (!Object.hasOwn(after, key)) return [`${path.join('.')} is lost`]
  return Object.hasOwn(before, key)
    ? changes(before[key], after[key], path)
    : additionProblems(after[key], path)
}

function isOurMark(path: Path): boolean {
  return path.length === 3 && path[1] === 'annotations' && path[2]?.startsWith('vnode-profile.io/') === true
}

function isLengthened(before: unknown, after: unknown, path: Path): boolean {
  return (
    /^spec\.tolerations\.\d+\.tolerationSeconds$/.test(path.join('.')) && before === 300 && after === 86_400
  )
}

/** What of a Pod may be new, and what such a thing may look like. */
function additionProblems(value: unknown, path: Path): string[] {
  const [part, name, key] = path
  const members = isPlain(value) ? Object.entries(value) : []
  const inside = () => members.flatMap(([member, inner]) => additionProblems(inner, [...path, member]))
  if (part === 'metadata' && (name === 'labels' || name === 'annotations'))
    return key === undefined ? [...inside(), ...plainness(value, path)] : entryProblems(name, key, value)
  if (part === 'spec' && name === 'nodeSelector')
    return key === undefined ? [...inside(), ...plainness(value, path)] : entryProblems('labels', key, value)
  if (part === 'spec' && name === 'tolerations') return tolerationProblems(value, path)
  if (part === 'spec' && name === 'affinity') return affinityProblems(value, path)
  return [`${path.join('.')} is new`]
}

function plainness(value: unknown, path: Path): string[] {
  return isPlain(value) ? [] : [`${path.join('.')} is no object`]
}

function entryProblems(kind: 'annotations' | 'labels', key: string, value: unknown): string[] {
  const [prefix, name = '', ...more] = key.includes('/') ? key.split('/') : [undefined, key]
  const isKey = more.length === 0 && NAME.test(name) && (prefix === undefined || DOMAIN.test(prefix))
  const isLabel = value === '' || (typeof value === 'string' && NAME.test(value))
  const isCost = key === 'controller.kubernetes.io/pod-deletion-cost'
  const isFine = isCost ? isInt32(value) : kind === 'labels' ? isLabel : typeof value === 'string'
  return isKey && isFine ? [] : [`${kind}: ${JSON.stringify(key)} = ${JSON.stringify(value)?.slice(0, 80)}`]
}

function isInt32(value: unknown): boolean {
  return typeof value === 'string' && INT32.test(value) && Math.abs(Number(value)) <= 2 ** 31
}

function tolerationProblems(value: unknown, path: Path): string[] {
  if (path.length === 2 && Array.isArray(value))
    return value.flatMap(one => tolerationProblems(one, [...path, '-']))
  const isOurs =
    isPlain(value) && value.operator === 'Equal' && value.effect === 'NoSchedule' && 'key' in value
  return isOurs ? [] : [`${path.join('.')}: ${JSON.stringify(value)}`]
}

function affinityProblems(value: unknown, path: Path): string[] {
  const place = path.slice(1).join('.')
  if (Array.isArray(value)) return value.flatMap(one => affinityProblems(one, [...path, '-']))
  if (place === `affinity.nodeAffinity.${PREFERRED}.-`)
    return isPlain(value) && value.weight === 100 && isPlain(value.preference)
      ? []
      : [`${place}: another term`]
  const isOnTheWay = `affinity.nodeAffinity.${PREFERRED}.-`.startsWith(`${place}.`)
  if (!isOnTheWay || !isPlain(value)) return [`${place} is new`]
  return Object.entries(value).flatMap(([key, inner]) => affinityProblems(inner, [...path, key]))
}

/** Annotations that are too large without us are their author's affair. */
function sizeProblems(sent: unknown, result: unknown): string[] {
  const bytes = annotationBytes(result)
  return bytes > MOST_ANNOTATION_BYTES && bytes > annotationBytes(sent)
    ? [`the annotations are ${bytes} bytes`]
    : []
}

function annotationBytes(pod: unknown): number {
  const metadata = isPlain(pod) && isPlain(pod.metadata) ? pod.metadata : {}
  const annotations = isPlain(metadata.annotations) ? Object.entries(metadata.annotations) : []
  return annotations.reduce(
    (sum, [key, value]) =>
      sum + Buffer.byteLength(key) + (typeof value === 'string' ? Buffer.byteLength(value) : 0),
    0,
  )
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
