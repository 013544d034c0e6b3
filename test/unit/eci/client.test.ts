import { inspect } from 'node:util'
import t from 'tap'
import { isGone } from '../../../src/eci/client.ts'
import { EciError } from '../../../src/eci/error.ts'
import { createRequest, eciClient, SECRET_KUBECONFIG } from '../../helpers/eci-client.ts'
import { fakeEci, TEST_ACCOUNT, TEST_NETWORK } from '../../helpers/fake-eci/server.ts'

t.test('a VNode is created, found, changed and deleted', async t => {
  const fake = await fakeEci(t, { joins: false })
  const client = eciClient(t, fake)
  const tag = [{ key: 'vnode-profile.io/cluster', value: 'uid-1' }]
  const taint = [{ key: 'k8s.aliyun.com/vnode', value: 'true', effect: 'PreferNoSchedule' } as const]
  const created = await client.createVirtualNode(
    createRequest({ virtualNodeName: 'shop', tag, taint, customResources: 'a.com/gpu=1,b.com=2' }),
  )
  t.match(created, { virtualNodeId: /^vnd-[a-z0-9]{20}$/, requestId: /^[0-9A-F-]{36}$/ })
  const [found, ...others] = await client.describeVirtualNodes({ virtualNodeName: 'shop', tags: tag })
  t.equal(others.length, 0)
  t.match(found, {
    virtualNodeId: created.virtualNodeId,
    virtualNodeName: 'shop',
    status: 'Ready',
    regionId: 'cn-hangzhou',
    vpcId: TEST_NETWORK.vSwitches[0]?.vpcId,
    vSwitchId: TEST_NETWORK.vSwitches[0]?.vSwitchId,
    securityGroupId: TEST_NETWORK.securityGroups[0]?.securityGroupId,
    tags: tag,
    events: [],
  })
  t.strictSame(fake.virtualNodes[0]?.taints, taint)
  await client.updateVirtualNode({ virtualNodeId: created.virtualNodeId, virtualNodeName: 'shop-2', tag: [] })
  t.match(fake.virtualNodes, [{ name: 'shop-2', tags: [], customResources: '' }], 'what is left out is reset')
  await client.deleteVirtualNode(created.virtualNodeId)
  t.strictSame(await client.describeVirtualNodes(), [])
  t.strictSame(await client.describeVirtualNodes({ virtualNodeIds: [] }), [], 'no ids are not all ids')
})

t.test('all parameters are in the signed body, none in the URL', async t => {
  const fake = await fakeEci(t, { joins: false })
  await eciClient(t, fake).createVirtualNode(createRequest())
  const [call] = fake.calls
  t.equal(call?.url, '/')
  t.equal(call?.parameters.get('KubeConfig'), SECRET_KUBECONFIG)
  t.match(call?.headers, { 'user-agent': 'vnode-profile/test', 'x-acs-version': '2018-08-08' })
})

t.test('lists are read to their end, ids in portions', async t => {
  const fake = await fakeEci(t, { joins: false })
  const client = eciClient(t, fake)
  const ids: string[] = []
  for (let at = 0; at < 45; at += 1) {
    const { virtualNodeId } = await client.createVirtualNode(createRequest({ clientToken: `token-${at}` }))
    ids.push(virtualNodeId)
  }
  const idsOf = (found: readonly { virtualNodeId: string }[]) => found.map(one => one.virtualNodeId)
  t.strictSame(idsOf(await client.describeVirtualNodes()), ids)
  t.strictSame(idsOf(await client.describeVirtualNodes({ virtualNodeIds: ids })), ids)
  t.equal(fake.callsOf('DescribeVirtualNodes').length, 6)
})

t.test('the network is looked up', async t => {
  const fake = await fakeEci(t, { joins: false, maxCpu: 10, usedCpu: 3.5 })
  const client = eciClient(t, fake)
  const [one, two] = TEST_NETWORK.vSwitches
  const found = await client.describeVSwitches([two?.vSwitchId ?? '', 'vsw-none', one?.vSwitchId ?? ''])
  t.match(found, [{ vSwitchId: two?.vSwitchId, vpcId: two?.vpcId }, { vSwitchId: one?.vSwitchId }])
  t.equal(found.length, 2)
  const [group] = TEST_NETWORK.securityGroups
  t.strictSame(await client.describeSecurityGroup(group?.securityGroupId ?? ''), group)
  t.equal(await client.describeSecurityGroup('sg-none'), undefined)
  t.strictSame(await client.cpuQuota(), { used: 3.5, limit: 10 })
  await client.createVirtualNode(createRequest())
  t.strictSame(await client.cpuQuota(), { used: 5.5, limit: 10 })
})

