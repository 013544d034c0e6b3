import t, { type Test } from 'tap'
import { DEFAULT_SETTINGS } from '../../../src/core/settings.ts'
import { type RulesReport, RulesState, type RulesSummary } from '../../../src/rules/rules-state.ts'
import { holds } from '../../helpers/webhook.ts'

const ORIGIN = { kind: 'Selector', label: 'test' } as const
const FILE = { kind: 'ConfigMap', label: 'rules.yaml' } as const
const PROBLEM = { severity: 'error', path: '', message: 'it is no YAML' } as const

const selector = (name: string, spec: object = { objectLabels: { matchLabels: { a: name } } }) => ({
  metadata: { name },
  spec,
})
const BAD = { policy: { virtualNodeOnly: {} } }

function start(t: Test) {
  const reports: RulesReport[] = []
  const exchanges: RulesSummary[] = []
  const state = new RulesState({
    settings: DEFAULT_SETTINGS,
    onReport: report => void reports.push(report),
    onExchange: summary => void exchanges.push(summary),
  })
  t.teardown(() => state.stop())
  return {
    state,
    exchanges,
    set: (name: string, spec?: object) => state.setSelector(name, selector(name, spec), ORIGIN),
    kinds: () => reports.map(({ kind, inForce }) => (inForce === undefined ? kind : `${kind}, ${inForce}`)),
    names: () => state.environment.rules.rules.map(({ name }) => name),
  }
}

t.test('10,000 Selectors that come at once are one exchange', async t => {
  const { state, set, exchanges, names } = start(t)
  for (let index = 0; index < 10_000; index += 1) set(`s${index}`)
  t.equal(exchanges.length, 0, 'not before they are all there')
  t.strictSame(names(), [])
  await holds(() => exchanges.length > 0, 10_000)
  t.equal(names().length, 10_000)
  t.match(exchanges, [{ selectorRules: 10_000, configMapRules: 0, refusedSelectors: 0, isNewest: true }])
  for (let index = 0; index < 10_000; index += 1) state.deleteSelector(`s${index}`)
  await holds(() => exchanges.length > 1, 10_000)
  t.strictSame(names(), [])
  t.equal(exchanges.length, 2)
})

t.test('a reader keeps what it has taken, whatever is exchanged meanwhile', async t => {
  const { state, set } = start(t)
  set('one')
  state.flush()
  const taken = state.environment
  set('two')
  t.equal(state.environment, taken, 'nothing changes before the exchange')
  state.flush()
  t.strictSame(
    taken.rules.rules.map(({ name }) => name),
    ['one'],
  )
  t.not(state.environment, taken)
})

t.test('a bad Selector is left out alone, and told again once it is mended', async t => {
  const { state, set, names, kinds } = start(t)
  set('a')
  set('b', BAD)
  state.flush()
  t.strictSame(names(), ['a'])
  t.match(state.summary(), { selectorRules: 1, refusedSelectors: 1, isNewest: true })
  set('b')
  set('b')
  state.flush()
  t.strictSame(names(), ['a', 'b'])
  t.match(state.summary(), { selectorRules: 2, refusedSelectors: 0 })
  set('b', BAD)
  state.deleteSelector('b')
  set('b')
  state.deleteSelector('nobody')
  t.strictSame(kinds(), [
    'accepted',
    'refused, without-it',
    'mended',
    'accepted',
    'refused, without-it',
    'removed',
    'accepted',
  ])
})

t.test('Selectors go before the rules of the ConfigMap', async t => {
  const { state, set, names } = start(t)
  state.setConfigMap({ text: '[{"name":"c","objectSelector":{"matchLabels":{"a":"b"}}}]' }, FILE)
  set('s')
  state.flush()
  t.strictSame(names(), ['s', 'c'])
})

t.test('what cannot be read at all leaves everything in force, until it can', async t => {
  const { state, set, names, kinds } = start(t)
  set('s')
  state.refuse(FILE, [PROBLEM], 'last-good')
  state.refuse(FILE, [PROBLEM], 'last-good')
  state.refuse({ ...FILE, label: 'more.yaml' }, [PROBLEM], 'last-good')
  state.flush()
  t.strictSame(names(), ['s'])
  t.equal(state.summary().isNewest, false)
  state.mend(FILE)
  t.equal(state.summary().isNewest, false, 'the other one is still unreadable')
  state.mend({ ...FILE, label: 'more.yaml' })
  state.mend(FILE)
  t.equal(state.summary().isNewest, true)
  const refused = 'refused, last-good'
  t.strictSame(kinds(), ['accepted', refused, refused, refused, 'mended', 'mended'])
})

t.test('the same label is that of a namespace that is known and of one that is not', async t => {
  const { state } = start(t)
  const labels = () => Object.fromEntries(state.labelsOfNamespace('team'))
  t.strictSame(labels(), { 'kubernetes.io/metadata.name': 'team' })
  t.equal(state.knowsNamespace('team'), false)
  state.setNamespace('team', new Map([['a', 'b']]))
  t.strictSame(labels(), { a: 'b', 'kubernetes.io/metadata.name': 'team' })
  t.equal(state.knowsNamespace('team'), true)
  state.deleteNamespace('team')
  t.strictSame(labels(), { 'kubernetes.io/metadata.name': 'team' })
})

t.test('after stop nothing is exchanged any more', async t => {
  const { state, set, exchanges } = start(t)
  set('a')
  state.stop()
  set('b')
  await new Promise(resolve => setTimeout(resolve, 50))
  t.strictSame(exchanges, [])
})
