import type { Settings } from '../../core/settings.ts'
import type { KubeClient } from '../../kube/api.ts'
import { connectorOf } from '../connector.ts'
import type { Io } from '../io.ts'
import type { Output } from '../output-format.ts'

export interface DaemonSetsFlags {
  readonly namespace?: string
  readonly output: Output
  readonly kubeconfig?: string
  readonly context?: string
  readonly settings: Settings
}

export interface ChangeFlags extends DaemonSetsFlags {
  readonly all?: boolean
  readonly dryRun?: boolean
  readonly dry?: boolean
  readonly optIn?: boolean
  readonly ignoreNotFound?: boolean
}

/** Closes the client when the work is done, or has failed. */
export async function withClient<T>(
  { kubeconfig, context }: DaemonSetsFlags,
  io: Io,
  work: (client: KubeClient) => Promise<T>,
): Promise<T> {
  const client = await connectorOf({ kubeconfig, context }, io)()
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}
