import { createPrivateKey, generateKeyPairSync, randomBytes, randomInt, X509Certificate } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeAuthority } from '../core/certificate/authority.ts'
import { makeLeaf } from '../core/certificate/leaf.ts'
import { decideLeafRenewal } from '../core/certificate/renewal.ts'
import { messageOf, VnodeError } from '../core/errors.ts'
import type { PemFiles } from './certificate.ts'

export interface DevCertificatesRequest {
  /** Names and addresses besides localhost, 127.0.0.1 and ::1. */
  readonly hosts: readonly string[]
  readonly now: Date
}

export interface DevCertificatesResult {
  readonly created: boolean
  /** Why they were made, or why not. */
  readonly reason: string
}

type FoundFiles = { readonly [name in keyof PemFiles]: string | undefined }

const LOCAL_HOSTS = ['localhost', '127.0.0.1', '::1']
/** The issuer of whatever is made here: this is how our files are told from somebody's own. */
const DEV_AUTHORITY = 'vnode-profile development CA'
const DEV_DAYS = 365
/** Two processes that start at once on one folder can mix their files; whoever finds that tries again, a little later. */
const ATTEMPTS = 5

/**
 * Leaves in `dir` a `tls.crt` and `tls.key` (mode 0600) for the local names and `hosts`, and the `ca.crt` that signed
 * them. Usable ones stay. Files that were not made here are never replaced: it refuses with BAD_CERTIFICATE.
 *
 * The CA's key is thrown away. Whoever trusts `ca.crt` on his machine trusts whatever that key signs, so it must not
 * lie about in a working copy; the price is that every renewal brings a new CA.
 */
export async function ensureDevCertificates(
  dir: string,
  request: DevCertificatesRequest,
): Promise<DevCertificatesResult> {
  const hosts = [...LOCAL_HOSTS, ...request.hosts]
  const decide = (files: FoundFiles) =>
    decideLeafRenewal({
      certPem: files.cert,
      keyPem: files.key,
      caPem: files.ca,
      hosts,
      now: request.now,
    })
  const found = await readOurFiles(dir)
  const first = decide(found)
  if (!first.needed) return { created: false, reason: first.reason }
  if (found.key !== undefined && !isPair(found)) await setAside(dir)
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    await writeFiles(dir, makeFiles(hosts, request.now))
    if (!decide(await readOurFiles(dir)).needed) return { created: true, reason: first.reason }
    await sleep(randomInt(10, 100))
  }
  throw new VnodeError('BAD_FILE', `${dir}: somebody else keeps changing the certificates`, {
    next: 'Give each process its own folder with --cert-dir.',
  })
}

function makeFiles(hosts: readonly string[], now: Date): PemFiles {
  const make = () => ({ keys: generateKeyPairSync('ec', { namedCurve: 'P-256' }), random: randomBytes(16) })
  const authority = makeAuthority({ ...make(), name: DEV_AUTHORITY, now, days: DEV_DAYS })
  const leaf = makeLeaf({ ...make(), authority, hosts, now, days: DEV_DAYS })
  return { cert: leaf.certPem, key: leaf.keyPem, ca: authority.certPem }
}

/** What is there; refuses when any of it is not ours. */
async function readOurFiles(dir: string): Promise<FoundFiles> {
  // The key first: a process that makes these files at this moment then never looks like a key alone.
  const key = await readText(dir, 'tls.key')
  const cert = await readText(dir, 'tls.crt')
  const ca = await readText(dir, 'ca.crt')
  const foreign =
    (cert !== undefined && !isOurs(cert) && 'tls.crt') ||
    (ca !== undefined && !isOurs(ca) && 'ca.crt') ||
    (key !== undefined && cert === undefined && 'tls.key')
  if (!foreign) return { cert, key, ca }
  throw new VnodeError(
    'BAD_CERTIFICATE',
    `${join(dir, foreign)} was not made by --dev-certs and is left as it is`,
    {
      next: 'Serve your own certificate without --dev-certs, or name another folder with --cert-dir.',
    },
  )
}

function isOurs(certPem: string): boolean {
  try {
    const { issuer } = new X509Certificate(certPem)
    return issuer.split('\n').some(line => line.startsWith(`CN=${DEV_AUTHORITY} `))
  } catch {
    return false
  }
}

function isPair({ cert, key }: FoundFiles): boolean {
  try {
    return new X509Certificate(cert ?? '').checkPrivateKey(createPrivateKey(key ?? ''))
  } catch {
    return false
  }
}

/** A key that does not belong to our certificate may be somebody's own, and a lost key does not come back. */
async function setAside(dir: string): Promise<void> {
  await reporting(dir, () =>
    rename(join(dir, 'tls.key'), join(dir, `replaced-${randomBytes(3).toString('hex')}.key`)),
  )
}

/** An empty file counts as missing: there is nothing in it to lose. */
async function readText(dir: string, name: string): Promise<string | undefined> {
  try {
    const text = await readFile(join(dir, name), 'utf8')
    return text.trim() === '' ? undefined : text
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw new VnodeError('BAD_FILE', `${join(dir, name)} cannot be read: ${messageOf(cause)}`, {
      cause,
      next: 'Make it readable, or name another folder with --cert-dir.',
    })
  }
}

/** `tls.crt` goes before `tls.key`, so that a key alone is always somebody else's. */
async function writeFiles(dir: string, files: PemFiles): Promise<void> {
  await reporting(dir, async () => {
    await mkdir(dir, { recursive: true })
    await replaceFile({ dir, name: 'ca.crt', text: files.ca, mode: 0o644 })
    await replaceFile({ dir, name: 'tls.crt', text: files.cert, mode: 0o644 })
    await replaceFile({ dir, name: 'tls.key', text: files.key, mode: 0o600 })
  })
}

async function reporting(dir: string, write: () => Promise<void>): Promise<void> {
  try {
    await write()
  } catch (cause) {
    throw new VnodeError('BAD_FILE', `${dir}: certificates cannot be written: ${messageOf(cause)}`, {
      cause,
      next: 'Make the folder writable, or name another one with --cert-dir.',
    })
  }
}

/** A reader sees the old file or the new one, whole, also after a crash. */
async function replaceFile(file: { dir: string; name: string; text: string; mode: number }): Promise<void> {
  // Ends like the file itself, so that the rules that keep keys out of git hold for it too.
  const temporary = join(file.dir, `.new-${randomBytes(6).toString('hex')}-${file.name}`)
  try {
    const handle = await open(temporary, 'wx', file.mode)
    try {
      await handle.writeFile(file.text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, join(file.dir, file.name))
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
