/** Rules from the cluster: the ConfigMap, Selectors, Namespaces and VNodes by list and watch, and the last good text that replicas share. */
import { messageOf } from '../core/errors.ts'
import { asRecord, asString } from '../core/kubernetes/objects.ts'
import {
  RULES_KEY,
  SELECTOR_GROUP,
  SELECTOR_KIND,
  SELECTOR_PLURAL,
  VNODE_TYPE_LABEL,
  VNODE_TYPE_VALUE,
} from '../core/names.ts'
import { rulesTextOf } from '../core/selector/documents.ts'
import { type Labels, labelsOf } from '../core/selector/requirement.ts'
import { type Vnode, vnodeOf } from '../core/vnode/vnode-set.ts'
import type { KubeClient } from '../kube/api.ts'
import { systemClock } from '../kube/clock.ts'
import { servedPath } from '../kube/discovery.ts'
import { resourcePath } from '../kube/path.ts'
import { Reflector } from '../kube/reflector.ts'
import type { ReflectorOptions, ReflectorTimings } from '../kube/reflector-options.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { LastGoodStore } from './last-good.ts'
import { configMapLabel, type InvolvedObject, type RulesState } from './rules-state.ts'
import type { RuleSource, SourceHealth } from './source.ts'

export interface ClusterSourceOptions {
  readonly client: KubeClient
  readonly state: RulesState
  readonly log: Logger
  readonly lastGood: LastGoodStore
  readonly rulesNamespace: string
  readonly rulesName: string
  readonly installNamespace: string
  /** Of the ConfigMap that {@link lastGood} keeps, in the installation's namespace. */
  readonly lastGoodName: string
  readonly timings?: Partial<ReflectorTimings>
}

/**
 * A Pod may be reviewed before the watch has told of its namespace, which is as new (observed: 2 of 100 while this process had no CPU).
 * The apiserver refuses Pods of a namespace that does not exist, so the news is on its way; it waits 50 ms for it itself.
 */
const NAMESPACE_WAIT_MS = 100

/** A ConfigMap or Selector as far as it is needed. */
interface RulesObject {
  readonly involved: InvolvedObject
  readonly object: unknown
}

interface NamespaceObject {
  readonly name: string
  readonly labels: Labels
}

/** What all watched collections have in common, whatever they hold. */
type Watched = Pick<Reflector<unknown>, 'start' | 'stop' | 'synced' | 'state' | 'lastEventAt' | 'lastError'>

export class ClusterSource implements RuleSource {
  readonly #options: ClusterSourceOptions
  readonly #watched: ReadonlyMap<string, Watched>
  /** The ConfigMap as it was when the last good text had not been loaded yet: which of the two counts shows only then. */
  #waiting: RulesObject | undefined
  #hasLastGood = false

  constructor(options: ClusterSourceOptions) {
    this.#options = options
    this.#watched = new Map<string, Watched>([
      ['last-good', this.#watchLastGood()],
      ['configmaps', this.#watchConfigMap()],
      ['selectors', this.#watchSelectors()],
      ['namespaces', this.#watchNamespaces()],
      ['nodes', this.#watchVnodes()],
    ])
  }

  async start(): Promise<void> {
    // A cluster without rules and VNodes reports none, and the gauges would never say that all is well.
    this.#options.state.flush()
    for (const watched of this.#watched.values()) watched.start()
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#watched.values()].map(watched => watched.stop()))
  }

  health(): SourceHealth[] {
    return [...this.#watched].map(([resource, watched]) => {
      const { synced, state, lastError, lastEventAt } = watched
      const trouble = lastError === undefined ? '' : `: ${messageOf(lastError)}`
      const age = lastEventAt === undefined ? {} : { ageSeconds: (systemClock.now() - lastEventAt) / 1000 }
      const isWatched = state === 'watching' || state === 'absent'
      return {
        resource,
        isSynced: synced,
        isWatched,
        reason: `${resource} ${synced ? 'are loaded' : 'are not loaded yet'} (${state}${trouble})`,
        ...age,
      }
    })
  }

  awaitNamespace(name: string): Promise<void> | undefined {
    const { state } = this.#options
    const isTold = this.#watched.get('namespaces')?.state === 'watching'
    return isTold && !state.knowsNamespace(name) ? state.arrivalOf(name, NAMESPACE_WAIT_MS) : undefined
  }

  #reflect<T>(
    resource: string,
    options: Pick<
      ReflectorOptions<T>,
      'path' | 'keep' | 'onChange' | 'onSynced' | 'fieldSelector' | 'labelSelector' | 'metadataOnly'
    >,
  ): Watched {
    const { client, log, timings } = this.#options
    return new Reflector<T>({
      client,
      ...options,
      ...(timings === undefined ? {} : { timings }),
      onError: (error, during) =>
        log.warn(
          { resource, during, error: messageOf(error) },
          'watching had a fault; what is loaded stays in force',
        ),
    })
  }

  #watchLastGood(): Watched {
    const { installNamespace, lastGoodName, state, lastGood } = this.#options
    return this.#reflect<string | undefined>('last-good', {
      path: resourcePath({ version: 'v1', plural: 'configmaps', namespace: installNamespace }),
      fieldSelector: `metadata.name=${lastGoodName}`,
      keep: raw => lastGood.read(raw),
      onChange: ({ type, value }) => {
        if (type === 'deleted') lastGood.lost()
        else if (value !== undefined) state.setLastGoodText(value)
      },
      onSynced: () => {
        this.#hasLastGood = true
        if (this.#waiting !== undefined) this.#setConfigMap(this.#waiting)
      },
    })
  }

