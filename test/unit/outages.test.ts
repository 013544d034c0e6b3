/** The table of docs/outages.md, held: every row names tests, and these exist. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const ROOT = join(import.meta.dirname, '../..')
const text = readFileSync(join(ROOT, 'docs/outages.md'), 'utf8')

interface Row {
  readonly number: number
  readonly shownBy: string
}

const rows = [...text.matchAll(/^\| (\d+) \|.*\| ([^|]+) \|$/gm)].map(
  ([, number, shownBy = '']): Row => ({ number: Number(number), shownBy }),
)
const NAMED = /^\[(test\/[\w./-]+\.test\.ts)\]\(\.\.\/([\w./-]+)\) "(.+)"$/

/** What is wrong with one `[file](../file) "title"`; undefined if nothing is. */
function problemOf(entry: string): string | undefined {
  const [, file = '', link, title = ''] = NAMED.exec(entry) ?? []
  if (file === '') return `is not [file](../file) "title": ${entry}`
  if (link !== file) return `${file} is linked as ${link}`
  if (!existsSync(join(ROOT, file))) return `there is no ${file}`
  const quotes = `['"\`]`
  const literal = title.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
  // Titles that are put together have a part in quotes as well: a key of a table, or what stands between two values.
  const isThere = new RegExp(`(?:${quotes}|\\} )${literal}(?:${quotes}| \\$\\{)|\\}${literal}${quotes}`)
  return isThere.test(readFileSync(join(ROOT, file), 'utf8')) ? undefined : `${file} has no "${title}"`
}

t.test('every row has its number once, and together with the others all eighteen are named', async t => {
  const others = [...(/^Not about .*$/m.exec(text)?.[0] ?? '').matchAll(/\d+/g)].map(([digits]) =>
    Number(digits),
  )
  const all = [...rows.map(({ number }) => number), ...others].toSorted((a, b) => a - b)
  t.strictSame(
    all,
    Array.from({ length: 18 }, (_, index) => index + 1),
  )
})

for (const { number, shownBy } of rows) {
  t.test(`row ${number} names tests that exist`, async t => {
    const entries = shownBy.split('<br>')
    t.same(
      entries.flatMap(entry => problemOf(entry) ?? []),
      [],
    )
  })
}

t.test('a test that is not there is found', async t => {
  const file = 'test/unit/outages.test.ts'
  const entry = (name: string, title: string) => `[${name}](../${name}) "${title}"`
  t.equal(problemOf(entry(file, 'a test that is not there is found')), undefined)
  t.match(problemOf(entry(file, ['no', 'such', 'test'].join(' '))), /has no "no such/)
  t.match(problemOf(entry('test/unit/nowhere.test.ts', 'a')), /there is no test\/unit\/nowhere\.test\.ts/)
  t.match(problemOf(`[${file}](../other.ts) "a"`), /is linked as other\.ts/)
  t.match(problemOf('by looking'), /is not \[file\]/)
})
