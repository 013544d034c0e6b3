import { readFile } from 'node:fs/promises'
import type { Test } from 'tap'
import { CLUSTER_TAG } from '../../src/core/vnode/virtual-node-tags.ts'
import type { EciClient } from '../../src/eci/virtual-node.ts'
import { type CliResult, runVnode } from './cli.ts'
import type { ControlPlane } from './control-plane.ts'
import { createRequest, eciClient, untilStatus } from './eci-client.ts'
import { type FakeEci, fakeEci } from './fake-eci/server.ts'
import type { KubeObject } from './kube-http.ts'
import { makePod } from './pods.ts'
import { home, SEED_CONFIG } from './vnode-config.ts'

/** VNodes of a cluster that are Ready, to be changed and deleted by hand. */
export interface ReadyVnodes {
  readonly fake: FakeEci
  readonly client: EciClient
  /** In base64. */
  readonly kubeConfig: string
  readonly clusterUid: string
  vnode(...argv: string[]): Promise<CliResult>
  /** One more. Of this cluster unless the tag says otherwise; null for no tag. */
  register(cluster?: string | null): Promise<{ readonly virtualNodeId: string; readonly node: string }>
  /** A Pod that is bound to the node and Running. */
  runPod(namespace: string, node: string, name: string): Promise<void>
  nodeObject(node: string): Promise<KubeObject>
}

export const isCordoned = ({ spec }: KubeObject): boolean => spec?.unschedulable === true

export async function readyVnodes(t: Test, controlPlane: ControlPlane): Promise<ReadyVnodes> {
  const { metadata } = await controlPlane.ask('GET', '/api/v1/namespaces/kube-system')
  const clusterUid = metadata.uid
  const kubeConfig = (await readFile(controlPlane.kubeconfigPath)).toString('base64')
  const fake = await fakeEci(t)
  const client = eciClient(t, fake)
  const { env } = home(t, SEED_CONFIG.replace('/path/to/kubeconfig', controlPlane.kubeconfigPath))
  let made = 0
  return {
    fake,
    client,
    kubeConfig,
    clusterUid,
    vnode: (...argv) =>
      runVnode(argv, { env: { ...env, VNODE_ECI_ENDPOINT: fake.url, VNODE_ECI_CA: fake.caFile } }),
    register: async (cluster = clusterUid) => {
      made += 1
      const tag = cluster === null ? [] : [{ key: CLUSTER_TAG, value: cluster }]
      const request = createRequest({ kubeConfig, tag, clientToken: `token-${made}` })
      const { virtualNodeId } = await client.createVirtualNode(request)
      await untilStatus(client, virtualNodeId, 'Ready')
      return { virtualNodeId, node: `cn-hangzhou.${virtualNodeId}` }
    },
    runPod: async (namespace, node, name) => {
      const pod = makePod({ name, namespace, spec: { nodeName: node } })
      await controlPlane.ask('POST', `/api/v1/namespaces/${namespace}/pods`, { body: pod })
      const isRunning = ({ status }: KubeObject) => status?.phase === 'Running'
      await controlPlane.waitFor(`/api/v1/namespaces/${namespace}/pods/${name}`, isRunning, {
        timeout: 60_000,
      })
    },
    nodeObject: node => controlPlane.ask('GET', `/api/v1/nodes/${node}`),
  }
}