t.test('the same token with the same parameters is one VNode, with others it is refused', async t => {
  const fake = await fakeEci(t, { joins: false })
  const client = eciClient(t, fake)
  const first = await client.createVirtualNode(createRequest())
  const second = await client.createVirtualNode(createRequest())
  t.equal(second.virtualNodeId, first.virtualNodeId)
  t.equal(fake.virtualNodes.length, 1)
  const other = await client.createVirtualNode(createRequest({ virtualNodeName: 'x1' })).catch(error => error)
  t.match(other, { apiCode: 'IdempotentParameterMismatch', isOutcomeUnknown: false })
  await client.deleteVirtualNode(first.virtualNodeId)
  const third = await client.createVirtualNode(createRequest())
  t.equal(third.virtualNodeId, first.virtualNodeId, 'a token outlives what it made')
  t.equal(fake.virtualNodes.length, 0)
})

const passing = new Map([
  ['throttling', { kind: 'refuse', status: 400, code: 'Throttling.User' }],
  ['a full service', { kind: 'refuse', status: 503, code: 'ServiceUnavailable' }],
  ['a fault after the fact', { kind: 'refuse', status: 500, code: 'InternalError', executed: true }],
  ["a gateway's page", { kind: 'html', status: 502 }],
  ["a gateway's page after the fact", { kind: 'html', status: 504, executed: true }],
  ['a connection that is cut', { kind: 'cut' }],
  ['an answer that is lost', { kind: 'cut', executed: true }],
  ['silence', { kind: 'silence', executed: true }],
] as const)

for (const [what, fault] of passing) {
  t.test(`${what} is tried again with the same request: one VNode`, async t => {
    const fake = await fakeEci(t, { joins: false })
    const client = eciClient(t, fake, { timeoutMs: 2000 })
    fake.plan('CreateVirtualNode', fault, 2)
    const { virtualNodeId } = await client.createVirtualNode(createRequest())
    t.equal(fake.virtualNodes.length, 1)
    t.equal(fake.virtualNodes[0]?.id, virtualNodeId)
    const calls = fake.callsOf('CreateVirtualNode')
    t.equal(calls.length, 3)
    t.equal(new Set(calls.map(({ body }) => body)).size, 1, 'byte for byte')
    t.equal(new Set(calls.map(({ headers }) => headers['x-acs-signature-nonce'])).size, 3, 'signed anew')
  })
}

t.test('a deletion whose answer was lost has succeeded', async t => {
  const fake = await fakeEci(t, { joins: false })
  const client = eciClient(t, fake)
  const { virtualNodeId } = await client.createVirtualNode(createRequest())
  fake.plan('DeleteVirtualNode', { kind: 'cut', executed: true })
  await client.deleteVirtualNode(virtualNodeId)
  t.equal(fake.virtualNodes.length, 0)
  const again = await client.deleteVirtualNode(virtualNodeId).catch(error => error)
  t.match(again, { apiCode: 'InvalidVirtualNodeId.NotFound' })
})

t.test('an answer that was lost, and then a refusal: it may have been executed', async t => {
  const fake = await fakeEci(t, { joins: false })
  const client = eciClient(t, fake)
  for (const first of [{ kind: 'cut' }, { kind: 'html', status: 502 }] as const) {
    fake.plan('CreateVirtualNode', first)
    fake.plan('CreateVirtualNode', { kind: 'refuse', status: 403, code: 'QuotaExceeded' })
    const error = await client.createVirtualNode(createRequest()).catch(error => error)
    t.match(error, { apiCode: 'QuotaExceeded', isOutcomeUnknown: true, attempts: 2 }, first.kind)
    t.match(error.message, /2 attempts, an earlier one may have been executed\)$/)
  }
  fake.plan('CreateVirtualNode', { kind: 'refuse', status: 429, code: 'Throttling' })
  fake.plan('CreateVirtualNode', { kind: 'refuse', status: 403, code: 'QuotaExceeded' })
  const refused = await client.createVirtualNode(createRequest()).catch(error => error)
  t.match(refused, { attempts: 2, isOutcomeUnknown: false }, 'what is throttled is not executed')
})

