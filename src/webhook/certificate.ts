import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { type FSWatcher, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSecureContext } from 'node:tls'
import { parseBundle } from '../core/certificate/bundle.ts'
import { messageOf, VnodeError } from '../core/errors.ts'
import type { Logger } from '../telemetry/logger.ts'
import { CertificateHolder } from './certificate-holder.ts'

/** What the server serves: a certificate with its key, proven to fit, and the CA that clients are told to trust. */
export interface ServingCertificate {
  readonly certPem: string
  readonly keyPem: string
  readonly caPem?: string
  readonly notBefore: Date
  readonly notAfter: Date
  /** SHA-256 of the certificate, as OpenSSL and node:tls print it. */
  readonly fingerprint: string
}

export interface CertificateSource {
  /**
   * Resolves once there is a certificate, and rejects with BAD_CERTIFICATE when none turns up; where somebody else has yet to make it, it
   * resolves at once.
   */
  start(): Promise<void>
  current(): ServingCertificate | undefined
  /** Called whenever `current()` has changed, the first time included. Returns what ends the subscription. */
  onChange(listener: (certificate: ServingCertificate) => void): () => void
  stop(): void
  /** Whether what is served is valid now. The reason is a sentence, also when all is well. */
  healthy(): { readonly ok: boolean; readonly reason: string }
}

export type CertificateLog = Pick<Logger, 'info' | 'warn'>

export interface DirectoryOptions {
  /** Between two looks at the files, in milliseconds. Watching makes it faster where it works. */
  readonly pollMs?: number
  /** How long `start` waits for a usable pair: whoever writes the files may be half-way. */
  readonly waitMs?: number
  readonly now?: () => Date
  readonly log?: CertificateLog
}

export interface PemFiles {
  readonly cert: string
  readonly key: string
  /** Empty when there is none: cert-manager writes an empty `ca.crt` for a public CA. */
  readonly ca: string
}

const POLL_MS = 5_000
const WAIT_MS = 2_000
/** From a change on disk to reading it: writers touch several files, one right after the other. */
const SETTLE_MS = 50
export const SILENT: CertificateLog = { info: () => {}, warn: () => {} }

/** A pair that node:tls will take, or the sentence that says why not. */
export function parseServingCertificate(files: PemFiles): ServingCertificate | string {
  try {
    const certificate = new X509Certificate(files.cert)
    if (!certificate.checkPrivateKey(createPrivateKey(files.key))) return 'tls.key does not belong to tls.crt'
    // Catches what the check above does not: keys that OpenSSL calls too small, a broken chain after the first block.
    createSecureContext({ cert: files.cert, key: files.key })
    const hasCa = files.ca.trim() !== ''
    if (hasCa && parseBundle(files.ca).certificates.length === 0) return 'ca.crt holds no certificate'
    return {
      certPem: files.cert,
      keyPem: files.key,
      ...(hasCa ? { caPem: files.ca } : {}),
      notBefore: certificate.validFromDate,
      notAfter: certificate.validToDate,
      fingerprint: certificate.fingerprint256,
    }
  } catch (error) {
    return `tls.crt or tls.key cannot be read: ${messageOf(error)}`
  }
}

/**
 * Serves `tls.crt`, `tls.key` and, if there, `ca.crt` of a directory, and follows their changes. Files that are gone,
 * half-written or unusable leave the last good certificate in force; after `start` nothing throws.
 *
 * Polling by content is what is relied on. Watching only makes it faster: it is blind on some file systems and loses
 * a directory that is replaced as a whole.
 */
export class DirectoryCertificateSource implements CertificateSource {
  readonly #dir: string
  readonly #pollMs: number
  readonly #waitMs: number
  readonly #log: CertificateLog
  readonly #held: CertificateHolder
  /** Hash of the files that were last judged, or why they could not be read: only a change costs more. */
  #judged = ''
  #problem: string | undefined
  #problemSince = 0
  #problemTold = false
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #state: 'idle' | 'settling' | 'reading' | 'stopped' = 'idle'
  #changedWhileReading = false

