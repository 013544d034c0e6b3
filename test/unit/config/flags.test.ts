import { Command, Option } from 'commander'
import t from 'tap'
import {
  applyEnvironment,
  commaList,
  objectName,
  repeated,
  variableOf,
  wholeNumber,
} from '../../../src/config/flags.ts'
import { runVnode } from '../../helpers/cli.ts'
import { Goldens } from '../../helpers/goldens.ts'

const makeCommand = () =>
  new Command()
    .option('--name <text>')
    .option('--file <file>', 'may be given several times', repeated)
    .option('--names <list>', 'names', commaList, ['one'])
    .option('--count <n>', 'how many', wholeNumber(0, 10), 3)
    .option('--dry-run')
    .option('--no-color')
    .addOption(new Option('--level <level>').choices(['low', 'high']).default('low'))

function optionsFor(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): object {
  const command = makeCommand().action(() => undefined)
  command.parse(argv, { from: 'user' })
  applyEnvironment(command, env)
  return command.opts()
}

const DEFAULTS = { names: ['one'], count: 3, color: true, level: 'low' }

const CASES: Readonly<
  Record<string, readonly [argv: string[], env: Record<string, string | undefined>, wanted: object]>
> = {
  'without either there are the defaults': [[], {}, {}],
  'a variable wins over a default': [[], { VNODE_NAME: 'a', VNODE_COUNT: '7' }, { name: 'a', count: 7 }],
  'a flag wins over a variable': [['--name', 'b'], { VNODE_NAME: 'a' }, { name: 'b' }],
  'a flag wins also with the value of the default': [['--count', '3'], { VNODE_COUNT: '7' }, { count: 3 }],
  'an empty variable says nothing': [[], { VNODE_NAME: '', VNODE_COUNT: '' }, {}],
  'an absent variable says nothing': [[], { VNODE_NAME: undefined }, {}],
  'a flag that repeats is a comma-separated list': [[], { VNODE_FILE: 'a,b' }, { file: ['a', 'b'] }],
  'spaces and empty members are none': [[], { VNODE_FILE: ' a , b,,' }, { file: ['a', 'b'] }],
  'flags that repeat replace the whole list': [
    ['--file', 'c', '--file', 'd,e'],
    { VNODE_FILE: 'a' },
    { file: ['c', 'd,e'] },
  ],
  'a list by comma is one for both': [[], { VNODE_NAMES: 'a, b' }, { names: ['a', 'b'] }],
  'a flag without a value is true': [[], { VNODE_DRY_RUN: 'true' }, { dryRun: true }],
  'or false': [[], { VNODE_DRY_RUN: 'false' }, { dryRun: false }],
  'a choice': [[], { VNODE_LEVEL: 'high' }, { level: 'high' }],
  'variables of others are no business of ours': [[], { NAME: 'a', VNODE_OTHER: 'b', vnode_name: 'c' }, {}],
}

for (const [sentence, [argv, env, wanted]] of Object.entries(CASES)) {
  t.test(sentence, async t => {
    t.strictSame(optionsFor(argv, env), { ...DEFAULTS, ...wanted })
  })
}

t.test('what cannot be read names its variable and the reason', async t => {
  const cases: [env: Record<string, string>, message: string | RegExp][] = [
    [{ VNODE_COUNT: '11' }, 'the variable VNODE_COUNT is wrong: must be a whole number from 0 to 10'],
    [{ VNODE_COUNT: 'many' }, /^the variable VNODE_COUNT is wrong: must be a whole number/],
    [{ VNODE_DRY_RUN: '1' }, 'the variable VNODE_DRY_RUN is wrong: must be true or false, not "1"'],
    [{ VNODE_LEVEL: 'loud' }, /^the variable VNODE_LEVEL is wrong: .*low, high/],
  ]
  for (const [env, message] of cases) t.throws(() => optionsFor([], env), { message })
})

