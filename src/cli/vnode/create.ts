/** `vnode create`: registers one VNode from this machine, whatever is retried, killed or run twice. */
import { createHash, randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { awaitNode } from '../../bootstrap/await-node.ts'
import { LeaseClaims } from '../../bootstrap/claim.ts'
import { type ClusterFacts, findNode, readCluster } from '../../bootstrap/cluster.ts'
import { checkNetwork } from '../../bootstrap/network-check.ts'
import { type Notice, Progress } from '../../bootstrap/progress.ts'
import { SecretRecord } from '../../bootstrap/record.ts'
import { type Registration, register } from '../../bootstrap/register.ts'
import type { VirtualNodeSettings } from '../../bootstrap/settings.ts'
import {
  checkVirtualNode,
  clusterTagOf,
  fingerprintOf,
  type PlainRequest,
  plainRequest,
} from '../../bootstrap/wish.ts'
import { commaList } from '../../config/flags.ts'
import { VnodeError } from '../../core/errors.ts'
import { asRecord, asString, own } from '../../core/kubernetes/objects.ts'
import { claimNames } from '../../core/vnode/identity.ts'
import { createParameters } from '../../eci/client.ts'
import type { CreateVirtualNodeRequest } from '../../eci/virtual-node.ts'
import { isStatus, type KubeClient } from '../../kube/api.ts'
import { systemClock } from '../../kube/clock.ts'
import { resourcePath } from '../../kube/path.ts'
import type { Io } from '../io.ts'
import type { AnswerOutput } from '../output-format.ts'
import { type VnodeKubeconfig, vnodeKubeconfig } from './kubeconfig.ts'
import { NEW_TOKEN, renderAnswer, renderRequest } from './request.ts'
import { type Session, withSession } from './session.ts'
import type { SessionFlags } from './session-flags.ts'

/** Beside what else only administrators read: the record has the request, and that the kubeconfig. */
const RECORDS_NAMESPACE = 'kube-system'

/** The Secret that says what was asked of ECI for the VNode of this name. */
export function recordName(name: string): string {
  return `vnode-create-${name}`
}

/** Ids that are not given come from the context. */
export type WantedVirtualNode = Omit<VirtualNodeSettings, 'vSwitchIds' | 'securityGroupId'> & {
  readonly vSwitchIds: readonly string[] | undefined
  readonly securityGroupId: string | undefined
}

export interface CreateOptions {
  readonly flags: SessionFlags
  readonly virtualNode: WantedVirtualNode
  readonly apiserver: string | undefined
  /** A file with a bootstrap token, sent in place of the kubeconfig that the cluster is asked with. */
  readonly bootstrapKubeconfig: string | undefined
  readonly isAdditional: boolean
  readonly leastCredentialLifeMs: number
  /** Undefined: do not wait for the Node. */
  readonly waitMs: number | undefined
  readonly output: AnswerOutput
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
  const ids = context?.vswitchId === undefined ? undefined : commaList(context.vswitchId)
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
  ...['VnodeAdopted', 'VnodeTwice', 'VnodeDiffers', 'VnodeLost', 'IntentEnded'],
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
    const kind = options.bootstrapKubeconfig === undefined ? 'kubeconfig' : 'tls-bootstrap'
    const request = plainRequest(session.eci.regionId, { virtualNode, identity: { kind } }, facts)
    if (options.isDryRun) return this.#show(withSecrets(request, NEW_TOKEN, kubeconfig))
    try {
      await this.#create(request, kubeconfig, facts)
    } catch (error) {
      throw this.#signal.aborted ? this.#progress.interrupted() : error
    }
  }

  async #create(request: PlainRequest, kubeconfig: VnodeKubeconfig, facts: ClusterFacts): Promise<void> {
    const { options, virtualNode } = this.#parts
    const registration = await this.#register({ request, kubeconfig, facts }).catch(error => {
      if (!isStatus(error, 403)) throw error
      throw new VnodeError('REFUSED', `what is asked of ECI is written down first: ${error.message}`, {
        next: `Give a kubeconfig that may get, create, patch and delete Secret ${RECORDS_NAMESPACE}/${recordName(virtualNode.name)}, and Leases ${claimNames(virtualNode.name, { isAdditional: false }).join(', ')} there.`,
      })
    })
    const { how, virtualNodeId } = registration
    if (how === 'known')
      this.#say(`VNode ${virtualNodeId} of this cluster exists already; nothing was created`)
    if (options.waitMs !== undefined) await this.#wait(registration, options.waitMs)
    const answer = { RequestId: await this.#requestId(), VirtualNodeId: virtualNodeId }
    this.#parts.io.stdout(renderAnswer(answer, options.output))
  }

  /** Of the call that created the VNode; empty where it was found. */
  async #requestId(): Promise<string> {
    const { client, virtualNode } = this.#parts
    const name = recordName(virtualNode.name)
    const path = resourcePath({ version: 'v1', plural: 'secrets', namespace: RECORDS_NAMESPACE, name })
    const secret = await client.request<unknown>({ method: 'GET', path })
    const encoded = asString(own(asRecord(own(asRecord(secret), 'data')), 'requestId')) ?? ''
    return Buffer.from(encoded, 'base64').toString('utf8')
  }

  async #kubeconfig({ serviceIPs }: ClusterFacts): Promise<VnodeKubeconfig> {
    const { options, session, io } = this.#parts
    const { bootstrapKubeconfig } = options
    const file = bootstrapKubeconfig === undefined ? session.kubeconfig : resolve(io.cwd, bootstrapKubeconfig)
    if (file === undefined) {
      throw new VnodeError('USAGE', 'no kubeconfig is given, with which the VNode joins the cluster', {
        next: 'Give --kubeconfig, or kubeconfig in the context.',
      })
    }
    const { apiserver, leastCredentialLifeMs: leastLifeMs } = options
    return vnodeKubeconfig({ file, apiserver, serviceIPs, leastLifeMs }, io)
  }

  async #register({ request, kubeconfig, facts }: Registering): Promise<Registration> {
    const { options, session, virtualNode } = this.#parts
    const { eci } = session
    const credential = createHash('sha256').update(kubeconfig.text).digest('hex')
    const fingerprint = fingerprintOf(request, { server: kubeconfig.server, credential })
    const intended = withSecrets(request, randomUUID(), kubeconfig)
    const { client } = this.#parts
    const nothing = async () => undefined
    const caller = await eci.caller({ signal: this.#signal })
    const attempt = randomUUID()
    const [namespace, record] = [RECORDS_NAMESPACE, recordName(virtualNode.name)]
    const wish = {
      name: virtualNode.name,
      regionId: eci.regionId,
      fingerprint,
      isAdditional: options.isAdditional,
      caller,
    }
    return register({
      // In the cluster: whoever else registers a VNode of this name, on whatever machine, follows the same intent.
      records: new SecretRecord({ client, namespace, name: record, attempt, now: () => new Date() }),
      claims: new LeaseClaims({ client, wish, holder: `${namespace}/${record}`, attempt }),
      eci,
      // The kubeconfig is the user's own, and the cluster has answered to it just now.
      identity: { ensure: nothing, prove: nothing, removeOthers: nothing },
      check: () => checkNetwork({ eci, virtualNode, progress: this.#progress, signal: this.#signal }),
      makeIntent: async () => ({ request: intended, fingerprint, caller, identity: 'kubeconfig' }),
      wish,
      clusterTag: clusterTagOf(facts),
      findNode: name => findNode(client, name),
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
    const { options, io } = this.#parts
    const shown = { action: 'CreateVirtualNode', parameters: createParameters(request) }
    io.stdout(renderRequest(shown, options.output))
  }

  #say(message: string): void {
    this.#parts.io.stderr(`vnode: ${message}\n`)
  }
}

interface Registering {
  readonly request: PlainRequest
  readonly kubeconfig: VnodeKubeconfig
  readonly facts: ClusterFacts
}

function withSecrets(
  request: PlainRequest,
  clientToken: string,
  { text }: VnodeKubeconfig,
): CreateVirtualNodeRequest {
  return { ...request, clientToken, kubeConfig: Buffer.from(text).toString('base64') }
}
