/**
 * usage: npm run version:stamp
 *
 * Writes package.json's version to everything else that carries one: the chart, the image's label, `vnode version`. With --check it writes
 * nothing and fails where one differs. `npm version` runs it too.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface Stamp {
  readonly file: string
  /** One group before the version, the version, and one group after it. */
  readonly pattern: RegExp
}

const ROOT = join(import.meta.dirname, '..')
const STAMPS: readonly Stamp[] = [
  { file: 'charts/vnode-profile/Chart.yaml', pattern: /^(version: )(\S+)()$/m },
  { file: 'charts/vnode-profile/Chart.yaml', pattern: /^(appVersion: ")([^"]+)(")$/m },
  { file: 'src/cli/version.ts', pattern: /^(export const VERSION = ')([^']+)(')$/m },
  { file: 'Dockerfile', pattern: /^(ARG VERSION=)(\S+)()$/m },
]

export interface StampedFile {
  readonly file: string
  /** As it stands there. */
  readonly version: string
}

/** The one version, and where it stands. Throws if it is missing where it should be. */
export function readVersions(root = ROOT): { readonly version: string; readonly stamped: StampedFile[] } {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  const stamped = STAMPS.map(({ file, pattern }) => {
    const found = pattern.exec(readFileSync(join(root, file), 'utf8'))?.[2]
    if (found === undefined) throw new Error(`${file} has no version where ${pattern} looks for it`)
    return { file, version: found }
  })
  return { version, stamped }
}

/** Gives back the files that were changed. */
export function stampVersion(root = ROOT): string[] {
  const { version } = readVersions(root)
  const changed = STAMPS.flatMap(({ file, pattern }) => {
    const path = join(root, file)
    const text = readFileSync(path, 'utf8')
    const stamped = text.replace(
      pattern,
      (_, before: string, _old: string, after: string) => `${before}${version}${after}`,
    )
    if (stamped === text) return []
    writeFileSync(path, stamped)
    return [file]
  })
  return [...new Set(changed)]
}

if (import.meta.main) {
  const isCheck = process.argv.includes('--check')
  const { version, stamped } = readVersions()
  const wrong = stamped.filter(one => one.version !== version)
  if (isCheck)
    for (const one of wrong)
      process.stderr.write(`${one.file} has ${one.version}, package.json ${version}: npm run version:stamp\n`)
  else for (const file of stampVersion()) process.stdout.write(`${file}: ${version}\n`)
  process.exitCode = isCheck && wrong.length > 0 ? 1 : 0
}
