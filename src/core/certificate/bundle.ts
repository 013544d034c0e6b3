import { X509Certificate } from 'node:crypto'

export interface Bundle {
  readonly certificates: readonly X509Certificate[]
  /** How many blocks say that they are certificates and are not. */
  readonly unreadable: number
}

export interface MergedBundle {
  /** One PEM block after the other, each ended by a line feed; empty when nothing is left. */
  readonly pem: string
  readonly kept: number
  readonly dropped: { readonly duplicate: number; readonly expired: number; readonly unreadable: number }
}

const BEGIN = '-----BEGIN CERTIFICATE-----'
/** Base64 has no dash, so a block without its END never swallows the next one. */
const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/** The certificates in a PEM text. Everything else in it (comments, and keys that do not belong there) is passed over. */
export function parseBundle(pem: string): Bundle {
  const certificates = (pem.match(BLOCK) ?? []).flatMap(parseBlock)
  return { certificates, unreadable: pem.split(BEGIN).length - 1 - certificates.length }
}

/**
 * Merges PEM bundles into one, in the order given, without duplicates, expired and unreadable certificates. The same
 * certificates in the same order give the same bytes, whatever their wrapping, so an unchanged bundle causes no write.
 * A certificate that is not valid yet stays: it is the next generation, published before it is used.
 */
export function mergeBundles(bundles: readonly string[], now: Date): MergedBundle {
  const kept = new Map<string, string>()
  const dropped = { duplicate: 0, expired: 0, unreadable: 0 }
  for (const bundle of bundles.map(parseBundle)) {
    dropped.unreadable += bundle.unreadable
    for (const certificate of bundle.certificates) {
      if (certificate.validToDate <= now) dropped.expired += 1
      else if (kept.has(certificate.fingerprint256)) dropped.duplicate += 1
      else kept.set(certificate.fingerprint256, `${certificate.toString().trim()}\n`)
    }
  }
  return { pem: [...kept.values()].join(''), kept: kept.size, dropped }
}

function parseBlock(block: string): X509Certificate[] {
  try {
    return [new X509Certificate(block)]
  } catch {
    return []
  }
}
