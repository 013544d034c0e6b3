/** `vnode unregister`: takes the webhook's registration away so that nobody brings it back; the chart's first step of an uninstall. */
import { VnodeError } from '../core/errors.ts'
import { isStatus, type KubeClient } from '../kube/api.ts'
import { type Clock, sleep, systemClock } from '../kube/clock.ts'
import { resourcePath } from '../kube/path.ts'
import type { Io } from './io.ts'

export interface UnregisterOptions {
  /** Of both webhook configurations. */
  readonly name: string
  /** The ClusterRole that owns them and lets the helper write them. */
  readonly owner: string
  readonly isDryRun: boolean
  readonly connect: () => Promise<KubeClient>
  readonly clock?: Clock
}

interface Removed {
  readonly kind: string
  readonly name: string
  readonly path: string
}

/** A write that was under way when the ClusterRole went lands within this time, also behind an API server whose RBAC lags. */
const QUIET_MS = 3_000
const RETRY_MS = 250
const LIMIT_MS = 60_000

export async function runUnregister(options: UnregisterOptions, io: Io): Promise<void> {
  const client = await options.connect()
  try {
    const owner = objectOf('ClusterRole', 'rbac.authorization.k8s.io', options.owner)
    const registered = ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'].map(kind =>
      objectOf(kind, 'admissionregistration.k8s.io', options.name),
    )
    const remove = async (object: Removed): Promise<boolean> => {
      const isThere = await removeObject(client, object, options)
      if (isThere)
        io.stdout(`${object.kind} ${object.name}: ${options.isDryRun ? 'would be removed' : 'removed'}\n`)
      return isThere
    }
    // The owner first: without it nobody has the right to write the others, and the garbage collector is after them as well.
    const all = [owner, ...registered]
    const areThere: boolean[] = []
    for (const object of all) areThere.push(await remove(object))
    if (!areThere.includes(true)) io.stdout(`${options.name}: nothing is registered\n`)
    if (!options.isDryRun) await keepAway(registered, remove, options)
  } finally {
    await client.close()
  }
}

function objectOf(kind: string, group: string, name: string): Removed {
  const plural = `${kind.toLowerCase()}s`
  return { kind, name, path: resourcePath({ group, version: 'v1', plural, name }) }
}

/** False if it is not there. */
async function removeObject(
  client: KubeClient,
  { path }: Removed,
  { isDryRun }: UnregisterOptions,
): Promise<boolean> {
  try {
    await client.request({ method: 'DELETE', path, query: { dryRun: isDryRun ? 'All' : undefined } })
    return true
  } catch (error) {
    if (isStatus(error, 404)) return false
    throw error
  }
}

/** Removes them again until nobody has brought them back for a while. */
async function keepAway(
  registered: readonly Removed[],
  remove: (object: Removed) => Promise<boolean>,
  { name, clock = systemClock }: UnregisterOptions,
): Promise<void> {
  const begun = clock.now()
  const never = new AbortController().signal
  for (let quietSince = begun; clock.now() - quietSince < QUIET_MS; ) {
    await sleep(clock, RETRY_MS, never)
    for (const object of registered) if (await remove(object)) quietSince = clock.now()
    if (clock.now() - begun > LIMIT_MS)
      throw new VnodeError('API', `somebody registers ${name} again and again`, {
        next: 'Stop the helper that does so (kubectl get pods -A -l app.kubernetes.io/component=helper), and run this again.',
      })
  }
}
