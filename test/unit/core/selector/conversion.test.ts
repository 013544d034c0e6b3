import t from 'tap'
import { podFacts } from '../../../../src/core/pod/facts.ts'
import { decide } from '../../../../src/core/policy/decide.ts'
import { compileConfigMapRules } from '../../../../src/core/selector/configmap-rules.ts'
import { convertToRules } from '../../../../src/core/selector/convert-to-rules.ts'
import { convertToSelectors } from '../../../../src/core/selector/convert-to-selectors.ts'
import { renderConfigMapRule, renderSelectorSpec } from '../../../../src/core/selector/render-rule.ts'
import { type CompiledSelector, compileSelector } from '../../../../src/core/selector/resource-rules.ts'
import type { Rule } from '../../../../src/core/selector/rule.ts'
import { orderRules, RuleSet } from '../../../../src/core/selector/rule-set.ts'
import { DEFAULT_SETTINGS } from '../../../../src/core/settings.ts'
import { VnodeSet } from '../../../../src/core/vnode/vnode-set.ts'
import { Random } from '../../../helpers/random.ts'

// Few keys and values, so that rules overlap, imply and repeat one another often.
const KEYS = ['a', 'b', 'c'] as const
const VALUES = ['1', '2'] as const
const NAMESPACES = ['team-a', 'team-b', 'vnode-free'] as const
const POLICIES = [
  { virtualNodeOnly: {} },
  { virtualNodeOnly: {} },
  { fair: {} },
  { normalNodePrefer: { cpuRatio: 80, spillAfter: '1m30s' } },
  { normalNodeOnly: {} },
] as const

function randomSelector(random: Random): object {
  const [first, ...more] = random.some(KEYS, 0.5)
  const keys = [first ?? random.one(KEYS), ...more]
  return {
    matchExpressions: keys.map(key =>
      random.chance(0.6)
        ? { key, operator: random.one(['In', 'In', 'NotIn']), values: [random.one(VALUES)] }
        : { key, operator: random.one(['Exists', 'DoesNotExist']) },
    ),
  }
}

function randomEffect(random: Random): object {
  const entries = random.some(['x', 'y', 'z'], 0.4).map(key => [key, random.one(VALUES)] as const)
  const labels = random.some(['l', 'm'], 0.2).map(key => [key, random.one(VALUES)] as const)
  return { annotations: Object.fromEntries(entries), labels: Object.fromEntries(labels) }
}

function randomRules(random: Random): Rule[] {
  const rules = Array.from({ length: 1 + random.below(5) }, (_, index) => {
    const isSelective = random.chance(0.9)
    return {
      name: `rule ${index}`,
      effect: randomEffect(random),
      ...(isSelective ? { objectSelector: randomSelector(random), policy: random.one(POLICIES) } : {}),
      ...(random.chance(0.2) ? { namespaces: [random.one(['team-*', 'team-a', '!team-b'])] } : {}),
    }
  })
  return [...compileConfigMapRules(JSON.stringify(rules)).rules]
}

function randomSelectors(random: Random): CompiledSelector[] {
  return Array.from({ length: 1 + random.below(5) }, (_, index) =>
    compileSelector(
      {
        metadata: {
          name: `selector-${index}`,
          namespace: random.one(['vnode-system', 'vnode-system', 'team-a']),
        },
        spec: {
          priority: random.below(3),
          objectLabels: randomSelector(random),
          effect: randomEffect(random),
          ...(random.chance(0.85) ? { policy: random.one(POLICIES) } : {}),
          ...(random.chance(0.15) ? { namespaces: ['team-*'] } : {}),
        },
      },
      DEFAULT_SETTINGS,
    ),
  )
}

/** Every Pod that these labels and namespaces allow, as what is decided about it: policy and effects. */
function decisionsUnder(rules: readonly Rule[]): readonly unknown[] {
  const environment = { settings: DEFAULT_SETTINGS, vnodes: new VnodeSet(), rules: new RuleSet(rules) }
  const choices = [undefined, ...VALUES]
  return NAMESPACES.flatMap(namespace =>
    choices.flatMap(a =>
      choices.flatMap(b =>
        choices.map(c => {
          const labels = Object.fromEntries(
            Object.entries({ a, b, c }).filter(([, value]) => value !== undefined),
          )
          const pod = podFacts({ metadata: { labels }, spec: {} })
          const decision = decide(pod, { name: namespace, labels: new Map() }, environment)
          const { policy } = 'policy' in decision ? decision : {}
          const effect = decision.outcome === 'placed' ? decision.effect : undefined
          return {
            pod: { namespace, ...labels },
            outcome: decision.outcome,
            policy,
            annotations: Object.fromEntries([...(effect?.annotations ?? [])].sort()),
            labels: Object.fromEntries([...(effect?.labels ?? [])].sort()),
          }
        }),
      ),
    ),
  )
}

