/**
 * No secret is ever where somebody else could read it: not in what commands print and log, nor in Events and other objects of the
 * cluster, nor in URLs and headers, nor among the arguments of a process; and least of all when something goes wrong.
 */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { allowRequests, createCsr, leftAlone } from '../helpers/approver.ts'
import { bootstrapCluster, bootstrapScene } from '../helpers/bootstrap-scene.ts'
import { SOUND } from '../helpers/certificate-requests.ts'
import type { CliResult } from '../helpers/cli.ts'
import { type FakeEci, type Fault, TEST_ACCOUNT } from '../helpers/fake-eci/server.ts'
import type { Account } from '../helpers/fake-eci/signature.ts'
import { CommandLines, Secrets } from '../helpers/leaks.ts'
import { home, SEED_CONFIG } from '../helpers/vnode-config.ts'
import { runVnodeProcess } from '../helpers/vnode-process.ts'
import { lastingAdmin, VPC_APISERVER } from '../helpers/vnode-scene.ts'

const ACCOUNT: Account = { ...TEST_ACCOUNT, securityToken: 'CAIStokenOfTheFakeAccount0000' }
const CANARY = 'canary-that-must-be-found'
const CHANNELS = ['stdout', 'stderr', 'log', 'Events', 'objects', 'URLs', 'headers', 'arguments'] as const
type Channel = (typeof CHANNELS)[number]

interface Failure {
  readonly account?: Account
  /** On the way to the call that has the kubeconfig. */
  readonly fault?: Fault
  readonly times?: number
  readonly env?: Readonly<Record<string, string>>
}

/** A server that repeats whatever it was sent. */
const ECHO = [ACCOUNT.accessKeySecret, ACCOUNT.securityToken, CANARY].join(' ')

const FAILURES = new Map<string, Failure>([
  ['a wrong signature', { account: { ...ACCOUNT, accessKeySecret: 'another' } }],
  ['a token that has expired', { account: { ...ACCOUNT, isExpired: true } }],
  ['no permission', { account: { ...ACCOUNT, allowed: [] } }],
  [
    'a server that repeats what it was sent',
    { fault: { kind: 'refuse', status: 400, code: 'Invalid', message: ECHO } },
  ],
  ['throttling, then success', { fault: { kind: 'refuse', status: 400, code: 'Throttling.User' } }],
  ['pages of a gateway', { fault: { kind: 'html', status: 500 }, times: 5 }],
  ['connections that are cut', { fault: { kind: 'cut' }, times: 5 }],
  ['silence, then success', { fault: { kind: 'silence' } }],
  ['nobody there', { env: { VNODE_ECI_ENDPOINT: 'https://127.0.0.1:1' } }],
  ['an authority that nobody knows', { env: { VNODE_ECI_CA: '' } }],
])

const cluster = await bootstrapCluster(t)

