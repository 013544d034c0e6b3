/** Rules as objects for `kubectl apply`. */
import { asRecord } from '../../core/kubernetes/objects.ts'
import { RULES_KEY, RULES_NAMESPACE, SELECTOR_GROUP, SELECTOR_KIND } from '../../core/names.ts'
import { chosenRulesText } from '../../core/selector/found-rules.ts'
import { renderConfigMapRule, renderSelectorSpec } from '../../core/selector/render-rule.ts'
import type { Rule } from '../../core/selector/rule.ts'
import { renderManifest } from '../manifest.ts'
import { plainText } from '../plain-text.ts'
import type { RuleFile } from '../rule-files.ts'

type KubeObject = Record<string, unknown>

export interface SelectorForm {
  readonly apiVersion: string
  /** Absent where the CRD is cluster-scoped. */
  readonly namespace?: string
}

export function renderSelector(
  rule: Rule,
  {
    apiVersion,
    namespace,
    name,
    priority,
  }: SelectorForm & { readonly name: string; readonly priority: number },
): KubeObject {
  return {
    apiVersion: `${SELECTOR_GROUP}/${apiVersion}`,
    kind: SELECTOR_KIND,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    spec: renderSelectorSpec(rule, priority),
  }
}

/** The ConfigMap with these rules in it; all else in it stays as it was. */
export function renderRulesConfigMap(
  rules: readonly Rule[],
  configMap: KubeObject | undefined,
  name: string,
): KubeObject {
  const fresh = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: RULES_NAMESPACE } }
  const base = configMap === undefined ? fresh : cleanObject(configMap)
  const text = `${renderJson(rules.map(renderConfigMapRule), '')}\n`
  return { ...base, data: { ...asRecord(configMap?.data), [RULES_KEY]: text } }
}

const LONGEST_LINE = 100

/** JSON as people write it by hand: what fits on a line stays on one. */
function renderJson(value: unknown, indent: string): string {
  const isList = Array.isArray(value)
  const members = isList
    ? value.map((item: unknown) => ['', item] as const)
    : Object.entries(asRecord(value) ?? {})
  if (members.length === 0) return JSON.stringify(value)
  const inner = `${indent}  `
  const parts = members.map(
    ([key, member]) => `${isList ? '' : `${JSON.stringify(key)}: `}${renderJson(member, inner)}`,
  )
  const line = isList ? `[${parts.join(', ')}]` : `{ ${parts.join(', ')} }`
  // The list of rules itself is always one rule after another, however short.
  if (indent !== '' && indent.length + line.length <= LONGEST_LINE && !line.includes('\n')) return line
  const [open, close] = isList ? '[]' : '{}'
  return `${open}\n${parts.map(part => `${inner}${part}`).join(',\n')}\n${indent}${close}`
}

/** The rules' ConfigMap as it stands in the files, if it stands there as one. */
export function configMapOf(files: readonly RuleFile[]): KubeObject | undefined {
  return chosenRulesText(files.flatMap(file => file.documents.rulesTexts))?.configMap
}

/** What the apiserver writes and refuses, or ignores, when it is applied again. */
const SERVER_FIELDS: ReadonlySet<string> = new Set([
  'creationTimestamp',
  'deletionTimestamp',
  'generation',
  'managedFields',
  'resourceVersion',
  'selfLink',
  'uid',
])
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'

/** The object as somebody would have written it. */
export function cleanObject({ status: _, ...object }: KubeObject): KubeObject {
  const metadata = Object.entries(asRecord(object.metadata) ?? {}).filter(([key]) => !SERVER_FIELDS.has(key))
  const cleaned = metadata.flatMap(([key, value]) => {
    if (key !== 'annotations') return [[key, value] as const]
    const annotations = Object.entries(asRecord(value) ?? {}).filter(([name]) => name !== LAST_APPLIED)
    return annotations.length === 0 ? [] : [[key, Object.fromEntries(annotations)] as const]
  })
  return { ...object, metadata: Object.fromEntries(cleaned) }
}

interface Commented {
  readonly object: KubeObject
  readonly comment?: string
}

/** A stream of YAML documents that begins with the remarks. */
export function renderDocuments(documents: readonly Commented[], remarks: readonly string[]): string {
  const head = remarks.map(commentOf).join('')
  const bodies = documents.map(
    ({ object, comment }) => `${comment === undefined ? '' : commentOf(comment)}${renderManifest(object)}`,
  )
  return `${head}${bodies.join('---\n')}`
}

function commentOf(text: string): string {
  return `# ${plainText(text)}\n`
}
