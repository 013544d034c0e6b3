/**
 * `vnode cluster clean`: removes from a cluster what VNodes and this program have left there. Of what is still in use nothing is touched:
 * Nodes whose VNode exists, the identity of a VNode that is registered, and whatever belongs to a release.
 */
import { isReadyNode } from '../../bootstrap/cluster.ts'
import { asRecord, asRecords, asString, own } from '../../core/kubernetes/objects.ts'
import { LAST_GOOD_LABELS, VNODE_KEY } from '../../core/names.ts'
import { isGone } from '../../core/vnode/registration.ts'
import { CLUSTER_TAG } from '../../core/vnode/virtual-node-tags.ts'
import type { EciClient } from '../../eci/virtual-node.ts'
import { isStatus, type KubeClient } from '../../kube/api.ts'
import { resourcePath } from '../../kube/path.ts'
import { installedAddons } from '../addon/addons.ts'
import type { Io } from '../io.ts'
import { clusterUid } from '../vnode/belonging.ts'
import { withSession } from '../vnode/session.ts'
import type { SessionFlags } from '../vnode/session-flags.ts'

export interface CleanOptions {
  readonly flags: SessionFlags
  readonly isDryRun: boolean
}

export async function runClean({ flags, isDryRun }: CleanOptions, io: Io): Promise<void> {
  await withSession(flags, io, async ({ eci, connect }) => {
    const client = await connect()
    try {
      const cleaner = new Cleaner(client, eci, { isDryRun, io })
      await cleaner.nodes()
      await cleaner.ownObjects()
      cleaner.finish()
    } finally {
      await client.close()
    }
  })
}

const UNLISTED_AND_READY =
  'ECI does not list its VNode to these credentials, yet it is Ready; kubectl delete node removes it all the same'

/** Kinds of objects that are made at run time and that Helm does not know of, or that Helm leaves behind for the VNode's sake. */
const OWN_KINDS: readonly { readonly kind: string; readonly path: string }[] = [
  {
    kind: 'MutatingWebhookConfiguration',
    path: collection('admissionregistration.k8s.io', 'mutatingwebhookconfigurations'),
  },
  {
    kind: 'ValidatingWebhookConfiguration',
    path: collection('admissionregistration.k8s.io', 'validatingwebhookconfigurations'),
  },
  { kind: 'ClusterRoleBinding', path: collection('rbac.authorization.k8s.io', 'clusterrolebindings') },
  { kind: 'ClusterRole', path: collection('rbac.authorization.k8s.io', 'clusterroles') },
  { kind: 'RoleBinding', path: collection('rbac.authorization.k8s.io', 'rolebindings') },
  { kind: 'Role', path: collection('rbac.authorization.k8s.io', 'roles') },
  // After the rights, which they hold within bounds.
  {
    kind: 'ValidatingAdmissionPolicyBinding',
    path: collection('admissionregistration.k8s.io', 'validatingadmissionpolicybindings'),
  },
  {
    kind: 'ValidatingAdmissionPolicy',
    path: collection('admissionregistration.k8s.io', 'validatingadmissionpolicies'),
  },
  { kind: 'Secret', path: collection('', 'secrets') },
  { kind: 'ServiceAccount', path: collection('', 'serviceaccounts') },
  { kind: 'Lease', path: collection('coordination.k8s.io', 'leases') },
]

const OWN_LABELS = 'app.kubernetes.io/name=vnode-profile,app.kubernetes.io/managed-by!=Helm'
/** The chart's objects that outlive a release, as its VNode does. */
const KEPT_LABELS =
  'app.kubernetes.io/name=vnode-profile,app.kubernetes.io/managed-by=Helm,app.kubernetes.io/component=vnode'

function collection(group: string, plural: string): string {
  return resourcePath({ group, version: 'v1', plural })
}

interface Ways {
  readonly isDryRun: boolean
  readonly io: Io
}

class Cleaner {
  readonly #client: KubeClient
  readonly #eci: EciClient
  readonly #ways: Ways
  /** Nodes of VNodes that stay. */
  readonly #kept: string[] = []
  #removed = 0

  constructor(client: KubeClient, eci: EciClient, ways: Ways) {
    this.#client = client
    this.#eci = eci
    this.#ways = ways
  }

  /**
   * Nodes of VNodes that do not exist any more, in the region that is asked. One that reports to be Ready is not of them, whatever ECI
   * lists: another account's credentials, or a policy of RAM, list nothing.
   */
  async nodes(): Promise<void> {
    const nodes = await this.#list(collection('', 'nodes'), { labelSelector: `${VNODE_KEY}=true` })
    const named = nodes.map(node => ({ node, ...parsedName(node.name) }))
    const here = named.filter(({ regionId, id }) => regionId === this.#eci.regionId && id !== '')
    const living = await this.#living(here.map(({ id }) => id))
    for (const { node, id } of here) {
      if (living.has(id)) this.#kept.push(node.name)
      else if (isReadyNode(node.object)) this.#keep(node.name, UNLISTED_AND_READY)
      else await this.#remove(node)
    }
    for (const one of named)
      if (!here.includes(one)) this.#keep(one.node.name, 'of another region; --region-id names another one')
  }

  #keep(node: string, why: string): void {
    this.#kept.push(node)
    this.#ways.io.stderr(`vnode: Node ${node} is left alone: ${why}\n`)
  }