t.test('variables are named by their flags', async t => {
  const names = makeCommand().options.map(variableOf)
  t.strictSame(names, [
    'VNODE_NAME',
    'VNODE_FILE',
    'VNODE_NAMES',
    'VNODE_COUNT',
    'VNODE_DRY_RUN',
    'VNODE_COLOR',
    'VNODE_LEVEL',
  ])
})

t.test('whole numbers', async t => {
  const read = wholeNumber(1, 20)
  for (const text of ['1', '20', '007']) t.equal(read(text), Number(text))
  for (const text of [
    '',
    '0',
    '21',
    '-1',
    '+1',
    '1.0',
    '1e1',
    '0x1',
    ' 1',
    '1 ',
    '٣',
    'NaN',
    '9'.repeat(400),
  ])
    t.throws(() => read(text), { message: 'must be a whole number from 1 to 20' }, JSON.stringify(text))
})

t.test('names of objects', async t => {
  t.strictSame(objectName('a/b.c'), { namespace: 'a', name: 'b.c' })
  for (const text of [
    'a',
    'a/',
    '/a',
    'a/b/c',
    'A/b',
    'a/b_c',
    'a.b/c',
    '-a/b',
    'a/b-',
    `${'a'.repeat(64)}/b`,
  ])
    t.throws(() => objectName(text), { message: 'must be namespace/name' }, text)
})

/** Command lines of the webhook that go no further than this. */
const WEBHOOK: Readonly<
  Record<string, readonly [argv: string[], env: Record<string, string>, stderr: RegExp]>
> = {
  'an unknown flag': [['--rule', 'x'], {}, /^vnode: unknown option '--rule'[\s\S]*--help/],
  'a port that is none': [['--port', '65536'], {}, /--port <n>.*from 0 to 65535/],
  'a delay that is none': [['--shutdown-delay', '-1'], {}, /--shutdown-delay <seconds>.*from 0 to 3600/],
  'a level that is none': [['--log-level', 'loud'], {}, /--log-level.*debug, info, warn, error, silent/],
  'an argument too many': [['rules.yaml'], {}, /too many arguments/],
  'a flag without its value': [['--rules'], {}, /--rules <file>' argument missing/],
  'the variable of a Service called vnode': [
    [],
    { VNODE_PORT: 'tcp://10.0.0.1:443' },
    /^vnode: the variable VNODE_PORT is wrong: must be a whole number from 0 to 65535\n$/,
  ],
  'a variable that is neither true nor false': [
    [],
    { VNODE_DEV_CERTS: 'yes' },
    /^vnode: the variable VNODE_DEV_CERTS is wrong: must be true or false, not "yes"\n$/,
  ],
  'a variable with labels that are none': [
    [],
    { VNODE_VNODE_NODE_SELECTOR: 'a=b c' },
    /^vnode: the variable VNODE_VNODE_NODE_SELECTOR is wrong: "a=b c" is not a label/,
  ],
  'a variable with a taint that is none': [
    [],
    { VNODE_VNODE_TOLERATION: 'a=b' },
    /^vnode: the variable VNODE_VNODE_TOLERATION is wrong: must be key=value:Effect/,
  ],
}

for (const [what, [argv, env, stderr]] of Object.entries(WEBHOOK)) {
  t.test(`the webhook ends with 2 at ${what}`, async t => {
    const run = await runVnode(['webhook', ...argv], { env })
    t.equal(run.status, 2)
    t.match(run.stderr, stderr)
    t.equal(run.stdout, '')
  })
}

t.test('what the webhook says of its flags', async t => {
  const goldens = new Goldens(`${import.meta.dirname}/../../fixtures/cli/goldens/webhook`)
  const { status, stdout, stderr } = await runVnode(['webhook', '--help'])
  t.match({ status, stderr }, { status: 0, stderr: '' })
  goldens.check(t, 'help', stdout)
  goldens.checkUnused(t)
})
