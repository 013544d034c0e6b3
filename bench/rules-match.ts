/** usage: node bench/rules-match.ts REVIEW ROUNDS: prints microseconds per Pod, from the decoded review to its patch, by the number of rules. */
import { readFileSync } from 'node:fs'
import { decodeReview } from '../src/core/admission/review.ts'
import { mutatePod } from '../src/core/pod/mutate.ts'
import { DEFAULT_SETTINGS } from '../src/core/settings.ts'
import { RulesState } from '../src/rules/rules-state.ts'
import { RULE_COUNTS, type RuleText, ruleList, selectorObjects, unanchoredRules } from './rule-lists.ts'

export interface MatchCosts {
  readonly name: string
  /** One value a round. */
  readonly micros: number[]
}

const BATCH = 400
const WARM_UP_ROUNDS = 40
const [file = '', rounds = ''] = process.argv.slice(2)
const review = decodeReview(JSON.parse(readFileSync(file, 'utf8')))

/** Decides about the Pod by these rules. */
function mutator(rules: readonly RuleText[]): () => unknown {
  const state = new RulesState({ settings: DEFAULT_SETTINGS })
  for (const [index, object] of selectorObjects(rules, DEFAULT_SETTINGS.installNamespace).entries())
    state.setSelector(String(index), object, { kind: 'Selector', label: 'benchmark' })
  state.flush()
  const namespace = { name: review.namespace, labels: state.labelsOfNamespace(review.namespace) }
  const { environment } = state
  if (mutatePod(review.object, namespace, environment).patch.length === 0) throw new Error('no rule matches')
  return () => mutatePod(review.object, namespace, environment)
}

const cases = [
  ...RULE_COUNTS.map(count => ({ name: String(count), mutate: mutator(ruleList(count)) })),
  { name: '10000 + 100', mutate: mutator([...unanchoredRules(100), ...ruleList(10_000)]) },
]
const costs: MatchCosts[] = cases.map(({ name }) => ({ name, micros: [] }))
for (let round = -WARM_UP_ROUNDS; round < Number(rounds); round += 1) {
  for (const [index, { mutate }] of cases.entries()) {
    const started = performance.now()
    for (let pod = 0; pod < BATCH; pod += 1) mutate()
    const micros = ((performance.now() - started) * 1000) / BATCH
    if (round >= 0) costs[index]?.micros.push(micros)
  }
}
process.stdout.write(JSON.stringify(costs))
