/** What the cluster says of itself. */
import { parse } from 'yaml'
import { VnodeError } from '../core/errors.ts'
import { asRecord, asRecords, asString, own } from '../core/kubernetes/objects.ts'
import { apiserverAddressProblem, type ClusterAddresses } from '../core/vnode/apiserver-address.ts'
import { isStatus, type KubeClient } from '../kube/api.ts'
import { resourcePath } from '../kube/path.ts'

export interface ClusterFacts {
  /** The uid of namespace kube-system: of all that is in a cluster it is what stays. */
  readonly uid: string
  /** Of the Services `kubernetes` and `kube-dns`. */
  readonly serviceIPs: readonly string[]
  /** Of the Service kube-dns; undefined where there is none. */
  readonly dns: string | undefined
  /** `https://host:port`, as kubeadm has published it. */
  readonly publishedServer: string | undefined
  /** Of the API server's certificate; undefined where no ConfigMap says it. */
  readonly caPem: string | undefined
}

type Client = Pick<KubeClient, 'request'>

export async function readCluster(client: Client): Promise<ClusterFacts> {
  const [system, kubernetes, dns, info, ca] = await Promise.all([
    read(client, 'namespaces', undefined, 'kube-system'),
    read(client, 'services', 'default', 'kubernetes'),
    read(client, 'services', 'kube-system', 'kube-dns'),
    read(client, 'configmaps', 'kube-public', 'cluster-info'),
    read(client, 'configmaps', 'kube-system', 'kube-root-ca.crt'),
  ])
  const uid = asString(own(asRecord(own(system, 'metadata')), 'uid'))
  if (uid === undefined)
    throw new VnodeError('API', 'the namespace kube-system, by which a cluster is known, is not there')
  const published = publishedCluster(info)
  const dnsIP = clusterIP(dns)
  return {
    uid,
    serviceIPs: [...clusterIPs(kubernetes), ...clusterIPs(dns)],
    dns: dnsIP === 'None' ? undefined : dnsIP,
    publishedServer: asString(own(published, 'server')),
    caPem:
      asString(own(asRecord(own(ca, 'data')), 'ca.crt')) ??
      decode(own(published, 'certificate-authority-data')),
  }
}

function clusterIP(service: unknown): string | undefined {
  return asString(own(asRecord(own(asRecord(service), 'spec')), 'clusterIP'))
}

/** With two families there is one of each; before 1.20 there is no list. */
function clusterIPs(service: unknown): readonly string[] {
  const listed = own(asRecord(own(asRecord(service), 'spec')), 'clusterIPs')
  const all = [clusterIP(service), ...(Array.isArray(listed) ? listed.map(asString) : [])]
  return [...new Set(all.filter(ip => ip !== undefined && ip !== 'None').map(String))]
}

/** Throws if a VNode could not reach the API server there. */
export function checkServer(server: string, addresses: ClusterAddresses): void {
  const problem = apiserverAddressProblem(server, addresses)
  if (problem === undefined) return
  const shown = URL.parse(server)?.origin ?? "the API server's address"
  throw new VnodeError('BAD_SETTINGS', `${shown} ${problem}`, {
    next: "Set the API server's address in the VPC (--apiserver, bootstrap.apiserver), such as https://192.168.0.10:6443; it must be in the API server's certificate.",
  })
}

/** Undefined where there is none. */
async function read(
  client: Client,
  plural: string,
  namespace: string | undefined,
  name: string,
): Promise<Record<string, unknown> | undefined> {
  try {
    const path = resourcePath({ version: 'v1', plural, namespace, name })
    return asRecord(await client.request<unknown>({ method: 'GET', path }))
  } catch (error) {
    if (isStatus(error, 404)) return undefined
    throw error
  }
}

/** kubeadm's ConfigMap has a kubeconfig without a user. */
function publishedCluster(info: Record<string, unknown> | undefined): Record<string, unknown> | undefined {
  const text = asString(own(asRecord(own(info, 'data')), 'kubeconfig'))
  if (text === undefined) return undefined
  try {
    const [first] = asRecords(own(asRecord(parse(text, { maxAliasCount: 0 })), 'clusters'))
    return asRecord(own(first, 'cluster'))
  } catch {
    return undefined
  }
}

function decode(value: unknown): string | undefined {
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : undefined
}

/** A Node by its name; a list, as the right to read one would be a right to read all. */
export async function findNode(
  client: Client,
  name: string,
): Promise<{ readonly isReady: boolean } | undefined> {
  const list = await client.request<unknown>({
    method: 'GET',
    path: resourcePath({ version: 'v1', plural: 'nodes' }),
    query: { fieldSelector: `metadata.name=${name}` },
  })
  const [node] = asRecords(own(asRecord(list), 'items'))
  return node === undefined ? undefined : { isReady: isReadyNode(node) }
}

export function isReadyNode(node: unknown): boolean {
  const conditions = asRecords(own(asRecord(own(asRecord(node), 'status')), 'conditions'))
  return conditions.some(one => own(one, 'type') === 'Ready' && own(one, 'status') === 'True')
}
