/** What `vnode explain` is given, put together: workloads, rules, namespaces and VNodes. */

import { messageOf, VnodeError } from '../../core/errors.ts'
import { explainDaemonSet } from '../../core/explain/daemon-set.ts'
import { type Explanation, explainPod } from '../../core/explain/explanation.ts'
import { type Workload, workloadOf } from '../../core/explain/workload.ts'
import { asString } from '../../core/kubernetes/objects.ts'
import { LABEL_NAMESPACE_NAME } from '../../core/names.ts'
import type { NamespaceFacts, RuledEnvironment } from '../../core/policy/decide.ts'
import { DEFAULT_RULES } from '../../core/selector/default-rules.ts'
import { namespaceLabels, readRuleDocuments } from '../../core/selector/documents.ts'
import type { Labels } from '../../core/selector/requirement.ts'
import { RuleSet } from '../../core/selector/rule-set.ts'
import type { Settings } from '../../core/settings.ts'
import { VnodeSet } from '../../core/vnode/vnode-set.ts'
import {
  type CompiledFiles,
  compileRuleFiles,
  type FileProblem,
  holdsRules,
  type RuleFile,
} from '../rule-files.ts'
import type { LivePod } from './live-cluster.ts'

export interface ExplainInput {
  readonly manifests: readonly RuleFile[]
  readonly rules: readonly RuleFile[]
  readonly settings: Settings
  /** Of objects that name none. */
  readonly defaultNamespace: string
  /** Labels that every namespace has besides those of its Namespace object. */
  readonly namespaceLabels: Labels
  /** In place of `rules` and of rules among the manifests. */
  readonly cluster?: ClusterFacts
}

/** What a cluster has in force. */
export interface ClusterFacts {
  readonly environment: RuledEnvironment
  readonly problems: readonly FileProblem[]
  /** Those that the manifests are for. */
  readonly namespaces: readonly NamespaceFacts[]
  readonly introduction: ClusterIntroduction
}

export interface ClusterIntroduction {
  readonly server: string
  /** Where the settings are from. */
  readonly settings: string
  /** What is to be known of all answers. */
  readonly notes: readonly string[]
}

/** One workload with what becomes of its Pods; a Pod of a shape that no apiserver takes has a fault instead. */
export interface Item {
  readonly file: string
  readonly workload: Workload
  readonly explanation?: Explanation
  readonly fault?: string
  /** Of a Pod that a cluster has. */
  readonly live?: LivePod
}

export interface Explained {
  readonly items: readonly Item[]
  readonly rules: Pick<CompiledFiles, 'rules' | 'problems'>
  /** Files the rules are from; none when they are the shipped ones. */
  readonly ruleFiles: readonly string[]
  /** Namespaces of items whose labels rules look at, but that nothing says the labels of. */
  readonly unknownNamespaces: readonly string[]
  /** How many objects no Pods come from, by kind. */
  readonly ignored: ReadonlyMap<string, number>
  readonly cluster?: ClusterIntroduction
}

export function explainInput(input: ExplainInput): Explained {
  const { manifests, cluster } = input
  const { ruleFiles, rules, environment } = cluster === undefined ? filesBasis(input) : clusterBasis(cluster)
  const documents = [...input.rules, ...manifests].map(one => one.documents)
  const namespaces = [...(cluster?.namespaces ?? []), ...documents.flatMap(one => one.namespaces)]
  const known = new Map(namespaces.map(({ name, labels }) => [name, labels]))
  const namespaceOf = (name: string): NamespaceFacts => ({
    name,
    labels: new Map([...(known.get(name) ?? namespaceLabels(name, new Map())), ...input.namespaceLabels]),
  })
  const { workloads, ignored } = sortManifests(input, ruleFiles)
  return {
    items: workloads.map(one => explainWorkload(one, namespaceOf(one.workload.namespace), environment)),
    rules,
    ruleFiles: ruleFiles.map(one => one.path),
    unknownNamespaces: looksAtNamespaces(rules)
      ? namespacesOf(workloads).filter(name => !known.has(name) && input.namespaceLabels.size === 0)
      : [],
    ignored,
    ...(cluster === undefined ? {} : { cluster: cluster.introduction }),
  }
}

