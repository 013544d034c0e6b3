import t, { type Test } from 'tap'
import { DEFAULT_SETTINGS } from '../../../src/core/settings.ts'
import {
  fileOrigin,
  type RulesReport,
  RulesState,
  type RulesSummary,
} from '../../../src/rules/rules-state.ts'

const ORIGIN = fileOrigin('ConfigMap', 'rules.yaml')
const GOOD = '[{"name": "good", "objectSelector": {"matchLabels": {"app": "web"}}}]'
const BETTER = GOOD.replace('good', 'better')
const PARTLY = GOOD.replace('good', 'part').replace(']', ', {"name": "bad", "policy": {}}]')

function start(t: Test) {
  const reports: RulesReport[] = []
  const exchanges: RulesSummary[] = []
  const kept: string[] = []
  const state = new RulesState({
    settings: DEFAULT_SETTINGS,
    onReport: report => void reports.push(report),
    onExchange: summary => void exchanges.push(summary),
    onGoodText: text => void kept.push(text),
  })
  t.teardown(() => state.stop())
  const rules = () => {
    state.flush()
    return state.environment.rules.rules.map(({ name }) => name)
  }
  return {
    state,
    reports,
    exchanges,
    kept,
    rules,
    set: (text: string) => state.setConfigMap({ text }, ORIGIN),
  }
}

const vnode = (name: string) => ({ name, labels: new Map([['type', 'virtual-kubelet']]), taints: [] })

t.test('the heartbeat of a VNode leaves the rules as they are', async t => {
  const { state, set, exchanges } = start(t)
  set(GOOD)
  state.flush()
  const { rules } = state.environment
  state.setVnode(vnode('a'))
  state.flush()
  t.equal(state.environment.rules, rules)
  t.equal(state.environment.vnodes.hasName('a'), true)
  state.deleteVnode('a')
  state.flush()
  t.equal(state.environment.vnodes.hasName('a'), false)
  t.equal(exchanges.length, 1)
})

t.test('the first exchange is told even if there is nothing', async t => {
  const { state, exchanges } = start(t)
  state.flush()
  t.match(exchanges, [{ configMapRules: 0, selectorRules: 0, isNewest: true }])
})

interface Case {
  /** Texts of the ConfigMap, `null` for its deletion; one behind `kept: ` is heard from another replica. */
  readonly texts: readonly (string | null)[]
  readonly rules: readonly string[]
  readonly kinds: string
}

const CASES: Readonly<Record<string, Case>> = {
  'a good text is in force': { texts: [GOOD], rules: ['good'], kinds: 'accepted' },
  'a bad one is not, and the last good one stays': {
    texts: [GOOD, PARTLY],
    rules: ['good'],
    kinds: 'accepted refused',
  },
  'without a last good one the valid part of it is': { texts: [PARTLY], rules: ['part'], kinds: 'refused' },
  'one that was kept before counts': { texts: [`kept: ${GOOD}`, PARTLY], rules: ['good'], kinds: 'refused' },
  'one that is heard of afterwards counts as well': {
    texts: [PARTLY, `kept: ${GOOD}`],
    rules: ['good'],
    kinds: 'refused',
  },
  'of several that were kept the newest counts': {
    texts: [GOOD, PARTLY, `kept: ${BETTER}`],
    rules: ['better'],
    kinds: 'accepted refused',
  },
  'one that was kept says nothing while the newest is good': {
    texts: [GOOD, `kept: ${BETTER}`],
    rules: ['good'],
    kinds: 'accepted',
  },
  'one that was kept and is bad by now says nothing': {
    texts: [PARTLY, `kept: ${PARTLY}`],
    rules: ['part'],
    kinds: 'refused',
  },
  'a good one mends': {
    texts: [GOOD, PARTLY, PARTLY, BETTER],
    rules: ['better'],
    kinds: 'accepted refused refused mended',
  },
  'a deletion ends all rules, a kept text brings none back': {
    texts: [GOOD, null, `kept: ${BETTER}`],
    rules: [],
    kinds: 'accepted removed',
  },
}

for (const [behaviour, { texts, rules: wanted, kinds }] of Object.entries(CASES)) {
  t.test(`texts: ${behaviour}`, async t => {
    const { state, set, rules, reports, kept } = start(t)
    for (const text of texts) {
      if (text === null) state.deleteConfigMap()
      else if (text.startsWith('kept: ')) state.setLastGoodText(text.slice(6))
      else set(text)
    }
    t.strictSame(rules(), wanted)
    t.equal(reports.map(({ kind }) => kind).join(' '), kinds)
    t.notOk(kept.includes(PARTLY), 'a text with an error is never kept')
  })
}
