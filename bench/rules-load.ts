/** usage: node --expose-gc bench/rules-load.ts FORM COUNT: prints how long a fresh process takes to load so many rules, and their memory. */
import { DEFAULT_SETTINGS } from '../src/core/settings.ts'
import { RulesState } from '../src/rules/rules-state.ts'
import { configMapText, ruleList, selectorObjects } from './rule-lists.ts'

const [form = '', count = ''] = process.argv.slice(2)
const { installNamespace } = DEFAULT_SETTINGS

/** What the webhook is given: the text, or objects as the watch has decoded them. */
function loader(): (state: RulesState) => void {
  const rules = ruleList(Number(count))
  if (form === 'configmap') {
    const text = configMapText(rules)
    return state => state.setConfigMap({ text }, { kind: 'ConfigMap', label: 'benchmark' })
  }
  const objects = selectorObjects(rules, installNamespace)
  return state => {
    for (const [index, object] of objects.entries())
      state.setSelector(`${installNamespace}/${index}`, object, { kind: 'Selector', label: 'benchmark' })
  }
}

function heapBytes(): number {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

/** In a function of its own, so that its input is garbage when it has returned. */
function load(state: RulesState): number {
  const put = loader()
  const started = performance.now()
  put(state)
  state.flush()
  return performance.now() - started
}

const state = new RulesState({ settings: DEFAULT_SETTINGS })
const before = heapBytes()
const milliseconds = load(state)
const megabytes = (heapBytes() - before) / 2 ** 20
const loaded = state.environment.rules.rules.length
if (loaded !== Number(count)) throw new Error(`${loaded} of ${count} rules were loaded`)
process.stdout.write(JSON.stringify({ milliseconds, megabytes }))
