import { mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runVnode } from '../helpers/cli.ts'
import { TEST_ACCOUNT } from '../helpers/fake-eci/server.ts'
import { home, SEED_CONFIG } from '../helpers/vnode-config.ts'

const { accessKeyId, accessKeySecret } = TEST_ACCOUNT
const TWO = SEED_CONFIG.replace(
  'current-context: default',
  '    - {name: beijing, region-id: cn-beijing}\ncurrent-context: default # the one',
)

t.test('set-context makes a context the current one and changes nothing else', async t => {
  const { env, file, read, mode } = home(t, TWO, 0o644)
  const { status, stdout, stderr } = await runVnode(['config', 'set-context', 'beijing'], { env })
  t.strictSame([status, stdout], [0, 'Switched to context "beijing".\n'])
  t.equal(stderr, `vnode: warning: ${file} can be read by others: chmod 600 ${file}\n`)
  t.equal(read(), TWO.replace('current-context: default', 'current-context: beijing'))
  t.equal(mode(), 0o600)
  t.strictSame(readdirSync(join(file, '..')), ['config'], 'nothing is left beside it')
  const again = await runVnode(['config', 'set-context', 'beijing'], { env })
  t.strictSame(again, { status: 0, stdout: 'Context "beijing" is the current one already.\n', stderr: '' })
  const current = await runVnode(['config', 'current-context'], { env })
  t.equal(current.stdout, 'beijing\n')
})

t.test('a context that is not there is not chosen', async t => {
  const { env, read, file } = home(t, TWO)
  const { status, stderr } = await runVnode(['config', 'set-context', 'shanghai'], { env })
  t.equal(status, 2)
  t.match(stderr, `vnode: ${file} has no context "shanghai"; there are: default, beijing\n`)
  t.equal(read(), TWO)
})

t.test('get-contexts and view show everything but the secrets', async t => {
  const commented = TWO.replace(
    'current-context',
    `# access-key-secret: old-${accessKeySecret}\ncurrent-context`,
  )
  const { env } = home(t, commented)
  const listed = await runVnode(['config', 'get-contexts'], { env })
  t.equal(
    listed.stdout,
    [
      'CURRENT   NAME      REGION        VSWITCH                     SECURITY GROUP            KUBECONFIG',
      '*         default   cn-hangzhou   vsw-7xv2yk45qp5etidgf0001   sg-7xv5tcch4kjdr65t0001   /path/to/kubeconfig',
      '          beijing   cn-beijing    -                           -                         -',
      '',
    ].join('\n'),
  )
  const viewed = await runVnode(['config', 'view'], { env })
  t.equal(
    viewed.stdout,
    commented
      .replace(accessKeyId, 'LTAI****')
      .replace(`old-${accessKeySecret}`, '****')
      .replace(accessKeySecret, '****'),
  )
  const json = JSON.parse((await runVnode(['config', 'view', '-o', 'json'], { env })).stdout)
  t.match(json, {
    contexts: [{ 'access-key-id': 'LTAI****', 'access-key-secret': '****' }, { name: 'beijing' }],
  })
  t.match(json, { 'current-context': 'default', kind: 'vnode' })
})

/** Each way of writing the secret down that YAML has. */
const spellings = [
  `access-key-secret: "${accessKeySecret}"`,
  `'access-key-secret': '${accessKeySecret}'`,
  `access-key-secret: {a: ${accessKeySecret}, b: [c, ${accessKeySecret}]}`,
  `access-key-secret: [ ${accessKeySecret} ]`,
  `access-key-secret: |-\n        ${accessKeySecret}`,
  `access-key-secret: >\n        ${accessKeySecret}\n`,
  `"access-key-secret" : !!str ${accessKeySecret}`,
  `access-key-secret: &s ${accessKeySecret}\n      security-token: *s`,
  `#access-key-secret=${accessKeySecret}\n      kubeconfig: /a`,
  `access_key_secret: ${accessKeySecret}`,
  `access-key-secert: ${accessKeySecret}`,
  `secret: [{key: ${accessKeySecret}}]`,
  `# accessKeySecret: ${accessKeySecret}\n      kubeconfig: /a`,
  `kubeconfig: /a\naccessKeySecret: ${accessKeySecret}`,
]

t.test('no way of writing a secret down escapes', async t => {
  for (const spelling of spellings) {
    const { env } = home(t, `kind: vnode\ncontexts:\n    - name: default\n      ${spelling}\n`)
    for (const output of ['yaml', 'json']) {
      const { status, stdout, stderr } = await runVnode(['config', 'view', '-o', output], { env })
      t.equal(status, 0, `${spelling}: ${stderr}`)
      t.notOk(`${stdout}${stderr}`.includes(accessKeySecret), `${output}: ${spelling}`)
    }
    const dry = await runVnode(['config', 'set', 'default', '--region-id', 'cn-beijing', '--dry-run'], {
      env,
    })
    t.notOk(`${dry.stdout}${dry.stderr}`.includes(accessKeySecret), `dry run: ${spelling}`)
  }
})

