import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DEFAULT_SETTINGS } from '../../../src/core/settings.ts'
import { type RulesReport, RulesState } from '../../../src/rules/rules-state.ts'
import { createLogger } from '../../../src/telemetry/json-log.ts'
import { FileSource, type FileSourceOptions } from '../../../src/webhook/file-source.ts'
import { holds, type LogLine } from '../../helpers/webhook.ts'

const rules = (...names: readonly string[]) =>
  JSON.stringify({
    kind: 'ConfigMap',
    metadata: { name: 'eci-profile' },
    data: {
      selectors: JSON.stringify(names.map(name => ({ name, objectSelector: { matchLabels: { a: name } } }))),
    },
  })

const BAD_RULES = rules('a').replace('objectSelector', 'objectSelecter')

const selector = (name: string, spec: object = { objectLabels: { matchLabels: { a: name } } }) =>
  JSON.stringify({ apiVersion: 'eci.aliyun.com/v1', kind: 'Selector', metadata: { name }, spec })

const namespace = (name: string, team: string) =>
  JSON.stringify({ kind: 'Namespace', metadata: { name, labels: { team } } })

const node = (name: string) =>
  JSON.stringify({ kind: 'Node', metadata: { name, labels: { type: 'virtual-kubelet' } } })

interface Scene {
  readonly state: RulesState
  readonly source: FileSource
  readonly reports: readonly string[]
  readonly log: readonly LogLine[]
  readonly folder: string
  names(): string[]
  write(file: string, ...documents: readonly string[]): Promise<void>
  /** Writes, and waits until that has come into force. */
  edit(file: string, ...documents: readonly string[]): Promise<void>
}

async function start(
  t: Test,
  files: Readonly<Record<string, readonly string[]>>,
  options: Pick<FileSourceOptions, 'rulesNamespace'> = {},
): Promise<Scene> {
  const folder = t.testdir({})
  const write = (file: string, ...documents: readonly string[]) =>
    writeFile(join(folder, file), documents.join('\n---\n'))
  for (const [file, documents] of Object.entries(files)) await write(file, ...documents)
  const reports: string[] = []
  const log: LogLine[] = []
  let exchanges = 0
  const state = new RulesState({
    settings: DEFAULT_SETTINGS,
    onReport: (report: RulesReport) => void reports.push(`${report.origin.kind} ${report.kind}`),
    onExchange: () => {
      exchanges += 1
    },
  })
  const source = new FileSource({
    ...options,
    files: Object.keys(files).map(file => join(folder, file)),
    state,
    log: createLogger('debug', { write: text => void log.push(JSON.parse(text)) }),
  })
  t.teardown(async () => {
    await source.stop()
    state.stop()
  })
  await source.start()
  const edit = async (file: string, ...documents: readonly string[]) => {
    const before = exchanges
    await write(file, ...documents)
    await holds(() => exchanges > before, 10_000)
  }
  return {
    state,
    source,
    reports,
    log,
    folder,
    write,
    edit,
    names: () => state.environment.rules.rules.map(({ name }) => name),
  }
}

t.test('what the files hold is in force when start resolves', async t => {
  const { names, state, reports, source } = await start(t, {
    'rules.yaml': [rules('a', 'b'), namespace('team', 'x')],
    'more.yaml': [selector('s'), node('v')],
  })
  t.strictSame(names(), ['s', 'a', 'b'])
  t.equal(state.labelsOfNamespace('team').get('team'), 'x')
  t.equal(state.environment.vnodes.hasName('v'), true)
  t.strictSame(reports, ['ConfigMap accepted', 'Selector accepted'])
  t.strictSame(source.health(), [{ resource: 'files', isSynced: true, reason: 'rule files are loaded' }])
})

t.test('an edit tells of what it changed, and of nothing else', async t => {
  const scene = await start(t, {
    'rules.yaml': [BAD_RULES, selector('bad', {}), selector('s'), namespace('team', 'x')],
    'more.yaml': [selector('m')],
  })
  const seen = scene.reports.length
  const { write, edit, state } = scene
  await write('rules.yaml', BAD_RULES, selector('bad', {}), selector('s'), namespace('team', 'y'))
  await holds(() => state.labelsOfNamespace('team').get('team') === 'y', 10_000)
  t.strictSame(scene.reports.slice(seen), [], 'nothing of rules')
  await edit('rules.yaml', BAD_RULES, selector('bad', {}), selector('t'), namespace('team', 'y'))
  t.strictSame(scene.reports.slice(seen), ['Selector accepted'])
  await edit('rules.yaml', rules('a'), selector('good'), selector('t'), namespace('team', 'y'))
  t.strictSame(scene.reports.slice(seen + 1), ['ConfigMap mended', 'Selector mended'])
  await edit('rules.yaml', selector('good'))
  t.strictSame(scene.reports.slice(seen + 3), ['ConfigMap removed', 'Selector removed'])
  t.strictSame(scene.names(), ['good', 'm'])
})

