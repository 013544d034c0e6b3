/** The VNode's process on Alibaba's side: it joins the cluster with the kubeconfig it was sent, and plays the Node there. */
import { generateKeyPairSync } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import forge from 'node-forge'
import { parse } from 'yaml'
import { type Credentials, KubeHttp, type KubeObject } from '../kube-http.ts'
import { type FakeNode, playNode } from '../vnode.ts'
import type { FakeVirtualNode, Joining } from './world.ts'

const VNODE_TAINT = { key: 'k8s.aliyun.com/vnode', value: 'true', effect: 'NoSchedule' }
const CSRS = '/apis/certificates.k8s.io/v1/certificatesigningrequests'

interface Kubeconfig {
  readonly clusters: { name: string; cluster: { server: string; 'certificate-authority-data': string } }[]
  readonly contexts: { name: string; context: { cluster: string; user: string } }[]
  readonly users: {
    name: string
    user: { token?: string; 'client-certificate-data'?: string; 'client-key-data'?: string }
  }[]
  readonly 'current-context': string
}

interface Joined {
  readonly http: KubeHttp
  readonly node: FakeNode
}

export interface ClusterJoiningOptions {
  readonly regionId: string
  readonly kubeletVersion: string
  /** Where an address of the VPC leads to on this machine, where tests' API servers are: origins. */
  readonly routes: ReadonlyMap<string, string>
}

export class ClusterJoining implements Joining {
  readonly #options: ClusterJoiningOptions
  readonly #stopped = new AbortController()
  readonly #joined = new Map<string, Promise<Joined | undefined>>()

  constructor(options: ClusterJoiningOptions) {
    this.#options = options
  }

  created(virtualNode: FakeVirtualNode): void {
    this.#joined.set(virtualNode.id, this.#tryJoin(virtualNode))
  }

  async deleted({ id }: FakeVirtualNode): Promise<void> {
    const joined = await this.#joined.get(id)
    joined?.node.stop()
    joined?.http.disconnect()
  }

  async hasPods(virtualNode: FakeVirtualNode): Promise<boolean> {
    const joined = await this.#joined.get(virtualNode.id)
    if (joined === undefined) return false
    const path = `/api/v1/pods?fieldSelector=${encodeURIComponent(`spec.nodeName=${joined.node.name}`)}`
    const { items } = await joined.http.ask<{ items: KubeObject[] }>('GET', path)
    return items.some(({ status }) => status?.phase === 'Running' || status?.phase === 'Pending')
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    for (const joining of this.#joined.values()) {
      const joined = await joining
      joined?.node.stop()
      joined?.http.disconnect()
    }
  }

