/** The recipes of docs/daemonsets.md as they stand there, and how each is carried out. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { asRecord } from '../../src/core/kubernetes/objects.ts'
import { removeOnExit } from './child-process.ts'
import type { ControlPlane } from './control-plane.ts'

const ROOT = join(import.meta.dirname, '../..')

export type Manifest = Record<string, unknown> & {
  metadata: { name: string; labels: Record<string, string> }
}

/** A manifest of `test/fixtures/daemonsets`. */
export async function readShape(name: string): Promise<Manifest> {
  return parse(await readFile(join(ROOT, 'test/fixtures/daemonsets', `${name}.yaml`), 'utf8'))
}

/** The YAML of each recipe, by its name. */
export async function readRecipes(): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(join(ROOT, 'docs/daemonsets.md'), 'utf8')
  const found = text.matchAll(/<!-- recipe: ([\w-]+) -->\n```yaml\n([\s\S]*?)```/g)
  return new Map([...found].map(([, name = '', yaml = '']) => [name, yaml]))
}

/** What kubectl's kustomize makes of the manifest, under the name that the recipe has for it. */
export async function kustomize(
  controlPlane: ControlPlane,
  recipe: string,
  manifest: Manifest,
): Promise<Manifest> {
  const folder = await temporaryFolder()
  const [file] = (parse(recipe) as { resources: string[] }).resources
  await writeFile(join(folder, 'kustomization.yaml'), recipe)
  await writeFile(join(folder, file ?? ''), JSON.stringify(manifest))
  return parse(await kubectl(controlPlane, ['kustomize', folder]))
}

/** As kubeadm applies a strategic patch: to the manifest, before it sends that. */
export async function patchLocally(
  controlPlane: ControlPlane,
  recipe: string,
  manifest: Manifest,
): Promise<Manifest> {
  const folder = await temporaryFolder()
  const [patch, file] = [join(folder, 'patch.yaml'), join(folder, 'manifest.json')]
  await Promise.all([writeFile(patch, recipe), writeFile(file, JSON.stringify(manifest))])
  const args = ['patch', '--local', '-f', file, '--type=strategic', '--patch-file', patch, '-o', 'yaml']
  return parse(await kubectl(controlPlane, args))
}

/** The affinity at this place of the recipe, over the manifest's: as Helm merges values, or an operator takes them. */
export function setAffinity(
  manifest: Manifest,
  recipe: string,
  { path, isMerged }: { readonly path: readonly string[]; readonly isMerged: boolean },
): Manifest {
  let affinity: unknown = parse(recipe)
  for (const key of path) affinity = asRecord(affinity)?.[key]
  if (asRecord(affinity) === undefined) throw new Error(`the recipe has nothing at ${path.join('.')}`)
  const made = structuredClone(manifest) as Manifest & {
    spec: { template: { spec: { affinity?: object } } }
  }
  const { spec } = made.spec.template
  spec.affinity = { ...(isMerged ? spec.affinity : {}), ...asRecord(affinity) }
  return made
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'recipe-'))
  removeOnExit(folder)
  return folder
}

async function kubectl(controlPlane: ControlPlane, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await controlPlane.kubectl(args)
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`)
  return stdout
}
