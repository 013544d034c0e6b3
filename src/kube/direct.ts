/** A client of an API server whose address and credential are values: of no file, no plugin, and without client-node. */
import type { KubeClient } from './api.ts'
import { type Credentials, Transport } from './transport.ts'

export interface DirectSettings {
  /** `https://host:port` */
  readonly server: string
  /** Undefined: the authorities that every machine trusts. */
  readonly caPem?: string | undefined
  readonly token?: string | undefined
  readonly certificatePem?: string | undefined
  readonly keyPem?: string | undefined
  readonly servername?: string | undefined
  readonly isInsecure?: boolean | undefined
  readonly userAgent: string
}

/** Nothing is sent yet. */
export function connectDirectly(settings: DirectSettings): KubeClient {
  const { server, caPem, token, certificatePem, keyPem, servername, isInsecure = false, userAgent } = settings
  const credentials: Credentials = {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    endpoint: {
      ca: caPem,
      cert: certificatePem,
      key: keyPem,
      servername,
      rejectUnauthorized: !isInsecure,
      proxyUrl: undefined,
    },
  }
  const access = {
    server,
    namespace: undefined,
    credentials: async () => credentials,
    renew: async (used: Credentials) => used,
  }
  return new Transport(access, userAgent)
}
