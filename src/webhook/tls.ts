import type { SecureContextOptions } from 'node:tls'
import { messageOf } from '../core/errors.ts'
import type { CertificateLog, CertificateSource, ServingCertificate } from './certificate.ts'

/** The part of an HTTPS server that is used here; `https.Server` and Fastify's `app.server` have it. */
export interface SecureServer {
  setSecureContext(options: SecureContextOptions): void
}

/**
 * The TLS options of the server, for making it and for each change: `setSecureContext` forgets every option that it
 * is not given again.
 */
export function secureContextOptions(certificate: ServingCertificate | undefined): SecureContextOptions {
  const minVersion = 'TLSv1.2'
  // Without a certificate the server listens, and every handshake fails.
  return certificate === undefined
    ? { minVersion }
    : { cert: certificate.certPem, key: certificate.keyPem, minVersion }
}

/**
 * Serves what the source has, now and after each change, until the returned function is called. Open connections keep
 * the certificate they began with. One that the server refuses is logged, and the one before stays.
 */
export function followCertificate(
  server: SecureServer,
  source: CertificateSource,
  log?: CertificateLog,
): () => void {
  const apply = (certificate: ServingCertificate) => {
    try {
      server.setSecureContext(secureContextOptions(certificate))
    } catch (error) {
      const { fingerprint } = certificate
      log?.warn({ fingerprint, error: messageOf(error) }, 'the certificate is refused; the one before stays')
    }
  }
  const unfollow = source.onChange(apply)
  const certificate = source.current()
  if (certificate !== undefined) apply(certificate)
  return unfollow
}
