import { type AccessRule, type WebhookPlace, webhookAccess } from '../../src/core/rbac.ts'
import type { ControlPlane } from './control-plane.ts'

export interface RightsOptions extends WebhookPlace {
  readonly user: string
}

const RBAC = '/apis/rbac.authorization.k8s.io/v1'

/** Server-side apply as the tests' own field manager: makes the object or changes it, and can be repeated. */
export async function applyObject<T = object>(
  controlPlane: ControlPlane,
  path: string,
  body: object,
): Promise<T> {
  return await controlPlane.ask<T>('PATCH', `${path}?fieldManager=test&force=true`, {
    body,
    contentType: 'application/apply-patch+yaml',
  })
}

/**
 * The documented rights of the webhook, and none besides: tests that act with them show that they suffice. The installation's namespace is
 * made where it is missing.
 */
export async function grantWebhookRights(controlPlane: ControlPlane, options: RightsOptions): Promise<void> {
  await ensureNamespace(controlPlane, options.installNamespace)
  await grantAccess(controlPlane, options.user, webhookAccess(options))
}

export async function ensureNamespace(controlPlane: ControlPlane, name: string): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
  await applyObject(controlPlane, `/api/v1/namespaces/${name}`, body)
}

/** Whom a binding is for. */
export interface RbacSubject {
  readonly kind: 'User' | 'Group' | 'ServiceAccount'
  readonly name: string
  readonly namespace?: string
}

/** Gives a user exactly these rights; everything is named after the user. */
export async function grantAccess(
  controlPlane: ControlPlane,
  user: string,
  access: readonly AccessRule[],
): Promise<void> {
  await grantTo(controlPlane, user, access, { kind: 'User', name: user })
}

/** The same for anybody, under names that begin with the prefix. */
export async function grantTo(
  controlPlane: ControlPlane,
  prefix: string,
  access: readonly AccessRule[],
  subject: RbacSubject,
): Promise<void> {
  const roles = Map.groupBy(access, ({ role, namespace = '' }) => `${namespace} ${role}`)
  await Promise.all([...roles.values()].map(rules => grant(controlPlane, prefix, rules, subject)))
}

/** In a namespace a Role with its binding, else a ClusterRole with its. */
async function grant(
  controlPlane: ControlPlane,
  user: string,
  rules: readonly AccessRule[],
  subject: RbacSubject,
): Promise<void> {
  const { role, namespace } = rules[0] ?? { role: '' }
  const prefix = namespace === undefined ? 'Cluster' : ''
  const root = namespace === undefined ? RBAC : `${RBAC}/namespaces/${namespace}`
  const kind = `${prefix}Role`
  const apiGroup = 'rbac.authorization.k8s.io'
  const common = { apiVersion: `${apiGroup}/v1`, metadata: { name: `${user}-${role}` } }
  const { name } = common.metadata
  const body = { ...common, kind, rules: rules.map(renderRule) }
  await applyObject(controlPlane, `${root}/${kind.toLowerCase()}s/${name}`, body)
  await applyObject(controlPlane, `${root}/${kind.toLowerCase()}bindings/${name}`, {
    ...common,
    kind: `${kind}Binding`,
    roleRef: { apiGroup, kind, name },
    subjects: [subject.kind === 'ServiceAccount' ? subject : { apiGroup, ...subject }],
  })
}

function renderRule({ apiGroup, resources, resourceNames, verbs }: AccessRule): object {
  return {
    apiGroups: [apiGroup],
    resources,
    verbs,
    ...(resourceNames === undefined ? {} : { resourceNames }),
  }
}
