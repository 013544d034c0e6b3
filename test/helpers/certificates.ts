import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type AuthorityRequest,
  type CertifiedKey,
  makeAuthority,
} from '../../src/core/certificate/authority.ts'
import { type LeafRequest, makeLeaf } from '../../src/core/certificate/leaf.ts'
import type { KeyPair } from '../../src/core/certificate/x509.ts'
import { patience } from './patience.ts'

export interface Pki {
  readonly authority: CertifiedKey
  readonly leaf: CertifiedKey
}

export function makeKeys(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

export function makeTestAuthority(given: Partial<AuthorityRequest> = {}): CertifiedKey {
  return makeAuthority({
    name: 'test CA',
    keys: makeKeys(),
    random: randomBytes(16),
    now: new Date(),
    days: 30,
    ...given,
  })
}

export function makeTestLeaf(authority: CertifiedKey, given: Partial<LeafRequest> = {}): CertifiedKey {
  return makeLeaf({
    authority,
    hosts: ['localhost', '127.0.0.1'],
    keys: makeKeys(),
    random: randomBytes(16),
    now: new Date(),
    days: 10,
    ...given,
  })
}

/** A CA and a serving certificate of it for localhost and 127.0.0.1. */
export function makePki(): Pki {
  const authority = makeTestAuthority()
  return { authority, leaf: makeTestLeaf(authority) }
}

export async function writePki(dir: string, { authority, leaf }: Pki): Promise<void> {
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'ca.crt'), authority.certPem)
  await writeFile(join(dir, 'tls.crt'), leaf.certPem)
  await writeFile(join(dir, 'tls.key'), leaf.keyPem)
}

/** Waits until the condition holds; an error after forty seconds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + patience(10_000)
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within 40 s: ${what}`)
    await sleep(5)
  }
}