if (cluster !== undefined) {
  const { controlPlane, approver } = cluster
  const admin = await lastingAdmin(controlPlane)
  const secrets = new Secrets()
  const shown = new Map<Channel, string[]>(CHANNELS.map(channel => [channel, []]))
  const show = (channel: Channel, text: string) => void shown.get(channel)?.push(text)
  /** Where secrets belong. */
  const kept: string[] = []
  const commandLines = new CommandLines()
  t.teardown(() => commandLines.stop())
  secrets.add('AccessKey secret', ACCOUNT.accessKeySecret)
  secrets.add('security token', String(ACCOUNT.securityToken))
  secrets.add("the kubeconfig's token", tokenOf(readFileSync(admin, 'utf8')))

  const vnode = async (
    argv: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<CliResult> => {
    const result = await runVnodeProcess(argv, { env })
    show('stdout', result.stdout)
    show('stderr', result.stderr)
    return result
  }

  const config = (rest = '') =>
    SEED_CONFIG.replace('/path/to/kubeconfig', admin).replace(
      /^.*access-key-secret.*$/m,
      `$&\n      security-token: ${ACCOUNT.securityToken}${rest}`,
    )

  /** A home folder, and a fake; `bootstrap` is of an installation of its own. */
  const makeScene = async (t: Test, account = ACCOUNT, more: Readonly<Record<string, string>> = {}) => {
    const { name, fake, kubeconfig } = await bootstrapScene(t, {
      controlPlane,
      fake: { accounts: [account] },
    })
    const own = home(t, config())
    const identity = readFileSync(kubeconfig, 'utf8')
    kept.push(own.read(), identity)
    secrets.add(`key of ${name}`, keyOf(identity))
    const env = {
      ...own.env,
      VNODE_ECI_ENDPOINT: fake.url,
      VNODE_ECI_CA: fake.caFile,
      VNODE_APISERVER: VPC_APISERVER,
      ...more,
    }
    const place = ['--install-namespace', name, '--name', name, '--kubeconfig', kubeconfig]
    const bootstrap = (...argv: string[]) =>
      vnode(['bootstrap', ...place, '--additional', '--skip-reach-check', '--verbose', ...argv], env)
    return { name, fake, own, env, bootstrap, vnode: (...argv: string[]) => vnode(argv, env) }
  }

  /** What the fake was sent, and the credentials in it. */
  const collect = (name: string, { calls }: FakeEci) => {
    for (const { url, headers, parameters } of calls) {
      // The one header that is made for it.
      const { 'x-acs-security-token': token = '', ...others } = headers
      kept.push(String(token), ...parameters.values())
      show('URLs', url)
      show('headers', JSON.stringify(others))
      const sent = Buffer.from(parameters.get('KubeConfig') ?? '', 'base64').toString('utf8')
      const [, id = ''] = /"token":"(\w{6}\.\w{16})"/.exec(sent) ?? []
      // The first six characters of a bootstrap token are its name.
      if (id !== '') secrets.add(`bootstrap token of ${name}`, id.slice(7))
      else if (sent !== '') secrets.add(`token for ${name}`, tokenOf(sent))
    }
  }

  t.test('the file of contexts, also where it is wrong', async t => {
    const { own, vnode } = await makeScene(t)
    const keys = join(own.folder, 'AccessKey.csv')
    writeFileSync(keys, `AccessKey ID,AccessKey Secret\n${ACCOUNT.accessKeyId},${ACCOUNT.accessKeySecret}\n`)
    for (const argv of [
      ['view'],
      ['view', '-o', 'json'],
      ['view', '-o', 'yaml'],
      ['get-contexts'],
      ['current-context'],
      ['set-context', 'default'],
      ['set', 'default', '--region-id', 'cn-hangzhou', '--dry-run'],
      ['set', 'other', '--access-key-file', keys, '--dry-run'],
      ['set', 'other', '--access-key-file', keys],
    ]) {
      const { status, stderr } = await vnode('config', ...argv)
      t.equal(status, 0, stderr)
    }
    const secret = ACCOUNT.accessKeySecret
    const wrong = [
      `"${secret}`,
      `[${secret}]`,
      `{a: ${secret}}`,
      `&a ${secret}\n  *b`,
      `${secret}: ${secret}`,
    ]
    for (const value of wrong) {
      writeFileSync(own.file, config().replace(secret, value))
      await vnode('config', 'view')
      const { status } = await vnode('list')
      t.not(status, 0, value.replaceAll(secret, '…'))
    }
    chmodSync(own.file, 0o644)
    await vnode('config', 'view')
    const kubeconfig = readFileSync(admin, 'utf8')
    const token = tokenOf(kubeconfig)
    for (const text of [
      kubeconfig.replace(`${token}"`, token),
      kubeconfig.replace(`"${token}"`, `["${token}"]`),
    ]) {
      t.not(text, kubeconfig)
      writeFileSync(own.file, config().replace(admin, join(own.folder, 'kubeconfig')))
      writeFileSync(join(own.folder, 'kubeconfig'), text)
      t.not((await vnode('create')).status, 0)
    }
  })

  t.test('a VNode by hand, and by bootstrap', async t => {
    const { name, fake, vnode, bootstrap } = await makeScene(t)
    const run = async (...argv: string[]) => {
      const { status, stderr } = await vnode(...argv)
      t.equal(status, 0, `${argv.join(' ')}: ${stderr}`)
    }
    await run('create', '--dry-run')
    await run('create', '--wait')
    const [id = ''] = fake.virtualNodes.map(one => one.id)
    await run('list')
    await run('list', '-o', 'json')
    await run('describe', id)
    await run('describe', id, '-o', 'yaml')
    await run('update', id, '--name', 'another', '--dry-run')
    await run('update', id, '--name', 'another')
    await run('cluster', 'clean', '--dry-run')
    await run('cluster', 'clean')
    await run('delete', id, '--dry-run')
    await run('delete', id)
    // A removal has more rights than the Job of an installation.
    const removal = ['--remove', '--kubeconfig', admin]
    for (const argv of [['--dry-run'], [], ['--dry-run'], [...removal, '--dry-run'], removal]) {
      const { status, stderr } = await bootstrap(...argv)
      t.equal(status, 0, stderr)
    }
    collect(name, fake)
  })

  t.test('add-ons: Helm is started with paths only', async t => {
    const { own, env } = await makeScene(t)
    const started = join(own.folder, 'helm-was-started')
    writeFileSync(join(own.folder, 'helm'), `#!/bin/sh\ntr '\\0' ' ' <"/proc/$$/cmdline" >>${started}\n`)
    chmodSync(join(own.folder, 'helm'), 0o755)
    const path = { ...env, PATH: `${own.folder}:${process.env.PATH}` }
    const argv = ['addon', 'enable', 'eci-profile', '--kubeconfig', admin]
    t.equal((await vnode(['addon', 'list', '--kubeconfig', admin], path)).status, 0)
    t.equal((await vnode([...argv, '--dry-run'], path)).status, 0)
    t.equal((await vnode(argv, path)).status, 0)
    const helm = readFileSync(started, 'utf8')
    t.match(helm, `--kubeconfig ${admin}`)
    show('arguments', helm)
  })

  t.test('every way to fail', async t => {
    // Most of it is waiting between attempts.
    t.jobs = 4
    for (const [what, failure] of FAILURES) {
      t.test(what, { buffered: true }, async t => {
        const { name, fake, vnode, bootstrap } = await makeScene(t, failure.account, failure.env)
        const plan = () => {
          if (failure.fault !== undefined) fake.plan('CreateVirtualNode', failure.fault, failure.times)
        }
        plan()
        const created = await vnode('create', '--name', `${name}-2`, '--additional')
        plan()
        // All of them share a cluster, where one without --additional waits for the others.
        const bootstrapped = await bootstrap('--vnode-name', name, '--additional')
        const wanted = what.endsWith('success') ? 0 : 1
        t.strictSame(
          [created.status, bootstrapped.status],
          [wanted, wanted],
          `${created.stderr}${bootstrapped.stderr}`,
        )
        collect(name, fake)
      })
    }
  })

  const texts = async () => {
    const list = (path: string) => controlPlane.ask('GET', path).then(found => JSON.stringify(found))
    show('Events', await list('/api/v1/events'))
    for (const plural of ['configmaps', 'nodes', 'serviceaccounts'])
      show('objects', await list(`/api/v1/${plural}`))
    show('log', JSON.stringify(approver.log))
    show('arguments', commandLines.text)
    return [...shown].map(([channel, parts]) => [channel, parts.join('\n')] as const)
  }

  t.test('what is looked for would be found', async t => {
    const { name, fake, env } = await makeScene(t)
    await vnode(['list', '--context', CANARY], env)
    await vnode(['addon', 'enable', 'eci-profile', '--kubeconfig', admin, '--set', CANARY, '--dry-run'], env)
    const namespace = `/api/v1/namespaces/${name}`
    const metadata = { name: 'canary', namespace: name }
    const involvedObject = { kind: 'ConfigMap', name: 'canary', namespace: name }
    await controlPlane.ask('POST', `${namespace}/events`, {
      body: { metadata, involvedObject, message: CANARY },
    })
    await controlPlane.ask('POST', `${namespace}/configmaps`, {
      body: { metadata, data: { canary: CANARY } },
    })
    await allowRequests(controlPlane, CANARY)
    const as = { user: CANARY, groups: [CANARY] }
    await leftAlone(controlPlane, await createCsr(controlPlane, { ...SOUND, as }))
    await call(fake, CANARY)
    collect(name, fake)
    const control = new Secrets()
    control.add('canary', CANARY)
    const found = (await texts()).filter(([, text]) => control.foundIn(text).length > 0)
    t.strictSame(
      found.map(([channel]) => channel),
      CHANNELS,
    )
    t.strictSame(secrets.foundIn(kept.join('\n')), secrets.names, 'each secret where it belongs')
    t.ok(secrets.names.length > 3 + 2 * FAILURES.size, secrets.names.join(', '))
  })

  t.test('no secret is anywhere else', async t => {
    for (const [channel, text] of await texts()) t.strictSame(secrets.foundIn(text), [], channel)
    const printed = [shown.get('stdout'), shown.get('stderr')].flat().join('\n')
    t.notMatch(printed, ACCOUNT.accessKeyId.slice(0, 5), 'four characters of the id at most')
  })
}

function call({ url, caPem }: FakeEci, text: string): Promise<unknown> {
  const options = { ca: caPem, method: 'POST', headers: { 'x-canary': text } }
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/?canary=${text}`, options, response => response.resume().on('end', resolve))
    sent.on('error', reject).end()
  })
}

/** A line of the client's key. */
function keyOf(kubeconfig: string): string {
  const [, encoded = ''] = /"client-key-data":\s*"([^"]+)"/.exec(kubeconfig) ?? []
  return Buffer.from(encoded, 'base64').toString('utf8').split('\n')[3] ?? ''
}

function tokenOf(kubeconfig: string): string {
  const [, token = ''] = /"?token"?:\s*"?([\w.-]{20,})/.exec(kubeconfig) ?? []
  return token
}
