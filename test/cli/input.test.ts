import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CLI_FIXTURES, runVnode } from '../helpers/cli.ts'

const POD = readFileSync(join(CLI_FIXTURES, 'one-pod.yaml'), 'utf8')

t.test('files of Windows are read, and those of no known encoding are refused', async t => {
  const cwd = t.testdir({
    'utf16.yaml': Buffer.from(`\uFEFF${POD}`, 'utf16le'),
    'latin1.yaml': Buffer.from(`# caf\u00e9\n${POD}`, 'latin1'),
  })
  const read = await runVnode(['explain', '-f', 'utf16.yaml'], { cwd })
  t.match(read, { status: 0, stdout: /Pod default\/build {2}utf16\.yaml/, stderr: '' })
  const refused = await runVnode(['explain', '-f', 'latin1.yaml'], { cwd })
  t.match(refused, {
    status: 2,
    stdout: '',
    stderr: /^vnode: latin1\.yaml is not valid UTF-8\nSave it as UTF-8\.\n/,
  })
})

t.test('what of a folder is not read is told, unless it can be no manifest', async t => {
  const cwd = t.testdir({
    some: {
      'a.yaml': POD,
      'b.YAML': POD,
      'notes.txt': 'x',
      'c\u001b.JSON': '{}',
      deeper: { 'd.yaml': POD },
      '.#lock': t.fixture('symlink', 'nowhere'),
    },
    whole: { 'a.yaml': POD, 'notes.txt': 'x' },
    many: { 'a.yaml': POD, ...Object.fromEntries([...'bcdefgh'].map(name => [name, {}])) },
  })
  const stderrOf = async (folder: string) => (await runVnode(['explain', '-f', folder], { cwd })).stderr
  const why = '(folders inside it are not searched, and names end in .yaml, .yml or .json)'
  t.equal(
    await stderrOf('some'),
    `vnode: not read of the folder some: b.YAML, c\\u001b.JSON, deeper/ ${why}.\n`,
  )
  t.equal(await stderrOf('whole'), '')
  t.equal(
    await stderrOf('many'),
    `vnode: not read of the folder many: b/, c/, d/, e/, f/ and 2 more ${why}.\n`,
  )
})
