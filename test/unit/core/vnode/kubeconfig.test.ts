import { generateKeyPairSync, randomBytes } from 'node:crypto'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { serialFrom, writeCertificate } from '../../../../src/core/certificate/x509.ts'
import { judgeKubeconfig, renderKubeconfig } from '../../../../src/core/vnode/kubeconfig.ts'

const NOW = new Date('2026-06-01T00:00:00Z')
const DAY = 86_400_000
const SERVER = 'https://192.168.0.10:6443'
const SECRET = 'a-token-that-nobody-may-see'

function judge(text: string) {
  return judgeKubeconfig(text, { serviceIPs: ['10.0.0.1'], now: NOW, leastLifeMs: 30 * DAY })
}

interface Parts {
  readonly cluster?: object
  readonly user?: object
  readonly rest?: object
}

function makeConfig({ cluster = {}, user = { token: SECRET }, rest = {} }: Parts = {}): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'c', cluster: { server: SERVER, 'certificate-authority-data': 'Y2E=', ...cluster } },
      { name: 'other', cluster: { server: 'https://127.0.0.1:6443' } },
    ],
    users: [
      { name: 'u', user },
      { name: 'somebody-else', user: { token: 'of-somebody-else' } },
    ],
    contexts: [
      { name: 'x', context: { cluster: 'c', user: 'u', namespace: 'team' } },
      { name: 'broken', context: { cluster: 'c', user: 'nobody' } },
    ],
    'current-context': 'x',
    ...rest,
  })
}

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

function certificateUser(days: number): object {
  const certificate = writeCertificate({
    commonName: 'admin',
    serial: serialFrom(randomBytes(16)),
    notBefore: new Date(NOW.getTime() - DAY),
    notAfter: new Date(NOW.getTime() + days * DAY),
    publicKey,
    use: { kind: 'authority' },
    signingKey: privateKey,
  })
  const encoded = (text: string) => Buffer.from(text).toString('base64')
  return { 'client-certificate-data': encoded(certificate), 'client-key-data': encoded('key') }
}

