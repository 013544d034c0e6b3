/** `vnode create`: registers one VNode from this machine, whatever is retried, killed or run twice. */
import { createHash, randomUUID } from 'node:crypto'
import { dirname, join } from 'node:path'
import { stringify } from 'yaml'
import { awaitNode } from '../../bootstrap/await-node.ts'
import { type ClusterFacts, readCluster } from '../../bootstrap/cluster.ts'
import { checkNetwork } from '../../bootstrap/network-check.ts'
import { type Notice, Progress } from '../../bootstrap/progress.ts'
import { type Registration, register } from '../../bootstrap/register.ts'
import type { VirtualNodeSettings } from '../../bootstrap/settings.ts'
import {
  checkVirtualNode,
  clusterTagOf,
  fingerprintOf,
  type PlainRequest,
  plainRequest,
} from '../../bootstrap/wish.ts'
import { VnodeError } from '../../core/errors.ts'
import { createParameters } from '../../eci/client.ts'
import type { CreateVirtualNodeRequest } from '../../eci/virtual-node.ts'
import type { KubeClient } from '../../kube/api.ts'
import { systemClock } from '../../kube/clock.ts'
import { configFileOf } from '../config/load.ts'
import type { Io } from '../io.ts'
import { type VnodeKubeconfig, vnodeKubeconfig } from './kubeconfig.ts'
import { LocalRecord, withLock } from './local-record.ts'
import { NEW_TOKEN, renderRequest } from './request.ts'
import { type Session, withSession } from './session.ts'
import type { SessionFlags } from './session-flags.ts'

/** Ids that are not given come from the context. */
export type WantedVirtualNode = Omit<VirtualNodeSettings, 'vSwitchIds' | 'securityGroupId'> & {
  readonly vSwitchIds: readonly string[] | undefined
  readonly securityGroupId: string | undefined
}

export interface CreateOptions {
  readonly flags: SessionFlags
  readonly virtualNode: WantedVirtualNode
  readonly apiserver: string | undefined
  /** The kubeconfig's credential is a bootstrap token. */
  readonly isTlsBootstrap: boolean
  readonly isAdditional: boolean
  readonly leastCredentialLifeMs: number
  /** Undefined: do not wait for the Node. */
  readonly waitMs: number | undefined
  readonly output: 'json' | 'yaml'
  readonly isDryRun: boolean
}

export async function runCreate(options: CreateOptions, io: Io): Promise<void> {
  await withSession(options.flags, io, async session => {
    const virtualNode = withContext(options.virtualNode, session)
    checkVirtualNode(virtualNode)
    const client = await session.connect()
    try {
      await new Creation({ options, io, session, virtualNode, client }).run()
    } finally {
      await client.close()
    }
  })
}

function withContext(wanted: WantedVirtualNode, { context }: Session): VirtualNodeSettings {
  const ids = context?.vswitchId?.split(',').map(id => id.trim())
  const vSwitchIds = wanted.vSwitchIds ?? ids
  const securityGroupId = wanted.securityGroupId ?? context?.securityGroupId
  const missing = [
    ...(vSwitchIds === undefined ? ['--vswitch-id'] : []),
    ...(securityGroupId === undefined ? ['--security-group-id'] : []),
  ]
  if (vSwitchIds === undefined || securityGroupId === undefined) {
    throw new VnodeError('USAGE', `${missing.join(' and ')}: neither given nor in the context`, {
      next: 'Put it into the context with: vnode config set NAME …',
    })
  }
  return { ...wanted, vSwitchIds, securityGroupId }
}

interface Parts {
  readonly options: CreateOptions
  readonly io: Io
  readonly session: Session
  readonly virtualNode: VirtualNodeSettings
  readonly client: KubeClient
}

/** Reasons of notices that are for people who wait; the others are steps that need no word here. */
const SAID: ReadonlySet<string> = new Set([
  ...['Waiting', 'Refused', 'Unchecked', 'Node', 'Eci'],
  ...['VnodeAdopted', 'VnodeTwice', 'VnodeLost', 'IntentEnded'],
])

class Creation {
  readonly #parts: Parts
  readonly #progress: Progress
  readonly #signal: AbortSignal

  constructor(parts: Parts) {
    const { io } = parts
    const say = ({ reason, message }: Notice) => {
      if (SAID.has(reason)) io.stderr(`vnode: ${message}\n`)
    }
    this.#parts = parts
    this.#progress = new Progress({ say, events: undefined, involved: { namespace: '', name: '' } })
    this.#signal = io.stopSignal()
  }

