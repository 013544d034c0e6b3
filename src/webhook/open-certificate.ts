/** Where the serving certificate comes from: a folder, development certificates in it, or a Secret of the cluster. */
import type { KubeClient } from '../kube/api.ts'
import type { ReflectorTimings } from '../kube/reflector-options.ts'
import type { Logger } from '../telemetry/logger.ts'
import { type CertificateSource, DirectoryCertificateSource } from './certificate.ts'
import { SecretCertificateSource } from './secret-certificate.ts'

export interface CertificatePlace {
  readonly certDir: string
  /** Make certificates for local use in `certDir` where there are none. */
  readonly isDev: boolean
  /** In place of `certDir`. */
  readonly certSecret?: SecretName
}

export interface SecretName {
  readonly namespace: string
  readonly name: string
}

interface Surroundings {
  readonly connect: () => Promise<KubeClient>
  readonly log: Logger
  readonly host?: string
  readonly timings?: Partial<ReflectorTimings>
}

export interface OpenCertificate {
  readonly source: CertificateSource
  stop(): Promise<void>
}

export async function openCertificate(options: CertificatePlace & Surroundings): Promise<OpenCertificate> {
  const { certDir, isDev, certSecret, host, log } = options
  if (certSecret !== undefined) return openSecret(certSecret, options)
  if (isDev) {
    const hosts = host === undefined || host === '0.0.0.0' || host === '::' ? [] : [host]
    // The library that writes X.509 costs 11 MB, which only this needs.
    const { ensureDevCertificates } = await import('./dev-certificates.ts')
    const { created, reason } = await ensureDevCertificates(certDir, { hosts, now: new Date() })
    if (created) log.info({ certDir, reason }, 'development certificates made')
  }
  const source = new DirectoryCertificateSource(certDir, { log })
  await source.start()
  return { source, stop: async () => source.stop() }
}

async function openSecret(
  { namespace, name }: SecretName,
  { connect, log, timings }: Surroundings,
): Promise<OpenCertificate> {
  const client = await connect()
  const source = new SecretCertificateSource({
    client,
    namespace,
    name,
    log,
    ...(timings === undefined ? {} : { timings }),
  })
  await source.start()
  const stop = async () => {
    source.stop()
    await client.close()
  }
  return { source, stop }
}
