/** VNodectl's add-ons, which are parts of our chart, and what a cluster has of them. */
import { VnodeError } from '../../core/errors.ts'
import { asRecord, asRecords, asString, own } from '../../core/kubernetes/objects.ts'
import type { KubeClient } from '../../kube/api.ts'
import { resourcePath } from '../../kube/path.ts'

export const ADDONS = ['eci-profile', 'vnode-approver'] as const
export type AddonName = (typeof ADDONS)[number]

export const ADDON_TEXTS: Readonly<Record<AddonName, string>> = {
  'eci-profile': 'sends Pods to VNodes by rules: webhook and helper',
  'vnode-approver': 'approves the certificate requests of VNodes',
}

/** The component of the chart's Deployments that stands for the add-on. */
const COMPONENTS: Readonly<Record<AddonName, string>> = {
  'eci-profile': 'webhook',
  'vnode-approver': 'approver',
}

export interface Installed {
  readonly addon: AddonName
  readonly namespace: string
  /** Helm's name of it. */
  readonly release: string
  readonly version: string
  readonly ready: number
  readonly wanted: number
}

export function parseAddon(text: string): AddonName {
  const found = ADDONS.find(name => name === text)
  if (found !== undefined) return found
  throw new VnodeError('USAGE', `there is no add-on ${JSON.stringify(text)}; there are: ${ADDONS.join(', ')}`)
}

/** The add-ons that are in the cluster, in whatever namespaces. */
export async function installedAddons(client: Pick<KubeClient, 'request'>): Promise<readonly Installed[]> {
  const list = await client.request<unknown>({
    method: 'GET',
    path: resourcePath({ group: 'apps', version: 'v1', plural: 'deployments' }),
    query: { labelSelector: 'app.kubernetes.io/name=vnode-profile' },
  })
  return asRecords(own(asRecord(list), 'items')).flatMap(installedOf)
}

function installedOf(deployment: Record<string, unknown>): Installed[] {
  const metadata = asRecord(own(deployment, 'metadata'))
  const label = (name: string) =>
    asString(own(asRecord(own(metadata, 'labels')), `app.kubernetes.io/${name}`)) ?? ''
  const addon = ADDONS.find(name => COMPONENTS[name] === label('component'))
  if (addon === undefined) return []
  return [
    {
      addon,
      namespace: asString(own(metadata, 'namespace')) ?? '',
      release: label('instance'),
      version: label('version'),
      ready: count(own(asRecord(own(deployment, 'status')), 'readyReplicas')),
      wanted: count(own(asRecord(own(deployment, 'spec')), 'replicas')),
    },
  ]
}

function count(value: unknown): number {
  return typeof value === 'number' ? value : 0
}