  constructor(dir: string, options: DirectoryOptions = {}) {
    this.#dir = dir
    this.#pollMs = options.pollMs ?? POLL_MS
    this.#waitMs = options.waitMs ?? WAIT_MS
    this.#log = options.log ?? SILENT
    this.#held = new CertificateHolder(this.#log, options.now ?? (() => new Date()))
  }

  async start(): Promise<void> {
    const deadline = performance.now() + this.#waitMs
    this.#watch()
    await this.#look()
    while (this.current() === undefined && performance.now() < deadline && !this.#isStopped()) {
      await sleep(SETTLE_MS)
      await this.#look()
    }
    if (this.current() !== undefined) return
    this.stop()
    throw new VnodeError('BAD_CERTIFICATE', `${this.#dir}: ${this.#problem ?? 'stopped while starting'}`, {
      next: 'Put tls.crt and tls.key (PEM, no passphrase) there, or let --dev-certs make them.',
    })
  }

  current(): ServingCertificate | undefined {
    return this.#held.current
  }

  onChange(listener: (certificate: ServingCertificate) => void): () => void {
    return this.#held.onChange(listener)
  }

  stop(): void {
    this.#state = 'stopped'
    clearTimeout(this.#timer)
    this.#unwatch()
    this.#held.close()
  }

  healthy(): { ok: boolean; reason: string } {
    return this.#held.healthy(this.#problem, this.#dir)
  }

  #isStopped(): boolean {
    return this.#state === 'stopped'
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#look(), delayMs)
    this.#timer.unref()
  }

  /** Reads the files once and plans the next look. One at a time, so that an older reading never wins over a newer. */
  async #look(): Promise<void> {
    if (this.#state === 'reading' || this.#isStopped()) return
    this.#state = 'reading'
    this.#changedWhileReading = false
    this.#watch()
    const files = await readPemFiles(this.#dir)
    if (this.#isStopped()) return
    this.#judge(files)
    if (this.#isStopped()) return
    this.#state = this.#changedWhileReading ? 'settling' : 'idle'
    this.#schedule(this.#changedWhileReading ? SETTLE_MS : this.#pollMs)
  }

  #judge(files: PemFiles | string): void {
    const hash = typeof files === 'string' ? files : hashOf(files)
    if (hash !== this.#judged) {
      this.#judged = hash
      const certificate = typeof files === 'string' ? files : parseServingCertificate(files)
      this.#problem = typeof certificate === 'string' ? certificate : undefined
      this.#problemSince = performance.now()
      this.#problemTold = false
      if (typeof certificate !== 'string') this.#held.take(certificate)
    }
    this.#tellProblem()
  }

  /** Once per problem, and only when it outlasts two polls: between the two files of a pair there always is one. */
  #tellProblem(): void {
    if (this.#problem === undefined || this.#problemTold) return
    if (performance.now() - this.#problemSince < 2 * this.#pollMs) return
    this.#problemTold = true
    const fields = { dir: this.#dir, problem: this.#problem }
    this.#log.warn(fields, 'certificate files are unusable; the pair read before stays in use')
  }

  #watch(): void {
    if (this.#watcher !== undefined) return
    try {
      this.#watcher = watch(this.#dir, { persistent: false }, () => this.#changed())
      this.#watcher.on('error', () => this.#unwatch())
    } catch {
      // The directory is missing, or the system is out of watches: polling goes on, and tries this again.
    }
  }

  #unwatch(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }

  #changed(): void {
    if (this.#state === 'reading') this.#changedWhileReading = true
    if (this.#state !== 'idle') return
    this.#state = 'settling'
    this.#schedule(SETTLE_MS)
  }
}

/** The files, or why not. Read in a fixed order, so that the same fault always reads the same. */
async function readPemFiles(dir: string): Promise<PemFiles | string> {
  const read = (name: string) => readFile(join(dir, name), 'utf8')
  try {
    return { cert: await read('tls.crt'), key: await read('tls.key'), ca: await read('ca.crt').catch(noFile) }
  } catch (error) {
    return messageOf(error)
  }
}

function noFile(error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
  throw error
}

function hashOf(files: PemFiles): string {
  return createHash('sha256')
    .update(JSON.stringify([files.cert, files.key, files.ca]))
    .digest('hex')
}
