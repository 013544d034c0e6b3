import { X509Certificate } from 'node:crypto'
import { parseBundle } from '../core/certificate/bundle.ts'
import { type CertificateData, parseCertificateData } from '../core/certificate/secret-data.ts'
import { messageOf } from '../core/errors.ts'
import type { KubeClient } from '../kube/api.ts'
import { resourcePath } from '../kube/path.ts'
import { Reflector } from '../kube/reflector.ts'
import type { ReflectorTimings } from '../kube/reflector-options.ts'
import {
  type CertificateLog,
  type CertificateSource,
  parseServingCertificate,
  type ServingCertificate,
  SILENT,
} from './certificate.ts'
import { CertificateHolder } from './certificate-holder.ts'

export interface SecretOptions {
  readonly client: Pick<KubeClient, 'request' | 'stream'>
  readonly namespace: string
  readonly name: string
  readonly now?: () => Date
  readonly log?: CertificateLog
  readonly timings?: Partial<ReflectorTimings>
}

/**
 * Serves the certificate of one Secret, the helper's or cert-manager's, and follows its changes by a watch: a Secret that is mounted as a
 * volume lags by a minute and more. Whatever becomes of the Secret, the last good certificate stays in force.
 *
 * `start` does not wait for the Secret: the helper, which makes it, may come later. Until then there is no certificate, and nobody is ready.
 */
export class SecretCertificateSource implements CertificateSource {
  readonly #label: string
  readonly #log: CertificateLog
  readonly #held: CertificateHolder
  readonly #watched: Reflector<CertificateData>
  #problem: string | undefined

  constructor(options: SecretOptions) {
    const { client, namespace, name, log = SILENT, timings } = options
    this.#label = `Secret ${namespace}/${name}`
    this.#log = log
    this.#held = new CertificateHolder(log, options.now ?? (() => new Date()))
    this.#problem = `${this.#label} has not been read yet`
    this.#watched = new Reflector<CertificateData>({
      client,
      path: resourcePath({ version: 'v1', plural: 'secrets', namespace }),
      // With this selector `list` and `watch` are limited by resourceNames as well.
      fieldSelector: `metadata.name=${name}`,
      keep: parseCertificateData,
      onChange: ({ type, value }) => (type === 'deleted' ? this.#miss('was deleted') : this.#judge(value)),
      onSynced: () => {
        if (this.#watched.objects.size === 0) this.#miss('does not exist yet')
      },
      onError: (error, during) =>
        log.warn({ secret: this.#label, during, error: messageOf(error) }, 'watching the Secret had a fault'),
      ...(timings === undefined ? {} : { timings }),
    })
  }

  async start(): Promise<void> {
    this.#watched.start()
  }

  current(): ServingCertificate | undefined {
    return this.#held.current
  }

  onChange(listener: (certificate: ServingCertificate) => void): () => void {
    return this.#held.onChange(listener)
  }

  stop(): void {
    this.#held.close()
    void this.#watched.stop()
  }

  healthy(): { ok: boolean; reason: string } {
    const { lastError } = this.#watched
    const problem = lastError === undefined ? this.#problem : messageOf(lastError)
    return this.#held.healthy(problem, this.#label)
  }

  #judge(data: CertificateData): void {
    const certificate = readCertificate(data)
    if (typeof certificate === 'string') {
      this.#tell(certificate)
    } else {
      this.#problem = undefined
      this.#held.take(certificate)
    }
  }

  #miss(what: string): void {
    this.#tell(`${this.#label} ${what}`)
  }

  #tell(problem: string): void {
    if (problem === this.#problem) return
    this.#problem = problem
    const stays = this.current() === undefined ? 'there is none to serve' : 'the one before stays in force'
    this.#log.warn({ secret: this.#label, problem }, `no certificate that can be served; ${stays}`)
  }
}

/** What is served, or the sentence that says why it is not. */
function readCertificate({
  cert = '',
  key = '',
  bundle,
  caCert,
}: CertificateData): ServingCertificate | string {
  // cert-manager has no bundle; its `ca.crt` may be empty.
  const ca = bundle ?? caCert ?? ''
  if (cert === '' || key === '') return 'tls.crt or tls.key is missing'
  const certificate = parseServingCertificate({ cert, key, ca })
  if (typeof certificate === 'string' || bundle === undefined) return certificate
  const leaf = new X509Certificate(cert)
  const isTrusted = parseBundle(bundle).certificates.some(
    one => leaf.checkIssued(one) && leaf.verify(one.publicKey),
  )
  return isTrusted ? certificate : 'tls.crt is not signed by any CA of the bundle beside it'
}
