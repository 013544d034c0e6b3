/** Whether a VNode, which runs in a VPC and outside of the cluster's network, could reach an address of the API server. */

export interface ClusterAddresses {
  /** Of Services, such as that of `kubernetes`: they exist on the cluster's nodes only. */
  readonly serviceIPs: readonly string[]
}

/** Names by which Pods know the API server. */
const SERVICE_NAME = /^kubernetes(?:\.default)?$|\.svc$|\.svc\.|\.cluster\.local$/

/** What is wrong with the URL of the API server, if anything, as the rest of a sentence that begins with it. */
export function apiserverAddressProblem(server: string, cluster: ClusterAddresses): string | undefined {
  const url = URL.parse(server)
  if (url === null) return 'is not a URL'
  if (url.protocol !== 'https:')
    return 'is not an https:// URL: the credential would go over the wire in clear'
  const host = hostOf(url)
  if (isLoopback(host)) return 'is a loopback address: to a VNode that is the VNode itself'
  if (isLinkLocal(host)) return 'is a link-local address, which ends at the machine it is on'
  if (SERVICE_NAME.test(host)) return "is a name of the cluster's own DNS, which a VPC does not know"
  if (cluster.serviceIPs.includes(host))
    return "is a Service's address, which exists inside of the cluster only"
  return undefined
}

function hostOf({ hostname }: URL): string {
  return hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase()
}

/** URL has put every way of writing an IPv4 address into four decimals, and IPv6 into its shortest form. */
function isLoopback(host: string): boolean {
  return /^(?:.*\.)?localhost(?:\.localdomain)?$|^127\.\d+\.\d+\.\d+$|^0\.0\.0\.0$|^::1?$|^::ffff:(?:7f[0-9a-f]{2}:|0:0$)/.test(
    host,
  )
}

function isLinkLocal(host: string): boolean {
  return /^169\.254\.|^fe[89ab][0-9a-f]:/.test(host)
}
