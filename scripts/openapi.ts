/**
 * usage: npm run openapi
 *
 * Writes test/fixtures/openapi/: what Kubernetes 1.13 to 1.19 published as the types of the objects that the chart renders. They come from
 * the Go modules of these versions (Go and their download, 40 MB each, are needed), without descriptions and without all other types.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const VERSIONS = ['1.13.12', '1.14.10', '1.15.12', '1.16.15', '1.17.17', '1.18.20', '1.19.16']
const KINDS = [
  'v1/Pod',
  'v1/Secret',
  'v1/Service',
  'v1/ServiceAccount',
  'admissionregistration.k8s.io/v1beta1/MutatingWebhookConfiguration',
  'apiextensions.k8s.io/v1/CustomResourceDefinition',
  'apps/v1/Deployment',
  'batch/v1/Job',
  'networking.k8s.io/v1/NetworkPolicy',
  'policy/v1beta1/PodDisruptionBudget',
  'rbac.authorization.k8s.io/v1/ClusterRole',
  'rbac.authorization.k8s.io/v1/ClusterRoleBinding',
  'rbac.authorization.k8s.io/v1/Role',
  'rbac.authorization.k8s.io/v1/RoleBinding',
]
const FOLDER = join(import.meta.dirname, '../test/fixtures/openapi')
const REF = '#/definitions/'
/** Of a definition, what says which values it takes. */
const KEPT = ['type', 'format', '$ref', 'required', 'items', 'properties', 'additionalProperties']

type Json = Readonly<Record<string, unknown>>
type Definitions = Readonly<Record<string, Json>>
interface Kind {
  readonly group: string
  readonly version: string
  readonly kind: string
}

function swaggerOf(version: string): Definitions {
  const args = ['mod', 'download', '-json', `k8s.io/kubernetes@v${version}`]
  // Outside of any Go module, so that none is changed.
  const { Dir } = JSON.parse(execFileSync('go', args, { cwd: tmpdir(), encoding: 'utf8' })) as { Dir: string }
  const text = readFileSync(join(Dir, 'api/openapi-spec/swagger.json'), 'utf8')
  return (JSON.parse(text) as { definitions: Definitions }).definitions
}

function trimmed(value: unknown, isSchema: boolean): unknown {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(one => trimmed(one, isSchema))
  const entries = Object.entries(value).filter(([key]) => !isSchema || KEPT.includes(key))
  return Object.fromEntries(
    entries.map(([key, member]) => [key, trimmed(member, !isSchema || key !== 'properties')]),
  )
}

function refsOf(value: unknown): string[] {
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([key, member]) =>
    key === '$ref' && typeof member === 'string' ? [member.slice(REF.length)] : refsOf(member),
  )
}

function extract(all: Definitions): object {
  const kinds = new Map<string, string>()
  for (const [name, definition] of Object.entries(all))
    for (const { group, version, kind } of (definition['x-kubernetes-group-version-kind'] ?? []) as Kind[])
      kinds.set([...(group === '' ? [] : [group]), version, kind].join('/'), name)
  const wanted = KINDS.flatMap(kind => kinds.get(kind) ?? [])
  const definitions = new Map<string, unknown>()
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (definitions.has(name)) continue
    const definition = trimmed(all[name], true)
    definitions.set(name, definition)
    wanted.push(...refsOf(definition))
  }
  const found = KINDS.flatMap(kind => (kinds.has(kind) ? [[kind, kinds.get(kind)]] : []))
  return {
    kinds: Object.fromEntries(found),
    definitions: Object.fromEntries([...definitions].sort(([a], [b]) => (a < b ? -1 : 1))),
  }
}

mkdirSync(FOLDER, { recursive: true })
for (const version of VERSIONS) {
  const file = join(FOLDER, `${version}.json`)
  // A line for each type: a difference between versions is one of lines.
  const text = JSON.stringify(extract(swaggerOf(version))).replaceAll(/("io\.k8s\.[\w.-]+":\{)/g, '\n$1')
  writeFileSync(file, `${text}\n`)
  process.stdout.write(`${file}: ${Math.round(text.length / 1024)} KiB\n`)
}
