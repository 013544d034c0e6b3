import { asArray, asRecord, asRecords, asStrings, own } from '../kubernetes/objects.ts'

/** Where one replica of the webhook answers. */
export interface Endpoint {
  readonly host: string
  readonly port: number
  /** Whether the Service sends requests there. */
  readonly isReady: boolean
}

/** The label by which the EndpointSlices of a Service are found. */
export const LABEL_SERVICE_NAME = 'kubernetes.io/service-name'

/**
 * Of one EndpointSlice (v1, or v1beta1 before 1.21), as it tells them. Those that are not ready are told too: they may serve an old
 * certificate when they are ready again.
 */
export function endpointsOf(slice: unknown): readonly Endpoint[] {
  const record = asRecord(slice)
  const ports = asRecords(own(record, 'ports'))
  const named = ports.find(port => own(port, 'name') === 'https') ?? ports[0]
  const port = own(named, 'port')
  if (typeof port !== 'number') return []
  return asArray(own(record, 'endpoints')).flatMap(one => {
    const endpoint = asRecord(one)
    // Unknown counts as ready, by the API's own definition.
    const isReady = own(asRecord(own(endpoint, 'conditions')), 'ready') !== false
    return asStrings(own(endpoint, 'addresses')).map(host => ({ host, port, isReady }))
  })
}

/** `[::1]:8443` */
export function addressOf({ host, port }: Pick<Endpoint, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
