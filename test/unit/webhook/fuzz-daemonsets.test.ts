import jsonPatch from 'fast-json-patch'
import t from 'tap'
import { memberOf } from '../../helpers/fuzz-answers.ts'
import { daemonSetReviews, wrongReviews } from '../../helpers/fuzz-corpus.ts'
import {
  type AppAnswer,
  DAEMONSETS,
  makeReviewApp,
  operationsOf,
  type ReviewApp,
} from '../../helpers/review-app.ts'

const COUNT = 5000
const AFFINITY = '/spec/template/spec/affinity'
const RECORD = 'vnode-profile.io/fence'

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What is wrong with the answer; undefined if nothing is. */
async function complaint(app: ReviewApp, body: Buffer, answer: AppAnswer): Promise<string | undefined> {
  const review = readJson(body.toString())
  const request = memberOf(review, 'request')
  const uid = memberOf(request, 'uid')
  const hasUid = typeof uid === 'string' && uid !== ''
  if (answer.status === 400 && !hasUid) return undefined
  const { response } = answer
  if (answer.status !== 200 || response?.uid !== uid || response?.allowed !== true)
    return `${answer.status} ${answer.text.slice(0, 200)}`
  const operations = operationsOf(response)
  if (operations.length === 0) return undefined
  const strange = operations.find(
    ({ op, path }) =>
      op !== 'add' || !(path.startsWith(AFFINITY) || path.startsWith('/metadata/annotations')),
  )
  if (strange !== undefined) return `it has ${strange.op} ${strange.path}`
  const before = memberOf(request, 'object')
  const patch = operations as Parameters<typeof jsonPatch.applyPatch>[1]
  const after = jsonPatch.applyPatch(structuredClone(before), patch, true).newDocument
  if (rest(after) !== rest(before)) return 'it changes more than the affinity and its record'
  const second = { ...(review as object), request: { ...(request as object), object: after } }
  const again = await app.send(DAEMONSETS, second)
  return operationsOf(again.response).length > 0 ? 'a second pass adds something' : undefined
}

/** Everything but what a fence adds to. */
function rest(object: unknown): string {
  const copy = structuredClone(object) as {
    metadata?: { annotations?: Record<string, unknown> }
    spec: { template: { spec: { affinity?: unknown } } }
  }
  delete copy.spec.template.spec.affinity
  const { annotations } = copy.metadata ?? {}
  if (annotations) delete annotations[RECORD]
  if (copy.metadata && Object.keys(annotations ?? {}).length === 0) delete copy.metadata.annotations
  return JSON.stringify(copy)
}

t.test(`${COUNT} reviews of DaemonSets that have gone wrong`, async t => {
  const app = await makeReviewApp(t, { level: 'silent' })
  let [patched, refused] = [0, 0]
  for (const body of wrongReviews(20_260_202, COUNT, daemonSetReviews())) {
    const answer = await app.send(DAEMONSETS, body)
    const problem = await complaint(app, body, answer)
    if (problem !== undefined) t.fail(problem, { body: body.toString().slice(0, 4000) })
    patched += answer.response?.patch === undefined ? 0 : 1
    refused += answer.status === 400 ? 1 : 0
  }
  const outcomes = await app.outcomes('daemonsets')
  t.comment(outcomes, { refused })
  t.ok(patched > 500, `${patched} with a patch`)
  for (const outcome of ['unchanged', 'real-nodes', 'skipped', 'error', 'unmatched'])
    t.ok((outcomes[outcome] ?? 0) > 20, `${outcome}: ${outcomes[outcome]}`)
})
