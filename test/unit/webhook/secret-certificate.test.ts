import { X509Certificate } from 'node:crypto'
import t, { type Test } from 'tap'
import { type CertificateData, renderCertificateData } from '../../../src/core/certificate/secret-data.ts'
import { SecretCertificateSource } from '../../../src/webhook/secret-certificate.ts'
import { makePki, makeTestAuthority, makeTestLeaf, until } from '../../helpers/certificates.ts'
import { type Exchange, FakeApi, makeClient } from '../../helpers/fake-api.ts'

const first = makePki()
const second = makePki()
const dataOf = ({ authority, leaf }: typeof first): CertificateData => ({
  caCert: authority.certPem,
  bundle: authority.certPem,
  cert: leaf.certPem,
  key: leaf.keyPem,
})
const fingerprintOf = ({ leaf }: typeof first) => new X509Certificate(leaf.certPem).fingerprint256

function secretOf(data: CertificateData, version: string) {
  const metadata = { name: 'tls', namespace: 'vnode-system', uid: 'uid', resourceVersion: version }
  return { metadata, data: renderCertificateData(data) }
}

interface Scene {
  readonly source: SecretCertificateSource
  readonly lines: string[]
  /** The watch that is open. */
  readonly watch: Exchange
  readonly api: FakeApi
}

/** A source whose first list has these Secrets. */
async function startScene(t: Test, found: readonly unknown[], now?: () => Date): Promise<Scene> {
  const api = await FakeApi.start(t)
  const lines: string[] = []
  const source = new SecretCertificateSource({
    client: makeClient(t, api),
    namespace: 'vnode-system',
    name: 'tls',
    timings: { minBackoffMs: 5, maxBackoffMs: 20 },
    log: {
      info: (_, message) => lines.push(message),
      warn: (fields, message) => lines.push(`${message}: ${'problem' in fields ? fields.problem : 'fault'}`),
    },
    ...(now === undefined ? {} : { now }),
  })
  t.teardown(() => source.stop())
  await source.start()
  const list = await api.next()
  t.equal(list.path, '/api/v1/namespaces/vnode-system/secrets')
  t.equal(list.query.fieldSelector, 'metadata.name=tls', 'so that RBAC can name the one Secret')
  list.list(found, '10')
  const watch = await api.next()
  watch.open()
  return { source, lines, watch, api }
}

t.test('what the helper has made is served, and its bundle is what clients are told to trust', async t => {
  const bundle = first.authority.certPem + second.authority.certPem
  const { source } = await startScene(t, [secretOf({ ...dataOf(first), bundle }, '2')])
  await until('a certificate', () => source.current() !== undefined)
  t.match(source.current(), { fingerprint: fingerprintOf(first), caPem: bundle })
  t.match(source.healthy(), { ok: true, reason: /^the certificate is valid until [^;]*$/ })
})

t.test('the Secret of cert-manager, which has no bundle and perhaps no CA, is served too', async t => {
  const { caCert, cert, key } = dataOf(first)
  const { source, watch } = await startScene(t, [secretOf({ caCert, cert, key }, '2')])
  await until('a certificate', () => source.current() !== undefined)
  t.equal(source.current()?.caPem, caCert)
  const { cert: nextCert, key: nextKey } = dataOf(second)
  watch.send('MODIFIED', secretOf({ cert: nextCert, key: nextKey }, '11'))
  await until('the next', () => source.current()?.fingerprint === fingerprintOf(second))
  t.equal(source.current()?.caPem, undefined)
})

t.test('a Secret that is not there yet is waited for', async t => {
  const { source, lines, watch } = await startScene(t, [])
  await until('word of it', () => lines.length > 0)
  t.strictSame(lines, [
    'no certificate that can be served; there is none to serve: Secret vnode-system/tls does not exist yet',
  ])
  t.equal(source.current(), undefined)
  t.strictSame(source.healthy(), { ok: false, reason: 'Secret vnode-system/tls does not exist yet' })
  const told: string[] = []
  source.onChange(({ fingerprint }) => told.push(fingerprint))
  watch.send('ADDED', secretOf(dataOf(first), '11'))
  await until('the certificate', () => told.length > 0)
  t.strictSame(told, [fingerprintOf(first)])
  t.ok(source.healthy().ok)
})

const leafOfAnother = makeTestLeaf(makeTestAuthority())
const RUBBISH: Readonly<Record<string, readonly [CertificateData, RegExp]>> = {
  'nothing in it': [{}, /tls.crt or tls.key is missing/],
  'a certificate without a key': [{ ...dataOf(second), key: undefined }, /missing/],
  'the key of another': [{ ...dataOf(second), key: first.leaf.keyPem }, /tls.key does not belong to tls.crt/],
  'no certificate': [{ ...dataOf(second), cert: 'rubbish' }, /cannot be read/],
  'a bundle that is rubbish': [{ ...dataOf(second), bundle: 'rubbish' }, /holds no certificate/],
  'a certificate that the bundle beside it does not trust': [
    { ...dataOf(second), cert: leafOfAnother.certPem, key: leafOfAnother.keyPem },
    /not signed by any CA of the bundle/,
  ],
}

for (const [name, [data, problem]] of Object.entries(RUBBISH)) {
  t.test(`the certificate before stays in force beside a Secret with ${name}`, async t => {
    const { source, lines, watch } = await startScene(t, [secretOf(dataOf(first), '2')])
    await until('a certificate', () => source.current() !== undefined)
    watch.send('MODIFIED', secretOf(data, '11'))
    await until('word of it', () => lines.length === 2)
    t.match(lines[1], problem)
    t.match(lines[1], /the one before stays in force/)
    t.equal(source.current()?.fingerprint, fingerprintOf(first))
    t.match(source.healthy(), { ok: true, reason: problem })
    watch.send('MODIFIED', secretOf(dataOf(second), '12'))
    await until('the next', () => source.current()?.fingerprint === fingerprintOf(second))
    t.match(source.healthy(), { ok: true, reason: /valid until [^;]*$/ })
  })
}

t.test('the certificate stays when its Secret is deleted, and expires', async t => {
  let now = new Date()
  const { source, watch } = await startScene(t, [secretOf(dataOf(first), '2')], () => now)
  await until('a certificate', () => source.current() !== undefined)
  watch.send('DELETED', secretOf(dataOf(first), '11'))
  await until('word of it', () => source.healthy().reason.includes('was deleted'))
  t.match(source.healthy(), { ok: true })
  now = new Date(Date.now() + 11 * 86_400_000)
  t.match(source.healthy(), { ok: false, reason: /^the certificate expired at/ })
})

t.test('readiness tells why the Secret cannot be read', async t => {
  const api = await FakeApi.start(t)
  api.answer(exchange => exchange.refuse(403, 'Forbidden'))
  const source = new SecretCertificateSource({ client: makeClient(t, api), namespace: 'a', name: 'tls' })
  t.teardown(() => source.stop())
  await source.start()
  await until('a refusal', () => source.healthy().reason.includes('403'))
  t.equal(source.healthy().ok, false)
})
