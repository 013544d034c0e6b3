import type { Test } from 'tap'
import { bootstrapTokenAccess, vnodeAccess } from '../../src/core/vnode/access.ts'
import { bootstrapAccess, removalAccess } from '../../src/core/vnode/bootstrap-access.ts'
import {
  BOOTSTRAP_GROUP,
  bootstrapTokenId,
  bootstrapTokenSecretName,
  type IdentityKind,
  vnodeNames,
} from '../../src/core/vnode/identity.ts'
import { connect } from '../../src/kube/client.ts'
import { type BootstrapRun, type RunOptions, removeWith, runWith } from './bootstrap-run.ts'
import type { ControlPlane, ControlPlaneOptions } from './control-plane.ts'
import type { KubeList, KubeObject } from './kube-http.ts'
import { ensureNamespace, grantAccess, grantTo } from './webhook-rights.ts'

/** As kubeadm starts its API server. */
export const BOOTSTRAP_CONTROL_PLANE: ControlPlaneOptions = {
  controllerManager: true,
  apiserverFlags: ['--enable-bootstrap-token-auth=true'],
}

export interface TestBootstrapOptions {
  readonly controlPlane: ControlPlane
  /** Namespace and prefix of the installation, and the VNode's name. */
  readonly name: string
  readonly identity?: IdentityKind
  /** Secrets that it may read. */
  readonly secrets?: readonly string[]
  /** `name`, unless it is given. */
  readonly virtualNodeName?: string
  /** Nobody has given a VNode rights yet. */
  readonly isUnknown?: boolean
}

/** The namespace, and an identity with exactly the documented rights; gives its kubeconfig. */
export async function prepareBootstrap(options: TestBootstrapOptions): Promise<string> {
  const { controlPlane, name, identity = 'tls-bootstrap', secrets = [], isUnknown = false } = options
  const { virtualNodeName = name } = options
  await ensureNamespace(controlPlane, name)
  const user = `${name}-bootstrap`
  await grantAccess(
    controlPlane,
    user,
    bootstrapAccess({ installNamespace: name, prefix: name, virtualNodeName, identity, secrets }),
  )
  if (identity === 'service-account' && !isUnknown) {
    const account = { kind: 'ServiceAccount', name: vnodeNames(name).account, namespace: name } as const
    await grantTo(controlPlane, `${name}-vnode`, vnodeAccess(), account)
  }
  return await controlPlane.kubeconfig({ user })
}

/** The rights of VNodes that come by TLS bootstrap; of all of them, in one cluster. */
export async function grantVnodes(controlPlane: ControlPlane): Promise<void> {
  await grantTo(controlPlane, 'vnodes', vnodeAccess(), { kind: 'Group', name: 'system:vnodes' })
  await grantTo(controlPlane, 'vnodes', bootstrapTokenAccess(), { kind: 'Group', name: BOOTSTRAP_GROUP })
}

/** The program in this process, with an identity that {@link prepareBootstrap} has made. */
export async function bootstrap({
  controlPlane,
  kubeconfig,
  ...options
}: Omit<RunOptions, 'client' | 'url'> & {
  readonly controlPlane: ControlPlane
  readonly kubeconfig: string
}): Promise<BootstrapRun> {
  const client = await connect({ kubeconfig, userAgent: 'vnode-profile/0 (integration test)' })
  try {
    return await runWith({ ...options, url: controlPlane.url, client })
  } finally {
    await client.close()
  }
}

/** The opposite, with an identity that has just the rights of a removal. */
export async function removeBootstrapped({
  controlPlane,
  name,
  virtualNodeName = name,
  ...options
}: Omit<RunOptions, 'client' | 'url'> & {
  readonly controlPlane: ControlPlane
  readonly virtualNodeName?: string
}): Promise<string | undefined> {
  const user = `${name}-removal`
  const place = {
    installNamespace: name,
    prefix: name,
    virtualNodeName,
    identity: 'tls-bootstrap',
    secrets: [],
  } as const
  await grantAccess(controlPlane, user, removalAccess(place))
  const kubeconfig = await controlPlane.kubeconfig({ user })
  const client = await connect({ kubeconfig, userAgent: 'vnode-profile/0 (integration test)' })
  try {
    return await removeWith({ ...options, name, url: controlPlane.url, client })
  } finally {
    await client.close()
  }
}

/** The record, decoded; undefined where there is none. */
export async function recordOf(
  controlPlane: ControlPlane,
  name: string,
): Promise<Record<string, string> | undefined> {
  const path = `/api/v1/namespaces/${name}/secrets/${vnodeNames(name).record}`
  const { status, body } = await controlPlane.request<KubeObject>('GET', path)
  if (status === 404) return undefined
  const data = Object.entries((body.data ?? {}) as Record<string, string>)
  return Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]))
}

/** As if what is written down had been written an hour ago: what was written a moment ago need not be listed by ECI yet. */
export async function ageRecord(controlPlane: ControlPlane, name: string): Promise<void> {
  const anHourAgo = Buffer.from(new Date(Date.now() - 3_600_000).toISOString()).toString('base64')
  const record = await recordOf(controlPlane, name)
  const times = ['sentAt', 'recordedAt'].filter(key => record?.[key] !== undefined)
  await patchRecord(controlPlane, name, Object.fromEntries(times.map(key => [key, anHourAgo])))
}

/** Changes what is written down; null removes a key. Values are base64. */
export async function patchRecord(
  controlPlane: ControlPlane,
  name: string,
  data: Readonly<Record<string, string | null>>,
): Promise<void> {
  await controlPlane.ask('PATCH', `/api/v1/namespaces/${name}/secrets/${vnodeNames(name).record}`, {
    body: { data },
    contentType: 'application/merge-patch+json',
  })
}

/** `kind/name` of all that a run may leave in the cluster, its Events aside. */
export async function leftBy(controlPlane: ControlPlane, name: string): Promise<string[]> {
  const list = async (path: string) => (await controlPlane.ask<KubeList>('GET', path)).items
  const [secrets, accounts, tokens] = await Promise.all([
    list(`/api/v1/namespaces/${name}/secrets`),
    list(`/api/v1/namespaces/${name}/serviceaccounts`),
    list('/api/v1/namespaces/kube-system/secrets'),
  ])
  const token = bootstrapTokenSecretName(bootstrapTokenId(name, name))
  return [
    ...secrets.map(({ metadata }) => `secret/${metadata.name}`),
    ...accounts.map(({ metadata }) => `serviceaccount/${metadata.name}`),
    ...tokens.flatMap(({ metadata }) => (metadata.name === token ? ['bootstrap-token'] : [])),
  ]
    .filter(one => one !== 'serviceaccount/default')
    .sort()
}

let made = 0

/** A name that no other test of the file has. */
export function bootstrapName(t: Test): string {
  made += 1
  const slug = t.name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 30)
    .replaceAll(/^-|-$/g, '')
  return `${slug}-${made}`
}
