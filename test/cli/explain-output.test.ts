import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import jsonPatch from 'fast-json-patch'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { CLI_FIXTURES, runVnode } from '../helpers/cli.ts'

const RULES = ['--rules', 'rules.yaml', '--rules', 'selectors.yaml', '--rules', 'cluster.yaml']
const PODS = ['pods.yaml', 'one-pod.yaml']

async function explain(files: readonly string[], output: string): Promise<string> {
  const argv = ['explain', ...files.flatMap(file => ['-f', file]), ...RULES, '-o', output]
  const { status, stdout, stderr } = await runVnode(argv)
  if (status !== 0) throw new Error(stderr)
  return stdout
}

function documentsOf(text: string): unknown[] {
  return [...parseAllDocuments(text)].map(document => document.toJS())
}

t.test('the patches, applied to the Pods that were given, make the Pods that are printed', async t => {
  const given = PODS.flatMap(file => documentsOf(readFileSync(join(CLI_FIXTURES, file), 'utf8')))
  const patches = (await explain(PODS, 'patch'))
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  const results = documentsOf(await explain(PODS, 'yaml'))
  t.equal(patches.length, given.length)
  t.ok(
    patches.some(patch => patch.length > 3),
    'something is patched',
  )
  t.same(
    given.map((pod, index) => jsonPatch.applyPatch(pod, patches[index], true).newDocument),
    results,
  )
})

t.test('all formats tell of the same workloads, in the same order', async t => {
  const files = ['workloads.yaml', 'daemonsets.yaml', ...PODS]
  const { workloads } = JSON.parse(await explain(files, 'json'))
  const lines = (await explain(files, 'patch')).trimEnd().split('\n')
  const text = await explain(files, 'text')
  t.same(
    workloads.map(({ patch }: { patch: unknown }) => patch),
    lines.map(line => JSON.parse(line)),
  )
  t.same(
    workloads.map(({ kind, namespace, name }: Record<string, string>) => `${kind} ${namespace}/${name}`),
    [...text.matchAll(/^([A-Z]\w+ \S+\/\S+) {2}\S+$/gm)].map(([, title]) => title),
  )
  t.equal(documentsOf(await explain(files, 'yaml')).length, workloads.length)
})

t.test('strings that YAML 1.1 would read as something else are quoted for kubectl', async t => {
  const values = ['yes', 'on', 'n', '1_000', '0o7', '012', '1:30', '1e3', '~', '2026-01-01', '.5', 'plain']
  const labels = Object.fromEntries(values.map((value, index) => [`l${index}`, value]))
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', labels }, spec: { containers: [] } }
  const { stdout } = await runVnode(['explain', '-f', '-', '-o', 'yaml'], { stdin: JSON.stringify(pod) })
  t.same(parse(stdout, { version: '1.1' }), pod)
})
