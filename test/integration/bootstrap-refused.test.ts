/** What `vnode bootstrap` refuses before anything is paid for, with what to do about it. */
import t, { type Test } from 'tap'
import type { BootstrapSettings } from '../../src/bootstrap/settings.ts'
import type { IdentityKind } from '../../src/core/vnode/identity.ts'
import { bootstrap, bootstrapName, leftBy, prepareBootstrap } from '../helpers/bootstrap.ts'
import { VPC_APISERVER } from '../helpers/bootstrap-run.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { eciClient } from '../helpers/eci-client.ts'
import { type FakeEci, type FakeEciOptions, fakeEci, TEST_ACCOUNT } from '../helpers/fake-eci/server.ts'

/** Without --enable-bootstrap-token-auth. */
const controlPlane = await controlPlaneOrSkip(t, { controllerManager: true })

const NETWORK = {
  vSwitchIds: ['vsw-7xv2yk45qp5etidgf0001'],
  securityGroupId: 'sg-7xv5tcch4kjdr65t0001',
  tags: [],
  taints: [],
  hasPublicNetwork: false,
}

interface Case {
  readonly identity?: IdentityKind
  readonly settings?: (name: string) => Partial<BootstrapSettings>
  /** Of the Secret `given`. */
  readonly given?: (kubeconfig: string) => string
  readonly fake?: FakeEciOptions
  readonly message: RegExp
  readonly next: RegExp
}

const given = {
  identity: 'kubeconfig',
  settings: () => ({
    identity: { kind: 'kubeconfig' as const, kubeconfigSecret: { name: 'given', key: 'kubeconfig' } },
  }),
} as const

const withUser = (user: object) => (kubeconfig: string) =>
  JSON.stringify({ ...JSON.parse(kubeconfig), users: [{ name: 'test', user }] })