t.test('a key that nobody knows hides its own value alone', async t => {
  const { env } = home(
    t,
    'kind: vnode\ncontexts:\n  - name: default\n    zone: hangzhou\n    region-id: cn-hangzhou\n',
  )
  const { stdout, stderr } = await runVnode(['config', 'view'], { env })
  t.equal(stdout, 'kind: vnode\ncontexts:\n  - name: default\n    zone: ****\n    region-id: cn-hangzhou\n')
  t.match(stderr, /contexts\[0\]\.zone: is no key of a context, and is ignored/)
})

t.test('of a text that cannot be read nothing is shown but the places', async t => {
  const { env, file } = home(
    t,
    `kind: vnode\ncontexts:\n  - name: a\n    access-key-secret: "${accessKeySecret}\n`,
  )
  const { status, stdout, stderr } = await runVnode(['config', 'view'], { env })
  t.strictSame([status, stdout], [2, ''])
  t.match(stderr, `${file}:5:1: error: the text is not valid`)
  t.notOk(stderr.includes(accessKeySecret))
})

t.test('set makes file, folder and context, and takes the AccessKey from a file or stdin only', async t => {
  const { env, file, read, mode, folder } = home(t)
  const csv = join(folder, 'AccessKey.csv')
  writeFileSync(csv, `AccessKey ID,AccessKey Secret\n${accessKeyId},${accessKeySecret}\n`)
  const set = [
    'config',
    'set',
    'default',
    '--region-id',
    'cn-hangzhou',
    '--kubeconfig',
    '/k',
    '--access-key-file',
    csv,
  ]
  const made = await runVnode(set, { env })
  t.strictSame(made, { status: 0, stdout: `Context "default" made in ${file}.\n`, stderr: '' })
  const text = `kind: vnode
contexts:
  - name: default
    region-id: cn-hangzhou
    kubeconfig: /k
    access-key-id: ${accessKeyId}
    access-key-secret: ${accessKeySecret}
current-context: default
`
  t.equal(read(), text)
  t.equal(mode(), 0o600)
  const stdin = `STS.NUt7ABCDEF\nsecret-2\ntoken-of-the-session\n`
  const changed = await runVnode(['config', 'set', 'default', '--access-key-file', '-'], { env, stdin })
  t.equal(changed.stdout, `Context "default" changed in ${file}.\n`)
  t.match(
    read(),
    /access-key-id: STS\.NUt7ABCDEF\n +access-key-secret: secret-2\n +security-token: token-of-the-session\n/,
  )
  const flag = await runVnode(['config', 'set', 'default', '--access-key-secret', 'x'], { env })
  t.match(flag, { status: 2, stderr: /unknown option '--access-key-secret'/ })
  const none = await runVnode(['config', 'set', 'default', '--access-key-file', '-'], { env, stdin: 'hello' })
  t.match(none, { status: 2, stderr: /stdin holds no AccessKey/ })
})

t.test('a security token goes with the pair that it came with', async t => {
  const { env, read } = home(t, TWO)
  const set = (stdin: string) =>
    runVnode(['config', 'set', 'default', '--access-key-file', '-'], { env, stdin })
  await set('STS.NUt7ABCDEF\nsecret-2\ntoken-of-the-session\n')
  t.match(read(), /security-token: token-of-the-session/)
  t.match(await set('STS.NUt7GHIJKL\nsecret-3\n'), { status: 0 })
  t.notMatch(read(), /security-token/, "another pair's")
  await set('STS.NUt7ABCDEF\nsecret-2\ntoken-of-the-session\n')
  t.match(await set(`${accessKeyId},${accessKeySecret}\n`), { status: 0 })
  t.notMatch(read(), /security-token|token-of-the-session/, 'a permanent one has none')
  for (const kept of [accessKeyId, accessKeySecret, '# 集群kubeconfig文件', '{ name: beijing', '# the one'])
    t.ok(read().includes(kept), kept)
})

t.test('set keeps comments, other contexts and the current one', async t => {
  const { env, read } = home(t, TWO)
  await runVnode(['config', 'set', 'default', '--vswitch-id', 'vsw-a,vsw-b', '--kubeconfig', 'with blank'], {
    env,
  })
  t.equal(
    read(),
    TWO.replace('vsw-7xv2yk45qp5etidgf0001', 'vsw-a,vsw-b').replace('/path/to/kubeconfig', '"with blank"'),
  )
  await runVnode(['config', 'set', 'shanghai', '--region-id', 'cn-shanghai'], { env })
  for (const comment of ['# context名称', '# 集群kubeconfig文件', '# the one'])
    t.ok(read().includes(comment), comment)
  const { stdout } = await runVnode(['config', 'get-contexts', '-o', 'json'], { env })
  t.match(JSON.parse(stdout), [
    { name: 'default', current: true },
    { name: 'beijing', 'region-id': 'cn-beijing', current: false },
    { name: 'shanghai', 'region-id': 'cn-shanghai', current: false },
  ])
})

