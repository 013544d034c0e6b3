import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { removeOnExit } from '../helpers/child-process.ts'
import { CLI_FIXTURES } from '../helpers/cli.ts'

const VNODE = join(import.meta.dirname, '../../src/vnode.js')
/** Where distributions put their Node, which may be an old one. */
const SYSTEM_NODE = '/usr/bin/node'

interface Finished {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

async function run(command: string, args: readonly string[], stdin: string | Buffer = ''): Promise<Finished> {
  const child = spawn(command, args, { cwd: CLI_FIXTURES, timeout: 60_000 })
  child.stdin.on('error', () => undefined).end(stdin)
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { status, stdout, stderr }
}

function vnode(args: readonly string[], stdin: string | Buffer = ''): Promise<Finished> {
  return run(process.execPath, [VNODE, ...args], stdin)
}

t.test('stdin, stdout, stderr and the status are those of the process', async t => {
  const rules = readFileSync(join(CLI_FIXTURES, 'bad-rules.yaml'), 'utf8')
  const check = await vnode(['rules', 'check', '-'], rules)
  t.match(check, { status: 1, stderr: '' })
  t.match(check.stdout, /^stdin:10:78: error: /)
  t.notMatch(check.stdout, '\u001b', 'no colours in a pipe')
  const usage = await vnode(['explain'])
  t.match(usage, { status: 2, stdout: '', stderr: /^vnode: there is nothing to explain/ })
})

t.test('stdin in the encoding of Windows is read, and in an unknown one refused', async t => {
  const rules = readFileSync(join(CLI_FIXTURES, 'rules.yaml'), 'utf8')
  const read = await vnode(['rules', 'check', '-'], Buffer.from(`\uFEFF${rules}`, 'utf16le'))
  t.match(read, { status: 0, stdout: /^6 rules/ })
  const refused = await vnode(['rules', 'check', '-'], Buffer.from(`# caf\u00e9\n${rules}`, 'latin1'))
  t.match(refused, {
    status: 2,
    stderr: /^vnode: stdin is not valid UTF-8\nSave it as UTF-8\.\n/,
  })
})

t.test('colours can be forced and forbidden', async t => {
  const args = [VNODE, 'rules', 'check', 'rules.yaml']
  const forced = await run('/usr/bin/env', ['-u', 'NO_COLOR', 'FORCE_COLOR=1', process.execPath, ...args])
  t.match(forced.stdout, '\u001b[32mno problems')
  const forbidden = await run('/usr/bin/env', ['NO_COLOR=1', 'FORCE_COLOR=1', process.execPath, ...args])
  t.notMatch(forbidden.stdout, '\u001b')
})

t.test('a reader that has seen enough is no error, and does not hide the status', async t => {
  // More than a pipe holds, so that writing goes on after the reader has gone.
  const many = Array.from({ length: 3000 }, () =>
    readFileSync(join(CLI_FIXTURES, 'one-pod.yaml'), 'utf8'),
  ).join('---\n')
  const pipe = `set -o pipefail; "$0" "$@" | head -1`
  const explain = await run('/bin/bash', ['-c', pipe, process.execPath, VNODE, 'explain', '-f', '-'], many)
  t.match(explain, { status: 0, stderr: '' })
  t.match(explain.stdout, /^5 rules: .*\n$/)
})

t.test('output that cannot be written is a fault', async t => {
  if (!existsSync('/dev/full')) {
    t.pass('skipped', { skip: 'there is no /dev/full' })
    return
  }
  const { status } = await run('/bin/sh', ['-c', '"$0" "$@" > /dev/full', process.execPath, VNODE, 'version'])
  t.equal(status, 1)
})

t.test('a Node that is too old says so in one line', async t => {
  const version = existsSync(SYSTEM_NODE)
    ? execFileSync(SYSTEM_NODE, ['--version'], { encoding: 'utf8' }).trim()
    : ''
  if (version === '' || Number(/^v(\d+)/.exec(version)?.[1]) >= 22) {
    t.pass('skipped', { skip: `no Node older than 22 at ${SYSTEM_NODE}` })
    return
  }
  t.same(await run(SYSTEM_NODE, [VNODE, 'version']), {
    status: 1,
    stdout: '',
    stderr: `vnode: needs Node.js 22.19 or newer, and this is ${version.slice(1)} (${SYSTEM_NODE}). Put a newer one first on PATH; 24 is best.\n`,
  })
})

t.test('the first signal lets a server finish, the second ends it', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'vnode-signals-'))
  t.teardown(removeOnExit(folder))
  const where = ['--host', '127.0.0.1', '--port', '0', '--ops-port', '0', '--dev-certs', '--cert-dir', folder]
  const argv = [VNODE, 'webhook', '--rules', 'rules.yaml', ...where, '--shutdown-delay']
  const ends = async (delay: string, signals: readonly NodeJS.Signals[]) => {
    const child = spawn(process.execPath, [...argv, delay], { cwd: CLI_FIXTURES, timeout: 60_000 })
    const ended = once(child, 'exit')
    const left = [...signals]
    for await (const line of createInterface(child.stdout)) {
      if (!/"serving"|"told to stop/.test(line)) continue
      const signal = left.shift()
      if (signal !== undefined) child.kill(signal)
    }
    return await ended
  }
  t.same(await ends('0', ['SIGTERM']), [0, null])
  t.same(await ends('60', ['SIGTERM', 'SIGINT']), [130, null])
})

t.test('help loads no server, API client or parser', async t => {
  const { stdout } = await run(process.execPath, [
    '--input-type=module',
    '--eval',
    `import { registerHooks } from 'node:module'
     const seen = new Set()
     registerHooks({ resolve: (name, context, next) => (seen.add(name), next(name, context)) })
     const { runCli } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/cli/program.ts'))})
     const io = { stdout: () => 0, stderr: () => 0, env: {}, columns: 80 }
     await runCli(['--help'], io)
     console.log(JSON.stringify([...seen].filter(name => !/^[./]|^node:|^file:/.test(name))))`,
  ])
  const heavy = ['@kubernetes/client-node', 'fastify', 'node-forge', 'undici', 'yaml']
  t.same(
    JSON.parse(stdout).filter((name: string) => heavy.includes(name)),
    [],
  )
  t.match(stdout, 'commander', 'it looks at all')
})
