/** How the webhook starts, or says why it does not: files, certificates, ports, flags and variables. */
import { once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makePki, writePki } from '../helpers/certificates.ts'
import { freePorts } from '../helpers/free-ports.ts'
import { answerTo } from '../helpers/raw-requests.ts'
import { readiness, runProcess, startProcess, VnodeProcess } from '../helpers/webhook-process.ts'

const RULES = '- name: to-eci\n  objectSelector: { matchLabels: { eci: "true" } }\n'
const LOOPBACK = ['--host', '127.0.0.1', '--port', '0', '--ops-port', '0']
const QUICK = ['--shutdown-delay', '0']

async function holdPort(t: Test): Promise<string> {
  const [port = 0] = await freePorts(1)
  const server = createServer().listen({ host: '127.0.0.1', port })
  await once(server, 'listening')
  t.teardown(() => server.close())
  return String(port)
}

interface Failure {
  /** Relative to a folder that has `rules.yaml` and, in `certs`, a certificate. */
  readonly args: (t: Test, folder: string) => Promise<readonly string[]>
  readonly env?: Readonly<Record<string, string>>
  readonly stderr: RegExp
}

const plain = async (...args: readonly string[]) => ['--rules', 'rules.yaml', ...LOOPBACK, ...args]

const FAILURES: Readonly<Record<string, Failure>> = {
  'a file of rules that is not there': {
    args: async () => ['--rules', 'none.yaml', ...LOOPBACK],
    stderr: /^vnode: cannot read the rules file \/.*\/none\.yaml: ENOENT.*\n.*--rules/,
  },
  'one of two files that is not there': {
    args: async () => ['--rules', 'rules.yaml', '--rules', 'none.yaml', ...LOOPBACK],
    stderr: /none\.yaml: ENOENT/,
  },
  'a folder of certificates that is not there': {
    args: () => plain('--cert-dir', 'none'),
    stderr:
      /^vnode: \/.*\/none: ENOENT.*tls\.crt'\nPut tls\.crt and tls\.key \(PEM, no passphrase\) there, or let --dev-certs/,
  },
  'a key that is not the certificate’s': {
    args: async (_, folder) => {
      await writeFile(join(folder, 'certs/tls.key'), makePki().leaf.keyPem)
      return plain()
    },
    stderr: /^vnode: .*tls\.key does not belong to tls\.crt\n/,
  },
  'development certificates over somebody’s own': {
    args: () => plain('--dev-certs'),
    stderr: /^vnode: .*tls\.crt was not made by --dev-certs and is left as it is\nServe your own/,
  },
  'a port that is taken': {
    args: async t => [...(await plain()), '--port', await holdPort(t)],
    stderr:
      /^vnode: cannot listen on 127\.0\.0\.1, port \d+ \(EADDRINUSE\)\nChoose another one with --port\.\n$/,
  },
  'an ops port that is taken': {
    args: async t => [...(await plain()), '--ops-port', await holdPort(t)],
    stderr:
      /^vnode: cannot listen on 127\.0\.0\.1, port \d+ \(EADDRINUSE\)\nChoose another one with --ops-port\.\n$/,
  },
  'an address that is not this machine’s': {
    args: () => plain('--host', '192.0.2.1'),
    stderr:
      /^vnode: cannot listen on 192\.0\.2\.1, port 0 \(EADDRNOTAVAIL\)\nChoose another one with --host\.\n$/,
  },
  'a variable that names a file that is not there': {
    args: async () => LOOPBACK,
    env: { VNODE_RULES: 'rules.yaml, none.yaml' },
    stderr: /\/none\.yaml: ENOENT/,
  },
}

t.test('what cannot work is said, with what to do, and the status is 2', async t => {
  t.jobs = 2
  for (const [what, { args, env = {}, stderr }] of Object.entries(FAILURES)) {
    t.test(what, async t => {
      const folder = t.testdir({ 'rules.yaml': RULES })
      await writePki(join(folder, 'certs'), makePki())
      const run = await runProcess(t, { args: await args(t, folder), env, cwd: folder })
      t.equal(run.status, 2)
      t.match(run.stderr, stderr)
      t.notMatch(run.stderr, /\n\s+at /, 'no stack')
    })
  }
})

