import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { DEFAULT_RULES } from '../../src/core/selector/default-rules.ts'
import { readRuleDocuments } from '../../src/core/selector/documents.ts'
import { runVnode } from '../helpers/cli.ts'

const readme = readFileSync('README.md', 'utf8')
const cwd = process.cwd()

/** What the README shows behind a command: the lines up to the end of its block. */
function shown(command: string): string {
  const start = readme.indexOf(`$ ${command}\n`)
  const from = readme.indexOf('\n', start) + 1
  return start < 0 ? '' : readme.slice(from, readme.indexOf('\n```', from))
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
