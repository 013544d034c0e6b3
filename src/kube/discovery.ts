import { asArray, asRecord, asString, own } from '../core/kubernetes/objects.ts'
import type { KubeClient } from './api.ts'
import { resourcePath } from './path.ts'
import { readUnlessMissing } from './read.ts'

export interface ResourceName {
  readonly group: string
  readonly plural: string
}

export interface ServedResource extends ResourceName {
  /** The one to use: `v1` where it is served, else the first that the server names. */
  readonly version: string
  /** All versions of the group, in the server's order. */
  readonly versions: readonly string[]
  readonly scope: 'Namespaced' | 'Cluster'
}

type Requester = Pick<KubeClient, 'request'>

/** How the cluster serves a resource; undefined when it does not. Works for whatever CRD somebody else has installed. */
export async function servedResource(
  client: Requester,
  resource: ResourceName,
  signal?: AbortSignal,
): Promise<ServedResource | undefined> {
  const root = `/apis/${encodeURIComponent(resource.group)}`
  const group = await readUnlessMissing(client, root, signal)
  const versions = asArray(own(group, 'versions')).flatMap(
    entry => asString(own(asRecord(entry), 'version')) ?? [],
  )
  const preferred = [...versions].sort((a, b) => Number(b === 'v1') - Number(a === 'v1'))
  for (const version of preferred) {
    const list = await readUnlessMissing(client, `${root}/${encodeURIComponent(version)}`, signal)
    const found = asArray(own(list, 'resources'))
      .map(asRecord)
      .find(entry => own(entry, 'name') === resource.plural)
    if (found !== undefined) {
      return {
        ...resource,
        version,
        versions,
        scope: own(found, 'namespaced') === true ? 'Namespaced' : 'Cluster',
      }
    }
  }
  return undefined
}

/**
 * For a Reflector's `path`: the collection in whatever version is served at the moment, over all namespaces. `onFound`
 * hears of each answer, before any object does.
 */
export function servedPath(
  client: Requester,
  resource: ResourceName,
  onFound: (served: ServedResource | undefined) => void = () => {},
): (signal: AbortSignal) => Promise<string | undefined> {
  return async signal => {
    const served = await servedResource(client, resource, signal)
    onFound(served)
    return served === undefined ? undefined : resourcePath({ ...resource, version: served.version })
  }
}