  async run(): Promise<void> {
    const { options, session, client, virtualNode } = this.#parts
    const facts = await readCluster(client)
    const kubeconfig = await this.#kubeconfig(facts)
    const kind = options.isTlsBootstrap ? 'tls-bootstrap' : 'kubeconfig'
    const request = plainRequest(session.eci.regionId, { virtualNode, identity: { kind } }, facts)
    if (options.isDryRun) return this.#show(withSecrets(request, NEW_TOKEN, kubeconfig))
    try {
      await this.#create(request, kubeconfig, facts)
    } catch (error) {
      if (!this.#signal.aborted) throw error
      throw new VnodeError('REFUSED', 'interrupted', {
        next: 'Run the same again: it goes on where this has stopped, with the same request.',
      })
    }
  }

  async #create(request: PlainRequest, kubeconfig: VnodeKubeconfig, facts: ClusterFacts): Promise<void> {
    const { options } = this.#parts
    const file = this.#recordFile(facts)
    const [registration, requestId] = await withLock(file, async () => {
      const records = new LocalRecord(file)
      const registered = await this.#register({ request, kubeconfig, facts, records })
      return [registered, await records.requestId()] as const
    })
    const { how, virtualNodeId } = registration
    if (how === 'known')
      this.#say(`VNode ${virtualNodeId} of this cluster exists already; nothing was created`)
    if (options.waitMs !== undefined) await this.#wait(registration, options.waitMs)
    this.#print({ RequestId: requestId, VirtualNodeId: virtualNodeId })
  }

  async #kubeconfig({ serviceIPs }: ClusterFacts): Promise<VnodeKubeconfig> {
    const { options, session, io } = this.#parts
    const { kubeconfig: file } = session
    if (file === undefined) {
      throw new VnodeError('USAGE', 'no kubeconfig is given, with which the VNode joins the cluster', {
        next: 'Give --kubeconfig, or kubeconfig in the context.',
      })
    }
    const { apiserver, leastCredentialLifeMs: leastLifeMs } = options
    return vnodeKubeconfig({ file, apiserver, serviceIPs, leastLifeMs }, io)
  }

  /** One for each cluster and name, wherever the contexts come from. */
  #recordFile({ uid }: ClusterFacts): string {
    const { options, virtualNode, io } = this.#parts
    const folder = join(dirname(configFileOf(options.flags.config, io)), 'vnodes')
    return join(folder, `${uid}-${virtualNode.name}.json`)
  }

  #register({ request, kubeconfig, facts, records }: Registering): Promise<Registration> {
    const { options, session, virtualNode } = this.#parts
    const { eci } = session
    const credential = createHash('sha256').update(kubeconfig.text).digest('hex')
    const fingerprint = fingerprintOf(request, { server: kubeconfig.server, credential })
    const intended = withSecrets(request, randomUUID(), kubeconfig)
    return register({
      records,
      eci,
      // The kubeconfig is the user's own, and the cluster has answered to it just now.
      identity: { ensure: async () => undefined, prove: async () => undefined },
      check: () => checkNetwork({ eci, virtualNode, progress: this.#progress, signal: this.#signal }),
      makeIntent: async () => ({ request: intended, fingerprint, identity: 'kubeconfig' }),
      wish: {
        name: virtualNode.name,
        regionId: eci.regionId,
        fingerprint,
        isAdditional: options.isAdditional,
      },
      clusterTag: clusterTagOf(facts),
      progress: this.#progress,
      clock: systemClock,
      now: Date.now,
      signal: this.#signal,
    })
  }

  async #wait({ virtualNodeId, nodeName }: Registration, waitMs: number): Promise<void> {
    const { client, session } = this.#parts
    const [progress, signal] = [this.#progress, this.#signal]
    await awaitNode({
      client,
      eci: session.eci,
      virtualNodeId,
      nodeName,
      waitMs,
      progress,
      clock: systemClock,
      signal,
    })
  }

  #show(request: CreateVirtualNodeRequest): void {
    this.#parts.io.stdout(renderRequest('CreateVirtualNode', createParameters(request)))
  }

  #say(message: string): void {
    this.#parts.io.stderr(`vnode: ${message}\n`)
  }

  /** As VNodectl does: one line of JSON. */
  #print(answer: object): void {
    const { options, io } = this.#parts
    io.stdout(options.output === 'json' ? `${JSON.stringify(answer)}\n` : stringify(answer))
  }
}

interface Registering {
  readonly request: PlainRequest
  readonly kubeconfig: VnodeKubeconfig
  readonly facts: ClusterFacts
  readonly records: LocalRecord
}

function withSecrets(
  request: PlainRequest,
  clientToken: string,
  { text }: VnodeKubeconfig,
): CreateVirtualNodeRequest {
  return { ...request, clientToken, kubeConfig: Buffer.from(text).toString('base64') }
}
