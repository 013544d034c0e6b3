/** What the identities of a running installation may do is what src/core/rbac.ts lists, and what RBAC cannot say a policy does. */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { approverAccess } from '../../src/core/csr/access.ts'
import { type AccessRule, helperAccess, probeProgramAccess, webhookAccess } from '../../src/core/rbac.ts'
import type { ApiRequest, KubeClient } from '../../src/kube/api.ts'
import { connect } from '../../src/kube/client.ts'
import { type E2e, e2eOrSkip, RELEASE, SYSTEM, USERS } from '../helpers/e2e.ts'
import { NAMES } from '../helpers/e2e-helper.ts'
import type { KubeObject } from '../helpers/kube-http.ts'
import { makePod } from '../helpers/pods.ts'

const FOREIGN_CONFIGURATION =
  '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/vnode-e2e-foreign'
const FOREIGN_SECRET = `/api/v1/namespaces/${SYSTEM}/secrets/foreign`
const VICTIM = `/api/v1/namespaces/${USERS}/pods/victim`
const NAMESPACES = [SYSTEM, 'kube-system', 'default', USERS]
const PLACE = { installNamespace: SYSTEM, rulesNamespace: 'kube-system', rulesName: 'eci-profile' }

/** Of each ServiceAccount. Those of Jobs are there only while these run, and so are the rights that `rulesInitAccess` and `unregisterAccess` list. */
const ACCESS = new Map<string, readonly AccessRule[]>([
  ['webhook', webhookAccess({ ...PLACE, certSecret: NAMES.secret, isReadOnly: true })],
  [
    'helper',
    helperAccess({ ...PLACE, name: RELEASE, owner: NAMES.owner, certSource: 'helper', spills: true }),
  ],
  ['approver', approverAccess()],
  ['test', probeProgramAccess(SYSTEM, NAMES.probe)],
  ['rules', []],
  ['uninstall', []],
])

type Attempt = Pick<ApiRequest, 'method' | 'path' | 'body' | 'contentType' | 'query'>

const SECRETS = `/api/v1/namespaces/${SYSTEM}/secrets`
const PROBE = `/api/v1/namespaces/${SYSTEM}/pods/${NAMES.probe}`
const apply = (path: string, body: object): Attempt => ({
  method: 'PATCH',
  path,
  body,
  contentType: 'application/apply-patch+yaml',
  query: { fieldManager: 'thief', force: true },
})
const merge = (path: string, body: object): Attempt => ({
  method: 'PATCH',
  path,
  body,
  contentType: 'application/strategic-merge-patch+json',
})
const evil = (name: string) => ({ spec: { containers: [{ name, image: 'localhost/evil:1' }] } })
const secret = (name: string) => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name } })

/** What somebody with the helper's token would try. */
const FORBIDDEN = new Map<string, (ownPod: string) => Attempt>([
  ['change the image of somebody’s Pod', () => merge(VICTIM, evil('app'))],
  ['change the image of its own Pod', path => merge(path, evil('helper'))],
  ['delete a Pod', () => ({ method: 'DELETE', path: VICTIM })],
  [
    'create the probe for more than show',
    () => apply(PROBE, makePod({ name: NAMES.probe, namespace: SYSTEM })),
  ],
  ['create another Secret', () => apply(`${SECRETS}/other`, secret('other'))],
  ['create another Secret by a POST', () => ({ method: 'POST', path: SECRETS, body: secret('other') })],
  ['change another Secret', () => merge(FOREIGN_SECRET, { stringData: { a: 'changed' } })],
  ['read another Secret', () => ({ method: 'GET', path: FOREIGN_SECRET })],
  [
    'edit another webhook configuration',
    () => merge(FOREIGN_CONFIGURATION, { metadata: { labels: { a: 'b' } } }),
  ],
  ['delete another webhook configuration', () => ({ method: 'DELETE', path: FOREIGN_CONFIGURATION })],
])

const e2e = await e2eOrSkip(t)

