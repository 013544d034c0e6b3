import t from 'tap'
import { runVnode } from '../helpers/cli.ts'
import { createRequest, eciClient } from '../helpers/eci-client.ts'
import { fakeEci, TEST_ACCOUNT } from '../helpers/fake-eci/server.ts'
import { home, SEED_CONFIG } from '../helpers/vnode-config.ts'

const IDS = ['vnd-00000000000000000001', 'vnd-00000000000000000002']
const fake = await fakeEci(t, { joins: false, ids: IDS })
const { env } = home(t, SEED_CONFIG)
const client = eciClient(t, fake)
await client.createVirtualNode(createRequest({ virtualNodeName: 'shop', tag: [{ key: 'team', value: 'a' }] }))
await client.createVirtualNode(createRequest({ clientToken: '2' }))
for (const one of fake.virtualNodes) Object.assign(one, { creationTime: '2026-01-02T03:04:05Z' })
fake.virtualNodes[1]?.events.push({ Type: 'Warning', Reason: 'FailedJoinCluster', Message: 'no route' })

const vnode = (...argv: string[]) =>
  runVnode(argv, { env: { ...env, VNODE_ECI_ENDPOINT: fake.url, VNODE_ECI_CA: fake.caFile } })

t.test("list shows VNodes of all clusters, as a table or in the API's words", async t => {
  const { status, stdout, stderr } = await vnode('list')
  t.strictSame([status, stderr], [0, ''])
  t.equal(
    stdout,
    [
      'VIRTUAL NODE               NAME   STATUS   REGION        VSWITCH                     SECURITY GROUP            CREATED',
      'vnd-00000000000000000001   shop   Ready    cn-hangzhou   vsw-7xv2yk45qp5etidgf0001   sg-7xv5tcch4kjdr65t0001   2026-01-02T03:04:05Z',
      'vnd-00000000000000000002   -      Ready    cn-hangzhou   vsw-7xv2yk45qp5etidgf0001   sg-7xv5tcch4kjdr65t0001   2026-01-02T03:04:05Z',
      '',
    ].join('\n'),
  )
  const json = JSON.parse((await vnode('list', '-o', 'json')).stdout)
  t.match(json, [{ VirtualNodeId: IDS[0], Tags: [{ Key: 'team', Value: 'a' }] }, { VirtualNodeId: IDS[1] }])
  t.match((await vnode('list', '-o', 'yaml')).stdout, /^- VirtualNodeId: vnd-00000000000000000001\n/)
})

t.test('list takes filters', async t => {
  const ids = async (...argv: string[]) =>
    JSON.parse((await vnode('list', '-o', 'json', ...argv)).stdout).map(
      (one: { VirtualNodeId: string }) => one.VirtualNodeId,
    )
  t.strictSame(await ids('--name', 'shop'), [IDS[0]])
  t.strictSame(await ids('--tag', 'team=a'), [IDS[0]])
  t.strictSame(await ids('--tag', 'team=b'), [])
  t.strictSame(await ids('--status', 'Ready'), IDS)
  t.equal((await vnode('list', '--status', 'Failed')).stdout, 'There are no VNodes.\n')
})

t.test('describe shows one, by its id or by the name of its Node', async t => {
  const { stdout } = await vnode('describe', 'cn-hangzhou.vnd-00000000000000000002')
  t.equal(
    stdout,
    `Virtual node      vnd-00000000000000000002
Node              cn-hangzhou.vnd-00000000000000000002
Status            Ready
Region            cn-hangzhou
VPC               vpc-7xv0000000000000test1
vSwitch           vsw-7xv2yk45qp5etidgf0001
Security group    sg-7xv5tcch4kjdr65t0001
Resource group    rg-default
Private address   192.168.6.12
Created           2026-01-02T03:04:05Z
Events
  2026-01-02T03:04:05Z  Warning  FailedJoinCluster: no route
`,
  )
  t.match(JSON.parse((await vnode('describe', IDS[0] ?? '', '-o', 'json')).stdout), {
    VirtualNodeName: 'shop',
  })
})

t.test('a wrong id is refused with the reason', async t => {
  t.match(await vnode('describe', 'shop'), {
    status: 2,
    stderr: /^vnode: "shop" is no VNode id, which looks like vnd-/,
  })
  t.match(await vnode('describe', 'vnd-99999999999999999999'), {
    status: 1,
    stdout: '',
    stderr:
      'vnode: there is no VNode vnd-99999999999999999999 in cn-hangzhou\nSee which there are with: vnode list (--region-id names another region)\n',
  })
})

t.test('where the context lacks something, that is said', async t => {
  const variables = { VNODE_ECI_ENDPOINT: fake.url, VNODE_ECI_CA: fake.caFile }
  const cases = new Map([
    [
      SEED_CONFIG.replace(/ +access-key-secret.*\n/, ''),
      /^vnode: context "default" has no access-key-secret\nSet the pair/,
    ],
    [
      SEED_CONFIG.replace(/ +access-key.*\n/g, ''),
      /^vnode: no AccessKey: the context has no access-key-id and access-key-secret/,
    ],
    [SEED_CONFIG.replace(/ +region-id.*\n/, ''), /^vnode: no region is given\nGive --region-id/],
    [
      SEED_CONFIG.replace(/current-context.*\n/, ''),
      /has no current-context\nChoose one with: vnode config set-context NAME/,
    ],
    [
      SEED_CONFIG.replace('cn-hangzhou', 'Hangzhou'),
      /:4:18: error: contexts\[0\]\.region-id: is no region id/,
    ],
  ])
  for (const [text, stderr] of cases) {
    const { env } = home(t, text)
    t.match(await runVnode(['list'], { env: { ...env, ...variables } }), { status: 2, stdout: '', stderr })
  }
  t.match(await vnode('list', '--context', 'other'), {
    status: 2,
    stderr: /has no context "other"; there are: default/,
  })
})

t.test('an AccessKey may come from the environment, and then the file is not needed', async t => {
  const { env } = home(t)
  const variables = {
    VNODE_ECI_ENDPOINT: fake.url,
    VNODE_ECI_CA: fake.caFile,
    VNODE_REGION_ID: 'cn-hangzhou',
    ALIBABA_CLOUD_ACCESS_KEY_ID: TEST_ACCOUNT.accessKeyId,
    ALIBABA_CLOUD_ACCESS_KEY_SECRET: TEST_ACCOUNT.accessKeySecret,
  }
  t.match(await runVnode(['list'], { env: { ...env, ...variables } }), { status: 0, stdout: /vnd-0+1/ })
  const wrong = { ...variables, ALIBABA_CLOUD_ACCESS_KEY_SECRET: 'another' }
  t.match(await runVnode(['list'], { env: { ...env, ...wrong } }), {
    status: 1,
    stderr: /SignatureDoesNotMatch[\s\S]*\nCheck the AccessKey secret/,
  })
  const { env: withFile } = home(t, SEED_CONFIG)
  t.match(await runVnode(['list'], { env: { ...withFile, ...wrong } }), { status: 0 }, 'the context wins')
  const chosen = await runVnode(['list', '--credentials', 'env'], { env: { ...withFile, ...wrong } })
  t.match(chosen, { status: 1, stderr: /SignatureDoesNotMatch/ })
})
