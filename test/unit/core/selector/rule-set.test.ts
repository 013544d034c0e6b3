import t from 'tap'
import { labelsOf } from '../../../../src/core/selector/requirement.ts'
import { mismatchOf, type Rule, type Subject } from '../../../../src/core/selector/rule.ts'
import { type RuleMatches, RuleSet } from '../../../../src/core/selector/rule-set.ts'
import { compileAll } from '../../../helpers/environments.ts'
import {
  type PlainRule,
  type PlainSubject,
  randomLabels,
  randomRule,
  randomSelector,
  randomSubject,
  ruleSelects,
  selects,
} from '../../../helpers/naive-rules.ts'
import { Random } from '../../../helpers/random.ts'

function subjectOf({ labels, namespace, namespaceLabels }: PlainSubject): Subject {
  return { labels: labelsOf(labels), namespace, namespaceLabels: labelsOf(namespaceLabels) }
}

t.test('20,000 random selectors match random labels as Kubernetes says', async t => {
  const random = new Random(20_260_801)
  const tally = { matched: 0, unmatched: 0 }
  for (let batch = 0; batch < 200; batch += 1) {
    const plain = Array.from({ length: 100 }, (_, index) => ({
      name: `r${index}`,
      objectSelector: randomSelector(random),
    }))
    for (const [index, rule] of compileAll(plain).entries()) {
      const subject = { ...randomSubject(random), labels: randomLabels(random) }
      const expected = selects(plain[index]?.objectSelector ?? {}, subject.labels)
      tally[expected ? 'matched' : 'unmatched'] += 1
      const isAlone = mismatchOf(rule, subjectOf(subject)) === undefined
      const isInSet = new RuleSet([rule]).match(subjectOf(subject)).scheduling === rule
      if (isAlone !== expected || isInSet !== expected)
        t.fail(
          `${JSON.stringify(rule)} on ${JSON.stringify(subject.labels)}: ${isAlone}, ${isInSet}, not ${expected}`,
        )
    }
  }
  t.equal(tally.matched + tally.unmatched, 20_000)
  t.ok(Math.min(tally.matched, tally.unmatched) > 2000, `both happen often: ${JSON.stringify(tally)}`)
})

/** The design's words: the first that schedules; of Selectors the first match's effect, of ConfigMap rules all. */
function naiveMatch(plain: readonly PlainRule[], rules: readonly Rule[], subject: PlainSubject): RuleMatches {
  const matching = rules.filter((_, index) => ruleSelects(plain[index] ?? { name: '' }, subject))
  const firstSelector = matching.find(rule => rule.origin === 'Selector')
  const scheduling = matching.find(rule => rule.policy !== undefined)
  const effective = matching.filter(
    rule => rule.effect.labels.size > 0 && (rule.origin === 'ConfigMap' || rule === firstSelector),
  )
  const applying = matching.filter(rule => rule === scheduling || effective.includes(rule))
  return { ...(scheduling === undefined ? {} : { scheduling }), effective, applying }
}

const names = ({ scheduling, effective, applying }: RuleMatches) => ({
  scheduling: scheduling?.name,
  effective: effective.map(rule => rule.name),
  applying: applying.map(rule => rule.name),
})

t.test('the index finds what trying every rule finds, in the same order', async t => {
  const random = new Random(42)
  let found = 0
  for (let round = 0; round < 300; round += 1) {
    const plain = Array.from({ length: 1 + random.below(40) }, (_, index) => randomRule(random, `r${index}`))
    const share = random.fraction()
    // Selectors come first, as they do in a cluster.
    const selectors = Math.floor(plain.length * share)
    const rules = compileAll(plain).map(
      (rule, index): Rule => (index < selectors ? { ...rule, origin: 'Selector' } : rule),
    )
    const set = new RuleSet(rules)
    for (let count = 0; count < 30; count += 1) {
      const subject = randomSubject(random)
      const expected = names(naiveMatch(plain, rules, subject))
      const actual = names(set.match(subjectOf(subject)))
      found += expected.applying.length
      if (JSON.stringify(actual) !== JSON.stringify(expected))
        t.strictSame(actual, expected, JSON.stringify({ plain, subject }))
    }
  }
  t.ok(found > 10_000, `${found} rules applied`)
})

const subject: Subject = {
  labels: labelsOf({ app: 'web' }),
  namespace: 'default',
  namespaceLabels: new Map(),
}
const web = { matchLabels: { app: 'web' } }

t.test('an empty set matches nothing', async t => {
  t.strictSame(new RuleSet([]).match(subject), { effective: [], applying: [] })
})

t.test('a rule with 200,000 values is indexed like any other', async t => {
  const values = new Set(Array.from({ length: 200_000 }, (_, index) => `v${index}`))
  const rules = compileAll([{ name: 'a', objectSelector: web }]).map(
    (rule): Rule => ({ ...rule, objectSelector: [{ key: 'app', operator: 'In', values }] }),
  )
  const labels = labelsOf({ app: 'v199999' })
  t.equal(new RuleSet(rules).match({ ...subject, labels }).scheduling?.name, 'a')
  t.equal(new RuleSet(rules).match(subject).scheduling, undefined)
})
