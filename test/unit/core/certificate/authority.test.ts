import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import t from 'tap'
import { makeAuthority } from '../../../../src/core/certificate/authority.ts'
import { serialFrom } from '../../../../src/core/certificate/x509.ts'
import { makeKeys, makeTestAuthority } from '../../../helpers/certificates.ts'

t.test('a CA signs itself, is a CA and carries its key', async t => {
  const now = new Date('2026-03-01T12:00:00.789Z')
  const keys = makeKeys()
  const { certPem, keyPem } = makeTestAuthority({ now, days: 90, keys })
  const certificate = new X509Certificate(certPem)
  t.equal(certificate.ca, true)
  t.equal(certificate.checkIssued(certificate), true)
  t.equal(certificate.verify(keys.publicKey), true)
  t.equal(certificate.checkPrivateKey(keys.privateKey), true)
  t.equal(keyPem, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  t.equal(certificate.validFromDate.toISOString(), '2026-03-01T11:55:00.000Z', 'begins before slow clocks')
  t.equal(certificate.validToDate.toISOString(), '2026-05-30T12:00:00.000Z')
})

t.test('two generations have two subjects, so that verifiers tell them apart', async t => {
  const [one, other] = [makeTestAuthority(), makeTestAuthority()].map(
    made => new X509Certificate(made.certPem),
  )
  t.match(one?.subject, /^CN=test CA [0-9a-f]{8}$/)
  t.not(one?.subject, other?.subject)
})

t.test('the PEM has full lines and one line feed at its end', async t => {
  for (const { certPem } of Array.from({ length: 20 }, () => makeTestAuthority())) {
    const lines = certPem.split('\n')
    t.equal(lines.at(-1), '')
    t.equal(lines.at(-2), '-----END CERTIFICATE-----')
    t.notOk(lines.slice(0, -1).includes(''), 'no blank line')
  }
})

t.test('a life beyond 2049 is written as strict verifiers want it', async t => {
  const { certPem } = makeTestAuthority({ now: new Date('2049-12-31T00:00:00Z'), days: 400 })
  const certificate = new X509Certificate(certPem)
  t.equal(certificate.validFromDate.toISOString(), '2049-12-30T23:55:00.000Z')
  t.equal(certificate.validToDate.toISOString(), '2051-02-04T00:00:00.000Z')
  t.ok(certificate.raw.includes('491230235500Z'), 'UTCTime until 2049')
  t.ok(certificate.raw.includes('20510204000000Z'), 'GeneralizedTime from 2050 on')
})

t.test('500 random serials and the awkward ones all parse', async t => {
  const awkward = [
    '00'.repeat(16),
    'ff'.repeat(16),
    `0080${'00'.repeat(14)}`,
    `80${'00'.repeat(15)}`,
    `7f${'ff'.repeat(15)}`,
  ]
  const randoms = [
    ...awkward.map(hex => Buffer.from(hex, 'hex')),
    ...Array.from({ length: 500 }, () => randomBytes(16)),
  ]
  const keys = makeKeys()
  const request = { name: 'serial', keys, now: new Date(), days: 1 }
  const serials = randoms.map(
    random => new X509Certificate(makeAuthority({ ...request, random }).certPem).serialNumber,
  )
  t.equal(serials.length, 505)
  t.ok(serials.every(serial => /^[4-7][0-9A-F]{31}$/.test(serial)))
  t.ok(new Set(serials).size >= 503)
})

t.test('a serial has 8 to 20 bytes', async t => {
  for (const length of [0, 7, 21]) t.throws(() => serialFrom(randomBytes(length)), { code: 'INTERNAL' })
  for (const length of [8, 20]) t.equal(serialFrom(randomBytes(length)).length, length)
})

t.test('other kinds of keys are refused', async t => {
  const others = {
    'another curve': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    RSA: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    Ed25519: generateKeyPairSync('ed25519'),
  }
  for (const [what, keys] of Object.entries(others)) {
    t.throws(() => makeTestAuthority({ keys }), { code: 'BAD_CERTIFICATE' }, what)
  }
})