  async #living(virtualNodeIds: readonly string[]): Promise<ReadonlySet<string>> {
    const found = await this.#eci.describeVirtualNodes({ virtualNodeIds })
    return new Set(found.filter(one => !isGone(one)).map(one => one.virtualNodeId))
  }

  /** What this program has made, once nothing uses it. */
  async ownObjects(): Promise<void> {
    const { io } = this.#ways
    const installed = await installedAddons(this.#client)
    if (installed.length > 0) {
      const [{ namespace, release } = { namespace: '', release: '' }] = installed
      io.stderr(`vnode: release ${namespace}/${release} is installed; what it uses stays\n`)
      return
    }
    const use = (await this.#useOfNodes()) ?? (await this.#useOfRecords())
    if (use !== undefined) {
      io.stderr(`vnode: ${use}, and what it uses stays; vnode delete removes it\n`)
      return
    }
    for (const { kind, path } of OWN_KINDS) {
      for (const labelSelector of [OWN_LABELS, KEPT_LABELS]) {
        for (const object of await this.#list(path, { labelSelector }).catch(noneIfUnknown))
          await this.#remove({ ...object, kind })
      }
    }
    const kept = await this.#list(collection('', 'configmaps'), {
      labelSelector: Object.entries(LAST_GOOD_LABELS)
        .map(([key, value]) => `${key}=${value}`)
        .join(','),
    })
    for (const object of kept) await this.#remove({ ...object, kind: 'ConfigMap' })
  }

  /** Which VNode still needs what we made, as ECI and the cluster say; in words. */
  async #useOfNodes(): Promise<string | undefined> {
    const tag = { key: CLUSTER_TAG, value: await clusterUid(this.#client) }
    const tagged = await this.#eci.describeVirtualNodes({ tags: [tag] })
    const mine = tagged.filter(one => !isGone(one))
    if (mine.length > 0)
      return `VNode ${mine.map(({ virtualNodeId }) => virtualNodeId).join(', ')} of this cluster exists`
    return this.#kept.length > 0 ? `Node ${this.#kept.join(', ')} is in the cluster` : undefined
  }

  /** The same, as the records of registrations say: one that was sent, or whose VNode another region has, is no leftover. */
  async #useOfRecords(): Promise<string | undefined> {
    for (const { namespace, name, object } of await this.#list(collection('', 'secrets'), {
      labelSelector: OWN_LABELS,
    })) {
      const data = asRecord(own(asRecord(object), 'data'))
      const text = (key: string) => Buffer.from(asString(own(data, key)) ?? '', 'base64').toString('utf8')
      const [id, regionId] = [text('virtualNodeId'), text('regionId')]
      const record = `Secret ${namespace}/${name}`
      if (id === '' && text('sentAt') !== '')
        return `${record} says that a VNode was asked for, and not what came of it`
      if (id === '') continue
      if (regionId !== this.#eci.regionId) return `${record} names VNode ${id} in ${regionId}`
      if ((await this.#living([id])).has(id)) return `${record} names VNode ${id}, which exists`
    }
    return undefined
  }

  finish(): void {
    if (this.#removed === 0) this.#ways.io.stdout('There is nothing to clean.\n')
  }

  async #list(path: string, query: Readonly<Record<string, string>>): Promise<readonly Found[]> {
    const list = await this.#client.request<unknown>({ method: 'GET', path, query })
    return asRecords(own(asRecord(list), 'items')).map(item => {
      const metadata = asRecord(own(item, 'metadata'))
      const namespace = asString(own(metadata, 'namespace'))
      const name = asString(own(metadata, 'name')) ?? ''
      const uid = asString(own(metadata, 'uid')) ?? ''
      return { kind: 'Node', name, namespace, uid, path: objectPath(path, namespace, name), object: item }
    })
  }

  /** The very object that was seen, and none that has its name by now. */
  async #remove({ kind, name, namespace, uid, path }: Found): Promise<void> {
    const { isDryRun, io } = this.#ways
    const what = `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`
    try {
      // With options in the body, the API server passes over those in the query.
      const body = { preconditions: { uid }, ...(isDryRun ? { dryRun: ['All'] } : {}) }
      await this.#client.request({ method: 'DELETE', path, body })
      io.stdout(`${what}: ${isDryRun ? 'would be removed' : 'removed'}\n`)
      this.#removed += 1
    } catch (error) {
      // Gone meanwhile, or another one of that name.
      if (!isStatus(error, 404) && !isStatus(error, 409)) throw error
    }
  }
}

interface Found {
  readonly kind: string
  readonly name: string
  readonly namespace: string | undefined
  readonly uid: string
  readonly path: string
  readonly object: unknown
}

/** Policies are of Kubernetes 1.30 and newer. */
function noneIfUnknown(error: unknown): readonly Found[] {
  if (isStatus(error, 404)) return []
  throw error
}

/** From the path of a collection of all namespaces. */
function objectPath(path: string, namespace: string | undefined, name: string): string {
  const at = path.lastIndexOf('/')
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`
  return `${path.slice(0, at)}${scope}${path.slice(at)}/${encodeURIComponent(name)}`
}

function parsedName(node: string): { regionId: string; id: string } {
  const [, regionId = '', id = ''] = /^([a-z0-9-]+)\.(vnd-[a-z0-9]+)$/.exec(node) ?? []
  return { regionId, id }
}
