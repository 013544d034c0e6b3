import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CLI_FIXTURES, type CliOptions, runVnode, transcriptOf } from '../helpers/cli.ts'
import { Goldens } from '../helpers/goldens.ts'

interface Case {
  readonly argv: readonly string[]
  readonly options?: CliOptions
}

const configMapIn = (namespace: string) => `apiVersion: v1
kind: ConfigMap
metadata: { name: eci-profile, namespace: ${namespace} }
data: { selectors: '[{ name: "of-${namespace}", effect: { labels: { a: b } } }]' }
`

const CASES: Readonly<Record<string, Case>> = {
  'good rules of both formats': { argv: ['rules.yaml', 'selectors.yaml'] },
  'a ConfigMap and a Selector with errors': { argv: ['bad-rules.yaml'] },
  'the same on a terminal': { argv: ['bad-rules.yaml'], options: { hasColor: true, terminal: 80 } },
  'the same without colours': { argv: ['bad-rules.yaml', '--no-color'], options: { hasColor: true } },
  'the same as JSON': { argv: ['bad-rules.yaml', '-o', 'json'] },
  'rules in a quoted string': { argv: ['quoted-rules.json'] },
  'rules that never count': { argv: ['shadowed.yaml'] },
  'warnings as errors': { argv: ['shadowed.yaml', '--warnings-as-errors'] },
  'a power that tenants are allowed': {
    argv: ['bad-rules.yaml', '--tenant-effects', 'k8s.aliyun.com/eci-ram-role-name'],
  },
  'the namespace of the installation by environment': {
    argv: ['bad-rules.yaml'],
    options: { env: { VNODE_INSTALL_NAMESPACE: 'team-a' } },
  },
  'rules from stdin': {
    argv: ['-'],
    options: { stdin: readFileSync(join(CLI_FIXTURES, 'shadowed.yaml'), 'utf8') },
  },
  'two ConfigMaps of rules': { argv: ['rules.yaml', 'shadowed.yaml'] },
  'ConfigMaps of several namespaces': {
    argv: ['-', 'rules.yaml'],
    options: { stdin: ['other', 'kube-system'].map(configMapIn).join('---\n') },
  },
  'the same Selector twice': { argv: ['selectors.yaml', 'selectors.yaml'] },
  'a folder that holds rules among other things': { argv: ['.'] },
  'a folder without rules': { argv: ['folder'] },
  'a file without rules': { argv: ['rules.yaml', 'workloads.yaml', 'cluster.yaml'] },
  'nothing but Namespaces and Nodes': { argv: ['cluster.yaml'] },
  'a ConfigMap of another name': { argv: ['other-name.yaml'] },
  'a ConfigMap whose name is given': { argv: ['other-name.yaml', '--rules-name', 'my-profile'] },
  'a ConfigMap without rules': { argv: ['no-rules.yaml'] },
  'an empty file': { argv: ['empty.yaml'] },
  'a file that is not YAML': { argv: ['broken.yaml', 'rules.yaml'] },
  'a missing file': { argv: ['nowhere.yaml'] },
  'no file': { argv: [] },
  'an unknown flag': { argv: ['rules.yaml', '--strict'] },
  help: { argv: ['--help'] },
}

const goldens = new Goldens(join(CLI_FIXTURES, 'goldens/rules-check'))

for (const [name, { argv, options }] of Object.entries(CASES)) {
  await t.test(name, async t => {
    const command = ['rules', 'check', ...argv]
    goldens.check(t, name, transcriptOf(command, await runVnode(command, options)))
  })
}

await t.test('goldens', async t => goldens.checkUnused(t))
