/** `vnode bootstrap`: one VNode for this cluster, registered once, and Ready. Whatever is retried, killed or run twice. */
import { VnodeError } from '../core/errors.ts'
import { vnodeNames } from '../core/vnode/identity.ts'
import type { Step } from '../core/vnode/registration.ts'
import type { EciClient } from '../eci/virtual-node.ts'
import type { KubeClient } from '../kube/api.ts'
import { type Clock, systemClock } from '../kube/clock.ts'
import { EventWriter } from '../kube/event.ts'
import { awaitNode } from './await-node.ts'
import { type ClusterFacts, readCluster } from './cluster.ts'
import { Identity } from './identity.ts'
import type { ConnectAs } from './kubeconfig-probe.ts'
import { checkNetwork } from './network-check.ts'
import { type Notice, Progress } from './progress.ts'
import { type Intent, SecretRecord } from './record.ts'
import { lookAhead, type RegisterOptions, type Registration, register } from './register.ts'
import type { BootstrapSettings } from './settings.ts'
import { checkVirtualNode, clusterTagOf, fingerprintOf, type PlainRequest, plainRequest } from './wish.ts'

export interface BootstrapOptions {
  readonly settings: BootstrapSettings
  readonly client: KubeClient
  readonly eci: EciClient
  /** By which what a VNode is given is tried. */
  readonly connectAs: ConnectAs
  readonly say: (notice: Notice) => void
  readonly signal: AbortSignal
  /** A random UUID each. */
  readonly uuid: () => string
  /** So many random characters of a-z and 0-9. */
  readonly random: (length: number) => string
  readonly clock?: Clock
}

/** Throws an EciError, an ApiError, or a VnodeError with what to do next. */
export async function runBootstrap(options: BootstrapOptions): Promise<Registration> {
  const { settings, client, eci, say, signal, clock = systemClock } = options
  const { installNamespace: namespace, prefix } = settings
  const events = new EventWriter({ client })
  const involved = { namespace, name: vnodeNames(prefix).record }
  const progress = new Progress({ say, events, involved })
  try {
    const { register: registering } = await prepare({ ...options, clock }, progress)
    const registration = await register(registering)
    const { virtualNodeId, nodeName } = registration
    await awaitNode({
      client,
      eci,
      virtualNodeId,
      nodeName,
      waitMs: settings.waitMs,
      progress,
      clock,
      signal,
    })
    progress.tell({ reason: 'VnodeReady', message: `Node ${nodeName} of VNode ${virtualNodeId} is Ready` })
    return registration
  } catch (error) {
    if (error instanceof VnodeError && !signal.aborted)
      progress.tell({ reason: 'VnodeNotRegistered', message: error.message, isWarning: true })
    throw error
  } finally {
    await events.idle()
  }
}

export interface BootstrapPlan {
  readonly step: Step
  readonly request: PlainRequest
}

/** What a run would do next, all checks included that need nothing to be written. Throws what a run would throw. */
export async function planBootstrap(options: BootstrapOptions): Promise<BootstrapPlan> {
  const { settings, say, clock = systemClock } = options
  const involved = { namespace: settings.installNamespace, name: vnodeNames(settings.prefix).record }
  const prepared = await prepare({ ...options, clock }, new Progress({ say, events: undefined, involved }))
  const { register: registering, request } = prepared
  const { step } = await lookAhead(registering)
  if (step.kind === 'intend' || step.kind === 'prepare' || step.kind === 'end') await registering.check()
  return { step, request }
}

type Parts = BootstrapOptions & { readonly clock: Clock }

interface Prepared {
  readonly request: PlainRequest
  readonly register: RegisterOptions
}

/** Reads what there is to know; nothing is written. */
async function prepare(options: Parts, progress: Progress): Promise<Prepared> {
  const { settings, client, eci, signal, clock, uuid } = options
  const { virtualNode, installNamespace: namespace, prefix } = settings
  checkVirtualNode(virtualNode)
  progress.detail('Cluster', 'reading what the cluster says of itself')
  const facts = await readCluster(client)
  const server = settings.apiserver ?? facts.publishedServer ?? client.server
  const identity = identityOf(options, { facts, server, progress })
  const given = await identity.readGiven()
  const request = plainRequest(eci.regionId, settings, facts)
  if (request.clusterDNS === undefined)
    progress.say('Cluster', 'there is no Service kube-system/kube-dns; Pods on the VNode get no cluster DNS')
  const fingerprint = fingerprintOf(request, { server, credential: given ?? `${facts.caPem}` })
  const register: RegisterOptions = {
    records: new SecretRecord({
      client,
      namespace,
      name: vnodeNames(prefix).record,
      attempt: uuid(),
      now: () => new Date(),
    }),
    eci,
    identity,
    check: async () => {
      identity.check(given)
      await checkNetwork({ eci, virtualNode, progress, signal })
    },
    makeIntent: async () => {
      const { kind, kubeconfig, ...token } = await identity.mint(given)
      return { request: withSecrets(request, uuid(), kubeconfig), fingerprint, identity: kind, ...token }
    },
    wish: {
      name: virtualNode.name,
      regionId: eci.regionId,
      fingerprint,
      isAdditional: settings.isAdditional,
    },
    clusterTag: clusterTagOf(facts),
    progress,
    clock,
    now: Date.now,
    signal,
  }
  return { request, register }
}

interface IdentityParts {
  readonly facts: ClusterFacts
  readonly server: string
  readonly progress: Progress
}

function identityOf(options: Parts, { facts, server, progress }: IdentityParts): Identity {
  const { settings, client, connectAs, signal, clock, random } = options
  const { caPem, serviceIPs } = facts
  const now = () => new Date()
  return new Identity({
    ...{ client, settings, server, caPem, serviceIPs, connectAs, progress },
    ...{ clock, signal, random, now },
  })
}

function withSecrets(request: PlainRequest, clientToken: string, kubeconfig: string): Intent['request'] {
  return { ...request, clientToken, kubeConfig: Buffer.from(kubeconfig).toString('base64') }
}
