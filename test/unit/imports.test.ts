import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import t from 'tap'

/** The table of CONTRIBUTING.md, held. */
const SRC = join(import.meta.dirname, '../../src')

interface Import {
  /** A path from src, such as `core/names.ts`, or a package. */
  readonly to: string
  readonly isType: boolean
}

interface SourceFile {
  /** From src, such as `core/names.ts`. */
  readonly path: string
  /** Without comments, which may speak of anything. */
  readonly code: string
  readonly lines: number
  readonly imports: readonly Import[]
}

const IMPORT = /\b(?:import|export)\s+(type\s)?[^'"`;()]*?\bfrom\s*'([^']+)'|\bimport\s*\(?\s*'([^']+)'/g

/** A string, which stays, or a comment. */
const STRING_OR_COMMENT =
  /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[\s\S])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g

function readSource(path: string): SourceFile {
  const text = readFileSync(join(SRC, path), 'utf8')
  const code = text.replaceAll(STRING_OR_COMMENT, found => (found.startsWith('/') ? ' ' : found))
  const imports = [...code.matchAll(IMPORT)].map(([, type, from, dynamic]): Import => {
    const to = from ?? dynamic ?? ''
    return { to: to.startsWith('.') ? join(dirname(path), to) : to, isType: type !== undefined }
  })
  return { path, code, lines: text.split('\n').length - 1, imports }
}

const files = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter(entry => entry.isFile())
  .map(entry => readSource(relative(SRC, join(entry.parentPath, entry.name))))

const folderOf = (path: string) => (path.includes('/') ? path.slice(0, path.indexOf('/')) : path)
const isOurs = (to: string) => files.some(({ path }) => path === to)

/** What each folder may import of the others. */
const ALLOWED = new Map<string, readonly string[]>([
  ['core', []],
  ['config', ['core']],
  ['telemetry', ['core']],
  ['kube', ['core', 'telemetry']],
  ['eci', ['core']],
  ['rules', ['kube', 'telemetry', 'core']],
  ['serving', ['telemetry', 'core']],
  ['webhook', ['serving', 'rules', 'kube', 'config', 'telemetry', 'core']],
  ['scheduler', ['serving', 'rules', 'kube', 'config', 'telemetry', 'core']],
  ['bootstrap', ['eci', 'kube', 'config', 'telemetry', 'core']],
  ['approver', ['serving', 'kube', 'config', 'telemetry', 'core']],
  [
    'cli',
    ['webhook', 'scheduler', 'approver', 'bootstrap', 'rules', 'kube', 'eci', 'config', 'telemetry', 'core'],
  ],
  ['vnode.js', ['cli']],
])

/** Where each package of Alibaba Cloud is touched. */
const ALICLOUD_FILES = new Map([
  ['eci20180808', 'eci/client.ts'],
  ['openapi-util', 'eci/signed-api.ts'],
  ['credentials', 'eci/credentials.ts'],
])

/** What the core may import of the world, besides types. */
const CORE_PACKAGES = ['fast-json-patch', 'node-forge', 'yaml', 'node:crypto']

/** `path: what is wrong`, of all files that have it. */
function violations(find: (file: SourceFile) => readonly string[]): string[] {
  return files.flatMap(file => find(file).map(found => `${file.path}: ${found}`))
}

const importing = (isWrong: (one: Import, file: SourceFile) => boolean) =>
  violations(file => file.imports.filter(one => isWrong(one, file)).map(({ to }) => `imports ${to}`))

const saying = (pattern: RegExp, isAllowed: (path: string) => boolean = () => false) =>
  violations(({ path, code }) => (isAllowed(path) ? [] : [...(code.match(pattern) ?? [])]))

const rules = new Map<string, () => readonly string[]>([
  [
    'every folder of src is in the table',
    () =>
      violations(({ path }) => (ALLOWED.has(folderOf(path)) ? [] : ['is in no folder that the table knows'])),
  ],
  [
    'imports point down the table',
    () =>
      importing(
        ({ to }, { path }) =>
          isOurs(to) &&
          folderOf(to) !== folderOf(path) &&
          !ALLOWED.get(folderOf(path))?.includes(folderOf(to)),
      ),
  ],
  [
    'what is imported is there, by its whole name',
    () => importing(({ to }) => /^[./]|\.[a-z]+$/.test(to) && !isOurs(to)),
  ],
  [
    'the core imports the world for its types alone, but for what it is made of',
    () =>
      importing(
        ({ to, isType }, { path }) =>
          folderOf(path) === 'core' && !isOurs(to) && !isType && !CORE_PACKAGES.includes(to),
      ),
  ],
  [
    'the core has neither clock nor chance',
    () =>
      saying(
        /\b(?:Date\.now|Math\.random|performance\.now|setTimeout|setInterval|setImmediate|randomBytes|randomUUID|randomInt|getRandomValues)\b|new Date\(\)/g,
        path => folderOf(path) !== 'core',
      ),
  ],
  [
    'client-node is touched in one file, for more than its types',
    () =>
      importing(
        ({ to, isType }, { path }) =>
          to === '@kubernetes/client-node' && !isType && path !== 'kube/client.ts',
      ),
  ],
  [
    'client-node stays within kube, undici within kube and eci',
    () =>
      importing(
        ({ to }, { path }) =>
          (to === '@kubernetes/client-node' && folderOf(path) !== 'kube') ||
          (to === 'undici' && !['kube', 'eci'].includes(folderOf(path))),
      ),
  ],
  [
    "each of Alibaba Cloud's packages is touched in one file",
    () =>
      importing(
        ({ to }, { path }) =>
          to.startsWith('@alicloud/') && path !== ALICLOUD_FILES.get(to.replace(/^@alicloud\//, '')),
      ),
  ],
  [
    'the environment and the arguments are read in cli/main.ts and config alone',
    () =>
      saying(
        /\bprocess\s*\.\s*(?:env|argv)\b|\b(?:env|argv)\b[^=\n]*\}\s*=\s*process\b|\bimport\.meta\.env\b/g,
        path => path === 'cli/main.ts' || folderOf(path) === 'config',
      ),
  ],
  [
    'cli/main.ts alone ends the process and hears its signals',
    () => saying(/\bprocess\.exit\(|\bprocess\.on(?:ce)?\('SIG/g, path => path === 'cli/main.ts'),
  ],
  [
    'only files of ours are imported late: in the bundle a CommonJS package would come without its names',
    () => saying(/\bimport\s*\(\s*'[^.'][^']*'/g),
  ],
  ['nobody writes to the console', () => saying(/\bconsole\s*\./g)],
  ['nothing is exported by default', () => saying(/\bexport\s+default\b|\bas default\b/g)],
  [
    'files have at most 300 lines',
    () => violations(({ lines }) => (lines > 300 ? [`has ${lines} lines`] : [])),
  ],
  [
    'files are named by a noun in kebab-case',
    () =>
      violations(({ path }) =>
        /^[a-z0-9]+(?:-[a-z0-9]+)*\.(?:ts|js)$/.test(basename(path)) ? [] : ['is not in kebab-case'],
      ),
  ],
  [
    'there are no index barrels and no drawers for everything',
    () =>
      // Commands are named as people call them, and one is `vnode helper`.
      violations(({ path }) =>
        /^(?:index|utils?|helpers?|types|common)\./.test(basename(path)) && dirname(path) !== 'cli/commands'
          ? ['is named after nothing in it']
          : [],
      ),
  ],
  ['no two files import each other, by however many steps', () => cycles()],
])

function cycles(): string[] {
  const edges = new Map(
    files.map(({ path, imports }) => [
      path,
      imports.filter(one => !one.isType && isOurs(one.to)).map(one => one.to),
    ]),
  )
  const done = new Set<string>()
  const found: string[] = []
  const walk = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) found.push([...trail.slice(trail.indexOf(path)), path].join(' -> '))
    if (done.has(path) || trail.includes(path)) return
    for (const next of edges.get(path) ?? []) walk(next, [...trail, path])
    done.add(path)
  }
  for (const path of edges.keys()) walk(path, [])
  return found
}

for (const [sentence, find] of rules) t.test(sentence, async t => t.strictSame(find(), []))

t.test('the reading of imports finds all kinds of them', async t => {
  const imports = (path: string) => files.find(file => file.path === path)?.imports ?? []
  t.ok(
    imports('vnode.js').some(({ to }) => to === 'cli/main.ts'),
    'import()',
  )
  t.ok(
    imports('core/pod/mutate.ts').some(({ to, isType }) => to === 'core/errors.ts' && !isType),
    'import {}',
  )
  t.ok(
    imports('core/pod/placement.ts').some(({ to, isType }) => to === 'core/settings.ts' && isType),
    'import type',
  )
  t.ok(
    imports('core/eci/pod-advice.ts').some(({ to, isType }) => to === 'core/eci/advice.ts' && isType),
    'export type from',
  )
  t.ok(
    imports('core/selector/text.ts').some(({ to }) => to === 'yaml'),
    'packages',
  )
  t.ok(files.length > 60)
})