const CASES = new Map<string, Case>([
  [
    'an API server on loopback',
    {
      settings: () => ({ apiserver: 'https://127.0.0.1:6443' }),
      message: /https:\/\/127\.0\.0\.1:6443 is a loopback address/,
      next: /--apiserver, bootstrap\.apiserver.*192\.168/,
    },
  ],
  [
    "the Service's address",
    {
      settings: () => ({ apiserver: 'https://10.0.0.1' }),
      message: /https:\/\/10\.0\.0\.1 is a Service's address/,
      next: /bootstrap\.apiserver/,
    },
  ],
  [
    'nothing but the address that this program has itself',
    {
      settings: () => ({ apiserver: undefined }),
      message: /127\.0\.0\.1:\d+ is a loopback address/,
      next: /bootstrap\.apiserver/,
    },
  ],
  [
    'a kubeconfig pointing to 127.0.0.1',
    {
      ...given,
      given: text => text,
      message: /in Secret .*\/given: https:\/\/127\.0\.0\.1:\d+ is a loopback/,
      next: /address in the VPC/,
    },
  ],
  [
    'a kubeconfig with an exec plugin',
    {
      ...given,
      given: text => withUser({ exec: { command: 'aliyun' } })(text.replace(/https:[^"]+/, VPC_APISERVER)),
      message: /its user gets credentials from a plugin \(exec\)/,
      next: /TLS bootstrap/,
    },
  ],
  [
    'a kubeconfig with a credential that ends in a week',
    {
      ...given,
      // The certificates of tests end in a day.
      given: text => text.replace(/https:[^"]+/, VPC_APISERVER),
      message: /its client certificate ends on \d{4}-\d\d-\d\d, and the API cannot replace it/,
      next: /renews itself/,
    },
  ],
  [
    'a Secret that is not there',
    {
      ...given,
      message: /there is no Secret .*\/given with a key kubeconfig/,
      next: /kubectl -n .* create secret generic given/,
    },
  ],
  [
    'an API server that takes no bootstrap tokens',
    {
      message: /does not know the VNode's credential \(401\)/,
      next: /--enable-bootstrap-token-auth.*service-account/,
    },
  ],
  [
    'an identity without rights',
    {
      identity: 'service-account',
      message: /the VNode's identity may not create nodes/,
      next: /the chart has the roles/,
    },
  ],
  [
    'a name that no VNode can have',
    {
      settings: () => ({ virtualNode: { ...NETWORK, name: 'Edge_1' } }),
      message: /A VNode's name holds only lower-case/,
      next: /bootstrap/,
    },
  ],
  [
    'a vSwitch that is not there',
    {
      settings: name => ({ virtualNode: { ...NETWORK, name, vSwitchIds: ['vsw-none'] } }),
      message: /there is no vSwitch vsw-none in cn-hangzhou/,
      next: /bootstrap\.vSwitchIds/,
    },
  ],
  [
    'vSwitches of two VPCs',
    {
      settings: name => ({
        virtualNode: {
          ...NETWORK,
          name,
          vSwitchIds: ['vsw-7xv2yk45qp5etidgf0001', 'vsw-7xvotherotherother0001'],
        },
      }),
      message: /the vSwitches are not in one VPC: vsw-.* in vpc-.*test1, vsw-.* in vpc-.*test2/,
      next: /one VPC/,
    },
  ],
  [
    'a security group that is not there',
    {
      settings: name => ({ virtualNode: { ...NETWORK, name, securityGroupId: 'sg-none' } }),
      message: /there is no security group sg-none/,
      next: /bootstrap\.securityGroupId/,
    },
  ],
  [
    'a security group of another VPC',
    {
      settings: name => ({ virtualNode: { ...NETWORK, name, securityGroupId: 'sg-7xvotherotherother001' } }),
      message: /security group sg-\S+ is in vpc-\S+test2, the vSwitches are in vpc-\S+test1/,
      next: /vSwitches' VPC/,
    },
  ],
  [
    'a quota without room',
    {
      fake: { maxCpu: 11, usedCpu: 10 },
      message: /has no room for a VNode: 10 of 11 vCPUs are in use/,
      next: /Quota Center/,
    },
  ],
  [
    'an AccessKey without permission to look',
    {
      fake: { accounts: [{ ...TEST_ACCOUNT, allowed: ['eci:CreateVirtualNode'] }] },
      message: /DescribeVirtualNodes: Forbidden\.RAM/,
      next: /eci:DescribeVirtualNodes/,
    },
  ],
])

if (controlPlane !== undefined) {
  const run = async (t: Test, one: Case): Promise<{ name: string; fake: FakeEci; error: Error }> => {
    const { identity = 'tls-bootstrap' } = one
    const name = bootstrapName(t)
    const fake = await fakeEci(t, { routes: { [VPC_APISERVER]: controlPlane.url }, ...one.fake })
    const kubeconfig = await prepareBootstrap({
      controlPlane,
      name,
      identity,
      secrets: ['given'],
      isUnknown: true,
    })
    if (one.given !== undefined) {
      const admin = (await controlPlane.kubectl(['config', 'view', '--raw', '-o', 'json'])).stdout
      await controlPlane.ask('POST', `/api/v1/namespaces/${name}/secrets`, {
        body: { metadata: { name: 'given' }, stringData: { kubeconfig: one.given(admin) } },
      })
    }
    const settings = one.settings?.(name) ?? {}
    const error = await bootstrap({
      controlPlane,
      name,
      identity,
      kubeconfig,
      settings,
      eci: eciClient(t, fake),
    }).then(
      () => new Error('it did not fail'),
      error => error,
    )
    return { name, fake, error }
  }

  for (const [name, one] of CASES) {
    t.test(name, async t => {
      const { name, fake, error } = await run(t, one)
      t.match(error, { message: one.message, next: one.next })
      t.strictSame(fake.callsOf('CreateVirtualNode'), [], 'before any paid call')
      const record = `secret/${name}-vnode`
      const left = (await leftBy(controlPlane, name)).filter(what => what === record)
      // What was tried in the cluster itself had to be written down first.
      t.ok(left.length === 0 || /401|may not create/.test(error.message), left.join())
    })
  }

  t.test('what may not be looked at is left to ECI', async t => {
    const allowed = ['eci:CreateVirtualNode', 'eci:DescribeVirtualNodes']
    const fake = await fakeEci(t, { accounts: [{ ...TEST_ACCOUNT, allowed }], joins: false })
    const name = bootstrapName(t)
    const kubeconfig = await prepareBootstrap({ controlPlane, name })
    const notices: string[] = []
    const failing = bootstrap({
      controlPlane,
      name,
      kubeconfig,
      eci: eciClient(t, fake),
      settings: { isReachChecked: false, waitMs: 1000 },
      onNotice: ({ reason, message }) => notices.push(`${reason}: ${message}`),
    })
    const error = await failing.catch(error => error)
    t.match(error, {
      message: /is not Ready after 1 s: there is no such Node yet/,
      next: /is registered, and paid for/,
    })
    t.equal(fake.virtualNodes.length, 1)
    t.equal(
      notices.filter(notice => /^Unchecked: .*Forbidden\.RAM.* It is left to ECI\.$/.test(notice)).length,
      3,
    )
  })

  t.test('what ECI says of a VNode that has failed may quote what it was sent', async t => {
    const secret = 'TheTokenThatNobodyMaySee'.repeat(3)
    const Message = `the API server said 401 to ${secret}`
    const fake: FakeEci = await fakeEci(t, {
      joins: false,
      onCall: ({ action }) => {
        const [made] = fake.world.virtualNodes
        if (action !== 'CreateVirtualNode' || made === undefined) return
        made.status = 'Failed'
        made.events.push({ Type: 'Warning', Reason: 'FailedJoinCluster', Message })
      },
    })
    const name = bootstrapName(t)
    const kubeconfig = await prepareBootstrap({ controlPlane, name })
    const settings = { isReachChecked: false }
    const error = await bootstrap({
      controlPlane,
      name,
      kubeconfig,
      eci: eciClient(t, fake),
      settings,
    }).catch(error => error)
    t.match(error, { code: 'ECI', message: /FailedJoinCluster: the API server said 401 to …$/ })
    const events = `/api/v1/namespaces/${name}/events?fieldSelector=reason=VnodeNotRegistered`
    const [event] = await controlPlane.waitForAll(events, list => list.length > 0, { timeout: 60_000 })
    t.notOk(JSON.stringify(event).includes(secret))
  })

  t.test('a VNode that fails on the other side', async t => {
    const fake = await fakeEci(t, { routes: { [VPC_APISERVER]: 'https://127.0.0.1:1' } })
    const name = bootstrapName(t)
    const kubeconfig = await prepareBootstrap({ controlPlane, name })
    const error = await bootstrap({
      controlPlane,
      name,
      kubeconfig,
      eci: eciClient(t, fake),
      settings: { isReachChecked: false },
    }).catch(error => error)
    t.match(error, {
      code: 'ECI',
      message: /VNode vnd-\S+ has failed on ECI's side: FailedJoinCluster: .*ECONNREFUSED/,
      next: /exists, and is paid for.*vnode delete vnd-/,
    })
  })
}