  #watchConfigMap(): Watched {
    const { rulesNamespace, rulesName, state } = this.#options
    return this.#reflect<RulesObject>('configmaps', {
      path: resourcePath({ version: 'v1', plural: 'configmaps', namespace: rulesNamespace }),
      fieldSelector: `metadata.name=${rulesName}`,
      keep: raw => ({ involved: involvedOf(raw, 'v1'), object: { data: { [RULES_KEY]: rulesTextOf(raw) } } }),
      onChange: change => {
        if (change.type !== 'deleted') this.#setConfigMap(change.value, change.previous)
        else {
          this.#waiting = undefined
          state.deleteConfigMap()
        }
      },
    })
  }

  #setConfigMap(found: RulesObject, previous?: RulesObject): void {
    if (!this.#hasLastGood) {
      this.#waiting = found
      return
    }
    this.#waiting = undefined
    const text = rulesTextOf(found.object) ?? ''
    // Somebody changed another key, or a label: the cluster's own settings live in this ConfigMap too.
    if (previous !== undefined && rulesTextOf(previous.object) === rulesTextOf(found.object)) return
    const label = configMapLabel(this.#options.rulesNamespace, this.#options.rulesName)
    this.#options.state.setConfigMap(
      { text: String(text) },
      { kind: 'ConfigMap', label, involved: found.involved },
    )
  }

  #watchSelectors(): Watched {
    const { client, state, log } = this.#options
    let version = 'v1'
    return this.#reflect<RulesObject>('selectors', {
      path: servedPath(client, { group: SELECTOR_GROUP, plural: SELECTOR_PLURAL }, served => {
        if (served !== undefined && served.version !== version)
          log.info({ version: served.version, scope: served.scope }, 'Selectors are served in this version')
        version = served?.version ?? version
      }),
      keep: raw => ({ involved: involvedOf(raw, `${SELECTOR_GROUP}/${version}`), object: selectorPart(raw) }),
      onChange: ({ type, key, value, previous }) => {
        if (type === 'deleted') return state.deleteSelector(key)
        // A label, a finalizer or the status changed: to say of a bad one again that it is bad would be noise.
        if (previous !== undefined && JSON.stringify(previous.object) === JSON.stringify(value.object)) return
        const origin = {
          kind: 'Selector',
          label: `${SELECTOR_KIND} ${key}`,
          involved: value.involved,
        } as const
        state.setSelector(key, value.object, origin)
      },
    })
  }

  #watchNamespaces(): Watched {
    const { state } = this.#options
    return this.#reflect<NamespaceObject>('namespaces', {
      path: resourcePath({ version: 'v1', plural: 'namespaces' }),
      metadataOnly: true,
      keep: raw => ({ name: nameOf(raw), labels: labelsOf(asRecord(asRecord(raw)?.metadata)?.labels) }),
      onChange: ({ type, value }) => {
        if (type === 'deleted') state.deleteNamespace(value.name)
        else state.setNamespace(value.name, value.labels)
      },
    })
  }

  #watchVnodes(): Watched {
    const { state } = this.#options
    return this.#reflect<Vnode | undefined>('nodes', {
      path: resourcePath({ version: 'v1', plural: 'nodes' }),
      labelSelector: `${VNODE_TYPE_LABEL}=${VNODE_TYPE_VALUE}`,
      keep: vnodeOf,
      onChange: ({ type, value, previous }) => {
        const gone = type === 'deleted' ? value : previous
        if (value === undefined || type === 'deleted') {
          if (gone !== undefined) state.deleteVnode(gone.name)
        } else state.setVnode(value)
      },
    })
  }
}

function nameOf(raw: unknown): string {
  return asString(asRecord(asRecord(raw)?.metadata)?.name) ?? ''
}

function involvedOf(raw: unknown, apiVersion: string): InvolvedObject {
  const metadata = asRecord(asRecord(raw)?.metadata)
  const namespace = asString(metadata?.namespace)
  return {
    apiVersion,
    ...(namespace === undefined ? {} : { namespace }),
    name: asString(metadata?.name) ?? '',
    uid: asString(metadata?.uid) ?? '',
    resourceVersion: asString(metadata?.resourceVersion) ?? '',
  }
}

/** Without managedFields and status, which only cost memory. */
function selectorPart(raw: unknown): unknown {
  const { metadata, spec } = asRecord(raw) ?? {}
  const { name, namespace, creationTimestamp } = asRecord(metadata) ?? {}
  return { metadata: { name, namespace, creationTimestamp }, spec }
}