const NOT_FOUND = new Map([
  ['InvalidVirtualNodeId.NotFound', true],
  ['InvalidVirtualNode.NotFound', true],
  ['VirtualNodeNotFound', true],
  ['InvalidAccessKeyId.NotFound', false],
  ['InvalidRegionId.NotFound', false],
  ['InvalidAction.NotFound', false],
  ['InvalidSecurityGroupId.NotFound', false],
  ['NotFound', false],
])

t.test('what is not found is the VNode, or something else', async t => {
  const fake = await fakeEci(t, { joins: false })
  const client = eciClient(t, fake)
  for (const [code, expected] of NOT_FOUND) {
    fake.plan('DeleteVirtualNode', { kind: 'refuse', status: 404, code })
    const error = await client.deleteVirtualNode('vnd-1').catch(error => error)
    t.equal(error.apiCode, code)
    t.equal(isGone(error), expected, code)
  }
  fake.plan('DeleteVirtualNode', { kind: 'cut' })
  fake.plan('DeleteVirtualNode', { kind: 'refuse', status: 404, code: 'InvalidAccessKeyId.NotFound' })
  t.match(await client.deleteVirtualNode('vnd-1').catch(error => error), {
    apiCode: 'InvalidAccessKeyId.NotFound',
  })
  fake.plan('DeleteVirtualNode', { kind: 'refuse', status: 429, code: 'Throttling' })
  t.match(await client.deleteVirtualNode('vnd-1').catch(error => error), {
    apiCode: 'InvalidVirtualNodeId.NotFound',
  })
})

t.test('the attempts have an end, and their delays grow', async t => {
  const fake = await fakeEci(t, { joins: false })
  const slept: number[] = []
  const notices: unknown[] = []
  const sleep = async (ms: number) => slept.push(ms)
  const client = eciClient(t, fake, {
    retrying: { sleep, random: () => 1 },
    onRetry: notice => notices.push(notice),
  })
  fake.plan('*', { kind: 'refuse', status: 429, code: 'Throttling' }, 9)
  await t.rejects(client.describeVirtualNodes(), {
    message: /^DescribeVirtualNodes: Throttling: .*\(HTTP 429, request id [0-9A-F-]{36}, 5 attempts\)$/,
    next: /Wait a minute/,
    isUserError: false,
  })
  t.strictSame(slept, [1000, 2000, 4000, 8000])
  t.match(notices, [
    { action: 'DescribeVirtualNodes', attempt: 1, delayMs: 1000, reason: 'Throttling' },
    {},
    {},
    {},
  ])
})

t.test('a caller who gives up is heard at once', async t => {
  const fake = await fakeEci(t, { joins: false })
  const client = eciClient(t, fake)
  const giveUp = new AbortController()
  const reason = new Error('enough')
  fake.plan('*', { kind: 'silence' })
  const called = client.describeVirtualNodes({}, { signal: giveUp.signal })
  await fake.until(calls => calls.length > 0)
  giveUp.abort(reason)
  t.equal(await called.catch(error => error), reason)
  t.equal(fake.calls.length, 1)
})

const refused = new Map([
  ['InvalidAccessKeyId.NotFound', /Check the AccessKey id/],
  ['SignatureDoesNotMatch', /Check the AccessKey secret/],
  ['InvalidSecurityToken.Expired', /has expired: get new temporary credentials/],
  ['InvalidTimeStamp.Expired', /clock/],
  ['Forbidden.RAM', /Allow eci:CreateVirtualNode to this identity .*account ram:CreateServiceLinkedRole too/],
  ['InvalidVSwitchId.NotFound', /vSwitch ids/],
  ['InvalidSecurityGroupId.NotFound', /security group id/],
  ['QuotaExceeded', /higher quota/],
  ['Account.Arrearage', /Settle the account/],
  ['IdempotentParameterMismatch', /other parameters/],
  ['InvalidRegionId.NotFound', /Check the region/],
  ['MissingKubeConfig', /kubeconfig/],
  ['InvalidParameter.VirtualNodeName', /Correct the parameter/],
  ['SomethingNew', /Look up the code/],
])

