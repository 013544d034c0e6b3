/** `vnode bootstrap` as it is typed: its credentials, what it prints, and what it never does. */
import t, { type Test } from 'tap'
import { removalAccess } from '../../src/core/vnode/bootstrap-access.ts'
import { leftBy, patchRecord } from '../helpers/bootstrap.ts'
import { VPC_APISERVER } from '../helpers/bootstrap-run.ts'
import { bootstrapCluster, bootstrapScene } from '../helpers/bootstrap-scene.ts'
import { type CliResult, runVnode } from '../helpers/cli.ts'
import { type FakeEci, type FakeEciOptions, TEST_ACCOUNT, TEST_NETWORK } from '../helpers/fake-eci/server.ts'
import { home, SEED_CONFIG } from '../helpers/vnode-config.ts'
import { runVnodeProcess } from '../helpers/vnode-process.ts'
import { grantAccess } from '../helpers/webhook-rights.ts'

const cluster = await bootstrapCluster(t)
const { accessKeyId, accessKeySecret } = TEST_ACCOUNT
const NETWORK = [
  '--vswitch-id',
  'vsw-7xv2yk45qp5etidgf0001',
  '--security-group-id',
  'sg-7xv5tcch4kjdr65t0001',
]

if (cluster !== undefined) {
  const { controlPlane } = cluster

  interface Scene {
    readonly name: string
    readonly fake: FakeEci
    /** The whole command line of a run with these. */
    readonly line: (args: readonly string[]) => readonly string[]
    readonly run: (args: readonly string[], env?: Readonly<Record<string, string>>) => Promise<CliResult>
  }

  const makeScene = async (t: Test, options?: FakeEciOptions): Promise<Scene> => {
    const { name, fake, kubeconfig } = await bootstrapScene(t, {
      controlPlane,
      secrets: ['credentials'],
      ...(options === undefined ? {} : { fake: options }),
    })
    // The address is one of a VPC, which this machine does not reach.
    const flags = [
      '--install-namespace',
      name,
      '--name',
      name,
      '--apiserver',
      VPC_APISERVER,
      '--skip-reach-check',
    ]
    const where = [
      '--eci-endpoint',
      fake.url,
      '--eci-ca',
      fake.caFile,
      '--kubeconfig',
      kubeconfig,
      '--additional',
    ]
    const line = (args: readonly string[]) => ['bootstrap', ...flags, ...where, ...args]
    return { name, fake, line, run: (args, env = { HOME: '/nonexistent' }) => runVnode(line(args), { env }) }
  }

  t.test('with the AccessKey of a Secret; again it has nothing to do', async t => {
    const { name, fake, run } = await makeScene(t)
    await controlPlane.ask('POST', `/api/v1/namespaces/${name}/secrets`, {
      body: {
        metadata: { name: 'credentials' },
        stringData: { 'access-key-id': `${accessKeyId}\n`, 'access-key-secret': accessKeySecret },
      },
    })
    const args = [...NETWORK, '--region-id', 'cn-hangzhou', '--credentials-secret', 'credentials']
    const { status, stdout, stderr } = await run(args)
    t.equal(status, 0, stderr)
    const id = fake.virtualNodes[0]?.id
    t.equal(stdout, `VNode ${id} is registered; its Node cn-hangzhou.${id} is Ready.\n`)
    t.match(stderr, new RegExp(`^vnode: VNode ${id} is registered as ${name}; ECI's request id is `, 'm'))
    t.notMatch(stderr, /next: /, 'details on request only')
    const again = await run(args)
    t.match(again, { status: 0, stdout: new RegExp(`^VNode ${id} is registered already; its Node `) })
    t.equal(fake.callsOf('CreateVirtualNode').length, 1)
    const forPrograms = await run([...args, '-o', 'json'])
    t.strictSame(JSON.parse(forPrograms.stdout), {
      VirtualNodeId: id,
      NodeName: `cn-hangzhou.${id}`,
      Outcome: 'known',
    })
    // A removal has rights of its own.
    args.push('--remove', '--kubeconfig', controlPlane.kubeconfigPath)
    const removed = await run([...args, '-o', 'yaml'])
    t.match(removed, { status: 0, stdout: `VirtualNodeId: ${id}\nOutcome: deleted\n` })
    t.match(await run([...args, '-o', 'json']), { stdout: /"Outcome":"none"/ })
  })

  t.test('with a context of ~/.vnode/config, which has the network too', async t => {
    const { fake, run } = await makeScene(t)
    const [first, second] = TEST_NETWORK.vSwitches.map(({ vSwitchId }) => vSwitchId)
    // As people write a list.
    const { env } = home(t, SEED_CONFIG.replace(`${first}`, `${first}, ${second}`))
    const { status, stderr } = await run([], env)
    t.equal(status, 0, stderr)
    t.equal(fake.virtualNodes.length, 1)
    const [call] = fake.callsOf('CreateVirtualNode')
    t.equal(call?.parameters.get('VSwitchId'), `${first},${second}`)
  })

  t.test('stopped by SIGTERM while it waits for the Node, or while it removes', async t => {
    const { name, fake, line } = await makeScene(t, { joins: false })
    const { env } = home(t, SEED_CONFIG)
    const stopped = async (args: readonly string[], until: () => Promise<unknown>) => {
      const stop = new AbortController()
      const ended = runVnodeProcess(line(args), { env, stop: stop.signal })
      await until()
      stop.abort()
      return ended
    }
    const awaited = `/api/v1/namespaces/${name}/events?fieldSelector=reason=NodeAwaited`
    const waits = () => controlPlane.waitForAll(awaited, list => list.length > 0, { timeout: 60_000 })
    const { status, stderr } = await stopped([], waits)
    const id = fake.virtualNodes[0]?.id
    t.equal(status, 1)
    t.match(
      stderr,
      new RegExp(`vnode: interrupted; VNode ${id} is registered, and paid for\nRun the same again`),
    )
    t.notMatch(stderr, /bug|internal error/)

    // Of a removal that ECI leaves without an answer.
    const silence = { kind: 'silence' } as const
    fake.plan('DeleteVirtualNode', silence)
    const asked = () => fake.until(calls => calls.some(({ action }) => action === 'DeleteVirtualNode'))
    const user = `${name}-removal`
    const place = {
      installNamespace: name,
      prefix: name,
      virtualNodeName: name,
      identity: 'tls-bootstrap',
      secrets: [],
    } as const
    await grantAccess(controlPlane, user, removalAccess(place))
    const removal = await stopped(
      ['--remove', '--kubeconfig', await controlPlane.kubeconfig({ user })],
      asked,
    )
    t.equal(removal.status, 1)
    t.match(removal.stderr, new RegExp(`vnode: interrupted; VNode ${id} is registered, and paid for`))
    t.notMatch(removal.stderr, /bug|internal error/)
  })

  t.test('with the environment', async t => {
    const { fake, run } = await makeScene(t)
    const env = {
      HOME: '/nonexistent',
      ALIBABA_CLOUD_ACCESS_KEY_ID: accessKeyId,
      ALIBABA_CLOUD_ACCESS_KEY_SECRET: accessKeySecret,
      VNODE_REGION_ID: 'cn-hangzhou',
      VNODE_TAG: 'team=a,stage=prod',
      VNODE_TAINT: 'example.com/paid=true:PreferNoSchedule',
    }
    const { status, stderr } = await run(
      [...NETWORK, '--credentials', 'env', '--custom-resources', 'example.com/gpu=4'],
      env,
    )
    t.equal(status, 0, stderr)
    t.match(fake.virtualNodes, [
      {
        customResources: 'example.com/gpu=4',
        taints: [{ key: 'example.com/paid', value: 'true', effect: 'PreferNoSchedule' }],
      },
    ])
    t.match(fake.virtualNodes[0]?.tags.slice(-2), [
      { Key: 'team', Value: 'a' },
      { Key: 'stage', Value: 'prod' },
    ])
  })

  t.test('a dry run prints the request, and neither writes nor sends', async t => {
    const { name, fake, run } = await makeScene(t)
    const { env } = home(t, SEED_CONFIG)
    const { status, stdout, stderr } = await run(['--dry-run'], env)
    t.equal(status, 0, stderr)
    t.match(JSON.parse(stdout), {
      Action: 'CreateVirtualNode',
      RegionId: 'cn-hangzhou',
      VirtualNodeName: name,
      TlsBootstrapEnabled: true,
      KubeConfig: '**** (made when it is needed)',
    })
    t.strictSame(await leftBy(controlPlane, name), [])
    t.strictSame(fake.callsOf('CreateVirtualNode'), [])
    const refused = await run(['--dry-run', '--security-group-id', 'sg-none'], env)
    t.match(refused, {
      status: 1,
      stdout: '',
      stderr: /there is no security group sg-none.*\n.*--security-group-id/,
    })
    t.equal((await run([], env)).status, 0)
    const known = await run(['--dry-run'], env)
    t.match(known, { status: 0, stdout: /^VNode vnd-\S+ is registered already\.\n$/ })
  })

  t.test('a dry run of a removal says what it would do, and does nothing', async t => {
    const { name, fake, run } = await makeScene(t)
    const { env } = home(t, SEED_CONFIG)
    // Of a network that is not there: it is of no matter to a removal.
    const plan = (...args: string[]) =>
      run(['--remove', '--dry-run', '--security-group-id', 'sg-none', ...args], env)
    t.match(await plan(), { status: 0, stdout: 'There is no VNode to delete.\n' })
    t.equal((await run([], env)).status, 0)
    const id = fake.virtualNodes[0]?.id
    t.match(await plan(), { status: 0, stdout: `VNode ${id} would be drained and deleted.\n` })
    t.match(await plan('--region-id', 'cn-beijing'), { status: 1, stdout: '' })
    const said = new RegExp(
      `^There is no VNode to delete\\.\\nVNode ${id} is not written down as this release's, and would stay`,
    )
    await patchRecord(controlPlane, name, { virtualNodeId: null, recordedAt: null })
    t.match(await plan(), { status: 0, stdout: `VNode ${name} was asked for, and there was no answer` })
    await controlPlane.ask('DELETE', `/api/v1/namespaces/${name}/secrets/${name}-vnode`)
    t.match(await plan(), { status: 0, stdout: said })
    t.equal(fake.callsOf('CreateVirtualNode').length, 1)
    t.strictSame(fake.callsOf('DeleteVirtualNode'), [])
    t.strictSame(fake.callsOf('DescribeSecurityGroups').length, 1, 'of the registration alone')
  })

  t.test('what is wrong with the command line', async t => {
    const { fake, run } = await makeScene(t)
    const CASES: readonly [args: readonly string[], stderr: RegExp][] = [
      [NETWORK, /no region is given/],
      [['--region-id', 'cn-hangzhou'], /no AccessKey/],
      [
        ['--region-id', 'cn-hangzhou', '--credentials-secret', 'credentials'],
        /there is no Secret .*\/credentials with access-key-id/,
      ],
      [['--identity', 'kubeconfig'], /--identity kubeconfig needs --kubeconfig-secret NAME/],
      [['--identity', 'password'], /Allowed choices are tls-bootstrap, service-account, kubeconfig/],
      [['--taint', 'x:Sometimes'], /"x:Sometimes" is not key=value:effect, with one of NoSchedule, /],
      [['--cluster-dns', 'kube-dns'], /must be IP addresses/],
      [['--custom-resources', 'example.com/gpu'], /must be name=number/],
      [['--apiserver', 'http://192.168.0.10'], /must be https:\/\/host:port/],
    ]
    for (const [args, expected] of CASES) {
      const env = args[0] === '--identity' ? home(t, SEED_CONFIG).env : { HOME: '/nonexistent' }
      const { status, stderr } = await run(args, env)
      t.match(stderr, expected)
      t.equal(status, 2, args.join(' '))
    }
    t.strictSame(fake.calls, [])
  })
}
