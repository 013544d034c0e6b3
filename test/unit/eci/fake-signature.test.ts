import { createHash } from 'node:crypto'
import { request } from 'node:https'
import sdk, { CreateVirtualNodeRequest, DescribeVirtualNodesRequest } from '@alicloud/eci20180808'
import t from 'tap'
import { createRequest } from '../../helpers/eci-client.ts'
import { type FakeEci, fakeEci, TEST_ACCOUNT } from '../../helpers/fake-eci/server.ts'
import { sign } from '../../helpers/fake-eci/signature.ts'

const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

t.test(
  'the check computes the signature of the documentation for the example of the documentation',
  async t => {
    const headers = {
      host: 'ecs.cn-shanghai.aliyuncs.com',
      'x-acs-action': 'RunInstances',
      'x-acs-content-sha256': EMPTY,
      'x-acs-date': '2023-10-26T10:22:32Z',
      'x-acs-signature-nonce': '3156853299f313e23d1673dc12e1703d',
      'x-acs-version': '2014-05-26',
    }
    const url = '/?RegionId=cn-shanghai&ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd'
    const signature = sign(
      { method: 'POST', url, headers, body: '' },
      Object.keys(headers),
      'YourAccessKeySecret',
    )
    t.equal(signature, '06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0')
  },
)

t.test("the SDK's own client is understood", async t => {
  const fake = await fakeEci(t, { joins: false })
  const endpoint = new URL(fake.url).host
  const config = { ...TEST_ACCOUNT, endpoint, regionId: 'cn-hangzhou', ca: fake.caPem }
  const client = new sdk.default(config as never)
  const tag = [{ key: 'k', value: "v *~'()!/é" }]
  const created = await client.createVirtualNode(new CreateVirtualNodeRequest({ ...createRequest(), tag }))
  const listed = await client.describeVirtualNodes(
    new DescribeVirtualNodesRequest({ regionId: 'cn-hangzhou', tag }),
  )
  t.match(created.body?.virtualNodeId, /^vnd-[a-z0-9]{20}$/)
  t.strictSame(
    listed.body?.virtualNodes?.map(one => one.virtualNodeId),
    [created.body?.virtualNodeId],
  )
})

/** A request that was signed right and is then changed on the way. */
const tampered: readonly (readonly [string, (headers: Record<string, string>) => void])[] = [
  ['SignatureDoesNotMatch', headers => Object.assign(headers, { 'x-acs-action': 'DeleteVirtualNode' })],
  ['IncompleteSignature', headers => Object.assign(headers, { 'x-acs-extra': 'not signed' })],
  ['IncompleteSignature', headers => Object.assign(headers, { authorization: 'Basic abc' })],
]

t.test('what was changed on the way, sent again or is not signed is refused', async t => {
  const fake = await fakeEci(t, { joins: false })
  const body = 'RegionId=cn-hangzhou'
  const headers = signed(fake.url, body)
  t.match(await post(fake, headers, body), { TotalCount: 0 })
  t.match(await post(fake, headers, body), { Code: 'SignatureNonceUsed' }, 'the same again')
  t.match(await post(fake, signed(fake.url, body), `${body}&Limit=1`), { Code: 'IncompleteSignature' })
  for (const [code, change] of tampered) {
    const changed = signed(fake.url, body)
    change(changed)
    t.match(await post(fake, changed, body), { Code: code })
  }
  fake.signatures.now = () => Date.now() + 16 * 60_000
  t.match(await post(fake, signed(fake.url, body), body), { Code: 'InvalidTimeStamp.Expired' })
})

let nonces = 0

function signed(origin: string, body: string): Record<string, string> {
  nonces += 1
  const headers: Record<string, string> = {
    'content-type': 'application/x-www-form-urlencoded',
    host: new URL(origin).host,
    'x-acs-action': 'DescribeVirtualNodes',
    'x-acs-content-sha256': hash(body),
    'x-acs-date': new Date().toISOString().replace(/\.\d+Z/, 'Z'),
    'x-acs-signature-nonce': `nonce-${nonces}`,
    'x-acs-version': '2018-08-08',
  }
  const names = Object.keys(headers)
  const signature = sign({ method: 'POST', url: '/', headers, body }, names, TEST_ACCOUNT.accessKeySecret)
  headers.authorization = `ACS3-HMAC-SHA256 Credential=${TEST_ACCOUNT.accessKeyId},SignedHeaders=${names.join(';')},Signature=${signature}`
  return headers
}

function hash(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}

function post(fake: FakeEci, headers: Record<string, string>, body: string): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const sent = request(
    fake.url,
    { method: 'POST', headers, ca: fake.caPem, agent: false },
    async response => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      resolve(JSON.parse(text))
    },
  )
  sent.on('error', reject)
  sent.end(body)
  return promise
}