interface Basis {
  readonly ruleFiles: readonly RuleFile[]
  readonly rules: Explained['rules']
  readonly environment: RuledEnvironment
}

function filesBasis(input: ExplainInput): Basis {
  const { settings, manifests } = input
  const ruleFiles = ruleFilesOf(input)
  const rules = compileRuleFiles(ruleFiles.length > 0 ? ruleFiles : [SHIPPED], settings)
  const vnodes = [...input.rules, ...manifests].flatMap(one => one.documents.vnodes)
  const environment = { settings, rules: new RuleSet(rules.rules), vnodes: new VnodeSet(vnodes) }
  return { ruleFiles, rules, environment }
}

function clusterBasis({ environment, problems }: ClusterFacts): Basis {
  return { ruleFiles: [], rules: { rules: environment.rules.rules, problems }, environment }
}

/** The namespaces that the workloads of some manifests are for. */
export function namespacesOfManifests(
  manifests: readonly RuleFile[],
  defaultNamespace: string,
): readonly string[] {
  return namespacesOf(sortManifests({ manifests, defaultNamespace }, []).workloads)
}

const SHIPPED: RuleFile = {
  path: 'the shipped rules',
  argument: '',
  text: DEFAULT_RULES,
  documents: readRuleDocuments(DEFAULT_RULES),
}

/** Rules among the manifests count where no others are given: they are the cluster's, as a dump of it has them. */
function ruleFilesOf({ manifests, rules }: ExplainInput): readonly RuleFile[] {
  const given = rules.filter(holdsRules)
  return given.length > 0 ? given : manifests.filter(holdsRules)
}

interface FoundWorkload {
  readonly file: string
  readonly workload: Workload
}

function sortManifests(
  { manifests, defaultNamespace }: Pick<ExplainInput, 'manifests' | 'defaultNamespace'>,
  ruleFiles: readonly RuleFile[],
): {
  readonly workloads: readonly FoundWorkload[]
  readonly ignored: ReadonlyMap<string, number>
} {
  const workloads: FoundWorkload[] = []
  const ignored = new Map<string, number>()
  const ignore = (kind: string, count = 1) => {
    if (count > 0) ignored.set(kind, (ignored.get(kind) ?? 0) + count)
  }
  for (const file of manifests) {
    const { path, documents } = file
    for (const { object } of documents.others) {
      const workload = workloadOf(object, defaultNamespace)
      if (workload === undefined) ignore(asString(object.kind) ?? 'object without kind')
      else workloads.push({ file: path, workload })
    }
    if (ruleFiles.includes(file)) continue
    ignore('ConfigMap', documents.rulesTexts.length)
    ignore('Selector', documents.selectors.length)
  }
  return { workloads, ignored }
}

function explainWorkload(
  found: FoundWorkload,
  namespace: NamespaceFacts,
  environment: RuledEnvironment,
): Item {
  const { workload } = found
  if (workload.flaw !== undefined) return { ...found, fault: workload.flaw }
  try {
    const isDaemonSet = workload.kind === 'DaemonSet'
    const explanation = isDaemonSet
      ? explainDaemonSet(workload, namespace, environment)
      : explainPod(workload.pod, namespace, environment)
    return { ...found, explanation }
  } catch (error) {
    if (error instanceof VnodeError && error.code === 'BAD_REVIEW')
      return { ...found, fault: messageOf(error) }
    throw error
  }
}

/** The label with a namespace's name is always known. */
function looksAtNamespaces({ rules }: Explained['rules']): boolean {
  return rules.some(rule => rule.namespaceSelector?.some(({ key }) => key !== LABEL_NAMESPACE_NAME))
}

function namespacesOf(workloads: readonly FoundWorkload[]): readonly string[] {
  return [...new Set(workloads.map(one => one.workload.namespace))].sort()
}
