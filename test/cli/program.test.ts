import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { buildProgram } from '../../src/cli/program.ts'
import { VERSION } from '../../src/cli/version.ts'
import { CLI_FIXTURES, fakeIo, runVnode, transcriptOf } from '../helpers/cli.ts'
import { Goldens } from '../helpers/goldens.ts'

const CASES: Readonly<Record<string, readonly string[]>> = {
  help: ['--help'],
  'no command': [],
  'a group without its command': ['rules'],
  'help of a command by word': ['help', 'version'],
  version: ['version'],
  'version as a flag': ['--version'],
  'an unknown command': ['explan'],
  'an unknown flag': ['--fast'],
  'an unknown flag of a command': ['version', '--fast'],
  'an argument too many': ['version', 'now'],
}

const goldens = new Goldens(join(CLI_FIXTURES, 'goldens/program'))

for (const [name, argv] of Object.entries(CASES)) {
  await t.test(name, async t => {
    const transcript = transcriptOf(argv, await runVnode(argv))
    goldens.check(t, name, transcript.replaceAll(VERSION, 'VERSION'))
  })
}

await t.test('goldens', async t => goldens.checkUnused(t))

await t.test('the version is that of the package', async t => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'))
  t.equal(VERSION, version)
})

await t.test('every command has a description, and an example in its help', async t => {
  for (const path of pathsOf(buildProgram(fakeIo().io))) {
    const { status, stdout } = await runVnode([...path, '--help'])
    t.equal(status, 0, path.join(' '))
    t.match(stdout, /^Usage: .*\n\n[A-Z]\S+ /, `${path.join(' ')}: a sentence`)
    t.match(stdout, /\nExamples?:\n {2}\S/, `${path.join(' ')}: an example`)
  }
})

function pathsOf(command: ReturnType<typeof buildProgram>): string[][] {
  return command.commands.flatMap(child => [
    [child.name()],
    ...pathsOf(child).map(path => [child.name(), ...path]),
  ])
}

await t.test('a fault is told without a stack trace, which is there on demand', async t => {
  const broken = () => Promise.reject(new TypeError('a bug\nof two lines'))
  for (const [env, wanted] of [
    [
      {},
      'vnode: internal error: a bug of two lines\nThis is a bug. Set VNODE_DEBUG=1 to see where it comes from, and report it.\n',
    ],
    [{ VNODE_DEBUG: '1' }, /^vnode: internal error: a bug of two lines\nTypeError: a bug\n[\s\S]* at /],
  ] as const) {
    const { status, stderr } = await runVnode(['rules', 'check', '-'], { env, readStdin: broken })
    t.equal(status, 1)
    if (typeof wanted === 'string') t.equal(stderr, wanted)
    else t.match(stderr, wanted)
  }
})
