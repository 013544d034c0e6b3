import t from 'tap'
import { helperAccess, helperNames } from '../../src/core/rbac.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { prepareHelper, REGISTRATIONS } from '../helpers/helper.ts'
import { makePod } from '../helpers/pods.ts'
import { installSelectorCrd } from '../helpers/rules.ts'

const NAME = 'limited'
const NAMESPACE = `/api/v1/namespaces/${NAME}`
const AS = { user: `${NAME}-helper-user`, groups: ['system:authenticated'] }
const APPLY = { contentType: 'application/apply-patch+yaml' }
const MUTATING = `${REGISTRATIONS}/mutatingwebhookconfigurations`
const names = helperNames(NAME)

const object = (apiVersion: string, kind: string, name: string) => ({ apiVersion, kind, metadata: { name } })
const secret = (name: string) => object('v1', 'Secret', name)
const configuration = (name: string) =>
  object('admissionregistration.k8s.io/v1', 'MutatingWebhookConfiguration', name)

type Attempt = readonly [method: string, path: string, body?: object]

/** What somebody would try who has stolen the helper's token. */
const FORBIDDEN: Readonly<Record<string, Attempt>> = {
  'another Secret by an apply': ['PATCH', `${NAMESPACE}/secrets/other?fieldManager=x`, secret('other')],
  'another Secret by a POST': ['POST', `${NAMESPACE}/secrets`, secret('other')],
  'its own Secret by a POST, which RBAC cannot limit by name': [
    'POST',
    `${NAMESPACE}/secrets`,
    secret(names.secret),
  ],
  'its own Secret in another namespace': [
    'PATCH',
    `/api/v1/namespaces/default/secrets/${names.secret}?fieldManager=x`,
    secret(names.secret),
  ],
  'reading another Secret': ['GET', `${NAMESPACE}/secrets/other`],
  'reading all Secrets': ['GET', `${NAMESPACE}/secrets`],
  "another's webhook configuration by an apply": [
    'PATCH',
    `${MUTATING}/foreign?fieldManager=x`,
    configuration('foreign'),
  ],
  "deleting another's webhook configuration": ['DELETE', `${MUTATING}/foreign`],
  'a webhook configuration by a POST': ['POST', MUTATING, configuration(NAME)],
  'another Pod': ['PATCH', `${NAMESPACE}/pods/other?fieldManager=x`, { ...object('v1', 'Pod', 'other') }],
  'a Pod by a POST': ['POST', `${NAMESPACE}/pods`, makePod({ name: names.probe })],
  'another Lease': [
    'PATCH',
    `/apis/coordination.k8s.io/v1/namespaces/${NAME}/leases/other?fieldManager=x`,
    object('coordination.k8s.io/v1', 'Lease', 'other'),
  ],
  'its own ClusterRole': [
    'PATCH',
    `/apis/rbac.authorization.k8s.io/v1/clusterroles/${names.owner}?fieldManager=x`,
    { ...object('rbac.authorization.k8s.io/v1', 'ClusterRole', names.owner), rules: [] },
  ],
  'a token of a ServiceAccount': ['POST', `${NAMESPACE}/serviceaccounts/default/token`, {}],
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  // kubectl answers for types alone that are served.
  await installSelectorCrd(t, controlPlane)
  const kubeconfig = await prepareHelper({ controlPlane, name: NAME })
  await controlPlane.ask('POST', MUTATING, { body: { metadata: { name: 'foreign' }, webhooks: [] } })
  await controlPlane.ask('POST', `${NAMESPACE}/secrets`, { body: { metadata: { name: 'other' } } })

  for (const [name, [method, path, body]] of Object.entries(FORBIDDEN)) {
    t.test(`the helper's identity is refused: ${name}`, async t => {
      const apply = method === 'PATCH' ? APPLY : {}
      const { status } = await controlPlane.request(method, path, { body, as: AS, ...apply })
      t.equal(status, 403)
    })
  }

  t.test('what kubectl says that it may do is the documented list', async t => {
    const access = helperAccess({
      installNamespace: NAME,
      rulesNamespace: 'kube-system',
      rulesName: 'eci-profile',
      name: NAME,
      owner: names.owner,
      certSource: 'helper',
      spills: false,
    })
    const can = async (verb: string, resource: string, namespace: string) => {
      const args = ['auth', 'can-i', verb, resource, '-n', namespace]
      return (await controlPlane.kubectl(args, { kubeconfig })).stdout.trim()
    }
    for (const { apiGroup, resources, resourceNames = [''], verbs, namespace = NAME } of access) {
      for (const verb of verbs) {
        const [resource = '', name = ''] = [resources[0], resourceNames[0]]
        const what = `${resource}${apiGroup === '' ? '' : `.${apiGroup}`}${name === '' ? '' : `/${name}`}`
        t.equal(await can(verb, what, namespace), 'yes', `${verb} ${what} in ${namespace}`)
      }
    }
    for (const [verb, what] of [
      ['create', 'secrets'],
      ['patch', 'pods/other'],
      ['delete', 'pods'],
      ['update', 'mutatingwebhookconfigurations'],
      ['list', 'pods'],
      ['get', 'configmaps'],
      ['patch', 'configmaps/other'],
      ['patch', 'nodes'],
      ['impersonate', 'users'],
      ['create', 'clusterrolebindings'],
    ] as const)
      t.equal(await can(verb, what, NAME), 'no', `${verb} ${what}`)
  })
}
