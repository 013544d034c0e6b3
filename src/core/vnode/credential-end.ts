/** When a kubeconfig's credential ends, as far as it says so itself. */
import { X509Certificate } from 'node:crypto'
import { asRecord, own } from '../kubernetes/objects.ts'

/** Of the last certificate that counts, the first in the file; undefined if it cannot be read. */
export function certificateEnd(pem: string): Date | undefined {
  try {
    return new X509Certificate(pem).validToDate
  } catch {
    return undefined
  }
}

/** Of a JSON web token that says so; a ServiceAccount's token of a Secret does not end, and neither does what is no such token. */
export function tokenEnd(token: string): Date | undefined {
  const [, claims = '', signature] = token.split('.')
  if (signature === undefined) return undefined
  try {
    const seconds = own(asRecord(JSON.parse(Buffer.from(claims, 'base64url').toString('utf8'))), 'exp')
    return typeof seconds === 'number' ? new Date(seconds * 1000) : undefined
  } catch {
    return undefined
  }
}