  async #tryJoin(virtualNode: FakeVirtualNode): Promise<Joined | undefined> {
    try {
      const joined = await this.#join(virtualNode)
      if (virtualNode.status === 'Pending') virtualNode.status = 'Ready'
      return joined
    } catch (error) {
      if (virtualNode.status === 'Pending') virtualNode.status = 'Failed'
      const Message = error instanceof Error ? error.message : String(error)
      virtualNode.events.push({ Type: 'Warning', Reason: 'FailedJoinCluster', Message })
      return undefined
    }
  }

  async #join(virtualNode: FakeVirtualNode): Promise<Joined> {
    const nodeName = `${this.#options.regionId}.${virtualNode.id}`
    const { server: address, credentials } = readKubeconfig(virtualNode.kubeconfig)
    const server = this.#options.routes.get(new URL(address).origin) ?? address
    const used = virtualNode.isTlsBootstrap
      ? await this.#requestCertificate(new KubeHttp(server, credentials), nodeName, credentials.ca)
      : credentials
    const http = new KubeHttp(server, used)
    await this.#untilLeasesAreAllowed(http)
    const node = await playNode(http, nodeSettings(nodeName, virtualNode, this.#options.kubeletVersion))
    return { http, node }
  }

  /** Asks by a CSR for a certificate of the VNode's own, and waits until somebody has approved it and it is signed. */
  async #requestCertificate(http: KubeHttp, nodeName: string, ca: string): Promise<Credentials> {
    const { key, request } = makeRequest(`system:vnode:${nodeName}`)
    const spec = {
      request: Buffer.from(request).toString('base64'),
      signerName: 'kubernetes.io/kube-apiserver-client',
      usages: ['digital signature', 'key encipherment', 'client auth'],
    }
    const body = { metadata: { generateName: 'vnode-' }, spec }
    const { metadata } = await http.ask('POST', CSRS, { body })
    try {
      for (;;) {
        const { status } = await http.ask('GET', `${CSRS}/${metadata.name}`)
        if (status?.certificate !== undefined) return { ca, key, cert: decode(String(status.certificate)) }
        await delay(200, undefined, { signal: this.#stopped.signal })
      }
    } finally {
      http.disconnect()
    }
  }

  /** The apiserver makes the namespace of the leases a moment after it is ready. */
  async #untilLeasesAreAllowed(http: KubeHttp): Promise<void> {
    const path = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases'
    const body = { metadata: { name: 'none' } }
    for (;;) {
      const { status } = await http.request('POST', `${path}?dryRun=All`, { body })
      if (status !== 404) return
      await delay(100, undefined, { signal: this.#stopped.signal })
    }
  }
}

function nodeSettings(name: string, { taints, customResources }: FakeVirtualNode, kubeletVersion: string) {
  const isReplaced = taints.some(({ key }) => key === VNODE_TAINT.key)
  const given = taints.map(({ key = '', value = '', effect = '' }) => ({ key, value, effect }))
  return {
    name,
    labels: {
      type: 'virtual-kubelet',
      'k8s.aliyun.com/vnode': 'true',
      'node-role.kubernetes.io/agent': '',
    },
    taints: isReplaced ? given : [VNODE_TAINT, ...given],
    cpu: '10000',
    memory: '40000Gi',
    pods: 5000,
    resources: Object.fromEntries(
      customResources.split(',').flatMap(item => {
        const [resource = '', amount = ''] = item.split('=')
        return resource === '' ? [] : [[resource, amount]]
      }),
    ),
    kubeletVersion,
  }
}

function readKubeconfig(text: string): { server: string; credentials: Credentials } {
  const config = parse(text) as Kubeconfig
  const context = config.contexts.find(({ name }) => name === config['current-context'])?.context
  const cluster = config.clusters.find(({ name }) => name === context?.cluster)?.cluster
  const user = config.users.find(({ name }) => name === context?.user)?.user
  if (cluster === undefined || user === undefined)
    throw new Error('the kubeconfig names no cluster or no user')
  const ca = decode(cluster['certificate-authority-data'])
  if (user.token !== undefined) return { server: cluster.server, credentials: { ca, token: user.token } }
  const [cert, key] = [user['client-certificate-data'], user['client-key-data']]
  if (cert === undefined || key === undefined)
    throw new Error('the kubeconfig has no credential that works from afar')
  return { server: cluster.server, credentials: { ca, cert: decode(cert), key: decode(key) } }
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8')
}

/** A key and a request for a certificate of `system:vnodes`, in PEM. */
function makeRequest(commonName: string): { key: string; request: string } {
  const { privateKey: key } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  })
  const signer = forge.pki.privateKeyFromPem(key)
  const request = forge.pki.createCertificationRequest()
  request.publicKey = forge.pki.setRsaPublicKey(signer.n, signer.e)
  request.setSubject([
    { name: 'organizationName', value: 'system:vnodes' },
    { name: 'commonName', value: commonName },
  ])
  request.sign(signer, forge.md.sha256.create())
  return { key, request: forge.pki.certificationRequestToPem(request) }
}

/** For tests without a cluster: a VNode is Ready at once, and nothing ever runs there. */
export const NO_CLUSTER: Joining & { stop(): Promise<void> } = {
  created: virtualNode => {
    virtualNode.status = 'Ready'
  },
  deleted: async () => undefined,
  hasPods: async () => false,
  stop: async () => undefined,
}
