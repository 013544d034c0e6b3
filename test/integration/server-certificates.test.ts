/** The certificate is replaced under load: nobody notices who is connected, and everybody who connects gets the new one. */
import { X509Certificate } from 'node:crypto'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { handshake } from '../../src/serving/handshake.ts'
import { makePki, makeTestAuthority, makeTestLeaf, type Pki, writePki } from '../helpers/certificates.ts'
import { LoadClient } from '../helpers/load-client.ts'
import { Samples } from '../helpers/prometheus.ts'
import { REVIEW } from '../helpers/raw-requests.ts'
import { PODS } from '../helpers/review-app.ts'
import { holds } from '../helpers/webhook.ts'
import { type ServingProcess, startProcess } from '../helpers/webhook-process.ts'

const CLIENTS = 16
const ROTATIONS = 6
const DAY_MS = 86_400_000

const certificateOf = ({ leaf }: Pki) => new X509Certificate(leaf.certPem)

/** The fingerprint that a new connection sees, if it trusts this CA. */
async function seen({ port }: ServingProcess, caPem: string): Promise<string | undefined> {
  const trust = { host: '127.0.0.1', port, caPem, servername: 'localhost' }
  return await handshake(trust).then(
    ({ fingerprint }) => fingerprint,
    () => undefined,
  )
}

async function expiry({ opsUrl }: ServingProcess): Promise<number | undefined> {
  const samples = new Samples(await (await fetch(`${opsUrl}/metrics`)).text())
  return samples.sum('vnode_profile_certificate_expiry_timestamp_seconds')
}

async function readyz({ opsUrl }: ServingProcess): Promise<{ status: number; text: string }> {
  const response = await fetch(`${opsUrl}/readyz`)
  return { status: response.status, text: await response.text() }
}

/** A pair that ends after so many days. */
function pkiFor(days: number): Pki {
  const authority = makeTestAuthority({ days: days + 1 })
  return { authority, leaf: makeTestLeaf(authority, { days }) }
}

async function takesOver(t: Test, webhook: ServingProcess, pki: Pki): Promise<void> {
  const { fingerprint256, validToDate } = certificateOf(pki)
  await holds(async () => (await seen(webhook, pki.authority.certPem)) === fingerprint256, 10_000)
  t.equal(await expiry(webhook), validToDate.getTime() / 1000, 'the metric follows')
  const { status, text } = await readyz(webhook)
  t.equal(status, 200)
  t.match(text, `the certificate with fingerprint ${fingerprint256.slice(0, 11)}… is served\n`)
}

t.test(`replaced ${ROTATIONS} times during ${CLIENTS} busy connections`, async t => {
  const first = pkiFor(10)
  const webhook = await startProcess(t, { pki: first, args: ['--shutdown-delay', '0'] })
  const target = { port: webhook.port, caPem: first.authority.certPem, path: PODS, body: REVIEW }
  const clients = Array.from({ length: CLIENTS }, () => new LoadClient(target))
  await holds(() => clients.every(({ answered }) => answered > 0), 20_000)
  for (let rotation = 1; rotation <= ROTATIONS; rotation += 1) {
    const pki = pkiFor(10 + rotation)
    await writePki(webhook.certDir, pki)
    await takesOver(t, webhook, pki)
    const before = clients.map(({ answered }) => answered)
    await holds(() => clients.every(({ answered }, index) => answered > (before[index] ?? 0)), 20_000)
  }
  const ended = await Promise.all(clients.map(client => client.stop()))
  t.strictSame(
    ended.flatMap(({ lost }) => lost),
    [],
    'no failed request',
  )
  t.strictSame(
    ended.map(({ connections }) => connections),
    Array(CLIENTS).fill(1),
    'no connection was dropped',
  )
  t.comment(`${ended.reduce((sum, { answered }) => sum + answered, 0)} answers`)
})

t.test('swapped as a whole, as a Secret volume does; without a CA; and back again', async t => {
  const [first, second] = [makePki(), pkiFor(20)]
  const webhook = await startProcess(t, { pki: first, args: ['--shutdown-delay', '0'] })
  await rename(webhook.certDir, `${webhook.certDir}-old`)
  await writePki(`${webhook.certDir}-new`, second)
  await rename(`${webhook.certDir}-new`, webhook.certDir)
  await takesOver(t, webhook, second)
  await writeFile(join(webhook.certDir, 'ca.crt'), '')
  await writePki(webhook.certDir, first)
  await takesOver(t, webhook, first)
})

t.test('a pair that does not fit keeps the old one, and readiness and the log say so', async t => {
  const pki = makePki()
  const webhook = await startProcess(t, { pki, args: ['--shutdown-delay', '0'] })
  await writeFile(join(webhook.certDir, 'tls.key'), makePki().leaf.keyPem)
  await holds(async () => (await readyz(webhook)).text.includes('does not belong'), 15_000)
  t.equal((await readyz(webhook)).status, 200)
  t.equal(await seen(webhook, pki.authority.certPem), certificateOf(pki).fingerprint256)
  t.equal(await expiry(webhook), certificateOf(pki).validToDate.getTime() / 1000)
  await webhook.process.logged('certificate files are unusable; the pair read before stays in use', 30_000)
})

t.test('an expired certificate is not ready, until there is a valid one', async t => {
  const now = new Date(Date.now() - 3 * DAY_MS)
  const authority = makeTestAuthority({ now })
  const expired = { authority, leaf: makeTestLeaf(authority, { now, days: 1 }) }
  const webhook = await startProcess(t, { pki: expired, args: ['--shutdown-delay', '0'] })
  const { status, text } = await readyz(webhook)
  t.equal(status, 503)
  t.match(text, /\[not ready\] certificate: the certificate expired at /)
  t.match(
    text,
    /\[not ready\] handshake: TLS handshake with 127\.0\.0\.1 port \d+ failed: certificate has expired/,
  )
  const valid = { authority, leaf: makeTestLeaf(authority) }
  await writePki(webhook.certDir, valid)
  await takesOver(t, webhook, valid)
})

t.test('a certificate that is not of the published CA is not ready', async t => {
  const pki = makePki()
  const webhook = await startProcess(t, {
    pki: { ...pki, authority: makeTestAuthority() },
    args: ['--shutdown-delay', '0'],
  })
  const { status, text } = await readyz(webhook)
  t.equal(status, 503)
  t.match(text, /\[not ready\] handshake: TLS handshake .* failed: unable to verify the first certificate/)
})
