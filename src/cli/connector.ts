import type { KubeClient } from '../kube/api.ts'
import type { Io } from './io.ts'
import { VERSION } from './version.ts'

export interface ClusterFlags {
  readonly kubeconfig?: string | undefined
  readonly context?: string | undefined
}

/** To the cluster that is named, else that this runs in, else of the usual places. The library is loaded when it is needed: it is large. */
export function connectorOf({ kubeconfig, context }: ClusterFlags, io: Io): () => Promise<KubeClient> {
  return async () => {
    const { connect } = await import('../kube/client.ts')
    return connect({ kubeconfig, context, env: io.env, userAgent: `vnode-profile/${VERSION}` })
  }
}
