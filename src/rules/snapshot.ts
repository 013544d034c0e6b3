/** The rules of a cluster as they are in force at one moment, for whoever looks once and follows nothing. */
import { asRecord } from '../core/kubernetes/objects.ts'
import { SELECTOR_GROUP, SELECTOR_KIND, SELECTOR_PLURAL } from '../core/names.ts'
import type { RuledEnvironment } from '../core/policy/decide.ts'
import { rulesTextOf } from '../core/selector/documents.ts'
import { type Labels, labelsOf } from '../core/selector/requirement.ts'
import type { Settings } from '../core/settings.ts'
import type { Vnode } from '../core/vnode/vnode-set.ts'
import type { KubeClient } from '../kube/api.ts'
import { servedResource } from '../kube/discovery.ts'
import { resourcePath } from '../kube/path.ts'
import { listAll, readUnlessMissing } from '../kube/read.ts'
import { identify } from '../kube/store.ts'
import { lastGoodText } from './last-good.ts'
import { configMapLabel, type RulesReport, RulesState } from './rules-state.ts'

export interface SnapshotOptions {
  readonly client: KubeClient
  readonly settings: Settings
  /** Of the ConfigMap. */
  readonly rulesNamespace: string
  readonly rulesName: string
  /** Of the ConfigMap with the last good rules, in the installation's namespace. */
  readonly lastGoodName: string
  readonly vnodes: readonly Vnode[]
  /**
   * Does what is asked for and gives its result. Where that may not be looked at it can go on without it, by giving undefined; what is
   * missing then counts as if it did not exist.
   */
  readonly attempt: <T>(what: string, read: () => Promise<T>) => Promise<T | undefined>
}

export interface RulesSnapshot {
  readonly environment: RuledEnvironment
  readonly hasConfigMap: boolean
  /** What is to be said of the ConfigMap and of each Selector. */
  readonly reports: readonly RulesReport[]
}

/** Rejects where the ConfigMap cannot be read: without it every answer would be another. */
export async function readRulesSnapshot(options: SnapshotOptions): Promise<RulesSnapshot> {
  const { client, settings, rulesNamespace: namespace, rulesName: name, vnodes, attempt } = options
  const reports: RulesReport[] = []
  const state = new RulesState({ settings, onReport: report => void reports.push(report) })
  try {
    const path = resourcePath({ version: 'v1', plural: 'configmaps', namespace, name })
    const configMap = await readUnlessMissing(client, path)
    const lastGood = await attempt('the last good rules', () => readLastGood(options))
    if (lastGood !== undefined) state.setLastGoodText(lastGood)
    if (configMap !== undefined) {
      const text = String(rulesTextOf(configMap) ?? '')
      state.setConfigMap({ text }, { kind: 'ConfigMap', label: configMapLabel(namespace, name) })
    }
    for (const selector of (await attempt('Selectors', () => readSelectors(client))) ?? []) {
      const { key } = identify(selector) ?? { key: '' }
      state.setSelector(key, selector, { kind: 'Selector', label: `${SELECTOR_KIND} ${key}` })
    }
    for (const vnode of vnodes) state.setVnode(vnode)
    state.flush()
    return { environment: state.environment, hasConfigMap: configMap !== undefined, reports }
  } finally {
    state.stop()
  }
}

async function readLastGood(options: SnapshotOptions) {
  const { client, settings, rulesNamespace, rulesName, lastGoodName: name } = options
  const namespace = settings.installNamespace
  const path = resourcePath({ version: 'v1', plural: 'configmaps', namespace, name })
  return lastGoodText(await readUnlessMissing(client, path), `${rulesNamespace}/${rulesName}`)
}

async function readSelectors(client: KubeClient): Promise<readonly Record<string, unknown>[]> {
  const resource = { group: SELECTOR_GROUP, plural: SELECTOR_PLURAL }
  const served = await servedResource(client, resource)
  if (served === undefined) return []
  return await listAll(client, resourcePath({ ...resource, version: served.version }))
}

/** The labels of a namespace; undefined if there is none of that name. */
export async function readNamespaceLabels(
  client: Pick<KubeClient, 'request'>,
  name: string,
): Promise<Labels | undefined> {
  const found = await readUnlessMissing(client, resourcePath({ version: 'v1', plural: 'namespaces', name }))
  return found === undefined ? undefined : labelsOf(asRecord(found.metadata)?.labels)
}
