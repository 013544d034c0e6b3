import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { makeAuthority } from '../helpers/authority.ts'
import { fakeEci } from '../helpers/fake-eci/server.ts'
import { runVnodeProcess } from '../helpers/vnode-process.ts'

const TEMPORARY = {
  accessKeyId: 'STS.NUtTestTestTestTest000000',
  accessKeySecret: 'TemporarySecretOfTheFake00000000',
  securityToken: 'CAISTemporaryTokenOfTheFakeAccount0000000000000000000000',
}
const OIDC_TOKEN = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQifQ.c2lnbmF0dXJl'
const folder = mkdtempSync(join(tmpdir(), 'rrsa-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** AssumeRoleWithOIDC of STS: the one call that needs no signature. */
const authority = await makeAuthority('sts')
const asked: string[] = []
let answer: [number, string] = [200, '']
const sts = createServer(
  { cert: authority.issueServer(), key: authority.leafKeyPem },
  async (request, response) => {
    asked.push(`${request.url} ${await text(request)}`)
    const [status, body] = answer
    response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  },
)
sts.listen(0, '127.0.0.1')
await once(sts, 'listening')
t.teardown(() => {
  sts.close()
  sts.closeAllConnections()
})

const fake = await fakeEci(t, { joins: false, accounts: [TEMPORARY] })
writeFileSync(join(folder, 'ca.crt'), authority.certPem)
writeFileSync(join(folder, 'token'), OIDC_TOKEN)
const env = {
  HOME: folder,
  // The SDK asks STS by itself, and trusts what the process trusts.
  NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt'),
  VNODE_STS_ENDPOINT: `127.0.0.1:${(sts.address() as AddressInfo).port}`,
  ALIBABA_CLOUD_ROLE_ARN: 'acs:ram::1234567890123456:role/vnode',
  ALIBABA_CLOUD_OIDC_PROVIDER_ARN: 'acs:ram::1234567890123456:oidc-provider/cluster',
  ALIBABA_CLOUD_OIDC_TOKEN_FILE: join(folder, 'token'),
  VNODE_REGION_ID: 'cn-hangzhou',
  VNODE_ECI_ENDPOINT: fake.url,
  VNODE_ECI_CA: fake.caFile,
}

t.test('by RRSA a token becomes temporary credentials, and these are used', async t => {
  const Expiration = new Date(Date.now() + 3_600_000).toISOString()
  const Credentials = {
    AccessKeyId: TEMPORARY.accessKeyId,
    AccessKeySecret: TEMPORARY.accessKeySecret,
    SecurityToken: TEMPORARY.securityToken,
    Expiration,
  }
  answer = [200, JSON.stringify({ RequestId: 'A', Credentials })]
  const { status, stdout, stderr } = await runVnodeProcess(['list'], { env })
  t.strictSame([status, stdout], [0, 'There are no VNodes.\n'], stderr)
  t.match(asked[0], /Action=AssumeRoleWithOIDC/)
  t.match(asked[0], new RegExp(`OIDCToken=${OIDC_TOKEN}`))
  t.equal(fake.calls[0]?.headers['x-acs-security-token'], TEMPORARY.securityToken)
})

t.test('what STS says is said, without what it was asked with', async t => {
  answer = [
    400,
    JSON.stringify({
      RequestId: 'B',
      Code: 'AuthenticationFail.OIDCToken.Expired',
      Message: `expired: ${OIDC_TOKEN}`,
    }),
  ]
  const refused = await runVnodeProcess(['list'], { env })
  t.match(refused, {
    status: 2,
    stdout: '',
    stderr: /AuthenticationFail\.OIDCToken\.Expired[\s\S]*\nCheck the role, the OIDC provider/,
  })
  t.notOk(refused.stderr.includes(OIDC_TOKEN))
  answer = [200, `{"Credentials": {"AccessKeySecret": "${TEMPORARY.accessKeySecret}", "Security`]
  const broken = await runVnodeProcess(['list'], { env })
  t.equal(broken.status, 2)
  t.notOk(broken.stderr.includes(TEMPORARY.accessKeySecret))
  const missing = await runVnodeProcess(['list'], {
    env: { ...env, ALIBABA_CLOUD_OIDC_TOKEN_FILE: '/nowhere/token' },
  })
  t.match(missing, { status: 2, stderr: /the OIDC token: ENOENT/ })
})