/** As a cluster would compile what was converted. */
function selectorsAgain(rules: readonly Rule[], existing: readonly CompiledSelector[] = []): readonly Rule[] {
  const { selectors, left } = convertToSelectors(rules, existing)
  const compiled = selectors.map(({ rule, priority, name }) =>
    compileSelector(
      { metadata: { name, namespace: 'vnode-system' }, spec: renderSelectorSpec(rule, priority) },
      DEFAULT_SETTINGS,
    ),
  )
  return orderRules([...existing, ...compiled], rulesAgain(left))
}

function rulesAgain(rules: readonly Rule[]): readonly Rule[] {
  const { rules: compiled, problems } = compileConfigMapRules(JSON.stringify(rules.map(renderConfigMapRule)))
  if (problems.some(problem => problem.severity === 'error')) throw new Error(JSON.stringify(problems))
  return compiled
}

const isLoss = ({ kind }: { kind: string }) => kind === 'loss'
const policiesOf = (decisions: readonly unknown[]) =>
  decisions.map(decision =>
    JSON.stringify(decision, ['pod', 'namespace', ...KEYS, 'outcome', 'policy', 'kind']),
  )

t.test('as Selectors, ConfigMap rules decide alike, unless a loss is named; policies always', async t => {
  let lossless = 0
  for (let seed = 0; seed < 400; seed++) {
    const rules = randomRules(new Random(seed))
    const { notes } = convertToSelectors(rules, [])
    const before = decisionsUnder(rules)
    const after = decisionsUnder(selectorsAgain(rules))
    t.same(policiesOf(after), policiesOf(before), `policies, seed ${seed}`)
    if (notes.some(isLoss)) continue
    lossless++
    t.same(after, before, `seed ${seed}`)
  }
  t.ok(lossless > 80, `${lossless} of 400 without a loss`)
})

t.test(
  'a loss is named only where there is one, but for what cannot be told from the rules alone',
  async t => {
    let named = 0
    let real = 0
    for (let seed = 0; seed < 400; seed++) {
      const rules = randomRules(new Random(seed))
      if (!convertToSelectors(rules, []).notes.some(isLoss)) continue
      named++
      if (JSON.stringify(decisionsUnder(selectorsAgain(rules))) !== JSON.stringify(decisionsUnder(rules)))
        real++
    }
    t.ok(real > named * 0.8, `${real} of ${named}`)
  },
)

t.test('beside Selectors that exist, too', async t => {
  let lossless = 0
  for (let seed = 0; seed < 300; seed++) {
    const random = new Random(seed)
    const existing = randomSelectors(random)
    const rules = randomRules(random)
    const before = decisionsUnder(orderRules(existing, rules))
    const after = decisionsUnder(selectorsAgain(rules, existing))
    t.same(policiesOf(after), policiesOf(before), `policies, seed ${seed}`)
    if (convertToSelectors(rules, existing).notes.some(isLoss)) continue
    lossless++
    t.same(after, before, `seed ${seed}`)
  }
  t.ok(lossless > 15, `${lossless} of 300 without a loss`)
})

t.test('as ConfigMap rules, Selectors decide alike, unless a loss is named; policies always', async t => {
  let lossless = 0
  for (let seed = 0; seed < 400; seed++) {
    const selectors = orderRules(randomSelectors(new Random(seed)), [])
    const { rules, notes } = convertToRules(selectors, [])
    const after = decisionsUnder(rulesAgain(rules))
    const before = decisionsUnder(selectors)
    t.same(policiesOf(after), policiesOf(before), `policies, seed ${seed}`)
    if (notes.some(isLoss)) continue
    lossless++
    t.same(after, before, `seed ${seed}`)
  }
  t.ok(lossless > 80, `${lossless} of 400 without a loss`)
})

t.test('there and back', async t => {
  for (let seed = 0; seed < 200; seed++) {
    const rules = randomRules(new Random(seed))
    const there = selectorsAgain(rules)
    const selectors = there.filter(rule => rule.origin === 'Selector')
    const left = there.filter(rule => rule.origin === 'ConfigMap')
    const back = convertToRules(selectors, left)
    if (convertToSelectors(rules, []).notes.some(isLoss) || back.notes.some(isLoss)) continue
    t.same(decisionsUnder(rulesAgain(back.rules)), decisionsUnder(rules), `seed ${seed}`)
  }
})
