/** Uses a kubeconfig as a VNode would, before anybody pays for one: its address, its TLS, its credential, and the rights to begin with. */
import { parse } from 'yaml'
import { VnodeError } from '../core/errors.ts'
import { asRecord, asRecords, asString, own } from '../core/kubernetes/objects.ts'
import type { IdentityKind } from '../core/vnode/identity.ts'
import { ApiError, isStatus, type KubeClient } from '../kube/api.ts'
import { type Clock, sleep } from '../kube/clock.ts'
import type { DirectSettings } from '../kube/direct.ts'
import { resourcePath } from '../kube/path.ts'

/** A client by the values of a kubeconfig. */
export type ConnectAs = (access: Omit<DirectSettings, 'userAgent'>) => KubeClient

export interface ProbeOptions {
  readonly identity: IdentityKind
  readonly connectAs: ConnectAs
  readonly clock: Clock
  readonly signal: AbortSignal
}

interface Right {
  readonly group: string
  readonly resource: string
  readonly verb: string
}

/** What comes first: a certificate, or the Node itself. */
const CERTIFICATE: Right = {
  group: 'certificates.k8s.io',
  resource: 'certificatesigningrequests',
  verb: 'create',
}
const NODE: Right = { group: '', resource: 'nodes', verb: 'create' }

const LOOK_MS = 500
/** API servers learn of a new token, and of new roles, a moment after they are written. */
const LIMIT_MS = 10_000

/** Throws a VnodeError with what to do next. */
export async function probeKubeconfig(text: string, options: ProbeOptions): Promise<void> {
  const { identity, clock, signal } = options
  const client = clientOf(text, options.connectAs)
  const right = identity === 'tls-bootstrap' ? CERTIFICATE : NODE
  const end = clock.now() + LIMIT_MS
  try {
    for (;;) {
      const problem = await problemOf(client, right, identity)
      if (problem === undefined) return
      signal.throwIfAborted()
      if (clock.now() >= end || problem.code === 'NETWORK') throw problem
      await sleep(clock, LOOK_MS, signal)
    }
  } finally {
    await client.close()
  }
}

async function problemOf(
  client: KubeClient,
  right: Right,
  identity: IdentityKind,
): Promise<VnodeError | undefined> {
  try {
    const review = await client.request<unknown>({
      method: 'POST',
      path: resourcePath({
        group: 'authorization.k8s.io',
        version: 'v1',
        plural: 'selfsubjectaccessreviews',
      }),
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes: right },
      },
    })
    if (own(asRecord(own(asRecord(review), 'status')), 'allowed') === true) return undefined
    return new VnodeError('API', `the VNode's identity may not ${right.verb} ${right.resource}`, {
      next: 'Give it the rights of a VNode: the chart has the roles (bootstrap.enabled), the README says which.',
    })
  } catch (error) {
    if (isStatus(error, 401)) return unknownCredential(client, identity)
    if (error instanceof ApiError) return new VnodeError('API', error.message, { cause: error })
    return new VnodeError('NETWORK', `${client.server}, where the VNode is to go, cannot be used from here`, {
      cause: error,
      next: `${reasonOf(error)} Set another address (--apiserver, bootstrap.apiserver); or, if VNodes reach it and this machine does not, --skip-reach-check (bootstrap.skipReachCheck).`,
    })
  }
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return `${text.replace(/[.\s]*$/, '')}.`
}

function unknownCredential({ server }: KubeClient, identity: IdentityKind): VnodeError {
  const message = `${server} does not know the VNode's credential (401)`
  const next =
    identity === 'tls-bootstrap'
      ? 'Start the API server with --enable-bootstrap-token-auth (kubeadm does), or set another kind of identity: --identity service-account, bootstrap.identity.kind.'
      : 'Check that the address is that of this cluster, and that the credential is valid there.'
  return new VnodeError('KUBECONFIG', message, { next })
}

/** Of a kubeconfig that was judged, or that we have rendered: one cluster, one user, no files. */
function clientOf(text: string, connectAs: ConnectAs): KubeClient {
  const config = asRecord(parse(text, { maxAliasCount: 0 }))
  const part = (list: string, name: string) => asRecord(own(asRecords(own(config, list))[0], name))
  const [cluster, user] = [part('clusters', 'cluster'), part('users', 'user')]
  const plain = (record: typeof cluster, key: string) => asString(own(record, key))
  const decoded = (record: typeof cluster, key: string) => {
    const value = plain(record, key)
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8')
  }
  return connectAs({
    server: plain(cluster, 'server') ?? '',
    caPem: decoded(cluster, 'certificate-authority-data'),
    servername: plain(cluster, 'tls-server-name'),
    isInsecure: own(cluster, 'insecure-skip-tls-verify') === true,
    token: plain(user, 'token'),
    certificatePem: decoded(user, 'client-certificate-data'),
    keyPem: decoded(user, 'client-key-data'),
  })
}
