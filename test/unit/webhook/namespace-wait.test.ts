import t from 'tap'
import type { ReviewRequest } from '../../../src/core/admission/review.ts'
import { DEFAULT_SETTINGS } from '../../../src/core/settings.ts'
import { RulesState } from '../../../src/rules/rules-state.ts'
import { awaitNamespaces } from '../../../src/webhook/namespace-wait.ts'
import type { Reviewed } from '../../../src/webhook/pods-route.ts'

const NEVER = 60_000

const request = (namespace: string): ReviewRequest => ({
  apiVersion: 'admission.k8s.io/v1',
  uid: '1',
  operation: 'CREATE',
  resource: 'pods',
  subResource: '',
  namespace,
  name: '',
  isDryRun: false,
  object: {},
  oldObject: undefined,
})

/** A reviewer that answers with the label `team` of the namespace, and is told to wait so long for one that is not known. */
function start(waitMs: number) {
  const state = new RulesState({ settings: DEFAULT_SETTINGS })
  const source = {
    start: async () => {},
    stop: async () => {},
    health: () => [],
    awaitNamespace: (name: string) =>
      state.knowsNamespace(name) ? undefined : state.arrivalOf(name, waitMs),
  }
  const reviewer = awaitNamespaces(
    ({ namespace }): Reviewed => ({
      outcome: 'unchanged',
      answer: { allowed: true, message: state.labelsOfNamespace(namespace).get('team') ?? 'unknown' },
    }),
    source,
  )
  return { state, review: (namespace: string) => reviewer(request(namespace)) }
}

const answer = (message: string) => ({ answer: { message } })

t.test('a known namespace is answered at once', async t => {
  const { state, review } = start(NEVER)
  state.setNamespace('a', new Map([['team', 'red']]))
  t.match(review('a'), answer('red'))
  state.setNamespace('b', new Map())
  t.match(review('b'), answer('unknown'), 'one without labels too')
})

t.test('all who wait for a namespace are answered when it comes, and nobody else is', async t => {
  const { state, review } = start(NEVER)
  const answers = [review('a'), review('a'), review('a')]
  const settled: string[] = []
  const other = Promise.resolve(review('b')).then(() => settled.push('b'))
  state.setNamespace('a', new Map([['team', 'red']]))
  t.match(await Promise.all(answers), [answer('red'), answer('red'), answer('red')])
  t.same(settled, [])
  state.setNamespace('b', new Map())
  await other
  t.same(settled, ['b'])
})

t.test('one that does not come is answered as unknown, and may be waited for again', async t => {
  const { state, review } = start(1)
  t.match(await review('a'), answer('unknown'))
  const again = review('a')
  state.setNamespace('a', new Map([['team', 'red']]))
  t.match(await again, answer('red'))
  state.deleteNamespace('a')
  t.match(await review('a'), answer('unknown'))
})

t.test('a source that has nothing to wait for is not waited for', async t => {
  const reviewed: Reviewed = { answer: { allowed: true }, outcome: 'unchanged' }
  const source = { start: async () => {}, stop: async () => {}, health: () => [] }
  t.equal(awaitNamespaces(() => reviewed, source)(request('a')), reviewed)
})
