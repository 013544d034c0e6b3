import type { Test } from 'tap'
import {
  RULES_CONFIGMAP,
  RULES_KEY,
  RULES_NAMESPACE,
  SELECTOR_GROUP,
  SELECTOR_KIND,
  SELECTOR_PLURAL,
} from '../../src/core/names.ts'
import type { ControlPlane } from './control-plane.ts'
import type { KubeObject } from './kube-http.ts'
import { applyObject } from './webhook-rights.ts'

export interface RulesPlace {
  readonly namespace?: string
  readonly name?: string
}

/** Writes `data.selectors` of the rules' ConfigMap: a text as it is, rules as JSON. Throws what the apiserver refuses. */
export async function setRules(
  controlPlane: ControlPlane,
  rules: string | readonly object[],
  { namespace = RULES_NAMESPACE, name = RULES_CONFIGMAP }: RulesPlace = {},
): Promise<KubeObject> {
  const text = typeof rules === 'string' ? rules : JSON.stringify(rules, null, 2)
  return await applyObject<KubeObject>(controlPlane, `/api/v1/namespaces/${namespace}/configmaps/${name}`, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace },
    data: { [RULES_KEY]: text },
  })
}

export async function deleteRules(
  controlPlane: ControlPlane,
  { namespace = RULES_NAMESPACE, name = RULES_CONFIGMAP }: RulesPlace = {},
): Promise<void> {
  await controlPlane.request('DELETE', `/api/v1/namespaces/${namespace}/configmaps/${name}`)
}

export interface SelectorCrdOptions {
  readonly scope?: 'Namespaced' | 'Cluster'
  /** The first one is stored; all are served. */
  readonly versions?: readonly string[]
  /** v1 has a schema, as the vendor's has; every other version takes any spec. */
  readonly hasSchema?: boolean
}

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const CRD_NAME = `${SELECTOR_PLURAL}.${SELECTOR_GROUP}`
const ANYTHING = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
const STRINGS = { type: 'object', additionalProperties: { type: 'string' } }
const SPEC = {
  type: 'object',
  properties: {
    namespaceLabels: ANYTHING,
    objectLabels: ANYTHING,
    effect: { type: 'object', properties: { annotations: STRINGS, labels: STRINGS } },
    policy: ANYTHING,
    priority: { type: 'integer', format: 'int32' },
    namespaces: { type: 'array', items: { type: 'string' } },
  },
}

/** Installs the type in the vendor's shape, waits until it is served, and removes it with the test. */
export async function installSelectorCrd(
  t: Test,
  controlPlane: ControlPlane,
  options: SelectorCrdOptions = {},
): Promise<void> {
  const { scope = 'Namespaced', versions = ['v1'], hasSchema = true } = options
  const body = {
    metadata: { name: CRD_NAME },
    spec: {
      group: SELECTOR_GROUP,
      scope,
      names: { plural: SELECTOR_PLURAL, singular: 'selector', kind: SELECTOR_KIND },
      versions: versions.map((name, index) => {
        const spec = hasSchema && name === 'v1' ? SPEC : ANYTHING
        const schema = { openAPIV3Schema: { type: 'object', properties: { spec } } }
        return { name, served: true, storage: index === 0, schema }
      }),
    },
  }
  await controlPlane.ask('POST', CRDS, { body })
  t.teardown(() => removeSelectorCrd(controlPlane).catch(() => undefined))
  await controlPlane.waitFor(`${CRDS}/${CRD_NAME}`, ({ status }) => {
    const conditions = Array.isArray(status?.conditions) ? status.conditions : []
    return conditions.some(({ type, status }) => type === 'Established' && status === 'True')
  })
}

export async function removeSelectorCrd(controlPlane: ControlPlane): Promise<void> {
  await controlPlane.request('DELETE', `${CRDS}/${CRD_NAME}`, { timeout: 5000 })
  await controlPlane.waitForGone(`${CRDS}/${CRD_NAME}`)
}

export interface SelectorOptions {
  readonly name: string
  /** Absent for a type that is cluster-scoped. */
  readonly namespace?: string
  readonly version?: string
  readonly spec: object
}

/** Creates or changes a Selector. Throws what the apiserver refuses. */
export async function setSelector(
  controlPlane: ControlPlane,
  { name, namespace, version = 'v1', spec }: SelectorOptions,
): Promise<KubeObject> {
  return await applyObject<KubeObject>(controlPlane, selectorPath({ name, namespace, version }), {
    apiVersion: `${SELECTOR_GROUP}/${version}`,
    kind: SELECTOR_KIND,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    spec,
  })
}

/** Of one Selector. */
export function selectorPath({
  name,
  namespace,
  version = 'v1',
}: {
  readonly name: string
  readonly namespace?: string | undefined
  readonly version?: string
}): string {
  const scope = namespace === undefined ? '' : `/namespaces/${namespace}`
  return `/apis/${SELECTOR_GROUP}/${version}${scope}/${SELECTOR_PLURAL}/${name}`
}
