import type { Test } from 'tap'
import { type CliResult, runVnode } from './cli.ts'
import type { ControlPlane } from './control-plane.ts'
import { type FakeEci, type FakeEciOptions, fakeEci } from './fake-eci/server.ts'
import { type Home, home, SEED_CONFIG } from './vnode-config.ts'

/** Where the API server seems to be in the VPC. */
export const VPC_APISERVER = 'https://192.168.0.10:6443'

/** A home folder whose context leads to a fake and to a cluster. */
export interface VnodeScene {
  readonly fake: FakeEci
  readonly home: Home
  /** The cluster's kubeconfig, of full rights and with a token that does not end. */
  readonly kubeconfig: string
  readonly env: Readonly<Record<string, string>>
  vnode(...argv: string[]): Promise<CliResult>
}

/** Full rights by a ServiceAccount: the administrator of tests has a certificate that ends tomorrow, which is refused. */
export async function lastingAdmin(controlPlane: ControlPlane): Promise<string> {
  const account = { namespace: 'kube-system', serviceAccount: 'vnode-admin' }
  await controlPlane.ask('POST', '/api/v1/namespaces/kube-system/serviceaccounts', {
    body: { metadata: { name: account.serviceAccount } },
  })
  await controlPlane.ask('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    body: {
      metadata: { name: 'vnode-admin' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ kind: 'ServiceAccount', name: account.serviceAccount, namespace: account.namespace }],
    },
  })
  return controlPlane.kubeconfig({ ...account, isLasting: true })
}

export interface SceneOptions extends FakeEciOptions {
  readonly controlPlane: ControlPlane
  readonly kubeconfig: string
  /** In place of the seed's. */
  readonly config?: string
}

export async function vnodeScene(t: Test, options: SceneOptions): Promise<VnodeScene> {
  const { controlPlane, kubeconfig, config = SEED_CONFIG, ...rest } = options
  // What an earlier scene of the same cluster has written down, of VNodes of a fake that is gone.
  const selector = encodeURIComponent('app.kubernetes.io/name=vnode-profile')
  await controlPlane.ask('DELETE', `/api/v1/namespaces/kube-system/secrets?labelSelector=${selector}`)
  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases'
  await controlPlane.ask('DELETE', `${leases}?labelSelector=${selector}`)
  const fake = await fakeEci(t, { routes: { [VPC_APISERVER]: controlPlane.url }, ...rest })
  const own = home(t, config.replace('/path/to/kubeconfig', kubeconfig))
  const env = {
    ...own.env,
    VNODE_ECI_ENDPOINT: fake.url,
    VNODE_ECI_CA: fake.caFile,
    VNODE_APISERVER: VPC_APISERVER,
  }
  return { fake, home: own, kubeconfig, env, vnode: (...argv) => runVnode(argv, { env }) }
}
