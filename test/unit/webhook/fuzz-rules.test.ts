import t from 'tap'
import { stringify } from 'yaml'
import { mutatePod } from '../../../src/core/pod/mutate.ts'
import { compileConfigMapRules } from '../../../src/core/selector/configmap-rules.ts'
import { readRuleDocuments } from '../../../src/core/selector/documents.ts'
import { renderProblem } from '../../../src/core/selector/problem.ts'
import type { Requirement } from '../../../src/core/selector/requirement.ts'
import type { Rule } from '../../../src/core/selector/rule.ts'
import { RuleSet } from '../../../src/core/selector/rule-set.ts'
import { DEFAULT_SETTINGS } from '../../../src/core/settings.ts'
import { VnodeSet } from '../../../src/core/vnode/vnode-set.ts'
import { RulesState } from '../../../src/rules/rules-state.ts'
import { FUZZ_RULES } from '../../helpers/fuzz-corpus.ts'
import { mutateBytes, mutateStructure } from '../../helpers/mutated-json.ts'
import { patchProblems } from '../../helpers/patched.ts'
import { makePod } from '../../helpers/pods.ts'
import { Random } from '../../helpers/random.ts'

const COUNT = 2500
/** Of processor time: other tests run on the same machine. */
const LONGEST_MS = 1000

const RULES = [
  ...FUZZ_RULES,
  { name: 'anchored', namespaces: ['team-*', '!team-x'], objectSelector: { matchLabels: { a: 'b' } } },
]
const RULES_NAMES = RULES.map(rule => ('name' in rule ? rule.name : undefined))
const COMMENTED = JSON.stringify(RULES, null, 2).replaceAll('{', '{ # why\n').replaceAll(']', '] // so\n')

/** A text of rules that somebody has not finished, mixed up or pasted into. */
function wrongText(random: Random): string {
  const dice = random.fraction()
  const change = 1 + random.below(4)
  const structural = mutateStructure(random, RULES, change)
  if (dice < 0.4) return structural
  if (dice < 0.6) return asYaml(structural)
  const text = random.one([JSON.stringify(RULES), stringify(RULES), COMMENTED, asYaml(structural)])
  return mutateBytes(random, Buffer.from(text), change).toString()
}

function asYaml(json: string): string {
  try {
    return stringify(JSON.parse(json))
  } catch {
    return json
  }
}

/** Labels that satisfy the requirements, where they can be satisfied so easily. */
function labelsFor(requirements: readonly Requirement[] = []): ReadonlyMap<string, string> {
  return new Map(
    requirements
      .filter(({ operator }) => operator === 'In' || operator === 'Exists')
      .map(({ key, values }) => [key, [...values][0] ?? 'x']),
  )
}

/** What is wrong with what these rules do to the Pods that each of them is for. */
function complaints(rules: readonly Rule[]): string[] {
  const environment = { settings: DEFAULT_SETTINGS, rules: new RuleSet(rules), vnodes: new VnodeSet() }
  return rules.flatMap(rule => {
    const labels = Object.fromEntries(labelsFor(rule.objectSelector))
    const namespace = { name: 'team-a', labels: labelsFor(rule.namespaceSelector) }
    const pods = [makePod({ labels }), makePod({ labels, annotations: { a: 'b' } })]
    return pods.flatMap(pod => {
      const { patch } = mutatePod(pod, namespace, environment)
      return patchProblems(pod, patch)
    })
  })
}

t.test('the texts begin without a fault', async t => {
  for (const text of [JSON.stringify(RULES), stringify(RULES), COMMENTED]) {
    const { rules, problems } = compileConfigMapRules(text)
    t.strictSame(problems, [])
    t.strictSame(
      rules.map(({ name }) => name),
      RULES_NAMES,
    )
    t.strictSame(complaints(rules), [])
  }
})

t.test(
  `${COUNT} texts of rules that have gone wrong: none throws, and what is left of them makes valid patches`,
  async t => {
    const random = new Random(20_260_102)
    let slowest = 0
    const tally = { refused: 0, 'partly used': 0, good: 0, rules: 0 }
    for (let count = 0; count < COUNT; count += 1) {
      const text = wrongText(random)
      const begun = process.cpuUsage()
      const { rules, problems } = compileConfigMapRules(text)
      slowest = Math.max(slowest, process.cpuUsage(begun).user / 1000)
      const isRefused = problems.some(problem => problem.severity === 'error')
      tally[isRefused ? (rules.length > 0 ? 'partly used' : 'refused') : 'good'] += 1
      tally.rules += rules.length
      const broken = [
        ...complaints(rules),
        ...problems.map(problem => renderProblem(problem)).filter(line => /[\n\r]/.test(line)),
      ]
      if (broken.length > 0) t.fail(broken.join('; ').slice(0, 1000), { text: text.slice(0, 4000) })
    }
    t.comment(tally, `slowest: ${slowest.toFixed(0)} ms`)
    t.ok(slowest < LONGEST_MS, `${slowest.toFixed(0)} ms at the most`)
    for (const [kind, count] of Object.entries(tally)) t.ok(count > 100, `${kind}: ${count}`)
  },
)

t.test('texts in files, and in what holds the rules while they change', async t => {
  const random = new Random(20_260_103)
  const state = new RulesState({ settings: DEFAULT_SETTINGS })
  t.teardown(() => state.stop())
  const origin = { kind: 'ConfigMap', label: 'test' } as const
  for (let count = 0; count < 500; count += 1) {
    const text = wrongText(random)
    const { selectors, rulesTexts } = readRuleDocuments(random.chance(0.5) ? text : inConfigMap(text))
    for (const { object, locator } of selectors) state.setSelector('a', object, origin, locator)
    for (const rulesText of rulesTexts) state.setConfigMap(rulesText, origin)
    if (random.chance(0.3)) state.setLastGoodText(wrongText(random))
    if (random.chance(0.1)) state.deleteConfigMap()
    state.flush()
  }
  state.setConfigMap({ text: JSON.stringify(RULES) }, origin)
  state.flush()
  const names = state.environment.rules.rules.map(({ name }) => name).filter(name => name !== '(no name)')
  t.strictSame(names, RULES_NAMES, 'and it still takes good ones')
})

function inConfigMap(text: string): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'eci-profile' },
    data: { selectors: text },
  })
}
