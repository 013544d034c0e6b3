/** The identity that a VNode gets, as the chart renders its rights: what it can do on a real API server, and what not. */
import t, { type Test } from 'tap'
import type { AccessRule } from '../../src/core/rbac.ts'
import { bootstrapTokenAccess, vnodeAccess } from '../../src/core/vnode/access.ts'
import { BOOTSTRAP_GROUP } from '../../src/core/vnode/identity.ts'
import { BOOTSTRAP_CONTROL_PLANE } from '../helpers/bootstrap.ts'
import { BOOTSTRAPPED, helmOrSkip, type Manifest } from '../helpers/chart.ts'
import { type ControlPlane, controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeResponse, KubeStatus, RequestSettings } from '../helpers/kube-http.ts'
import { makePod } from '../helpers/pods.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'
import { holds } from '../helpers/webhook.ts'
import { ensureNamespace } from '../helpers/webhook-rights.ts'

const VNODE = 'cn-hangzhou.vnd-identity0000000000'
const INSTALL = 'vnode-system'

interface Who {
  readonly user: string
  readonly groups: readonly string[]
}

/** As they come: by a certificate, by a ServiceAccount's token, by a bootstrap token. */
const BY_CERTIFICATE: Who = {
  user: `system:vnode:${VNODE}`,
  groups: ['system:vnodes', 'system:authenticated'],
}
const BY_ACCOUNT: Who = {
  user: `system:serviceaccount:${INSTALL}:vnode-profile-vnode`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${INSTALL}`, 'system:authenticated'],
}
const BY_TOKEN: Who = {
  user: 'system:bootstrap:abcdef',
  groups: ['system:bootstrappers', BOOTSTRAP_GROUP, 'system:authenticated'],
}

/** What somebody would try who has stolen a VNode's identity. */
const BEYOND: readonly string[] = [
  'create pods',
  'create pods/exec',
  'create pods/eviction',
  'create pods/binding',
  'patch pods/ephemeralcontainers',
  'delete nodes',
  'get nodes/proxy',
  'create secrets',
  'patch secrets',
  'patch configmaps',
  'create serviceaccounts',
  'impersonate serviceaccounts',
  'impersonate users',
  'create namespaces',
  'create persistentvolumes',
  'patch services',
  'create deployments.apps',
  'patch daemonsets.apps',
  'create clusterrolebindings.rbac.authorization.k8s.io',
  'escalate clusterroles.rbac.authorization.k8s.io',
  'patch certificatesigningrequests.certificates.k8s.io/approval',
  'create certificatesigningrequests.certificates.k8s.io/nodeclient',
  'create certificatesigningrequests.certificates.k8s.io/selfnodeclient',
  'create certificatesigningrequests.certificates.k8s.io/selfnodeserver',
  'approve signers.certificates.k8s.io',
  'patch mutatingwebhookconfigurations.admissionregistration.k8s.io',
  'patch leases.coordination.k8s.io',
]

interface Attributes {
  readonly verb: string
  readonly group?: string
  readonly resource: string
  readonly subresource?: string
  readonly name?: string
  readonly namespace?: string
}

async function isAllowed(controlPlane: ControlPlane, who: Who, attributes: Attributes): Promise<boolean> {
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: { user: who.user, groups: who.groups, resourceAttributes: attributes },
  }
  const { status } = await controlPlane.ask('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
    body,
  })
  return status?.allowed === true
}

function attributesOf({
  apiGroup: group,
  resources,
  resourceNames = [''],
  verbs,
  namespace = '',
}: AccessRule) {
  return resources.flatMap(full => {
    const [resource = '', subresource = ''] = full.split('/')
    return verbs.flatMap(verb =>
      resourceNames.map(name => ({ verb, group, resource, subresource, name, namespace })),
    )
  })
}

/** `patch daemonsets.apps`, `get nodes/proxy` */
function parse(line: string): Attributes {
  const [verb = '', what = ''] = line.split(' ')
  const [full = '', subresource = ''] = what.split('/')
  const [resource = '', ...group] = full.split('.')
  return { verb, group: group.join('.'), resource, subresource, namespace: 'default' }
}

const helm = helmOrSkip(t)
const controlPlane = helm === undefined ? undefined : await controlPlaneOrSkip(t, BOOTSTRAP_CONTROL_PLANE)

if (helm !== undefined && controlPlane !== undefined) {
  await ensureNamespace(controlPlane, INSTALL)
  /** What a release would have of a VNode's rights, and of the policies beside them. */
  const install = async (kind: 'tls-bootstrap' | 'service-account') => {
    const { approver, bootstrap } = BOOTSTRAPPED
    const values = { approver, bootstrap: { ...bootstrap, identity: { kind } } }
    const manifests = await helm.render({ values, version: controlPlane.version })
    const isOurs = ({ kind, metadata }: Manifest) =>
      metadata.labels?.['app.kubernetes.io/component'] === 'vnode' ||
      kind.startsWith('ValidatingAdmissionPolicy')
    const input = manifests
      .filter(isOurs)
      .map(manifest => JSON.stringify(manifest))
      .join('\n---\n')
    const { code, stderr } = await controlPlane.kubectl(
      ['apply', '--server-side', '--force-conflicts', '-f', '-'],
      { input },
    )
    if (code !== 0) throw new Error(stderr)
  }

  const checkRights = async (t: Test, who: Who, access: readonly AccessRule[]) => {
    const needed = access.flatMap(attributesOf)
    t.ok(needed.length > 3)
    for (const attributes of needed)
      t.ok(await isAllowed(controlPlane, who, attributes), `may ${JSON.stringify(attributes)}`)
    for (const line of BEYOND) t.notOk(await isAllowed(controlPlane, who, parse(line)), `may not ${line}`)
  }

  /** A merge patch, or whatever else is said. */
  const send = (
    who: Who,
    method: string,
    path: string,
    settings: RequestSettings = {},
  ): Promise<KubeResponse<KubeStatus>> =>
    controlPlane.request<KubeStatus>(method, path, {
      contentType: 'application/merge-patch+json',
      ...settings,
      as: who,
    })

  /** How each of these ends. */
  const checkPolicies = async (t: Test, who: Who) => {
    const namespace = await controlPlane.namespace(t)
    const pods = `/api/v1/namespaces/${namespace}/pods`
    for (const [name, nodeName] of [
      ['there', VNODE],
      ['here', 'real-1'],
    ] as const) {
      const pod = makePod({ name, labels: { app: name } })
      await controlPlane.ask('POST', pods, { body: { ...pod, spec: { ...pod.spec, nodeName } } })
    }
    const claims = `/api/v1/namespaces/${namespace}/persistentvolumeclaims`
    await controlPlane.ask('POST', claims, {
      body: {
        metadata: { name: 'claim' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
    })
    const annotate = { body: { metadata: { annotations: { 'k8s.aliyun.com/eci-instance-id': 'eci-1' } } } }
    const label = { body: { metadata: { labels: { app: 'other' } } } }
    const image = {
      body: [{ op: 'replace', path: '/spec/containers/0/image', value: 'evil' }],
      contentType: 'application/json-patch+json',
    }
    const tolerate = {
      body: [{ op: 'add', path: '/spec/tolerations/-', value: { operator: 'Exists' } }],
      contentType: 'application/json-patch+json',
    }
    const running = { body: { status: { phase: 'Running' } } }
    const ready = {
      body: { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
      contentType: 'application/strategic-merge-patch+json',
    }
    const { metadata: there } = await controlPlane.ask('GET', `${pods}/there`)
    const bound = { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'there', uid: there.uid } }
    const token = (spec: object) => ({ body: { spec }, contentType: 'application/json' })
    const tokens = `/api/v1/namespaces/${namespace}/serviceaccounts/default/token`
    const node = (name: string) => ({ body: { metadata: { name } }, contentType: 'application/json' })

    // The policy acts a moment after it is made.
    await holds(async () => (await send(who, 'PATCH', `${pods}/here`, annotate)).status === 422, 60_000)
    const CASES: readonly [what: string, answer: KubeResponse<KubeStatus>, expected: number | RegExp][] = [
      ['annotates its own Pod', await send(who, 'PATCH', `${pods}/there`, annotate), 200],
      ['says how its own Pod is', await send(who, 'PATCH', `${pods}/there/status`, running), 200],
      [
        'changes its image',
        await send(who, 'PATCH', `${pods}/there`, image),
        /nothing that says what they are/,
      ],
      [
        'has it tolerate everything',
        await send(who, 'PATCH', `${pods}/there`, tolerate),
        /nothing that says what they are/,
      ],
      [
        'changes its labels',
        await send(who, 'PATCH', `${pods}/there`, label),
        /nothing that says what they are/,
      ],
      [
        'annotates a Pod elsewhere',
        await send(who, 'PATCH', `${pods}/here`, annotate),
        /bound to VNodes only/,
      ],
      [
        'says how a Pod elsewhere is',
        await send(who, 'PATCH', `${pods}/here/status`, running),
        /bound to VNodes only/,
      ],
      ['deletes a Pod elsewhere', await send(who, 'DELETE', `${pods}/here`), /bound to VNodes only/],
      ['says how its own Node is', await send(who, 'PATCH', `/api/v1/nodes/${VNODE}/status`, ready), 200],
      ['labels its own Node', await send(who, 'PATCH', `/api/v1/nodes/${VNODE}`, label), 200],
      [
        'says how a real node is',
        await send(who, 'PATCH', '/api/v1/nodes/real-1/status', ready),
        /Nodes of VNodes only/,
      ],
      ['labels a real node', await send(who, 'PATCH', '/api/v1/nodes/real-1', label), /Nodes of VNodes only/],
      [
        'makes a real node',
        await send(who, 'POST', '/api/v1/nodes?dryRun=All', node('real-2')),
        /Nodes of VNodes only/,
      ],
      ['makes a VNode', await send(who, 'POST', '/api/v1/nodes?dryRun=All', node('cn-hangzhou.vnd-2')), 201],
      ['annotates a claim', await send(who, 'PATCH', `${claims}/claim`, annotate), 200],
      ['labels a claim', await send(who, 'PATCH', `${claims}/claim`, label), /annotations of claims/],
      ['asks for a token of its Pod', await send(who, 'POST', tokens, token(bound)), 201],
      ['asks for a token of any account', await send(who, 'POST', tokens, token({})), /bound to a Pod only/],
      [
        'confirms the end of its own Pod',
        await send(who, 'DELETE', `${pods}/there?gracePeriodSeconds=0`),
        200,
      ],
    ]
    for (const [what, { status, body }, expected] of CASES) {
      if (typeof expected === 'number') t.equal(status, expected, `${what}: ${body.message ?? ''}`)
      else t.match({ status, message: body.message }, { status: 422, message: expected }, what)
    }
    t.equal(
      (
        await controlPlane.request('PATCH', `${pods}/here`, {
          ...label,
          contentType: 'application/merge-patch+json',
        })
      ).status,
      200,
      'others are not held to it',
    )
  }

  await startVnode(controlPlane, { name: VNODE })
  await startRealNode(controlPlane)

  await t.test('by TLS bootstrap', async t => {
    await install('tls-bootstrap')
    await t.test('rights of the certificate', t => checkRights(t, BY_CERTIFICATE, vnodeAccess()))
    await t.test('rights of the token', t => checkRights(t, BY_TOKEN, bootstrapTokenAccess()))
    await t.test('the token reads nothing of the cluster', async t => {
      for (const line of ['list secrets', 'get configmaps', 'list pods', 'list nodes'])
        t.notOk(await isAllowed(controlPlane, BY_TOKEN, parse(line)), line)
    })
    if (hasPolicies(controlPlane)) await t.test('policies', t => checkPolicies(t, BY_CERTIFICATE))
  })

  await t.test('by a ServiceAccount', async t => {
    await install('service-account')
    await t.test('rights', t => checkRights(t, BY_ACCOUNT, vnodeAccess()))
    if (hasPolicies(controlPlane)) await t.test('policies', t => checkPolicies(t, BY_ACCOUNT))
  })

  await t.test('whoever bootstraps makes tokens for VNodes only', async t => {
    if (!hasPolicies(controlPlane)) return
    const user = `system:serviceaccount:${INSTALL}:vnode-profile-bootstrap`
    // Of somebody who may do everything: what is refused is refused by the policy.
    const who = { user, groups: ['system:masters'] }
    const make = async (
      namespace: string,
      secret: object,
    ): Promise<{ status: number; message: string | undefined }> => {
      const path = `/api/v1/namespaces/${namespace}/secrets?dryRun=All`
      const { status, body } = await send(who, 'POST', path, {
        body: secret,
        contentType: 'application/json',
      })
      return { status, message: body.message }
    }
    const bootstrapToken = (group: string, more: object = {}) => ({
      metadata: { name: 'bootstrap-token-abcdef' },
      type: 'bootstrap.kubernetes.io/token',
      stringData: {
        'token-id': 'abcdef',
        'token-secret': '0123456789abcdef',
        'usage-bootstrap-authentication': 'true',
        'auth-extra-groups': group,
        ...more,
      },
    })
    const accountToken = (name: string) => ({
      metadata: { name: 'token', annotations: { 'kubernetes.io/service-account.name': name } },
      type: 'kubernetes.io/service-account-token',
    })
    const opaque = { metadata: { name: 'opaque' }, stringData: { a: 'b' } }
    await holds(async () => (await make('kube-system', opaque)).status === 422, 60_000)
    t.strictSame(await make('kube-system', bootstrapToken(BOOTSTRAP_GROUP)), {
      status: 201,
      message: undefined,
    })
    t.match(await make(INSTALL, opaque), { status: 201 })
    t.match(await make(INSTALL, accountToken('vnode-profile-vnode')), { status: 201 })
    const kubeadm = bootstrapToken('system:bootstrappers:kubeadm:default-node-token')
    t.match(await make('kube-system', kubeadm), {
      status: 422,
      message: /and no other Secret/,
    })
    const signing = bootstrapToken(BOOTSTRAP_GROUP, { 'usage-bootstrap-signing': 'true' })
    t.match(await make('kube-system', signing), { status: 422 })
    t.match(await make('kube-system', accountToken('default')), { status: 422 })
    t.match(await make(INSTALL, accountToken('vnode-profile-helper')), {
      status: 422,
      message: /and no other Secret/,
    })
  })
}

function hasPolicies({ version }: ControlPlane): boolean {
  return Number(version.split('.')[1]) >= 30
}
