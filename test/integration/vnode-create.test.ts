/** `vnode create` when it does not go as in the walk-through: one VNode, whatever happens, and nothing paid for in vain. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { eciClient } from '../helpers/eci-client.ts'
import { TEST_ACCOUNT, TEST_NETWORK } from '../helpers/fake-eci/server.ts'
import { home } from '../helpers/vnode-config.ts'
import { runVnodeProcess } from '../helpers/vnode-process.ts'
import { lastingAdmin, VPC_APISERVER, vnodeScene } from '../helpers/vnode-scene.ts'

const controlPlane = await controlPlaneOrSkip(t, { controllerManager: true })
if (controlPlane !== undefined) {
  const kubeconfig = await lastingAdmin(controlPlane)
  const { metadata } = await controlPlane.ask('GET', '/api/v1/namespaces/kube-system')
  await controlPlane.ask('POST', '/api/v1/namespaces/kube-system/services', {
    body: { metadata: { name: 'kube-dns' }, spec: { clusterIP: '10.0.0.10', ports: [{ port: 53 }] } },
  })
  const options = { controlPlane, kubeconfig }
  const RECORDS = '/api/v1/namespaces/kube-system/secrets'
  const idOf = (stdout: string): string => JSON.parse(stdout).VirtualNodeId

  t.test('every flag reaches the request, and a dry run shows it without its secrets', async t => {
    const { fake, vnode } = await vnodeScene(t, { ...options, joins: false })
    const [first, second] = TEST_NETWORK.vSwitches
    const flags = [
      ...['--name', 'shop', '--vswitch-id', `${first?.vSwitchId},${second?.vSwitchId}`],
      ...['--custom-resources', 'example.com/gpu=4', '--cluster-domain', 'cluster.local'],
      ...['--zone-id', 'cn-hangzhou-b', '--resource-group-id', 'rg-1', '--eip', 'eip-1', '--public-network'],
      ...['--tag', 'team=a', '--taint', 'dedicated=ci:NoExecute', '--prefer-no-schedule'],
    ]
    const wanted = {
      RegionId: 'cn-hangzhou',
      VSwitchId: `${first?.vSwitchId},${second?.vSwitchId}`,
      SecurityGroupId: TEST_NETWORK.securityGroups[0]?.securityGroupId,
      VirtualNodeName: 'shop',
      CustomResources: 'example.com/gpu=4',
      ClusterDNS: '10.0.0.10',
      ClusterDomain: 'cluster.local',
      ZoneId: 'cn-hangzhou-b',
      ResourceGroupId: 'rg-1',
      EipInstanceId: 'eip-1',
    }
    const dry = await vnode('create', ...flags, '--dry-run')
    t.equal(dry.status, 0, dry.stderr)
    t.match(JSON.parse(dry.stdout), {
      Action: 'CreateVirtualNode',
      ...wanted,
      EnablePublicNetwork: true,
      KubeConfig: /^\*\*\*\* \(\d+ characters of base64\)$/,
      ClientToken: 'drawn for each run',
      Tag: [
        { Key: 'vnode-profile.io/cluster', Value: metadata.uid },
        { Key: 'vnode-profile.io/cluster-dns', Value: '10.0.0.10' },
        { Key: 'vnode-profile.io/cluster-domain', Value: 'cluster.local' },
        { Key: 'vnode-profile.io/custom-resources', Value: 'example.com/gpu=4' },
        { Key: 'team', Value: 'a' },
      ],
      Taint: [
        { Key: 'k8s.aliyun.com/vnode', Value: 'true', Effect: 'PreferNoSchedule' },
        { Key: 'dedicated', Value: 'ci', Effect: 'NoExecute' },
      ],
    })
    t.equal(fake.calls.length, 0)
    const created = await vnode('create', ...flags, '-o', 'yaml')
    t.match(created, { status: 0, stderr: '', stdout: /^RequestId: [0-9A-F-]{36}\nVirtualNodeId: vnd-/ })
    const [call] = fake.callsOf('CreateVirtualNode')
    t.match(Object.fromEntries(call?.parameters ?? []), { ...wanted, EnablePublicNetwork: 'true' })
    const sent = JSON.parse(Buffer.from(call?.parameters.get('KubeConfig') ?? '', 'base64').toString('utf8'))
    t.equal(sent.clusters[0].cluster.server, VPC_APISERVER)
  })

  t.test(
    'an answer that is lost for good is got by running it again: one VNode, and one ClientToken',
    async t => {
      const { fake, vnode } = await vnodeScene(t, { ...options, joins: false })
      fake.plan('CreateVirtualNode', { kind: 'cut', executed: true }, 5)
      const lost = await vnode('create')
      t.match(lost, {
        status: 1,
        stdout: '',
        stderr: /CreateVirtualNode: no answer from .* \(5 attempts\)\nCheck the network/,
      })
      t.match(lost.stderr, /CreateVirtualNode: no answer from .*; trying again in 1 s\n/)
      // As if the VNode were not listed before it is asked for again.
      const hidden = fake.world.virtualNodes.splice(0)
      const wait = async () => fake.world.virtualNodes.push(...hidden)
      fake.plan('CreateVirtualNode', { kind: 'after', wait })
      const again = await vnode('create')
      t.match(again, { status: 0 }, again.stderr)
      t.equal(idOf(again.stdout), hidden[0]?.id)
      const tokens = fake.callsOf('CreateVirtualNode').map(({ parameters }) => parameters.get('ClientToken'))
      t.equal(tokens.length, 6)
      t.equal(new Set(tokens).size, 1)
    },
  )

  t.test('killed while ECI is asked, it goes on when it is run again', async t => {
    const { fake, env } = await vnodeScene(t, { ...options, joins: false })
    const kill = new AbortController()
    fake.plan('CreateVirtualNode', { kind: 'silence', executed: true })
    const killed = runVnodeProcess(['create'], { env, signal: kill.signal })
    await fake.until(calls => calls.some(call => call.action === 'CreateVirtualNode' && call.isExecuted))
    kill.abort()
    t.equal((await killed).status, -1)
    const again = await runVnodeProcess(['create'], { env })
    t.equal(again.status, 0, again.stderr)
    t.strictSame(
      fake.virtualNodes.map(({ id }) => id),
      [idOf(again.stdout)],
    )
  })

  t.test('two at once ask for the same VNode', async t => {
    const { fake, env } = await vnodeScene(t, { ...options, joins: false })
    const results = await Promise.all([1, 2, 3].map(() => runVnodeProcess(['create'], { env })))
    for (const { status, stderr } of results) t.equal(status, 0, stderr)
    t.equal(fake.virtualNodes.length, 1)
    t.equal(new Set(results.map(({ stdout }) => idOf(stdout))).size, 1)
  })

  t.test(
    'one VNode for a cluster and name: adopted from another machine, refused under another name, anew when it is gone',
    async t => {
      const { fake, vnode, env } = await vnodeScene(t, { ...options, joins: false })
      const first = await vnode('create')
      const { env: elsewhere } = home(t, readFileSync(join(env.HOME ?? '', '.vnode', 'config'), 'utf8'))
      const adopted = await runVnodeProcess(['create'], { env: { ...env, ...elsewhere } })
      t.match(adopted, { status: 0, stderr: /exists already; nothing was created/ })
      const differs = await vnode('create', '--custom-resources', 'example.com/gpu=4')
      t.match(differs, {
        status: 0,
        stderr:
          /was registered with other values than today's; vnode update .*exists already; nothing was created/s,
      })
      await controlPlane.ask('DELETE', `${RECORDS}/vnode-create-vnode`)
      const found = await vnode('create')
      t.match(found, { status: 0, stderr: /exists for this cluster already, and is used/ })
      t.equal(idOf(found.stdout), idOf(first.stdout))
      t.equal(idOf(adopted.stdout), idOf(first.stdout))
      const other = await vnode('create', '--name', 'other')
      t.match(other, {
        status: 1,
        stdout: '',
        stderr:
          /this cluster has a VNode already: vnd-\w+ \(vnode\); one named other would be paid for besides/,
      })
      t.equal(fake.virtualNodes.length, 1)
      t.match(await vnode('create', '--additional'), { status: 2, stderr: /--additional needs a --name/ })
      t.match(await vnode('create', '--name', 'other', '--additional'), { status: 0 })
      t.equal(fake.virtualNodes.length, 2)
      await eciClient(t, fake).deleteVirtualNode(idOf(first.stdout))
      // A VNode that was written down a moment ago may just not be listed yet; as if that had been an hour ago.
      await controlPlane.ask('PATCH', `${RECORDS}/vnode-create-vnode`, {
        body: { data: { recordedAt: Buffer.from('2026-01-01T00:00:00Z').toString('base64') } },
        contentType: 'application/merge-patch+json',
      })
      const anew = await vnode('create', '--additional', '--name', 'vnode')
      t.match(anew, { status: 0, stderr: /is not there any more; a new one is registered/ })
      t.not(idOf(anew.stdout), idOf(first.stdout))
      t.equal(fake.virtualNodes.length, 2)
    },
  )

  t.test('a kubeconfig that no VNode could use is refused before anything is paid for', async t => {
    const { fake, vnode, env, home } = await vnodeScene(t, { ...options, joins: false })
    const local = await runVnodeProcess(['create'], { env: { ...env, VNODE_APISERVER: '' } })
    t.match(local, { status: 2, stdout: '', stderr: /https:\/\/127\.0\.0\.1:\d+ is a loopback address/ })
    t.match(local.stderr, /\n--apiserver sends another address than the file has\.\n$/)
    const ends = await vnode('create', '--kubeconfig', controlPlane.kubeconfigPath)
    t.match(ends, {
      status: 2,
      stderr:
        /its client certificate ends on \d{4}-\d\d-\d\d, and the API cannot replace it\nGive a credential that lasts/,
    })
    const plugin = JSON.parse(readFileSync(kubeconfig, 'utf8'))
    const { token } = plugin.users[0].user
    plugin.users[0].user = {
      exec: {
        apiVersion: 'client.authentication.k8s.io/v1',
        command: 'echo',
        interactiveMode: 'Never',
        args: [
          JSON.stringify({
            apiVersion: 'client.authentication.k8s.io/v1',
            kind: 'ExecCredential',
            status: { token },
          }),
        ],
      },
    }
    const file = join(home.folder, 'plugin.kubeconfig')
    writeFileSync(file, JSON.stringify(plugin))
    const exec = await vnode('create', '--kubeconfig', file)
    t.match(exec, { status: 2, stderr: /its user gets credentials from a plugin \(exec\)/ })
    t.equal(fake.callsOf('CreateVirtualNode').length, 0)
    t.equal(fake.virtualNodes.length, 0)
  })

  /** What ECI and its neighbours say no to, and what is said of it. */
  const refusals: Readonly<
    Record<string, readonly [argv: readonly string[], stderr: RegExp, calls: number]>
  > = {
    'an unknown vSwitch': [
      ['--vswitch-id', 'vsw-unknown'],
      /there is no vSwitch vsw-unknown in cn-hangzhou\nCorrect the vSwitch ids/,
      0,
    ],
    'vSwitches of two VPCs': [
      ['--vswitch-id', TEST_NETWORK.vSwitches.map(({ vSwitchId }) => vSwitchId).join(',')],
      /the vSwitches are not in one VPC/,
      0,
    ],
    'an unknown security group': [
      ['--security-group-id', 'sg-unknown'],
      /there is no security group sg-unknown/,
      0,
    ],
    "another VPC's security group": [
      ['--security-group-id', TEST_NETWORK.securityGroups[1]?.securityGroupId ?? ''],
      /security group .* is in vpc-\w+, the vSwitches are in vpc-/,
      0,
    ],
  }
  for (const [sentence, [argv, stderr, calls]] of Object.entries(refusals)) {
    t.test(`${sentence} is refused before anything is paid for`, async t => {
      const { fake, vnode } = await vnodeScene(t, { ...options, joins: false })
      t.match(await vnode('create', ...argv), { status: 1, stdout: '', stderr })
      t.equal(fake.callsOf('CreateVirtualNode').length, calls)
    })
  }

  t.test('a quota without room for a VNode is seen before', async t => {
    const { fake, vnode } = await vnodeScene(t, { ...options, joins: false, maxCpu: 3, usedCpu: 2 })
    const { status, stderr } = await vnode('create')
    t.equal(status, 1)
    t.match(stderr, /the quota of ECI in cn-hangzhou has no room for a VNode: 2 of 3 vCPUs are in use/)
    t.equal(fake.callsOf('CreateVirtualNode').length, 0)
  })

  /** Of the API: the code, what to do, one call, exit 1. */
  const codes = new Map([
    ['Forbidden.RAM', [403, /Allow eci:CreateVirtualNode to this identity/]],
    ['QuotaExceeded', [403, /Ask for a higher quota/]],
    ['InvalidVSwitchId.NotFound', [404, /Check the vSwitch ids/]],
    ['Account.Arrearage', [400, /Settle the account/]],
  ] as const)
  for (const [code, [status, next]] of codes) {
    t.test(`${code} is said with what to do, and not tried again`, async t => {
      const { fake, vnode } = await vnodeScene(t, { ...options, joins: false })
      fake.plan('CreateVirtualNode', { kind: 'refuse', status, code, message: 'no' })
      const refused = await vnode('create')
      t.match(refused, { status: 1, stdout: '', stderr: next })
      t.match(refused.stderr, `vnode: CreateVirtualNode: ${code}: no (HTTP ${status}, request id `)
      t.equal(fake.callsOf('CreateVirtualNode').length, 1)
      t.match(await vnode('create'), { status: 0 }, 'once it is mended')
      t.equal(fake.virtualNodes.length, 1)
    })
  }

  t.test('throttling, a page of a gateway and silence pass', async t => {
    const { fake, vnode } = await vnodeScene(t, { ...options, joins: false })
    fake.plan('CreateVirtualNode', { kind: 'refuse', status: 400, code: 'Throttling.User' })
    fake.plan('CreateVirtualNode', { kind: 'html', status: 502, executed: true })
    const { status, stderr } = await vnode('create')
    t.equal(status, 0, stderr)
    t.match(stderr, /CreateVirtualNode: Throttling\.User; trying again in 1 s\n/)
    t.match(stderr, /CreateVirtualNode: the answer is not JSON but a page "502 Bad Gateway"/)
    t.equal(fake.virtualNodes.length, 1)
  })

  t.test('keys that are wrong or over are said to be', async t => {
    const token = 'CAIS-token'
    const account = { ...TEST_ACCOUNT, securityToken: token, isExpired: true }
    const { fake, env } = await vnodeScene(t, { ...options, joins: false, accounts: [account] })
    const own = {
      ...env,
      ALIBABA_CLOUD_ACCESS_KEY_ID: account.accessKeyId,
      ALIBABA_CLOUD_ACCESS_KEY_SECRET: account.accessKeySecret,
      ALIBABA_CLOUD_SECURITY_TOKEN: token,
    }
    const run = (env: Readonly<Record<string, string>>) =>
      runVnodeProcess(['create', '--credentials', 'env'], { env })
    t.match(await run(own), {
      status: 1,
      stderr: /InvalidSecurityToken\.Expired[\s\S]*\nThe STS token has expired/,
    })
    t.match(await run({ ...own, ALIBABA_CLOUD_ACCESS_KEY_ID: 'LTAIunknown' }), {
      status: 1,
      stderr: /InvalidAccessKeyId\.NotFound[\s\S]*\nCheck the AccessKey id/,
    })
    fake.signatures.now = () => Date.now() + 3_600_000
    t.match(await run(own), {
      status: 1,
      stderr: /InvalidTimeStamp\.Expired[\s\S]*\nSet this machine's clock/,
    })
    t.equal(fake.callsOf('DescribeVirtualNodes').length, 3, 'each once')
  })

  t.test('a VNode that cannot join is told of by --wait', async t => {
    const namespace = await controlPlane.namespace(t)
    const weak = await controlPlane.kubeconfig({ namespace, serviceAccount: 'default', isLasting: true })
    const { vnode, fake } = await vnodeScene(t, options)
    const text = JSON.parse(readFileSync(weak, 'utf8'))
    t.ok(text.users[0].user.token)
    // It may look at the cluster, and no more: enough for create, not for a Node.
    await controlPlane.ask('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      body: {
        metadata: { name: 'weak' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
        subjects: [{ kind: 'ServiceAccount', name: 'default', namespace }],
      },
    })
    await controlPlane.ask('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      body: {
        metadata: { name: 'weak-nodes' },
        roleRef: {
          apiGroup: 'rbac.authorization.k8s.io',
          kind: 'ClusterRole',
          name: 'system:kube-scheduler',
        },
        subjects: [{ kind: 'ServiceAccount', name: 'default', namespace }],
      },
    })
    const forbidden = await vnode('create', '--kubeconfig', weak)
    t.match(forbidden, {
      status: 1,
      stdout: '',
      stderr: /what is asked of ECI is written down first: .* 403/,
    })
    t.equal(fake.virtualNodes.length, 0)
    const failed = await vnode('create', '--bootstrap-kubeconfig', weak, '--wait')
    t.match(failed, {
      status: 1,
      stdout: '',
      stderr: /has failed on ECI's side: FailedJoinCluster: .*forbidden/,
    })
    t.equal(fake.virtualNodes.length, 1)
  })
}
