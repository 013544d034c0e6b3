import jsonPatch from 'fast-json-patch'
import t from 'tap'
import { compileRulesText, readRuleDocuments } from '../../../src/core/selector/documents.ts'
import { type PodGolden, readPodGoldens } from '../../helpers/pod-goldens.ts'
import { makePodReview, makeReviewApp, operationsOf, PODS } from '../../helpers/review-app.ts'

/** What the golden says was decided, and the messages of its warnings. */
function commentsOf({ expectedText }: PodGolden): { outcome: string; reason: string; warnings: string[] } {
  const [first = '', ...others] = expectedText.split('\n').flatMap(line => /^# (.*)$/.exec(line)?.[1] ?? [])
  const [, outcome = '', reason = ''] = /^([a-z-]+): (.*)$/.exec(first) ?? []
  return { outcome, reason, warnings: others.map(line => line.replace(/^warning [a-z-]+: /, '')) }
}

for (const golden of readPodGoldens()) {
  t.test(`${golden.name}, as the webhook answers it`, async t => {
    const documents = readRuleDocuments(golden.rules)
    t.strictSame(
      documents.rulesTexts.map(compileRulesText).flatMap(one => one.problems),
      [],
    )
    const server = await makeReviewApp(t, { rules: documents.rulesTexts[0]?.text ?? '' })
    for (const [index, { object }] of documents.selectors.entries())
      server.state.setSelector(String(index), object, { kind: 'Selector', label: String(index) })
    server.state.setNamespace(golden.namespace.name, golden.namespace.labels)
    server.state.flush()

    const review = makePodReview(golden.pod, { namespace: golden.namespace.name })
    const { status, response } = await server.send(PODS, review)
    t.equal(status, 200)
    t.match(response, { uid: review.request.uid, allowed: true })
    const patched = jsonPatch.applyPatch(
      structuredClone(golden.pod),
      [...operationsOf(response)] as never,
      true,
    )
    t.strictSame(patched.newDocument, golden.expected)

    const { outcome, reason, warnings } = commentsOf(golden)
    const wanted = outcome === 'conflict' ? [reason] : warnings
    t.equal(response?.warnings?.length ?? 0, wanted.length)
    for (const [index, message] of wanted.entries())
      t.ok(response?.warnings?.[index]?.includes(message.slice(0, 80)), message)
    const isChanged = operationsOf(response).length > 0
    const counted = outcome === 'placed' ? (isChanged ? 'patched' : 'unchanged') : outcome
    t.strictSame(await server.outcomes('pods'), { [counted]: 1 })
    if (!isChanged) t.match(server.log.at(-1), { msg: 'Pod left as it is', reason })
  })
}