function jwt(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'RS256' })}.${part(claims)}.c2lnbmF0dXJl`
}

const tokenFor = (days: number) => ({ token: jwt({ exp: NOW.getTime() / 1000 + days * 86_400 }) })

const server = (url: string): Parts => ({ cluster: { server: url } })

const REFUSED = new Map<string, [Parts | string, message: RegExp, fix: RegExp]>([
  ['127.0.0.1', [server('https://127.0.0.1:6443'), /127\.0\.0\.1:6443 is a loopback/, /address in the VPC/]],
  ['localhost', [server('https://localhost:6443'), /is a loopback address/, /192\.168/]],
  ['its long name', [server('https://localhost.localdomain:6443'), /is a loopback address/, /VPC/]],
  ['127.0.0.1 as one number', [server('https://2130706433:6443'), /is a loopback address/, /VPC/]],
  ['127.0.0.1 in IPv6', [server('https://[::ffff:127.0.0.1]:6443'), /is a loopback address/, /VPC/]],
  ['::1', [server('https://[::1]:6443'), /is a loopback address/, /VPC/]],
  ['0.0.0.0', [server('https://0.0.0.0:6443'), /is a loopback address/, /VPC/]],
  ['a link-local address', [server('https://169.254.20.10'), /link-local/, /VPC/]],
  ["the Service's name", [server('https://kubernetes.default.svc'), /name of the cluster's own DNS/, /VPC/]],
  ['its short name', [server('https://kubernetes'), /name of the cluster's own DNS/, /VPC/]],
  ['its full name', [server('https://kubernetes.default.svc.cluster.local:443'), /own DNS/, /VPC/]],
  ["the Service's address", [server('https://10.0.0.1'), /is a Service's address/, /VPC/]],
  ['no TLS', [server('http://192.168.0.10:8080'), /not an https:\/\/ URL/, /VPC/]],
  [
    'a proxy',
    [
      { cluster: { 'proxy-url': 'http://127.0.0.1:3128' } },
      /through a proxy .*\(proxy-url\)/,
      /Take proxy-url out/,
    ],
  ],
  ['no address', [server('192.168.0.10'), /its server is not a URL/, /VPC/]],
  ['an exec plugin', [{ user: { exec: { command: 'aws' } } }, /from a plugin \(exec\)/, /TLS bootstrap/]],
  [
    'an auth provider',
    [{ user: { 'auth-provider': { name: 'oidc' } } }, /plugin \(auth-provider\)/, /TLS bootstrap/],
  ],
  [
    'files',
    [
      { cluster: { 'certificate-authority': '/ca.crt' }, user: { tokenFile: '/token' } },
      /files of this machine \(certificate-authority, tokenFile\)/,
      /--flatten/,
    ],
  ],
  ['no credential', [{ user: {} }, /neither a token nor a client certificate/, /TLS bootstrap/]],
  [
    'a certificate without its key',
    [{ user: { ...certificateUser(99), 'client-key-data': '' } }, /neither a token nor/, /TLS/],
  ],
  [
    'a certificate that ends in a week',
    [
      { user: certificateUser(7) },
      /client certificate ends on 2026-06-08, and the API cannot replace it/,
      /renews itself/,
    ],
  ],
  [
    'a certificate that has ended',
    [{ user: certificateUser(-0.5) }, /certificate ended on 2026-05-31/, /lasts/],
  ],
  [
    'a certificate that is none',
    [{ user: { 'client-certificate-data': 'AAAA', 'client-key-data': 'AAAA' } }, /cannot be read/, /flatten/],
  ],
  ['a token that ends in a week', [{ user: tokenFor(7) }, /its token ends on 2026-06-08/, /does not end/]],
  ['no current context', [{ rest: { 'current-context': '' } }, /no current-context/, /current-context/]],
  [
    'a context that is not there',
    [{ rest: { 'current-context': 'y' } }, /no context "y"/, /current-context/],
  ],
  [
    'a user that is not there',
    [{ rest: { 'current-context': 'broken' } }, /user "nobody"/, /current-context/],
  ],
  ['no YAML', ['{ token: [', /is not a kubeconfig/, /YAML/]],
  ['a text', [SECRET, /is not a kubeconfig/, /YAML/]],
])

for (const [name, [given, message, fix]] of REFUSED) {
  t.test(`refused: ${name}`, async t => {
    const { problems, text } = judge(typeof given === 'string' ? given : makeConfig(given))
    t.equal(problems.length, 1)
    t.match(problems[0], { message, fix })
    t.equal(text, undefined)
    t.notMatch(JSON.stringify(problems), new RegExp(SECRET))
  })
}

t.test('all problems are told at once', async t => {
  const { problems } = judge(
    makeConfig({ cluster: { server: 'https://127.0.0.1' }, user: { exec: {}, ...tokenFor(1) } }),
  )
  t.equal(problems.length, 3)
})

t.test('fit: what is sent is the current context alone', async t => {
  const { problems, warnings, text = '', server } = judge(makeConfig())
  t.strictSame({ problems, warnings, server }, { problems: [], warnings: [], server: SERVER })
  t.notMatch(text, /somebody-else/)
  t.strictSame(parse(text), {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'cluster', cluster: { server: SERVER, 'certificate-authority-data': 'Y2E=' } }],
    users: [{ name: 'vnode', user: { token: SECRET } }],
    contexts: [{ name: 'vnode', context: { cluster: 'cluster', user: 'vnode' } }],
    'current-context': 'vnode',
  })
  t.same(judge(text).text, text, 'and it is fit itself')
})

t.test('fit, but worth a word', async t => {
  const year = judge(makeConfig({ user: certificateUser(365) }))
  t.strictSame(year.problems, [])
  t.match(year.warnings, [/ends on 2027-06-01: the VNode is lost then/])
  const blind = judge(makeConfig({ cluster: { 'insecure-skip-tls-verify': true } }))
  t.match(blind.warnings, [/does not verify the API server/])
  const publicCa = judge(makeConfig({ cluster: { 'certificate-authority-data': undefined } }))
  t.match(publicCa.warnings, [/no certificate-authority-data/])
})

t.test('a ServiceAccount’s token without an end, a bootstrap token, and a password are no dates', async t => {
  for (const token of [jwt({ sub: 'x' }), 'abcdef.0123456789abcdef', 'a.b.c', 'plain'])
    t.match(judge(makeConfig({ user: { token } })), { problems: [], warnings: [] }, token)
})

t.test('other addresses are none of our business', async t => {
  for (const url of [
    'https://10.0.0.2:6443',
    'https://api.example.com',
    'https://[fd00::1]:6443',
    'https://kubernetes.example.com',
  ])
    t.strictSame(judge(makeConfig(server(url))).problems, [], url)
})

t.test('what is minted is fit, and the same for the same', async t => {
  const minted = { server: SERVER, caPem: 'CA', token: 'abcdef.0123456789abcdef' }
  t.equal(renderKubeconfig(minted), renderKubeconfig({ ...minted }))
  t.match(judge(renderKubeconfig(minted)), { problems: [], warnings: [] })
  t.match(parse(renderKubeconfig(minted)), {
    clusters: [{ cluster: { 'certificate-authority-data': Buffer.from('CA').toString('base64') } }],
  })
})
