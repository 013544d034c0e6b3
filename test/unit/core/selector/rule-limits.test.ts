import t from 'tap'
import { compileConfigMapRules } from '../../../../src/core/selector/configmap-rules.ts'
import { hasErrors } from '../../../../src/core/selector/problem.ts'
import { compileSelector } from '../../../../src/core/selector/resource-rules.ts'
import { DEFAULT_SETTINGS } from '../../../../src/core/settings.ts'

const MB = 2 ** 20

const rule = (index: number, more = {}) => ({
  name: `rule-${index}`,
  objectSelector: { matchLabels: { app: `app-${index}` } },
  ...more,
})
const rules = (count: number, more = {}) => Array.from({ length: count }, (_, index) => rule(index, more))
const asYaml = (count: number) =>
  rules(count)
    .map(
      ({ name }, index) => `- name: ${name}\n  objectSelector:\n    matchLabels:\n      app: app-${index}\n`,
    )
    .join('')

t.test('as many rules as a ConfigMap holds are read as JSON, with comments or without', t => {
  const text = JSON.stringify(rules(12_000))
  t.ok(text.length > 0.8 * MB)
  for (const one of [text, `# all of them\n${text}`]) {
    const compiled = compileConfigMapRules(one)
    t.strictSame(compiled.problems, [])
    t.equal(compiled.rules.length, 12_000)
  }
  t.end()
})

t.test('a thousand rules are read as YAML', t => {
  const compiled = compileConfigMapRules(asYaml(1000))
  t.strictSame(compiled.problems, [])
  t.equal(compiled.rules.length, 1000)
  t.end()
})

const REFUSED: Record<string, [text: string, message: RegExp, place?: [line: number, column: number]]> = {
  'far more rules as YAML': [asYaml(5000), /too large to be read as YAML; written as JSON/],
  'nothing but list signs': ['-\n'.repeat(MB / 2), /too large to be read as YAML/],
  'nothing but documents': ['---\n'.repeat(MB / 4), /too large to be read as YAML/],
  'nothing but closing brackets': [']'.repeat(MB - 1), /too large to be read as YAML/],
  'nothing but opening brackets': ['['.repeat(MB - 1), /not valid JSON: /],
  'large JSON with a comma too many': [
    `// ours\n${JSON.stringify(rules(12_000)).replace(/\]$/, ',]')}`,
    /not valid JSON: .*11999/,
  ],
  'large JSON with a comma too few': [
    `// ours\n${JSON.stringify(rules(12_000))}`.replace(',"objectSelector"', '"objectSelector"'),
    /not valid JSON: .*position/,
    [2, JSON.stringify(rules(1)).indexOf(',"objectSelector"') + 1],
  ],
  'large JSON that ends too early': [`[${'{"name": "a"},'.repeat(60_000)}`, /not valid JSON: /],
  'large JSON with a key twice': [
    JSON.stringify(rules(12_000)).replace('"name"', '"name":"twice","name"'),
    /has a key twice, or .* nested too deeply/,
  ],
}

t.test('refused in one sentence, and at once:', t => {
  for (const [what, [text, message, place]] of Object.entries(REFUSED)) {
    const cpu = process.cpuUsage()
    const { rules, problems } = compileConfigMapRules(text)
    const { user, system } = process.cpuUsage(cpu)
    t.equal(problems.length, 1, what)
    t.match(problems[0]?.message, message, what)
    if (place !== undefined) t.match(problems[0], { line: place[0], column: place[1] }, what)
    t.strictSame(rules, [], what)
    t.ok(user + system < 3e6, `${what}: ${Math.round((user + system) / 1000)} ms of CPU`)
  }
  t.end()
})

t.test('of thousands of wrong rules the first are told with their places, and how many more there are', t => {
  const { rules: usable, problems } = compileConfigMapRules(
    JSON.stringify([...rules(8_000, { polisy: {} }), rule(8_000)]),
  )
  t.equal(usable.length, 1, 'the good one behind them is compiled')
  t.equal(problems.length, 1001)
  t.match(problems[999], { line: 1, rule: 'rule-999', path: '[999].polisy' })
  t.strictSame(problems.at(-1), { severity: 'error', path: '', message: 'and 7000 more problems further on' })
  t.end()
})

t.test('of one rule as well', t => {
  const matchExpressions = Array.from({ length: 300_000 }, () => ({}))
  const { problems, rule } = compileSelector(
    { metadata: { name: 'a' }, spec: { objectLabels: { matchExpressions } } },
    DEFAULT_SETTINGS,
  )
  t.equal(problems.length, 101)
  t.match(problems.at(-1), { severity: 'error', rule: 'a', message: 'and 599900 more problems' })
  t.equal(rule, undefined)
  t.end()
})

t.test('an error behind a hundred warnings still keeps a rule out', t => {
  const annotations = Object.fromEntries(
    Array.from({ length: 150 }, (_, index) => [`example.com/k${index}`, index]),
  )
  const { rules: usable, problems } = compileConfigMapRules(
    JSON.stringify([rule(0, { effect: { annotations: { ...annotations, 'no good!': 'x' } } })]),
  )
  t.ok(hasErrors(problems))
  t.strictSame(usable, [])
  t.end()
})