t.test(
  'what cannot be mended by trying again is not: the code, the request and what to do are said',
  async t => {
    const fake = await fakeEci(t, { joins: false })
    const client = eciClient(t, fake)
    for (const [code, next] of refused) {
      const before = fake.calls.length
      fake.plan('*', { kind: 'refuse', status: 403, code, message: 'no' })
      const error = await client.createVirtualNode(createRequest()).catch(error => error)
      t.match(error, { apiCode: code, httpStatus: 403, next, isOutcomeUnknown: false })
      t.equal(
        error.message,
        `CreateVirtualNode: ${code}: no (HTTP 403, request id ${fake.calls.at(-1)?.requestId})`,
      )
      t.equal(fake.calls.length, before + 1, `${code}: one call`)
    }
  },
)

t.test("an answer that quotes what it was sent, or a library's error, shows no secret", async t => {
  const account = { ...TEST_ACCOUNT, securityToken: 'CAIS-the-security-token-of-the-test' }
  const fake = await fakeEci(t, { joins: false, accounts: [account] })
  const credentials = async () => account
  const client = eciClient(t, fake, { credentials, timeoutMs: 1000, retrying: { attempts: 2 } })
  const { accessKeyId, accessKeySecret, securityToken } = account
  const message = `server string: ${accessKeyId} ${accessKeySecret} ${securityToken} KubeConfig=${SECRET_KUBECONFIG} ${encodeURIComponent(SECRET_KUBECONFIG)}`
  const faults = [
    { kind: 'refuse', status: 400, code: 'SignatureDoesNotMatch', message },
    { kind: 'refuse', status: 500, code: `Internal${SECRET_KUBECONFIG}`, message },
    { kind: 'cut' },
    { kind: 'silence' },
    { kind: 'html', status: 502 },
  ] as const
  for (const fault of faults) {
    fake.plan('*', fault, 2)
    const error = await client.createVirtualNode(createRequest()).catch(error => error)
    t.ok(error instanceof EciError)
    const shown = `${inspect(error, { depth: 20, showHidden: true })} ${JSON.stringify(error)} ${error.stack}`
    for (const secret of [accessKeyId, accessKeySecret, securityToken, SECRET_KUBECONFIG, 'authorization'])
      t.notOk(shown.toLowerCase().includes(secret.toLowerCase()), `${fault.kind}: ${secret.slice(0, 8)}`)
  }
})

t.test('an endpoint that is not there, or whose certificate nobody signed, is named', async t => {
  const fake = await fakeEci(t, { joins: false })
  const stranger = eciClient(t, fake, { extraCa: undefined })
  const untrusted = await stranger.describeVirtualNodes().catch(error => error)
  t.match(untrusted.message, /^DescribeVirtualNodes: no answer from 127\.0\.0\.1:\d+: .*certificate/)
  t.match(untrusted, { next: /--eci-ca/, attempts: 1 }, 'not tried again')
  const nameless = eciClient(t, fake, { endpoint: 'https://eci.no-such-region.invalid' })
  t.match(await nameless.describeVirtualNodes().catch(error => error), {
    message: /no-such-region/,
    next: /the region/,
  })
  const nowhere = eciClient(t, fake, { endpoint: 'https://127.0.0.1:1' })
  const refused = await nowhere.describeVirtualNodes().catch(error => error)
  t.match(refused.message, /no answer from 127\.0\.0\.1:1: .*ECONNREFUSED.*5 attempts/)
  t.match(refused, { next: /Check the network/, isOutcomeUnknown: true })
})

t.test('without another endpoint it is the one of the region', async t => {
  const { endpointOf } = await import('../../../src/eci/endpoint.ts')
  t.equal(endpointOf('eci', { regionId: 'cn-beijing' }), 'https://eci.cn-beijing.aliyuncs.com')
  t.equal(
    endpointOf('vpc', { regionId: 'cn-beijing', isVpcEndpoint: true }),
    'https://vpc-vpc.cn-beijing.aliyuncs.com',
  )
})
