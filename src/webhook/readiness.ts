/** Ready means: rules, namespaces and VNodes are loaded, and a client that trusts the published CA can shake hands with us. */
import { messageOf } from '../core/errors.ts'
import type { RuleSource } from '../rules/source.ts'
import { handshake } from '../serving/handshake.ts'
import type { Readiness, ReadinessCheck } from '../serving/readiness.ts'
import type { CertificateSource } from './certificate.ts'

export interface ReadinessOptions {
  readonly source: RuleSource
  readonly certificate: CertificateSource
  /** Where the admission server listens; undefined until it does. */
  readonly address: () => { readonly host: string; readonly port: number } | undefined
  readonly isDraining: () => boolean
}

export async function checkReadiness({
  source,
  certificate,
  address,
  isDraining,
}: ReadinessOptions): Promise<Readiness> {
  const { ok, reason } = certificate.healthy()
  const checks = [
    ...source.health().map(one => ({ name: one.resource, isOk: one.isSynced, reason: one.reason })),
    { name: 'certificate', isOk: ok, reason },
    await checkHandshake(certificate, address()),
    {
      name: 'draining',
      isOk: !isDraining(),
      reason: isDraining() ? 'told to stop; finishing what is under way' : 'not told to stop',
    },
  ]
  return { isReady: checks.every(check => check.isOk), checks }
}

async function checkHandshake(
  certificate: CertificateSource,
  address: ReturnType<ReadinessOptions['address']>,
): Promise<ReadinessCheck> {
  const name = 'handshake'
  if (address === undefined) return { name, isOk: false, reason: 'not listening yet' }
  try {
    const { fingerprint } = await handshake({ ...address, caPem: certificate.current()?.caPem })
    // Not a reason to be taken out of service: clients that trust the published CA believe the old one too.
    const wanted = certificate.current()?.fingerprint
    const not = wanted === fingerprint ? '' : `, not yet the one that was read (${short(wanted)})`
    return {
      name,
      isOk: true,
      reason: `the certificate with fingerprint ${short(fingerprint)} is served${not}`,
    }
  } catch (error) {
    return { name, isOk: false, reason: messageOf(error) }
  }
}

function short(fingerprint = 'none'): string {
  return `${fingerprint.slice(0, 11)}…`
}