t.test('an edit that was held up by another file comes into force when that is mended', async t => {
  const { names, write, edit, reports } = await start(t, {
    'a.yaml': [rules('a')],
    'b.yaml': [selector('b')],
  })
  await edit('b.yaml', 'just words')
  t.match(reports.at(-1), 'ConfigMap refused')
  await write('a.yaml', rules('c'))
  await edit('b.yaml', selector('d'))
  await holds(() => names().join() === 'd,c', 10_000)
})

t.test('of several files with ConfigMap rules the first one counts, with a warning', async t => {
  const { names, log, edit } = await start(t, { 'a.yaml': [rules('a')], 'b.yaml': [rules('b')] })
  t.strictSame(names(), ['a'])
  t.match(log, [
    { level: 'warn', used: /a\.yaml$/, msg: 'there are several ConfigMaps of rules; one is used' },
  ])
  await edit('a.yaml', selector('s'))
  t.strictSame(names(), ['s', 'b'])
})

t.test('of several ConfigMaps that of the namespace of the rules counts, wherever it stands', async t => {
  const inNamespace = (namespace: string, name: string) =>
    rules(name).replace('"eci-profile"', `"eci-profile","namespace":"${namespace}"`)
  const files = {
    'a.yaml': [rules('a'), inNamespace('mine', 'm')],
    'b.yaml': [inNamespace('kube-system', 'k')],
  }
  const { names, log } = await start(t, files)
  t.strictSame(names(), ['k'])
  t.match(log, [{ used: /b\.yaml$/, namespace: 'kube-system' }])
  const mine = await start(t, files, { rulesNamespace: 'mine' })
  t.strictSame(mine.names(), ['m'])
})

const OTHER_NAME = rules('a').replace('"eci-profile"', '"my-profile"')
const NO_RULES = 'the file holds no rules: no ConfigMap eci-profile, no Selector, no list of rules'

t.test('a file without rules is told of at the start, with what it may be', async t => {
  const { log, names } = await start(t, {
    'name.yaml': [OTHER_NAME],
    'pod.yaml': ['{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}'],
    'empty.yaml': [''],
    'none.yaml': ['[]'],
    'cluster.yaml': [namespace('team', 'x')],
  })
  t.strictSame(names(), [])
  const hint = 'The ConfigMap my-profile has rules, but is not named eci-profile; --rules-name says otherwise'
  t.match(log, [
    { level: 'warn', file: /name\.yaml$/, msg: `${NO_RULES}. ${hint}` },
    { level: 'warn', file: /pod\.yaml$/, msg: NO_RULES },
    { level: 'warn', file: /empty\.yaml$/, msg: NO_RULES },
  ])
  t.equal(log.length, 3)
})

t.test('nothing but Namespaces and Nodes is told of too', async t => {
  const { log } = await start(t, { 'cluster.yaml': [namespace('team', 'x'), node('v')] })
  t.match(log, [{ level: 'warn', files: [/cluster/], msg: 'no file holds rules; no Pod is sent to a VNode' }])
})

t.test('a file that loses its rules is told of when it does', async t => {
  const { log, names, edit } = await start(t, { 'rules.yaml': [rules('a')], 'more.yaml': [selector('s')] })
  t.strictSame(log, [])
  await edit('rules.yaml', OTHER_NAME)
  t.strictSame(names(), ['s'])
  t.match(log, [{ level: 'warn', file: /rules\.yaml$/, msg: new RegExp(`^${NO_RULES}`) }])
  await edit('more.yaml', selector('t'))
  t.equal(log.length, 1, 'once')
})

t.test('each reason why a file cannot be read is told, once', async t => {
  const { log, write, folder } = await start(t, { 'rules.yaml': [rules('a')] })
  const reasons = () => log.map(({ error }) => error)
  await write('rules.yaml', '')
  await holds(() => reasons().length === 1, 10_000)
  await rm(join(folder, 'rules.yaml'))
  await holds(() => reasons().length === 2, 10_000)
  await mkdir(join(folder, 'rules.yaml'))
  await holds(() => reasons().length === 3, 10_000)
  await rm(join(folder, 'rules.yaml'), { recursive: true })
  await writeFile(join(folder, 'rules.yaml'), Buffer.from('# caf\u00e9', 'latin1'))
  await holds(() => reasons().length > 3 && /UTF/.test(String(reasons().at(-1))), 10_000)
  t.match(reasons().slice(0, 3), [/is empty/, /ENOENT/, /EISDIR/])
})

t.test('a folder is no file of rules', async t => {
  const folder = t.testdir({})
  await mkdir(join(folder, 'rules.yaml'))
  const state = new RulesState({ settings: DEFAULT_SETTINGS })
  const log = createLogger('silent', { write: () => undefined })
  const source = new FileSource({ files: [join(folder, 'rules.yaml')], state, log })
  await t.rejects(source.start(), { code: 'BAD_FILE', message: /rules\.yaml: EISDIR/, next: /--rules/ })
  await source.stop()
})

t.test('after stop nothing is read any more', async t => {
  const { names, source, write, state } = await start(t, { 'rules.yaml': [rules('a')] })
  await write('rules.yaml', rules('b'))
  await source.stop()
  await write('rules.yaml', rules('c'))
  // Longer than any reading takes to begin; there is nothing to wait for.
  await new Promise(resolve => setTimeout(resolve, 200))
  state.flush()
  t.not(names().join(), 'c')
})
