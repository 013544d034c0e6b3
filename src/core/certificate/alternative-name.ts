import { VnodeError } from '../errors.ts'

/** One entry of a certificate's subjectAltName: `text` is the canonical spelling, `bytes` what the certificate holds. */
export interface AlternativeName {
  readonly kind: 'dns' | 'ip'
  readonly text: string
  readonly bytes: Uint8Array
}

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/

/** DNS name or IP address (`::1`, also `[::1]`). A name that is neither is refused: verifiers skip it silently. */
export function parseAlternativeName(host: string): AlternativeName {
  const text = host.trim().toLowerCase()
  const found = parseIpv4(text) ?? parseIpv6(text.replace(/^\[(.*)\]$/, '$1')) ?? parseDns(text)
  if (found !== undefined) return found
  throw new VnodeError('BAD_CERTIFICATE', `"${host}" is neither a DNS name nor an IP address`, {
    next: 'Name each host as clients dial it, such as webhook.vnode-system.svc or 10.0.0.7.',
  })
}

/** Parses each, without duplicates, in the order given. */
export function parseAlternativeNames(hosts: readonly string[]): readonly AlternativeName[] {
  const names = new Map<string, AlternativeName>()
  for (const host of hosts) {
    const name = parseAlternativeName(host)
    if (!names.has(name.text)) names.set(name.text, name)
  }
  return [...names.values()]
}

function parseIpv4(text: string): AlternativeName | undefined {
  const numbers = IPV4.exec(text)?.slice(1).map(Number)
  if (numbers === undefined || numbers.some(number => number > 255)) return undefined
  return { kind: 'ip', text: numbers.join('.'), bytes: Uint8Array.from(numbers) }
}

function parseIpv6(text: string): AlternativeName | undefined {
  if (!text.includes(':')) return undefined
  // The URL parser knows every spelling (`::`, embedded IPv4) and answers with one, in brackets.
  const url = URL.parse(`http://[${text}]/`)
  if (url === null || url.pathname !== '/') return undefined
  const canonical = url.hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const left = groupsOf(head)
  const right = groupsOf(tail ?? '')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0)
  const bytes = [...left, ...zeros, ...right].flatMap(group => [group >> 8, group & 0xff])
  return { kind: 'ip', text: canonical, bytes: Uint8Array.from(bytes) }
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16))
}

function parseDns(text: string): AlternativeName | undefined {
  const labels = text.split('.')
  // A last label of digits alone is a mistyped address, such as 10.0.0.
  if (text.length > 253 || /^\d*$/.test(labels.at(-1) ?? '')) return undefined
  if (!labels.every(label => DNS_LABEL.test(label))) return undefined
  return { kind: 'dns', text, bytes: Buffer.from(text, 'latin1') }
}
