/** The objects of the identity that a VNode gets: who it is in the cluster, and how it shows that. */
import { createHash } from 'node:crypto'

/**
 * How a VNode shows who it is: by a token with which it asks for certificates (and renews them), by a ServiceAccount's token (which never
 * ends and is never renewed), or by a kubeconfig that somebody gave.
 */
export const IDENTITY_KINDS = ['tls-bootstrap', 'service-account', 'kubeconfig'] as const
export type IdentityKind = (typeof IDENTITY_KINDS)[number]

/** Whoever has a bootstrap token of ours is in it; it may ask for VNodes' certificates, and nothing else. */
export const BOOTSTRAP_GROUP = 'system:bootstrappers:vnode-profile'
export const BOOTSTRAP_NAMESPACE = 'kube-system'

/** Of the installation's namespace; the prefix is the release's. */
export function vnodeNames(prefix: string) {
  return {
    /** The Secret that says what was asked of ECI and what came of it. */
    record: `${prefix}-vnode`,
    account: `${prefix}-vnode`,
    accountToken: `${prefix}-vnode-token`,
  } as const
}

/** Six characters that are no secret, and the same for the same release: its role names the Secret that it may write. */
export function bootstrapTokenId(installNamespace: string, prefix: string): string {
  return createHash('sha256').update(`${installNamespace}/${prefix}`).digest('hex').slice(0, 6)
}

export function bootstrapTokenSecretName(tokenId: string): string {
  return `bootstrap-token-${tokenId}`
}

const LABELS = { 'app.kubernetes.io/name': 'vnode-profile', 'app.kubernetes.io/component': 'bootstrap' }

/** A token of {@link BOOTSTRAP_GROUP} for authentication alone. It has no end: a VNode that is moved to another machine begins anew with it. */
export function bootstrapTokenSecret(tokenId: string, tokenSecret: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'bootstrap.kubernetes.io/token',
    metadata: { name: bootstrapTokenSecretName(tokenId), namespace: BOOTSTRAP_NAMESPACE, labels: LABELS },
    data: encoded({
      'token-id': tokenId,
      'token-secret': tokenSecret,
      'usage-bootstrap-authentication': 'true',
      'auth-extra-groups': BOOTSTRAP_GROUP,
      description: 'VNodes ask for their certificates with it; made by vnode-profile',
    }),
  }
}

export function accountOf(namespace: string, name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace, labels: LABELS },
    automountServiceAccountToken: false,
  }
}

/** Kubernetes fills in a token that does not end. */
export function accountTokenSecret(
  namespace: string,
  { name, account }: { readonly name: string; readonly account: string },
): object {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/service-account-token',
    metadata: {
      name,
      namespace,
      labels: LABELS,
      annotations: { 'kubernetes.io/service-account.name': account },
    },
  }
}

/** The Secret that says what was asked of ECI; only the keys that are given. */
export function recordSecret(
  namespace: string,
  name: string,
  data: Readonly<Record<string, string>>,
  held: { readonly uid?: string; readonly resourceVersion?: string } = {},
): object {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: { name, namespace, labels: LABELS, ...held },
    data: encoded(data),
  }
}

export const CLAIM_NAMESPACE = 'kube-system'

/** The Leases that a registration takes: that of the VNode's name, and before it that of the cluster's only VNode, unless it is an additional one. */
export function claimNames(
  virtualNodeName: string,
  { isAdditional }: { readonly isAdditional: boolean },
): readonly string[] {
  const ofName = `vnode-registration-${virtualNodeName}`
  return isAdditional ? [ofName] : ['vnode-registration', ofName]
}

export function claimLease(name: string, holder: string): object {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, namespace: CLAIM_NAMESPACE, labels: LABELS },
    spec: { holderIdentity: holder },
  }
}

function encoded(data: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  )
}
