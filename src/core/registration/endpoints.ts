import { asArray, asRecord, asRecords, asString, asStrings, own } from '../kubernetes/objects.ts'

/** Where one replica of the webhook answers. */
export interface Endpoint {
  readonly host: string
  readonly port: number
  /** Whether the Service sends requests there. */
  readonly isReady: boolean
}

/** The label by which the EndpointSlices of a Service are found. */
export const LABEL_SERVICE_NAME = 'kubernetes.io/service-name'

/** Before, EndpointSlices may not be served, or nobody writes them: their controller is on since then. */
export const SLICES_SINCE_MINOR = 18

/**
 * Of one EndpointSlice (v1, or v1beta1 before 1.21), as it tells them. Those that are not ready are told too: they may serve an old
 * certificate when they are ready again.
 */
export function endpointsOf(slice: unknown): readonly Endpoint[] {
  const record = asRecord(slice)
  const port = httpsPortOf(record)
  if (port === undefined) return []
  return asArray(own(record, 'endpoints')).flatMap(one => {
    const endpoint = asRecord(one)
    // Unknown counts as ready, by the API's own definition.
    const isReady = own(asRecord(own(endpoint, 'conditions')), 'ready') !== false
    return asStrings(own(endpoint, 'addresses')).map(host => ({ host, port, isReady }))
  })
}

/** Of an Endpoints object, which has one for each set of ports. */
export function endpointsOfEndpoints(endpoints: unknown): readonly Endpoint[] {
  return asRecords(own(asRecord(endpoints), 'subsets')).flatMap(subset => {
    const port = httpsPortOf(subset)
    if (port === undefined) return []
    const hosts = (field: string, isReady: boolean): readonly Endpoint[] =>
      asRecords(own(subset, field)).flatMap(one => {
        const host = asString(own(one, 'ip'))
        return host === undefined ? [] : [{ host, port, isReady }]
      })
    return [...hosts('addresses', true), ...hosts('notReadyAddresses', false)]
  })
}

/** The port named https, else the first. */
function httpsPortOf(record: Readonly<Record<string, unknown>> | undefined): number | undefined {
  const ports = asRecords(own(record, 'ports'))
  const named = ports.find(port => own(port, 'name') === 'https') ?? ports[0]
  const port = own(named, 'port')
  return typeof port === 'number' ? port : undefined
}

/** `[::1]:8443` */
export function addressOf({ host, port }: Pick<Endpoint, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
