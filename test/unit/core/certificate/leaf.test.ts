import { spawnSync } from 'node:child_process'
import { randomBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect, createServer, type SecureVersion } from 'node:tls'
import t, { type Test } from 'tap'
import { mergeBundles } from '../../../../src/core/certificate/bundle.ts'
import {
  makeKeys,
  makePki,
  makeTestAuthority,
  makeTestLeaf,
  type Pki,
} from '../../../helpers/certificates.ts'

const DAY_MS = 86_400_000
const openssl = (...args: string[]) => spawnSync('openssl', args, { encoding: 'utf8' })
const skipOpenssl = openssl('version').status === 0 ? false : 'openssl is not on this machine'

t.test('a serving certificate is signed by its CA, for its names and nothing else', async t => {
  const authority = makeTestAuthority()
  const keys = makeKeys()
  const hosts = ['webhook.vnode-system.svc', 'LOCALHOST', '10.0.0.7', '::1']
  const { certPem, keyPem } = makeTestLeaf(authority, { hosts, keys })
  const certificate = new X509Certificate(certPem)
  const ca = new X509Certificate(authority.certPem)
  t.equal(certificate.verify(ca.publicKey), true)
  t.equal(certificate.checkIssued(ca), true, 'issuer name and key identifiers agree')
  t.equal(certificate.ca, false)
  t.same(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1'], 'serverAuth')
  t.equal(certificate.checkPrivateKey(keys.privateKey), true)
  t.equal(keyPem, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  t.equal(
    certificate.subjectAltName,
    'DNS:webhook.vnode-system.svc, DNS:localhost, IP Address:10.0.0.7, IP Address:0:0:0:0:0:0:0:1',
  )
  t.equal(certificate.checkHost('other.svc'), undefined)
  t.equal(certificate.checkIP('10.0.0.8'), undefined)
})

t.test('it never outlives its CA, nor begins before it', async t => {
  const now = new Date('2026-03-01T12:00:00Z')
  const authority = makeTestAuthority({ now, days: 30 })
  const ca = new X509Certificate(authority.certPem)
  const endOf = (made: { certPem: string }) => new X509Certificate(made.certPem).validToDate.toISOString()
  t.equal(endOf(makeTestLeaf(authority, { now, days: 10 })), '2026-03-11T12:00:00.000Z')
  t.equal(endOf(makeTestLeaf(authority, { now, days: 30 })), '2026-03-31T12:00:00.000Z')
  t.equal(endOf(makeTestLeaf(authority, { now, days: 31 })), '2026-03-31T12:00:00.000Z')
  const late = makeTestLeaf(authority, { now: new Date(now.getTime() + 29 * DAY_MS), days: 10 })
  t.equal(endOf(late), '2026-03-31T12:00:00.000Z')
  t.same(new X509Certificate(makeTestLeaf(authority, { now }).certPem).validFromDate, ca.validFromDate)
})

t.test('an authority that cannot sign is refused', async t => {
  const authority = makeTestAuthority()
  const other = makeTestAuthority()
  const leaf = makeTestLeaf(authority)
  const from = (days: number) => new Date(Date.now() + days * DAY_MS)
  const cases: [sentence: string, make: () => unknown, message: RegExp][] = [
    ['no names', () => makeTestLeaf(authority, { hosts: [] }), /needs a name/],
    ['a wrong name', () => makeTestLeaf(authority, { hosts: ['a b'] }), /"a b"/],
    ['an expired CA', () => makeTestLeaf(authority, { now: from(31) }), /CA expired at/],
    ['a CA of the future', () => makeTestLeaf(authority, { now: from(-1) }), /valid from .* only/],
    ['a key of another CA', () => makeTestLeaf({ ...authority, keyPem: other.keyPem }), /does not belong/],
    ['a leaf as CA', () => makeTestLeaf(leaf), /not one of a CA/],
    ['no certificate', () => makeTestLeaf({ ...authority, certPem: '' }), /CA certificate cannot be read/],
    ['no key', () => makeTestLeaf({ ...authority, keyPem: 'x' }), /CA key cannot be read/],
  ]
  for (const [sentence, make, message] of cases) {
    t.throws(make, { code: 'BAD_CERTIFICATE', message }, sentence)
  }
})

t.test('clients that trust the published bundle connect, others do not', async t => {
  const old = makePki()
  const next = makePki()
  const published = mergeBundles([old.authority.certPem, next.authority.certPem], new Date()).pem
  for (const pki of [old, next]) {
    const port = await serve(t, pki)
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      for (const servername of ['localhost', '']) {
        t.equal(
          await dial({ port, version, servername, ca: published }),
          version,
          `${version} as "${servername}"`,
        )
      }
      t.equal(await dial({ port, version, servername: 'localhost', ca: pki.authority.certPem }), version)
    }
  }
  const port = await serve(t, old)
  const strangers = { port, version: 'TLSv1.3', servername: 'localhost', ca: next.authority.certPem } as const
  t.equal(await dial(strangers), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  t.equal(await dial({ ...strangers, ca: published, servername: 'other' }), 'ERR_TLS_CERT_ALTNAME_INVALID')
})

t.test('openssl verifies the chain strictly', { skip: skipOpenssl }, async t => {
  const dir = t.testdir({})
  const authority = makeTestAuthority()
  const leaf = makeTestLeaf(authority, { hosts: ['webhook.svc', '10.0.0.7', 'fd00::7'] })
  writeFileSync(join(dir, 'ca.crt'), makeTestAuthority().certPem + authority.certPem)
  writeFileSync(join(dir, 'other.crt'), makeTestAuthority().certPem)
  writeFileSync(join(dir, 'tls.crt'), leaf.certPem)
  const verify = (ca: string, ...options: string[]) => {
    const strict = ['-x509_strict', '-check_ss_sig', '-purpose', 'sslserver', '-no-CApath', '-no-CAstore']
    return openssl('verify', ...strict, '-CAfile', join(dir, ca), ...options, join(dir, 'tls.crt')).status
  }
  t.equal(verify('ca.crt'), 0)
  t.equal(verify('ca.crt', '-verify_hostname', 'webhook.svc'), 0)
  t.equal(verify('ca.crt', '-verify_ip', '10.0.0.7'), 0)
  t.equal(verify('ca.crt', '-verify_ip', 'fd00:0::7'), 0)
  t.not(verify('ca.crt', '-verify_hostname', 'other.svc'), 0)
  t.not(verify('other.crt'), 0)
  t.equal(openssl('verify', '-x509_strict', '-CAfile', join(dir, 'ca.crt'), join(dir, 'ca.crt')).status, 0)
})

t.test('500 certificates in one file are all read by openssl', { skip: skipOpenssl }, async t => {
  const authority = makeTestAuthority()
  const keys = makeKeys()
  const pems = Array.from(
    { length: 500 },
    () => makeTestLeaf(authority, { keys, random: randomBytes(16) }).certPem,
  )
  t.equal(mergeBundles(pems, new Date()).kept, 500, 'no two are the same')
  const dir = t.testdir({ 'all.pem': pems.join('') })
  t.match(openssl('storeutl', '-noout', '-certs', join(dir, 'all.pem')).stdout, /Total found: 500/)
})

t.test('a CA made elsewhere may sign', { skip: skipOpenssl }, async t => {
  const dir = t.testdir({})
  const [key, cert] = [join(dir, 'ca.key'), join(dir, 'ca.crt')]
  const cases: [sentence: string, extra: string[], strict: string[]][] = [
    [
      'with a key identifier of its own choice',
      ['-addext', 'subjectKeyIdentifier=01:02:03', '-addext', 'authorityKeyIdentifier=none'],
      ['-x509_strict'],
    ],
    ['without a key identifier', ['-addext', 'subjectKeyIdentifier=none'], []],
  ]
  for (const [sentence, extra, strict] of cases) {
    const made = openssl(
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '9',
      ],
      ...['-keyout', key, '-out', cert, '-subj', '/C=DE/O=Ünï, Inc./CN=made by openssl', '-utf8'],
      ...['-addext', 'keyUsage=critical,keyCertSign', ...extra],
    )
    t.equal(made.status, 0, made.stderr)
    const authority = { certPem: readFileSync(cert, 'utf8'), keyPem: readFileSync(key, 'utf8') }
    writeFileSync(join(dir, 'tls.crt'), makeTestLeaf(authority, { days: 1 }).certPem)
    const verified = openssl('verify', ...strict, '-CAfile', cert, join(dir, 'tls.crt'))
    t.equal(verified.status, 0, `${sentence} ${verified.stderr}`)
  }
})

async function serve(t: Test, { leaf }: Pki): Promise<number> {
  const server = createServer({ cert: leaf.certPem, key: leaf.keyPem }, socket => socket.end())
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** The protocol that a client agrees on, or the code of its refusal. */
function dial(client: {
  port: number
  version: SecureVersion
  servername: string
  ca: string
}): Promise<unknown> {
  const { port, version, servername, ca } = client
  const range = { minVersion: version, maxVersion: version }
  const { promise, resolve } = Promise.withResolvers<unknown>()
  const socket = connect({ host: '127.0.0.1', port, servername, ca, ...range }, () => {
    resolve(socket.getProtocol())
    socket.end()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code))
  return promise
}