if (e2e !== undefined) {
  await e2e.install('--set', 'approver.enabled=true')
  t.teardown(() => e2e.remove(FOREIGN_CONFIGURATION))
  await e2e.kube.apply(FOREIGN_CONFIGURATION, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'vnode-e2e-foreign' },
    webhooks: [],
  })
  const data = { a: Buffer.from('kept').toString('base64') }
  await e2e.kube.apply(FOREIGN_SECRET, { ...secret('foreign'), data })
  const nowhere = { nodeSelector: { 'vnode-e2e.example.com/no': 'where' } }
  await e2e.kube.apply(VICTIM, makePod({ name: 'victim', namespace: USERS, spec: nowhere }))
  const [own] = await e2e.podsOf('helper')
  const thief = await thiefOf(t, e2e)

  for (const [what, attempt] of FORBIDDEN) {
    await t.test(`the helper’s identity is refused: ${what}`, async t => {
      const request = attempt(`/api/v1/namespaces/${SYSTEM}/pods/${own?.metadata.name}`)
      const answer = await thief.request(request).then(
        () => 'it is allowed',
        (error: Error) => error.message,
      )
      t.comment(answer)
      t.match(answer, /is forbidden|ValidatingAdmissionPolicy '.*' with binding '.*' denied request/)
    })
  }

  await t.test('and nothing has changed', async t => {
    const victim = await e2e.find<KubeObject & { spec: { containers: { image: string }[] } }>(VICTIM)
    t.equal(victim?.spec.containers[0]?.image, 'localhost/app:1')
    t.equal(victim?.metadata.deletionTimestamp, undefined)
    t.strictSame((await e2e.find(FOREIGN_SECRET))?.data, data)
    const foreign = await e2e.find(FOREIGN_CONFIGURATION)
    t.ok(foreign)
    t.equal(foreign?.metadata.labels, undefined)
    for (const path of [`${SECRETS}/other`, PROBE]) t.equal(await e2e.find(path), undefined, `no ${path}`)
  })

  await t.test('there are no other identities than those whose rights are listed', async t => {
    const accounts = await e2e.list(`/api/v1/namespaces/${SYSTEM}/serviceaccounts`)
    const names = accounts.map(({ metadata }) => metadata.name).filter(name => name !== 'default')
    const listed = [...ACCESS.keys()].map(component => `${RELEASE}-${component}`)
    t.strictSame(
      names.filter(name => !listed.includes(name)),
      [],
    )
  })

  for (const namespace of NAMESPACES) {
    await t.test(`kubectl auth can-i --list in ${namespace} is the documented list`, async t => {
      // What everybody may do.
      const common = new Set(await rightsOf(e2e, accountOf(USERS, 'default'), namespace))
      for (const [component, access] of ACCESS) {
        const rights = await rightsOf(e2e, accountOf(SYSTEM, `${RELEASE}-${component}`), namespace)
        t.strictSame(
          rights.filter(right => !common.has(right)),
          documented(access, namespace).filter(right => !common.has(right)),
          component,
        )
      }
    })
  }
}

function accountOf(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`
}

/** Somebody with a token of the helper's. */
async function thiefOf(t: Test, e2e: E2e): Promise<KubeClient> {
  const config = JSON.parse(
    await e2e.kubectl('config', 'view', '--raw', '--flatten', '--output=json'),
  ) as Config
  const token = (await e2e.kubectl('create', 'token', NAMES.owner)).trim()
  const users = config.users.map(({ name }) => ({ name, user: { token } }))
  const kubeconfig = join(t.testdir({ config: JSON.stringify({ ...config, users }) }), 'config')
  const client = await connect({ kubeconfig, userAgent: 'vnode-profile-e2e', env: {} })
  t.teardown(() => client.close())
  return client
}

interface Config {
  readonly users: readonly { readonly name: string }[]
}

/** One right as a line, `patch secrets vnode-profile-tls`, sorted. */
async function rightsOf(e2e: E2e, account: string, namespace: string): Promise<string[]> {
  const text = await e2e.kubectl(
    'auth',
    'can-i',
    '--list',
    '--no-headers',
    '-n',
    namespace,
    `--as=${account}`,
  )
  const lines = text.split('\n').filter(line => line.trim() !== '')
  return sorted(
    lines.flatMap(line => {
      const columns = /^(\S*)\s+\[(.*?)\]\s+\[(.*?)\]\s+\[(.*?)\]\s*$/.exec(line)
      if (columns === null) throw new Error(`not understood: ${line}`)
      const [, resource = '', urls = '', names = '', verbs = ''] = columns
      return verbs
        .split(' ')
        .flatMap(verb => (names || '*').split(' ').map(name => `${verb} ${resource}${urls} ${name}`))
    }),
  )
}

function documented(access: readonly AccessRule[], namespace: string): string[] {
  const here = access.filter(rule => rule.namespace === undefined || rule.namespace === namespace)
  return sorted(
    here.flatMap(({ apiGroup, resources, verbs, resourceNames = ['*'] }) =>
      resources.flatMap(resource =>
        verbs.flatMap(verb => resourceNames.map(name => `${verb} ${fullName(resource, apiGroup)} ${name}`)),
      ),
    ),
  )
}

/** As kubectl writes it: the group comes before a subresource. */
function fullName(resource: string, apiGroup: string): string {
  const [plural, subresource] = resource.split('/')
  return `${plural}${apiGroup === '' ? '' : `.${apiGroup}`}${subresource === undefined ? '' : `/${subresource}`}`
}

function sorted(lines: readonly string[]): string[] {
  return [...new Set(lines)].sort()
}
