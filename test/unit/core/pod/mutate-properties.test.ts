import jsonPatch from 'fast-json-patch'
import t from 'tap'
import { asArray, asRecord } from '../../../../src/core/kubernetes/objects.ts'
import { mutatePod } from '../../../../src/core/pod/mutate.ts'
import type { AddOperation } from '../../../../src/core/pod/patch.ts'
import { checkPatch } from '../../../../src/core/pod/patch-check.ts'
import type { Decision, NamespaceFacts, RuledEnvironment } from '../../../../src/core/policy/decide.ts'
import { makeEnvironment, makeNamespace, makeVnode } from '../../../helpers/environments.ts'
import { losses } from '../../../helpers/losses.ts'
import { NAMESPACES, randomLabels } from '../../../helpers/naive-rules.ts'
import { Random } from '../../../helpers/random.ts'
import { randomPod, randomRules } from '../../../helpers/random-pods.ts'

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null)
    for (const member of Object.values(Object.freeze(value))) freeze(member)
  return value
}

t.test('losses are found', async t => {
  t.strictSame(losses({ a: 1, b: [1], c: { d: 'x' }, e: null }, { a: 1, b: [1, 2], c: { d: 'x', f: 1 } }), [])
  t.strictSame(losses({ a: 1, b: [1], c: { d: 'x' } }, { a: 2, b: [], c: {} }), ['a', 'b.0', 'c.d'])
})

/** What mutatePod promises and does not keep for this Pod; and what it decided. */
function brokenPromises(
  pod: Record<string, unknown>,
  namespace: NamespaceFacts,
  environment: RuledEnvironment,
) {
  const text = JSON.stringify(pod)
  const { decision, patch, result } = mutatePod(freeze(pod), namespace, environment)
  const again = mutatePod(freeze(structuredClone(result)), namespace, environment)
  const applied = jsonPatch.applyPatch(JSON.parse(text), structuredClone([...patch])).newDocument
  const promises: readonly (readonly [kept: boolean, broken: string])[] = [
    [JSON.stringify(pod) === text, 'the input was changed'],
    [patch.every(({ op }) => op === 'add'), 'an operation is not an add'],
    [JSON.stringify(applied) === JSON.stringify(result), 'the patch does not make the result'],
    [again.patch.length === 0, `fed back: ${JSON.stringify(again.patch)}`],
    [patch.length > 0 || result === pod, 'another object without a patch'],
    [decision.outcome === 'placed' || patch.length === 0, `${decision.outcome}, and a patch`],
    [losses(pod, result).length === 0, `lost: ${losses(pod, result)}`],
  ]
  const broken = promises.flatMap(([kept, sentence]) => (kept ? [] : [sentence]))
  return { decision, broken: [...broken, ...refusals(pod, patch)] }
}

/** Of the webhook's own last look. */
function refusals(pod: unknown, patch: readonly AddOperation[]): string[] {
  try {
    checkPatch(pod, patch)
    return []
  } catch (error) {
    return [String(error)]
  }
}

const kindOf = (decision: Decision) =>
  decision.outcome === 'placed' ? `placed ${decision.route} ${decision.policy?.kind}` : decision.outcome

const OFTEN = [
  'unmatched',
  'conflict',
  'real-nodes',
  'skipped',
  'placed rule fair',
  'placed rule virtualNodeOnly',
  'placed rule normalNodePrefer',
]
const SOMETIMES = ['placed own undefined', 'placed own fair', 'placed bound virtualNodeOnly']

t.test('4,000 random Pods and rules', async t => {
  const random = new Random(1_000_003)
  const tally = new Map<string, number>()
  for (let round = 0; round < 1000; round += 1) {
    const rules = randomRules(random)
    const environment = makeEnvironment({ rules, vnodes: random.some([makeVnode()], 0.5) })
    for (let count = 0; count < 4; count += 1) {
      const namespace = makeNamespace(random.one(NAMESPACES), randomLabels(random))
      const pod = randomPod(random)
      const { decision, broken } = brokenPromises(pod, namespace, environment)
      tally.set(kindOf(decision), (tally.get(kindOf(decision)) ?? 0) + 1)
      if (broken.length > 0) t.fail(broken.join('; '), { pod, namespace, rules })
    }
  }
  t.comment(Object.fromEntries(tally))
  for (const kind of OFTEN) t.ok((tally.get(kind) ?? 0) > 100, `${kind} happens often`)
  for (const kind of SOMETIMES) t.ok((tally.get(kind) ?? 0) > 5, `${kind} happens`)
})

t.test('tolerations are appended, in order', async t => {
  const environment = makeEnvironment({
    rules: [{ name: 'r', objectSelector: { matchLabels: { app: 'web' } } }],
  })
  const tolerations = [{ key: 'b' }, { key: 'a' }]
  const { result } = mutatePod(
    { metadata: { labels: { app: 'web' } }, spec: { tolerations } },
    makeNamespace(),
    environment,
  )
  t.strictSame(asArray(asRecord(result.spec)?.tolerations).slice(0, 2), tolerations)
})
