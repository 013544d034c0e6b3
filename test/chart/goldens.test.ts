/**
 * What the chart renders: the default whole, every other situation as what differs from it. To see and accept a change:
 * UPDATE_GOLDENS=1 npx tap run test/chart/goldens.test.ts, then git diff.
 */
import { join } from 'node:path'
import t from 'tap'
import { renderDiff } from '../../src/cli/explain/diff.ts'
import { helmOrSkip, type Manifest, manifestsOf, NAMESPACE, nameOf, VARIANTS } from '../helpers/chart.ts'
import { Goldens } from '../helpers/goldens.ts'

const helm = helmOrSkip(t)

/** Documents by what they make, in the order of their names; keys and certificates, which are new each time, left out. */
function documentsOf(text: string, release: string = NAMESPACE): Map<string, string> {
  // Roles of one name are in several namespaces.
  const keyOf = (manifest: Manifest) => {
    const { namespace = release } = manifest.metadata
    return namespace === release ? nameOf(manifest) : `${nameOf(manifest)} in ${namespace}`
  }
  const documents = text
    .replaceAll(/((?:caBundle|tls\.crt|tls\.key|ca\.crt): )\S{40,}/g, '$1(new each time)')
    .split(/^---$/m)
    .flatMap(document => {
      const [manifest] = manifestsOf(document)
      const body = document.replace(/^\s*# Source: .*\n/, '').trim()
      return manifest === undefined ? [] : [[keyOf(manifest), body] as const]
    })
  return new Map(documents.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function differences(documents: ReadonlyMap<string, string>, base: ReadonlyMap<string, string>): string {
  const gone = [...base.keys()].filter(name => !documents.has(name)).map(name => `# without ${name}\n`)
  const changed = [...documents].flatMap(([name, text]) => {
    const before = base.get(name)
    if (before === undefined) return [`# with ${name}\n${text}\n`]
    return before === text ? [] : [`# ${name} changes\n${renderDiff(before, text, (_, line) => line)}`]
  })
  const text = [gone.join(''), ...changed].filter(part => part !== '').join('\n')
  return text === '' ? '# as the default\n' : text
}

if (helm !== undefined) {
  const goldens = new Goldens(join(import.meta.dirname, '../fixtures/chart'))
  const base = documentsOf(await helm.text())
  for (const [name, options] of VARIANTS) {
    await t.test(name, async t => {
      const documents = documentsOf(await helm.text(options), options.namespace)
      goldens.check(
        t,
        name,
        name === 'default'
          ? `${[...base.values()].map(text => `---\n${text}\n`).join('')}`
          : differences(documents, base),
      )
    })
  }
  goldens.checkUnused(t)

  await t.test('what is rendered changes with a few versions of Kubernetes, and with no other', async t => {
    const minors = Array.from({ length: 22 }, (_, index) => 16 + index)
    const texts = await Promise.all(minors.map(minor => helm.text({ version: `1.${minor}.0` })))
    const changes = minors.filter((_, index) => index > 0 && texts[index] !== texts[index - 1])
    // Priority classes everywhere, spread, seccomp as a field, PodDisruptionBudget v1, its eviction policy, admission policies.
    t.strictSame(changes, [17, 18, 19, 21, 27, 30])
    // Clouds have versions of their own.
    t.equal(await helm.text({ version: 'v1.30.1-aliyun.1' }), texts[30 - 16])
  })

  await t.test('names of any length fit', async t => {
    const release = 'a-release-of-fifty-three-characters-which-is-the-most'
    const manifests = await helm.render({ release })
    const longest =
      manifests.map(({ metadata }) => metadata.name).sort((a, b) => b.length - a.length)[0] ?? ''
    t.ok(longest.length <= 63, longest)
    t.ok(
      manifests.every(({ metadata }) => metadata.name.startsWith('a-release-of-fifty-three-c-vnode-profile')),
      longest,
    )
    const own = await helm.render({ values: { fullnameOverride: 'eci' } })
    t.ok(own.every(({ metadata }) => /^eci(?:-[a-z-]+)?$/.test(metadata.name)))
  })
}
