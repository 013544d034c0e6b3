import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { runVnode } from '../helpers/cli.ts'

/** What a terminal obeys: colours by ESC and by its one-character form, the bell, a line written over, text turned round. */
const EVIL = '\u001b[31m\u0007\u009b5m\u202e\r'
const OBEYED = /(?![\n\t])[\p{Cc}\u202e]/u

const evil = (text: string) => `${text}${EVIL}`

function meta(more: object = {}): object {
  return { name: evil('n'), namespace: evil('ns'), labels: { eci: 'true', [evil('l')]: EVIL }, ...more }
}

function spec(more: object = {}): object {
  return {
    nodeSelector: { [evil('zone')]: EVIL },
    tolerations: [{ key: EVIL, operator: EVIL }],
    volumes: [{ name: EVIL, hostPath: { path: EVIL } }],
    containers: [
      {
        name: EVIL,
        image: EVIL,
        securityContext: { capabilities: { add: [EVIL] } },
        resources: { limits: { cpu: EVIL } },
      },
    ],
    ...more,
  }
}

function workload(kind: string, template: object): object {
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name: EVIL, namespace: EVIL },
    spec: { template: { metadata: { labels: { eci: 'true' } }, spec: template } },
  }
}

const annotations = { 'k8s.aliyun.com/eci-use-specs': EVIL, [`k8s.aliyun.com/eci-${EVIL}`]: EVIL }
const owner = { apiVersion: 'v1', kind: EVIL, name: EVIL, controller: true }
const OBJECTS = [
  { apiVersion: 'v1', kind: 'Pod', metadata: meta({ annotations, ownerReferences: [owner] }), spec: spec() },
  { apiVersion: 'v1', kind: 'Pod', metadata: meta(), spec: spec({ nodeName: EVIL }) },
  { apiVersion: 'v1', kind: 'Pod', metadata: meta(), spec: { containers: [], tolerations: EVIL } },
  workload('DaemonSet', spec()),
  workload('Deployment', spec()),
  { apiVersion: 'v1', kind: EVIL, metadata: { name: EVIL } },
]

function selector(name: string, more: object): object {
  const objectLabels = { matchLabels: { eci: 'true' } }
  return {
    apiVersion: 'eci.aliyun.com/v1',
    kind: 'Selector',
    metadata: { name, namespace: 'vnode-system' },
    spec: { objectLabels, ...more },
  }
}

const effect = { annotations: { 'k8s.aliyun.com/eci-use-specs': EVIL } }
const rule = (more: object) => ({
  name: evil('r'),
  objectSelector: { matchLabels: { eci: 'true' } },
  effect,
  ...more,
})
const configMap = (rules: readonly object[]) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'eci-profile', namespace: 'kube-system' },
  data: { selectors: JSON.stringify(rules) },
})

const FILES: Readonly<Record<string, unknown>> = {
  'manifests.json': { apiVersion: 'v1', kind: 'List', items: OBJECTS },
  [`rules${EVIL}.json`]: configMap([
    rule({}),
    rule({ name: evil('effects'), objectSelector: undefined }),
    rule({
      name: evil('looks'),
      objectSelector: undefined,
      namespaceSelector: { matchLabels: { team: 'a' } },
    }),
  ]),
  'wrong.json': {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      configMap([rule({ [evil('unknown')]: EVIL }), rule({ policy: { [evil('p')]: EVIL } })]),
      selector(evil('s'), { [evil('x')]: EVIL }),
    ],
  },
}

function manifestsFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'escapes-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  for (const [name, value] of Object.entries(FILES)) writeFileSync(join(folder, name), JSON.stringify(value))
  writeFileSync(join(folder, 'broken.yaml'), 'a: *nowhere\u009b5m\u202e\n')
  return folder
}

const RULES = ['--rules', `rules${EVIL}.json`]
const EXPLAIN = ['explain', '-f', 'manifests.json']
const CASES: Readonly<Record<string, readonly string[]>> = {
  'explain with rules from a file': [...EXPLAIN, ...RULES, '--all-rules'],
  'explain with the changed Pods': [...EXPLAIN, ...RULES, '--diff'],
  'explain with wrong rules': [...EXPLAIN, '--rules', 'wrong.json'],
  'explain as JSON': [...EXPLAIN, ...RULES, '-o', 'json'],
  'explain as YAML': [...EXPLAIN, ...RULES, '-o', 'yaml'],
  'explain as patches': [...EXPLAIN, ...RULES, '-o', 'patch'],
  'explain what cannot be parsed': ['explain', '-f', 'broken.yaml'],
  'explain a file that is missing': ['explain', '-f', EVIL],
  'check rules': ['rules', 'check', `rules${EVIL}.json`],
  'check wrong rules': ['rules', 'check', 'wrong.json'],
  'check wrong rules as JSON': ['rules', 'check', 'wrong.json', '-o', 'json'],
  'convert rules': ['rules', 'convert', '--to', 'selectors', `rules${EVIL}.json`],
}

t.test('nothing that a terminal obeys is printed, whatever is in the files and their names', async t => {
  const cwd = manifestsFolder(t)
  for (const [name, argv] of Object.entries(CASES)) {
    const { stdout, stderr } = await runVnode(argv, { cwd })
    const lines = `${stdout}${stderr}`.split('\n')
    t.match(`${stdout}${stderr}`, /\\u009b/, `${name}: it is told`)
    t.same(
      lines.filter(line => OBEYED.test(line)),
      [],
      name,
    )
  }
})

t.test('what is escaped in YAML and JSON is read as it was', async t => {
  const cwd = manifestsFolder(t)
  const yaml = await runVnode([...EXPLAIN, '-o', 'yaml'], { cwd })
  const [, first = ''] = yaml.stdout.split('---\n')
  t.match(parse(first), { metadata: { name: evil('n'), annotations } })
  const json = await runVnode([...EXPLAIN, '-o', 'json'], { cwd })
  t.match(JSON.parse(json.stdout), { workloads: [{ name: evil('n'), namespace: evil('ns') }] })
})
