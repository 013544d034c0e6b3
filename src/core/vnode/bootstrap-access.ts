/** The rights of `vnode bootstrap`, and why it has them; see {@link AccessRule}. Its identity goes when the chart's Job has done its work. */
import type { AccessRule } from '../rbac.ts'
import {
  BOOTSTRAP_NAMESPACE,
  bootstrapTokenId,
  bootstrapTokenSecretName,
  CLAIM_NAMESPACE,
  claimNames,
  type IdentityKind,
  vnodeNames,
} from './identity.ts'

export interface BootstrapPlace {
  readonly installNamespace: string
  /** By which the objects of the installation are named. */
  readonly prefix: string
  /** Name of the VNode. */
  readonly virtualNodeName: string
  readonly identity: IdentityKind
  /** Of the installation's namespace: with the AccessKey, and with a kubeconfig that is given. */
  readonly secrets: readonly string[]
}

const APPLY = ['create', 'patch']

export function bootstrapAccess(place: BootstrapPlace): readonly AccessRule[] {
  const { installNamespace: namespace, prefix, secrets } = place
  const install = { role: 'install', namespace, apiGroup: '' }
  return [
    ...clusterAccess(),
    {
      ...install,
      resources: ['secrets'],
      resourceNames: [vnodeNames(prefix).record],
      verbs: ['get', ...APPLY, 'delete'],
      reason: 'what was asked of ECI and what came of it; deleted when its VNode is gone',
    },
    claimAccess(place, ['get', ...APPLY, 'delete']),
    ...secretsAccess(namespace, secrets),
    ...identityAccess(place),
    { ...install, resources: ['events'], verbs: APPLY, reason: 'Events about the registration' },
  ]
}

function claimAccess({ virtualNodeName }: BootstrapPlace, verbs: readonly string[]): AccessRule {
  return {
    role: 'system',
    namespace: CLAIM_NAMESPACE,
    apiGroup: 'coordination.k8s.io',
    resources: ['leases'],
    resourceNames: claimNames(virtualNodeName, { isAdditional: false }),
    verbs,
    reason: 'who registers a VNode of this name now, so that two releases do not both',
  }
}

function clusterAccess(): readonly AccessRule[] {
  const one = { apiGroup: '', verbs: ['get'] }
  return [
    {
      role: 'cluster',
      apiGroup: '',
      resources: ['nodes'],
      verbs: ['list', 'watch'],
      reason: 'whether its Node is Ready; its name comes with the VNode',
    },
    {
      ...one,
      role: 'cluster',
      resources: ['namespaces'],
      resourceNames: ['kube-system'],
      reason: 'its uid, by which the cluster is known at ECI',
    },
    {
      ...one,
      role: 'address',
      namespace: 'default',
      resources: ['services'],
      resourceNames: ['kubernetes'],
      reason: 'its address, which is of no use to a VNode',
    },
    {
      ...one,
      role: 'system',
      namespace: 'kube-system',
      resources: ['services'],
      resourceNames: ['kube-dns'],
      reason: 'the DNS of Pods on the VNode',
    },
    {
      ...one,
      role: 'system',
      namespace: 'kube-system',
      resources: ['configmaps'],
      resourceNames: ['kube-root-ca.crt'],
      reason: "the API server's CA, for the VNode's kubeconfig",
    },
    {
      ...one,
      role: 'address',
      namespace: 'kube-public',
      resources: ['configmaps'],
      resourceNames: ['cluster-info'],
      reason: "the API server's address as kubeadm has published it",
    },
  ]
}

/** The objects of its own kind are made; those of another, which an earlier attempt may have left, are removed. */
function identityAccess({ installNamespace, prefix, identity }: BootstrapPlace): readonly AccessRule[] {
  const { account, accountToken } = vnodeNames(prefix)
  const token = bootstrapTokenSecretName(bootstrapTokenId(installNamespace, prefix))
  const verbsOf = (kind: IdentityKind) => (identity === kind ? [...APPLY, 'delete'] : ['delete'])
  const ofAccount = { role: 'install', namespace: installNamespace, apiGroup: '' }
  return [
    {
      role: 'system',
      namespace: BOOTSTRAP_NAMESPACE,
      apiGroup: '',
      resources: ['secrets'],
      resourceNames: [token],
      verbs: verbsOf('tls-bootstrap'),
      reason: 'the bootstrap token with which the VNode asks for its certificate',
    },
    {
      ...ofAccount,
      resources: ['serviceaccounts'],
      resourceNames: [account],
      verbs: verbsOf('service-account'),
      reason: "the VNode's ServiceAccount",
    },
    {
      ...ofAccount,
      resources: ['secrets'],
      resourceNames: [accountToken],
      verbs: verbsOf('service-account'),
      reason: 'and its token',
    },
  ]
}

/** Of `vnode bootstrap --remove`, which the chart runs before it is uninstalled, if it is told to. */
export function removalAccess(place: BootstrapPlace): readonly AccessRule[] {
  const { installNamespace: namespace, prefix, secrets } = place
  const everywhere = { role: 'cluster', apiGroup: '' }
  const install = { role: 'install', namespace, apiGroup: '' }
  return [
    ...clusterAccess().filter(({ resources }) => resources[0] !== 'nodes'),
    {
      ...everywhere,
      resources: ['nodes'],
      verbs: ['list', 'patch', 'delete'],
      reason: 'nothing new is scheduled on its Node, which is removed with it; the name comes with the VNode',
    },
    { ...everywhere, resources: ['pods'], verbs: ['list'], reason: 'what runs there' },
    { ...everywhere, resources: ['pods/eviction'], verbs: ['create'], reason: 'and is to move away' },
    {
      ...install,
      resources: ['secrets'],
      resourceNames: [vnodeNames(prefix).record],
      verbs: ['get', 'delete'],
      reason: 'which VNode it is',
    },
    claimAccess(place, ['get', 'delete']),
    ...secretsAccess(namespace, secrets),
    ...identityAccess({ ...place, identity: 'kubeconfig' }),
    { ...install, resources: ['events'], verbs: APPLY, reason: 'Events about the removal' },
  ]
}

function secretsAccess(namespace: string, secrets: readonly string[]): readonly AccessRule[] {
  if (secrets.length === 0) return []
  const reason = 'the AccessKey, and a kubeconfig for the VNode'
  return [
    {
      role: 'install',
      namespace,
      apiGroup: '',
      resources: ['secrets'],
      resourceNames: secrets,
      verbs: ['get'],
      reason,
    },
  ]
}
