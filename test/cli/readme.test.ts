import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { buildProgram } from '../../src/cli/program.ts'
import { DEFAULT_RULES } from '../../src/core/selector/default-rules.ts'
import { readRuleDocuments } from '../../src/core/selector/documents.ts'
import { DEFAULT_SETTINGS } from '../../src/core/settings.ts'
import { rulesReporter } from '../../src/rules/reporter.ts'
import { RulesState } from '../../src/rules/rules-state.ts'
import { createHelperMetrics } from '../../src/telemetry/helper-metrics.ts'
import { createLogger } from '../../src/telemetry/json-log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { FileSource } from '../../src/webhook/file-source.ts'
import { fakeIo, runVnode } from '../helpers/cli.ts'
import { holds } from '../helpers/webhook.ts'

const readme = readFileSync('README.md', 'utf8')
const cwd = process.cwd()

/** What the README shows behind a command: the lines up to the end of its block. */
function shown(command: string): string {
  const start = readme.indexOf(`$ ${command}\n`)
  const from = readme.indexOf('\n', start) + 1
  return start < 0 ? '' : readme.slice(from, readme.indexOf('\n```', from))
}

function rowsAfter(head: string): string {
  const start = readme.indexOf(head)
  return start < 0 ? '' : readme.slice(start, readme.indexOf('\n\n', start))
}

t.test('the README shows what explain really prints', async t => {
  const args =
    'explain -f examples/pods.yaml --rules examples/default-rules.yaml --rules examples/cluster.yaml'
  const { status, stdout } = await runVnode(args.split(' '), { cwd })
  t.equal(status, 0)
  t.equal(stdout.trimEnd(), shown(`npm run -s vnode -- ${args}`))
})

t.test('the example of the shipped rules is the shipped rules', async t => {
  const [rules] = readRuleDocuments(readFileSync('examples/default-rules.yaml', 'utf8')).rulesTexts
  t.equal(rules?.text, DEFAULT_RULES)
})

t.test('the README shows what the webhook logs of the example with a word misspelt', async t => {
  const example = readFileSync('examples/default-rules.yaml', 'utf8')
  const [, before = '', word = ''] = /^([\s\S]*?"pod-eci"[\s\S]*?)(objectSelector)/.exec(example) ?? []
  const misspelt = `${before}objectSelektor${example.slice(before.length + word.length)}`
  const folder = t.testdir({ examples: { 'default-rules.yaml': example } })
  const file = join(folder, 'examples/default-rules.yaml')
  const logged: string[] = []
  const log = createLogger('error', { write: text => void logged.push(text) })
  const state = new RulesState({ settings: DEFAULT_SETTINGS, onReport: rulesReporter({ log }) })
  const source = new FileSource({ files: [file], state, log })
  t.teardown(() => state.stop())
  await source.start()
  writeFileSync(file, misspelt)
  await holds(() => logged.length > 0, 10_000)
  await source.stop()
  const [shownTime = ''] = /"time":"[^"]+"/.exec(readme) ?? []
  const line = logged
    .join('')
    .trimEnd()
    .replace(folder, '…')
    .replace(/"time":"[^"]+"/, shownTime)
  t.ok(readme.includes(`\`\`\`json\n${line}\n\`\`\``), line)
})

t.test('the rules of each example are without a fault, and its Pods are explained', async t => {
  const folders = readdirSync('examples', { withFileTypes: true }).filter(entry => entry.isDirectory())
  for (const { name } of folders) {
    const checked = await runVnode(
      ['rules', 'check', '--warnings-as-errors', `examples/${name}/rules.yaml`],
      { cwd },
    )
    t.equal(checked.status, 0, `${name}: ${checked.stdout}${checked.stderr}`)
    const args = ['explain', '-f', `examples/${name}/pods.yaml`, '--rules', `examples/${name}/rules.yaml`]
    const explained = await runVnode(args, { cwd })
    t.equal(explained.status, 0, name)
    t.match(explained.stdout, /VNode/, name)
    t.notMatch(explained.stdout, /refuses/, `${name}: nothing that ECI refuses`)
  }
})

t.test('every Event of the webhook and the helper is in the README', async t => {
  const files = ['src/rules', 'src/scheduler'].flatMap(folder =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.ts'))
      .map(name => readFileSync(join(folder, name), 'utf8')),
  )
  const reasons = files.flatMap(text =>
    [...text.matchAll(/\breason: (?:\w+ \? )?'([A-Z][A-Za-z]+)'(?: : '([A-Z][A-Za-z]+)')?/g)].flatMap(found =>
      found.slice(1).filter(reason => reason !== undefined),
    ),
  )
  t.ok(reasons.includes('RulesRefused') && reasons.includes('CertificatesRepaired'))
  t.same(
    reasons.filter(reason => !readme.includes(`\`${reason}\``)),
    [],
  )
})

t.test('every command is in the table of the README', async t => {
  const table = rowsAfter('| command | does |')
  const names = buildProgram(fakeIo().io).commands.map(command => command.name())
  t.ok(names.length > 10)
  t.same(
    names.filter(name => !new RegExp(`^\\| [^|]*\`(?:vnode )?${name}\\b`, 'm').test(table)),
    [],
  )
})

t.test('every metric is in the README, once', async t => {
  const ours = [
    ['vnode_profile_helper_', createHelperMetrics().registry],
    ['vnode_profile_', createMetrics().registry],
  ] as const
  for (const [prefix, registry] of ours) {
    const names = registry.getMetricsAsArray().flatMap(({ name }) => (name.startsWith(prefix) ? [name] : []))
    t.ok(names.length > 5)
    const table = rowsAfter(`| metric (prefix \`${prefix}\`) | |`)
    const timesOf = (name: string) =>
      table.split(new RegExp(`\`${name.slice(prefix.length)}[{\`]`)).length - 1
    t.same(
      names.filter(name => timesOf(name) !== 1),
      [],
    )
  }
})
