/** A client from settings. */
import { readFile } from 'node:fs/promises'
import { messageOf, VnodeError } from '../core/errors.ts'
import type { CredentialSettings } from '../core/vnode/credential-settings.ts'
import { createEciClient } from './client.ts'
import { credentialSource } from './credentials.ts'
import type { RetryNotice } from './signed-api.ts'
import type { EciClient } from './virtual-node.ts'

export interface OpenEciOptions {
  readonly regionId: string
  readonly credentials: CredentialSettings
  readonly endpoint?: string | undefined
  readonly extraCaFile?: string | undefined
  readonly isVpcEndpoint?: boolean | undefined
  readonly proxy?: string | undefined
  readonly noProxy?: string | undefined
  readonly userAgent: string
  readonly onRetry?: ((notice: RetryNotice) => void) | undefined
}

/** Reads the authority's file; nothing is sent yet. */
export async function openEci({ extraCaFile, credentials, ...options }: OpenEciOptions): Promise<EciClient> {
  const extraCa = extraCaFile === undefined ? undefined : await readPem(extraCaFile)
  return createEciClient({ ...options, extraCa, credentials: credentialSource(credentials) })
}

async function readPem(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(error => {
    throw new VnodeError('BAD_FILE', `--eci-ca: ${messageOf(error)}`)
  })
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text
  throw new VnodeError('BAD_FILE', `--eci-ca: ${file} holds no certificate in PEM`)
}