t.test('whatever stdout is, what cannot work ends it', async t => {
  const { openSync } = await import('node:fs')
  const folder = t.testdir({})
  // Something is logged before the files are looked for.
  const args = ['--dev-certs', '--cert-dir', 'certs', '--rules', 'none.yaml']
  const full = new VnodeProcess(t, { args, cwd: folder, stdout: openSync('/dev/full', 'w') })
  t.match(await full.exited, { signal: null }, 'a disk that is full')
  t.match(full.stderrText, /none\.yaml/)
  const gone = new VnodeProcess(t, { args, cwd: folder, stdout: 'pipe' })
  gone.stdout.destroy()
  t.match(await gone.exited, { signal: null }, 'a reader that is gone')
  t.match(gone.stderrText, /none\.yaml/)
})

t.test('flags win over variables, and lists of both kinds are read', async t => {
  const folder = t.testdir({
    'rules.yaml': RULES,
    'more.yaml': JSON.stringify({
      apiVersion: 'eci.aliyun.com/v1',
      kind: 'Selector',
      metadata: { name: 'more' },
      spec: { objectLabels: { matchLabels: { more: 'true' } } },
    }),
  })
  const env = {
    VNODE_RULES: ' rules.yaml , more.yaml,',
    VNODE_HOST: '127.0.0.1',
    VNODE_PORT: '1',
    VNODE_OPS_PORT: '0',
    VNODE_DEV_CERTS: 'true',
    VNODE_CERT_DIR: 'made/here',
    VNODE_LOG_LEVEL: 'debug',
    VNODE_SHUTDOWN_DELAY: '0',
    VNODE_HINTS: 'false',
    VNODE_KUBECONFIG: '',
  }
  const child = new VnodeProcess(t, { args: ['--port', '0'], env, cwd: folder })
  const { port, opsPort } = await child.logged('serving')
  t.ok(Number(port) > 1)
  t.equal((await stat(join(folder, 'made/here/tls.key'))).mode & 0o777, 0o600)
  const caPem = await readFile(join(folder, 'made/here/ca.crt'), 'utf8')
  t.match(await answerTo(t, { port: Number(port), caPem }), { status: 200 })
  const metrics = await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text()
  for (const origin of ['ConfigMap', 'Selector'])
    t.match(metrics, `vnode_profile_rules_loaded{origin="${origin}"} 1\n`)
  child.signal('SIGTERM')
  t.strictSame(await child.exited, { status: 0, signal: null })
  t.equal(child.stderrText, '')
})

t.test('a rule file that is wrong is no reason not to start', async t => {
  const webhook = await startProcess(t, { rules: '- name: [', args: QUICK })
  t.equal(await readiness(webhook), 200)
  const line = webhook.process.log.find(({ level }) => level === 'error')
  t.match(line, { problems: [/^line 1, column \d+: /] })
})

t.test('on all addresses, and on a name, it finds itself', async t => {
  const folder = t.testdir({ 'rules.yaml': RULES })
  for (const host of [[], ['--host', 'localhost']]) {
    const args = ['--rules', 'rules.yaml', '--dev-certs', '--port', '0', '--ops-port', '0', ...QUICK, ...host]
    const child = new VnodeProcess(t, { args, cwd: folder })
    const { opsPort } = await child.logged('serving')
    const ready = await fetch(`http://localhost:${opsPort}/readyz`)
    t.equal(ready.status, 200, `${host.at(-1) ?? 'none'}: ${await ready.text()}`)
    child.signal('SIGTERM')
    await child.exited
  }
})

t.test('a certificate that comes a moment later is waited for', async t => {
  const folder = t.testdir({ 'rules.yaml': RULES })
  const child = new VnodeProcess(t, { args: [...(await plain()), ...QUICK], cwd: folder })
  // Half of the pair, then the whole: whoever writes them is not finished at once.
  await writePki(join(folder, 'certs'), makePki())
  await child.logged('serving')
  child.signal('SIGTERM')
  t.match(await child.exited, { status: 0 })
})

t.test('a signal before it serves ends it too', async t => {
  const folder = t.testdir({ 'rules.yaml': RULES })
  const child = new VnodeProcess(t, { args: [...(await plain('--dev-certs')), ...QUICK], cwd: folder })
  await child.logged('development certificates made')
  child.signal('SIGTERM')
  t.match(await child.exited, { status: 0 })
})

t.test('hints say where it serves and what to try', async t => {
  const webhook = await startProcess(t, { args: ['--hints', ...QUICK] })
  webhook.process.signal('SIGTERM')
  await webhook.process.exited
  t.match(webhook.process.stderrText, `https://127.0.0.1:${webhook.port}`)
  t.match(webhook.process.stderrText, '--cacert')
  t.match(webhook.process.stderrText, '/readyz')
})
