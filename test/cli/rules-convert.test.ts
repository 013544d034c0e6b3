import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { CLI_FIXTURES, type CliOptions, runVnode, transcriptOf } from '../helpers/cli.ts'
import { Goldens } from '../helpers/goldens.ts'

interface Case {
  readonly argv: readonly string[]
  readonly options?: CliOptions
}

const TO_SELECTORS = ['--to', 'selectors']
const TO_CONFIGMAP = ['--to', 'configmap']

const CASES: Readonly<Record<string, Case>> = {
  'a ConfigMap as Selectors': { argv: [...TO_SELECTORS, 'eci-profile.yaml'] },
  'a ConfigMap beside Selectors': { argv: [...TO_SELECTORS, 'eci-profile.yaml', 'selectors.yaml'] },
  'a bare list of rules as Selectors': {
    argv: [...TO_SELECTORS, '-', '--api-version', 'v1beta1'],
    options: { stdin: readFileSync(join(CLI_FIXTURES, 'shadowed.yaml'), 'utf8') },
  },
  'Selectors without a namespace': { argv: [...TO_SELECTORS, 'list.json', '--namespace', ''] },
  'Selectors in the namespace of a tenant': {
    argv: [...TO_SELECTORS, 'powers.yaml', '--namespace', 'team-a'],
  },
  'Selectors as a new ConfigMap': { argv: [...TO_CONFIGMAP, 'selectors.yaml'] },
  'Selectors into a ConfigMap that has rules': { argv: [...TO_CONFIGMAP, 'selectors.yaml', 'rules.yaml'] },
  'Selectors of every kind': { argv: [...TO_CONFIGMAP, 'many-selectors.yaml'] },
  'rules with errors': { argv: [...TO_SELECTORS, 'bad-rules.yaml'] },
  'no ConfigMap rules': { argv: [...TO_SELECTORS, 'selectors.yaml'] },
  'no Selectors': { argv: [...TO_CONFIGMAP, 'rules.yaml'] },
  'no direction': { argv: ['rules.yaml'] },
  'a wrong direction': { argv: ['--to', 'crd', 'rules.yaml'] },
  'a missing file': { argv: [...TO_SELECTORS, 'nowhere.yaml'] },
  help: { argv: ['--help'] },
}

const goldens = new Goldens(join(CLI_FIXTURES, 'goldens/rules-convert'))

for (const [name, { argv, options }] of Object.entries(CASES)) {
  await t.test(name, async t => {
    const command = ['rules', 'convert', ...argv]
    goldens.check(t, name, transcriptOf(command, await runVnode(command, options)))
  })
}

await t.test('what comes out passes the check', async t => {
  for (const argv of [
    [...TO_SELECTORS, 'eci-profile.yaml'],
    [...TO_CONFIGMAP, 'many-selectors.yaml'],
  ]) {
    const { stdout } = await runVnode(['rules', 'convert', ...argv])
    const check = await runVnode(['rules', 'check', '-', '-o', 'json'], { stdin: stdout })
    t.match(JSON.parse(check.stdout), { errors: 0 }, argv.join(' '))
  }
})

await t.test('there and back, a Pod is explained alike', async t => {
  const there = await runVnode(['rules', 'convert', ...TO_SELECTORS, 'eci-profile.yaml'])
  const back = await runVnode(['rules', 'convert', ...TO_CONFIGMAP, '-'], { stdin: there.stdout })
  const wanted = await podsUnder(readFileSync(join(CLI_FIXTURES, 'eci-profile.yaml'), 'utf8'))
  t.match(wanted[0], { spec: { tolerations: [{ key: 'k8s.aliyun.com/vnode' }] } }, 'rules apply at all')
  t.same(await podsUnder(there.stdout), wanted, 'under Selectors')
  t.same(await podsUnder(back.stdout), wanted, 'under the ConfigMap again')
})

/** What becomes of the Pods of the fixtures, but for the names of rules, which differ between the formats. */
async function podsUnder(rules: string): Promise<readonly unknown[]> {
  const argv = [
    'explain',
    '-f',
    'workloads.yaml',
    '-f',
    'pods.yaml',
    '-f',
    'cluster.yaml',
    '--rules',
    '-',
    '-o',
    'yaml',
  ]
  const { stdout } = await runVnode(argv, { stdin: rules })
  return stdout
    .replaceAll(/^ *vnode-profile\.io\/rules: .*\n/gm, '')
    .split('---\n')
    .slice(1)
    .map(text => parse(text))
}
