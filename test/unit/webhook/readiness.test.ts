import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import type { RuleSource } from '../../../src/rules/source.ts'
import {
  type CertificateSource,
  parseServingCertificate,
  type ServingCertificate,
} from '../../../src/webhook/certificate.ts'
import { checkReadiness, type ReadinessOptions } from '../../../src/webhook/readiness.ts'
import { makePki, makeTestAuthority, makeTestLeaf, type Pki } from '../../helpers/certificates.ts'

const HOST = '127.0.0.1'

function servingOf({ authority, leaf }: Pki): ServingCertificate {
  const parsed = parseServingCertificate({ cert: leaf.certPem, key: leaf.keyPem, ca: authority.certPem })
  if (typeof parsed === 'string') throw new Error(parsed)
  return parsed
}

function certificateSource(current: ServingCertificate | undefined, ok = true): CertificateSource {
  return {
    start: async () => undefined,
    current: () => current,
    onChange: () => () => undefined,
    stop: () => undefined,
    healthy: () => ({ ok, reason: ok ? 'the certificate is fine' : 'the certificate expired' }),
  }
}

function ruleSource(isSynced: boolean): RuleSource {
  return {
    start: async () => undefined,
    stop: async () => undefined,
    health: () => [
      { resource: 'files', isSynced, reason: isSynced ? 'they are loaded' : 'they are not loaded yet' },
    ],
  }
}

/** Where a server shows this certificate. */
async function serve(t: Test, { leaf }: Pki): Promise<{ host: string; port: number }> {
  const server = createServer({ cert: leaf.certPem, key: leaf.keyPem })
  server.listen({ port: 0, host: HOST })
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  return { host: HOST, port }
}

interface Case {
  readonly change: (good: ReadinessOptions) => Partial<ReadinessOptions>
  /** The lines that are not ok. */
  readonly failing: readonly RegExp[]
}

const CASES: Readonly<Record<string, Case>> = {
  'all is well': { change: () => ({}), failing: [] },
  'rules are not loaded': {
    change: () => ({ source: ruleSource(false) }),
    failing: [/^files: they are not loaded yet$/],
  },
  'the certificate has expired': {
    change: ({ certificate }) => ({ certificate: certificateSource(certificate.current(), false) }),
    failing: [/^certificate: the certificate expired$/],
  },
  'it does not listen yet': {
    change: () => ({ address: () => undefined }),
    failing: [/^handshake: not listening yet$/],
  },
  'nobody listens there': {
    change: () => ({ address: () => ({ host: HOST, port: 1 }) }),
    failing: [/^handshake: TLS handshake with 127\.0\.0\.1 port 1 failed: .*ECONNREFUSED/],
  },
  'the published CA is another one': {
    change: () => ({ certificate: certificateSource(servingOf(makePki())) }),
    failing: [/^handshake: TLS handshake .* failed: unable to verify the first certificate$/],
  },
  'it was told to stop': {
    change: () => ({ isDraining: () => true }),
    failing: [/^draining: told to stop; finishing what is under way$/],
  },
  'several things are missing': {
    change: () => ({ source: ruleSource(false), isDraining: () => true, address: () => undefined }),
    failing: [/^files/, /^handshake/, /^draining/],
  },
}

for (const [what, { change, failing }] of Object.entries(CASES)) {
  t.test(`${what}: ${failing.length === 0 ? 'ready' : 'not ready'}`, async t => {
    const pki = makePki()
    const address = await serve(t, pki)
    const good: ReadinessOptions = {
      source: ruleSource(true),
      certificate: certificateSource(servingOf(pki)),
      address: () => address,
      isDraining: () => false,
    }
    const { isReady, checks } = await checkReadiness({ ...good, ...change(good) })
    t.equal(isReady, failing.length === 0)
    t.match(
      checks.filter(({ isOk }) => !isOk).map(({ name, reason }) => `${name}: ${reason}`),
      failing,
    )
    t.strictSame(
      checks.map(({ name }) => name),
      ['files', 'certificate', 'handshake', 'draining'],
    )
  })
}

t.test(
  'a certificate that is not the one that was read is told, and no reason to send nobody here',
  async t => {
    const authority = makeTestAuthority()
    const [served, read] = [1, 2].map(() => ({ authority, leaf: makeTestLeaf(authority) }))
    if (served === undefined || read === undefined) return
    const address = await serve(t, served)
    const { isReady, checks } = await checkReadiness({
      source: ruleSource(true),
      certificate: certificateSource(servingOf(read)),
      address: () => address,
      isDraining: () => false,
    })
    t.equal(isReady, true)
    const [of, not] = [served, read].map(pki => servingOf(pki).fingerprint.slice(0, 11))
    t.equal(
      checks.find(({ name }) => name === 'handshake')?.reason,
      `the certificate with fingerprint ${of}… is served, not yet the one that was read (${not}…)`,
    )
  },
)
