/** What any review, however wrong, may be answered with; and how long it took. */
import { DEEPEST_NESTING } from '../../src/webhook/json-body.ts'
import { patchProblems } from './patched.ts'
import { type AppAnswer, operationsOf } from './review-app.ts'

/** The processor time that it takes, in milliseconds: other tests run on the same machine. */
export async function timed<T>(work: () => Promise<T>): Promise<readonly [ms: number, result: T]> {
  const begun = process.cpuUsage()
  const result = await work()
  const { user, system } = process.cpuUsage(begun)
  return [(user + system) / 1000, result]
}

/** What is wrong with the answer; empty if nothing is. */
export function complaints(body: Buffer | string, answer: AppAnswer): string[] {
  const sent = readJson(body.toString())
  const uid = memberOf(memberOf(sent, 'request'), 'uid')
  const hasUid = typeof uid === 'string' && uid !== ''
  if (answer.status !== 200) {
    const isClear = answer.status === 400 && /"message":"the /.test(answer.text)
    const isDue = !hasUid || depthOf(sent) > DEEPEST_NESTING
    return isClear && isDue ? [] : [`${answer.status} ${answer.text.slice(0, 200)}, with uid ${String(uid)}`]
  }
  const { response } = answer
  if (response?.uid !== uid || response?.allowed !== true)
    return [`${answer.text.slice(0, 200)} for uid ${String(uid)}`]
  const warnings = response.warnings ?? []
  return [
    ...patchProblems(memberOf(memberOf(sent, 'request'), 'object'), operationsOf(response)),
    ...(warnings.length > 10 ? ['too many warnings'] : []),
    ...warnings.filter(text => text.length >= 200 || /\p{Cc}/u.test(text)).map(text => `warning ${text}`),
  ]
}

/** The own member of this name; undefined if there is none. */
export function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? Object.getOwnPropertyDescriptor(value, key)?.value
    : undefined
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}
