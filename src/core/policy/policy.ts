/** The four policies that decide where a matching Pod runs, and how they are written in both rule formats. */
import { asRecord } from '../kubernetes/objects.ts'
import type { Path, Problems } from '../selector/problem.ts'
import { parseDuration } from './duration.ts'

export type Policy =
  | { readonly kind: 'virtualNodeOnly' }
  | { readonly kind: 'fair'; readonly preferRealNodes: boolean }
  | {
      readonly kind: 'normalNodePrefer'
      /** Spill only while real nodes' requested share of allocatable is at least this many per cent. */
      readonly cpuRatio?: number
      readonly memoryRatio?: number
      /** Seconds that a Pod waits as unschedulable before it spills; absent: the helper's default. */
      readonly spillAfterSeconds?: number
    }
  | { readonly kind: 'normalNodeOnly' }

export type PolicyKind = Policy['kind']

export const VIRTUAL_NODE_ONLY: Policy = { kind: 'virtualNodeOnly' }

const READERS: ReadonlyMap<string, (fields: Fields) => Policy> = new Map([
  ['virtualNodeOnly', fields => readBare('virtualNodeOnly', fields)],
  ['normalNodeOnly', fields => readBare('normalNodeOnly', fields)],
  ['fair', readFair],
  ['normalNodePrefer', readNormalNodePrefer],
])
const NAMES = [...READERS.keys()].join(', ')

interface Fields {
  readonly value: Record<string, unknown>
  readonly path: Path
  readonly problems: Problems
}

/**
 * Reads `{fair: {}}` and its kin. Absent or null is no policy. Anything that is not exactly one known policy is an error
 * and never read as another one: guessing could send a cluster's Pods to a bill.
 */
export function compilePolicy(value: unknown, path: Path, problems: Problems): Policy | undefined {
  if (value === undefined || value === null) return undefined
  const policy = asRecord(value)
  const [name, ...others] = Object.keys(policy ?? {})
  if (policy === undefined || name === undefined || others.length > 0) {
    problems.error({ path, value, message: `must be an object with exactly one of ${NAMES}` })
    return undefined
  }
  const read = READERS.get(name)
  if (read === undefined) {
    const message =
      name === 'namespaceResourceLimit'
        ? 'namespaceResourceLimit is not supported yet'
        : `unknown policy; it must be one of ${NAMES}`
    problems.error({ path: [...path, name], at: 'key', message })
    return undefined
  }
  const fields = policy[name] === null ? {} : asRecord(policy[name])
  if (fields === undefined) {
    problems.error({
      path: [...path, name],
      value: policy[name],
      message: 'must be an object; write {} for no settings',
    })
    return undefined
  }
  return read({ value: fields, path: [...path, name], problems })
}

function readBare(kind: 'virtualNodeOnly' | 'normalNodeOnly', fields: Fields): Policy {
  refuseOthers(fields, [])
  return { kind }
}

function readFair(fields: Fields): Policy {
  refuseOthers(fields, ['preferRealNodes'])
  const prefer = fields.value.preferRealNodes ?? false
  if (typeof prefer !== 'boolean') {
    fields.problems.error({
      path: [...fields.path, 'preferRealNodes'],
      value: prefer,
      message: 'must be true or false',
    })
  }
  return { kind: 'fair', preferRealNodes: prefer === true }
}

function readNormalNodePrefer(fields: Fields): Policy {
  refuseOthers(fields, ['cpuRatio', 'memoryRatio', 'spillAfter'])
  const cpuRatio = readRatio('cpuRatio', fields)
  const memoryRatio = readRatio('memoryRatio', fields)
  const spillAfterSeconds = readSpillAfter(fields)
  return {
    kind: 'normalNodePrefer',
    ...(cpuRatio === undefined ? {} : { cpuRatio }),
    ...(memoryRatio === undefined ? {} : { memoryRatio }),
    ...(spillAfterSeconds === undefined ? {} : { spillAfterSeconds }),
  }
}

function readRatio(name: string, { value, path, problems }: Fields): number | undefined {
  const ratio = value[name]
  if (ratio === undefined || ratio === null) return undefined
  if (typeof ratio === 'number' && Number.isInteger(ratio) && ratio >= 0 && ratio <= 100) return ratio
  problems.error({
    path: [...path, name],
    value: ratio,
    message: 'must be a whole number of per cent from 0 to 100',
  })
  return undefined
}

function readSpillAfter({ value, path, problems }: Fields): number | undefined {
  const text = value.spillAfter
  if (text === undefined || text === null) return undefined
  const seconds = typeof text === 'string' ? parseDuration(text) : undefined
  if (seconds === undefined) {
    problems.error({
      path: [...path, 'spillAfter'],
      value: text,
      message: 'must be a duration such as "30s", "5m" or "1h30m"',
    })
  }
  return seconds
}

function refuseOthers({ value, path, problems }: Fields, known: readonly string[]): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    const message =
      known.length === 0
        ? 'unknown field; this policy has no settings'
        : `unknown field; this policy knows ${known.join(', ')}`
    problems.error({ path: [...path, key], at: 'key', message })
  }
}
