import t from 'tap'
import { compileConfigMapRules } from '../../../../src/core/selector/configmap-rules.ts'
import { compileSelector } from '../../../../src/core/selector/resource-rules.ts'
import type { Rule } from '../../../../src/core/selector/rule.ts'
import { orderRules } from '../../../../src/core/selector/rule-set.ts'
import { shadowedRules } from '../../../../src/core/selector/shadowed-rules.ts'
import { DEFAULT_SETTINGS } from '../../../../src/core/settings.ts'

const ADDS = { labels: { runs: 'eci' } }
const CI = { matchLabels: { app: 'ci' } }
const CI_LARGE = { matchLabels: { app: 'ci', size: 'large' } }

/** ConfigMap rules, then Selectors in the installation's namespace, tried in their order. */
function rulesOf(configMap: readonly object[], selectors: readonly object[] = []): readonly Rule[] {
  const compiled = selectors.map((spec, index) =>
    compileSelector(
      { metadata: { name: `s${index}`, namespace: 'vnode-system' }, spec: { priority: -index, ...spec } },
      DEFAULT_SETTINGS,
    ),
  )
  const named = configMap.map((rule, index) => ({ name: `c${index}`, ...rule }))
  return orderRules(compiled, compileConfigMapRules(JSON.stringify(named)).rules)
}

const CASES: Readonly<
  Record<string, { readonly rules: readonly Rule[]; readonly problems: readonly string[] }>
> = {
  'rules that match different Pods': {
    rules: rulesOf([{ objectSelector: CI }, { objectSelector: { matchLabels: { app: 'web' } } }]),
    problems: [],
  },
  'a policy after the same selectors': {
    rules: rulesOf([{ objectSelector: CI }, { objectSelector: CI, policy: { fair: {} } }]),
    problems: [
      'c1: its policy never counts: rule "c0" is tried before it and matches every Pod that it matches',
    ],
  },
  'a special rule after a general one': {
    rules: rulesOf([
      { objectSelector: CI },
      { objectSelector: CI_LARGE, policy: { normalNodeOnly: {} }, effect: ADDS },
    ]),
    problems: [
      'c1: its policy never counts: rule "c0" is tried before it and matches every Pod that it matches',
    ],
  },
  'a general rule after a special one': {
    rules: rulesOf([{ objectSelector: CI_LARGE }, { objectSelector: CI, policy: { fair: {} } }]),
    problems: [],
  },
  'the same policy again, to add something': {
    rules: rulesOf([{ objectSelector: CI }, { objectSelector: CI_LARGE, effect: ADDS }]),
    problems: [],
  },
  'the same policy again, to add nothing': {
    rules: rulesOf([{ objectSelector: CI }, { objectSelector: CI_LARGE }]),
    problems: ['c1: does nothing: rule "c0" is tried before it and matches every Pod that it matches'],
  },
  'a requirement written in another way': {
    rules: rulesOf([
      { objectSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['ci'] }] } },
      { objectSelector: CI },
    ]),
    problems: ['c1: does nothing: rule "c0" is tried before it and matches every Pod that it matches'],
  },
  'values and patterns in another order': {
    rules: rulesOf([
      {
        namespaces: ['a-*', 'b-*'],
        objectSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['x', 'y'] }] },
      },
      {
        namespaces: ['b-*', 'a-*'],
        objectSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['y', 'x'] }] },
      },
    ]),
    problems: ['c1: does nothing: rule "c0" is tried before it and matches every Pod that it matches'],
  },
  'a rule of some namespaces before one of all': {
    rules: rulesOf([{ namespaces: ['a'], objectSelector: CI }, { objectSelector: CI }]),
    problems: [],
  },
  'a rule without a selector shadows nothing': {
    rules: rulesOf([{ effect: ADDS }, { objectSelector: CI }]),
    problems: [],
  },
  'a Selector of the same Pods': {
    rules: rulesOf(
      [],
      [
        { objectLabels: CI, policy: { fair: {} }, effect: ADDS },
        { objectLabels: CI, effect: ADDS },
      ],
    ),
    problems: [
      "vnode-system/s1: never counts: Selector vnode-system/s0 is tried before it and matches every Pod that it matches, and only the first one's effect counts",
    ],
  },
  'a Selector after one that has no policy': {
    rules: rulesOf(
      [],
      [
        { objectLabels: CI, effect: ADDS },
        { objectLabels: CI, policy: { fair: {} }, effect: ADDS },
      ],
    ),
    problems: [
      "vnode-system/s1: its effect never counts: Selector vnode-system/s0 is tried before it and matches every Pod that it matches, and only the first one's effect counts",
    ],
  },
  'a ConfigMap rule after a Selector': {
    rules: rulesOf(
      [{ objectSelector: CI, effect: ADDS }],
      [{ objectLabels: CI, policy: { virtualNodeOnly: {} } }],
    ),
    problems: [],
  },
}

for (const [name, { rules, problems }] of Object.entries(CASES)) {
  t.test(name, async t => {
    t.same(
      shadowedRules(rules).map(({ rule, message }) => `${rule}: ${message}`),
      problems,
    )
  })
}

t.test('10,000 rules take no time to speak of', async t => {
  const rules = rulesOf(
    Array.from({ length: 10_000 }, (_, index) => ({
      objectSelector: { matchLabels: { eci: 'true', app: `app-${index % 5000}` } },
    })),
  )
  t.equal(shadowedRules(rules).length, 5000)
})