t.test('a dry run writes nothing', async t => {
  const { env, read } = home(t, TWO)
  const { stdout } = await runVnode(['config', 'set-context', 'beijing', '--dry'], { env })
  t.match(stdout, /^# \S+ would be:\nkind: vnode\n/)
  t.match(stdout, /current-context: beijing/)
  t.equal(read(), TWO)
})

t.test('a symbolic link stays one', async t => {
  const { env, folder, file, read } = home(t)
  const target = join(folder, 'elsewhere')
  writeFileSync(target, TWO, { mode: 0o600 })
  mkdirSync(join(folder, '.vnode'))
  symlinkSync(target, file)
  await runVnode(['config', 'set-context', 'beijing'], { env })
  t.equal(readlinkSync(file), target)
  t.match(read(), /current-context: beijing/)
  rmSync(target)
  t.match(await runVnode(['config', 'set', 'new', '--region-id', 'cn-beijing'], { env }), { status: 0 })
  t.equal(readlinkSync(file), target, 'nor if what it leads to is not there yet')
  t.match(read(), /region-id: cn-beijing/)
  rmSync(file)
  symlinkSync(file, file)
  t.match(await runVnode(['config', 'set', 'new', '--region-id', 'cn-beijing'], { env }), {
    status: 2,
    stderr: /ELOOP/,
  })
})

t.test('--config and VNODE_CONFIG name another file', async t => {
  const { env, file, folder } = home(t, TWO)
  const named = await runVnode(['config', 'current-context', '--config', file], { env: {} })
  t.equal(named.stdout, 'default\n')
  const variable = await runVnode(['config', 'current-context'], {
    env: { VNODE_CONFIG: '~/.vnode/config', HOME: folder },
  })
  t.equal(variable.stdout, 'default\n')
  const missing = await runVnode(['config', 'view'], { env: { ...env, VNODE_CONFIG: '/nowhere/config' } })
  t.match(missing, {
    status: 2,
    stderr: /^vnode: there is no \/nowhere\/config\nMake it with: vnode config set/,
  })
  const homeless = await runVnode(['config', 'view'], { env: {} })
  t.match(homeless, { status: 2, stderr: /HOME is not set/ })
})

t.test('every problem is named with its line and key', async t => {
  const { env, file } = home(
    t,
    `kind: node
context: []
contexts:
  - name: a
    region-id: Hangzhou
    access-key-id: LTAI with a blank
    vswitch-id: sw-1
    vswitch-ids: vsw-1
    kubeconfig: [1]
  - region-id: cn-hangzhou
  - name: a
current-context: b
`,
  )
  const { status, stderr } = await runVnode(['config', 'get-contexts'], { env })
  t.equal(status, 0)
  t.strictSame(stderr.replaceAll(`${file}:`, '').trimEnd().split('\n'), [
    '1:7: error: kind: must be vnode (found "node")',
    '2:1: warning: context: is no key of this file, and is ignored',
    '5:16: error: contexts[0].region-id: is no region id, such as cn-hangzhou (found "Hangzhou")',
    '6:20: error: contexts[0].access-key-id: has a blank or another character that no key has',
    '7:17: error: contexts[0].vswitch-id: is no vSwitch id, which begins with vsw- (several: comma-separated) (found "sw-1")',
    '8:5: warning: contexts[0].vswitch-ids: is no key of a context, and is ignored',
    '9:17: error: contexts[0].kubeconfig: must be a string (put it in quotes) (found [1])',
    '10:5: error: contexts[1].name: is missing',
    '11:11: error: contexts[2].name: is the name of an earlier context too (found "a")',
    '12:18: error: current-context: names no context; there are: a (found "b")',
  ])
  const set = await runVnode(['config', 'set-context', 'a'], { env })
  t.match(set, { status: 2, stderr: /vnode: 3 problems in / }, 'such a file is not written to')
})

t.test('files that are no such file', async t => {
  for (const [text, message] of [
    ['', 'the file is empty'],
    ['[]', 'must have the keys kind, contexts and current-context'],
    ['kind: vnode\n---\nkind: vnode', 'the file has several documents'],
    ['kind: vnode\ncontexts: {a: b}', 'contexts: must be a list of contexts, each with a name'],
    ['kind: vnode\ncontexts: [a]', 'contexts: must be a list of contexts, each with a name'],
  ] as const) {
    const { env } = home(t, text)
    const { stderr } = await runVnode(['config', 'get-contexts'], { env })
    t.match(stderr, new RegExp(`error: ${message.replaceAll(/[[\]]/g, '\\$&')}`), text)
  }
})
