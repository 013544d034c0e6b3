/** What every run begins with: what the cluster says of itself, and the request that the settings ask for. */
import { vnodeNames } from '../core/vnode/identity.ts'
import type { EciClient } from '../eci/virtual-node.ts'
import type { KubeClient } from '../kube/api.ts'
import { type Clock, systemClock } from '../kube/clock.ts'
import { LeaseClaims } from './claim.ts'
import { type ClusterFacts, findNode, readCluster } from './cluster.ts'
import { Identity } from './identity.ts'
import type { ConnectAs } from './kubeconfig-probe.ts'
import { checkNetwork } from './network-check.ts'
import type { Notice, Progress } from './progress.ts'
import { type Intent, SecretRecord } from './record.ts'
import type { RegisterOptions } from './register.ts'
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

export interface Prepared {
  readonly request: PlainRequest
  readonly register: RegisterOptions
  readonly identity: Identity
}

/** Reads what there is to know; nothing is written. */
export async function prepare(options: BootstrapOptions, progress: Progress): Promise<Prepared> {
  const { settings, client, eci, signal, uuid, clock = systemClock } = options
  const { virtualNode, installNamespace: namespace, prefix } = settings
  progress.detail('Cluster', 'reading what the cluster says of itself')
  const facts = await readCluster(client)
  const server = settings.apiserver ?? facts.publishedServer ?? client.server
  const identity = identityOf(options, { facts, server, progress })
  const given = await identity.readGiven()
  const request = plainRequest(eci.regionId, settings, facts)
  const fingerprint = fingerprintOf(request, { server, credential: given ?? `${facts.caPem}` })
  const caller = await eci.caller({ signal })
  const attempt = uuid()
  const { record } = vnodeNames(prefix)
  const wish = {
    name: virtualNode.name,
    regionId: eci.regionId,
    fingerprint,
    isAdditional: settings.isAdditional,
    caller,
  }
  const register: RegisterOptions = {
    records: new SecretRecord({ client, namespace, name: record, attempt, now: () => new Date() }),
    claims: new LeaseClaims({ client, wish, holder: `${namespace}/${record}`, attempt }),
    eci,
    identity,
    check: async () => {
      checkVirtualNode(virtualNode)
      if (request.clusterDNS === undefined)
        progress.say(
          'Cluster',
          'there is no Service kube-system/kube-dns; Pods on the VNode get no cluster DNS',
        )
      identity.check(given)
      await checkNetwork({ eci, virtualNode, progress, signal })
    },
    makeIntent: async () => {
      const { kind, kubeconfig, ...token } = await identity.mint(given)
      const whole = withSecrets(request, uuid(), kubeconfig)
      return { request: whole, fingerprint, caller, identity: kind, ...token }
    },
    wish,
    clusterTag: clusterTagOf(facts),
    findNode: nodeName => findNode(client, nodeName),
    progress,
    clock,
    now: Date.now,
    signal,
  }
  return { request, register, identity }
}

interface IdentityParts {
  readonly facts: ClusterFacts
  readonly server: string
  readonly progress: Progress
}

function identityOf(options: BootstrapOptions, { facts, server, progress }: IdentityParts): Identity {
  const { settings, client, connectAs, signal, random, clock = systemClock } = options
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
