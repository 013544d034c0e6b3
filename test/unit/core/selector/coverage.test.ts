import t from 'tap'
import { compileConfigMapRules } from '../../../../src/core/selector/configmap-rules.ts'
import { Coverage, canMatchBoth } from '../../../../src/core/selector/coverage.ts'
import type { Rule } from '../../../../src/core/selector/rule.ts'

function ruleOf(rule: object): Rule {
  const [compiled] = compileConfigMapRules(
    JSON.stringify([{ name: 'a', effect: { labels: { a: 'b' } }, ...rule }]),
  ).rules
  if (compiled === undefined) throw new Error('the rule is wrong')
  return compiled
}

const where = (...matchExpressions: object[]): Rule => ruleOf({ objectSelector: { matchExpressions } })
const inNamespaces = (...namespaces: string[]): Rule => ruleOf({ namespaces })
const is = (key: string, ...values: string[]) => ({ key, operator: 'In', values })
const not = (key: string, ...values: string[]) => ({ key, operator: 'NotIn', values })
const has = (key: string) => ({ key, operator: 'Exists' })
const lacks = (key: string) => ({ key, operator: 'DoesNotExist' })

const PAIRS: readonly (readonly [string, Rule, Rule, boolean])[] = [
  ['different keys', where(is('a', '1')), where(is('b', '1')), true],
  ['the same value', where(is('a', '1')), where(is('a', '1', '2')), true],
  ['different values', where(is('a', '1')), where(is('a', '2')), false],
  [
    'three lists with nothing in common',
    where(is('a', '1', '2'), is('a', '2', '3')),
    where(is('a', '1', '3')),
    false,
  ],
  ['a value that the other excludes', where(is('a', '1')), where(not('a', '1')), false],
  ['one of two values excluded', where(is('a', '1', '2')), where(not('a', '1')), true],
  ['a value of a label that the other lacks', where(is('a', '1')), where(lacks('a')), false],
  ['a label that the other lacks', where(has('a')), where(lacks('a')), false],
  ['both lack a label', where(lacks('a')), where(lacks('a')), true],
  ['a label that may have any value but one', where(has('a')), where(not('a', '1')), true],
  [
    'different labels of the namespace',
    ruleOf({ namespaceSelector: { matchLabels: { env: 'a' } } }),
    ruleOf({ namespaceSelector: { matchLabels: { env: 'b' } } }),
    false,
  ],
  [
    'the same label of Pod and namespace',
    where(is('a', '1')),
    ruleOf({ namespaceSelector: { matchLabels: { a: '2' } } }),
    true,
  ],
  ['different namespaces', inNamespaces('a'), inNamespaces('b', 'c'), false],
  ['a namespace that the pattern matches', inNamespaces('team-a'), inNamespaces('team-*'), true],
  ['a namespace that the pattern excludes', inNamespaces('team-*', '!team-a'), inNamespaces('team-a'), false],
  ['two patterns', inNamespaces('a-*'), inNamespaces('b-*'), true],
  ['the namespace of a Selector', { ...where(has('a')), onlyNamespace: 'a' }, inNamespaces('b'), false],
  [
    'a Selector of one namespace and a rule of all',
    { ...where(has('a')), onlyNamespace: 'a' },
    where(has('b')),
    true,
  ],
]

for (const [name, a, b, wanted] of PAIRS) {
  t.test(`can one Pod match both: ${name}`, async t => {
    t.equal(canMatchBoth(a, b), wanted)
    t.equal(canMatchBoth(b, a), wanted, 'the other way round')
  })
}

t.test('fewer requirements match more', async t => {
  const coverage = new Coverage()
  const [general, special] = [where(is('a', '1')), where(has('b'), is('a', '1'))]
  t.ok(coverage.covers(general, special))
  t.notOk(coverage.covers(special, general))
  t.ok(coverage.covers(general, general))
  t.ok(
    coverage.covers({ ...general, onlyNamespace: 'x' }, { ...general, ...pick(inNamespaces('x')) }),
    'one namespace, said in two ways',
  )
})

function pick({ namespaces }: Rule): Pick<Rule, 'namespaces'> {
  return namespaces === undefined ? {} : { namespaces }
}
