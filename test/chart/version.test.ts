/** There is one version, package.json's; everything else that carries one is stamped from it. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { readVersions, stampVersion } from '../../scripts/version.ts'

const FILES = ['charts/vnode-profile/Chart.yaml', 'src/cli/version.ts', 'Dockerfile']

t.test('every copy of the version is the one of package.json', async t => {
  const { version, stamped } = readVersions()
  t.match(version, /^\d+\.\d+\.\d+/)
  for (const one of stamped) t.equal(one.version, version, `${one.file}: npm run version:stamp`)
  t.strictSame([...new Set(stamped.map(({ file }) => file))], FILES)
})

t.test('a new version is stamped everywhere, and nothing else changes', async t => {
  const root = mkdtempSync(join(tmpdir(), 'version-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  for (const file of FILES) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    cpSync(file, join(root, file))
  }
  writeFileSync(join(root, 'package.json'), JSON.stringify({ version: '9.8.7-rc.1' }))
  t.strictSame(stampVersion(root), FILES)
  t.strictSame(stampVersion(root), [], 'once is enough')
  const { version } = readVersions()
  for (const file of FILES)
    t.equal(
      readFileSync(join(root, file), 'utf8').replaceAll('9.8.7-rc.1', version),
      readFileSync(file, 'utf8'),
      file,
    )
})
