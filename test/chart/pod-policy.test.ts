/** What the helper's identity may do to Pods, on a real apiserver: what a spill takes, and nothing else. */
import t from 'tap'
import { BINDING_MANAGER, SPILL_MANAGER } from '../../src/core/names.ts'
import { pendingPod } from '../../src/core/spill/pending-pod.ts'
import { patchOnVnode, spillPatch } from '../../src/core/spill/spill-patch.ts'
import { spillVerdict } from '../../src/core/spill/verdict.ts'
import { find, helmOrSkip, NAMESPACE } from '../helpers/chart.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { makePod, type PodOverrides } from '../helpers/pods.ts'
import { makeSituation, SPILL_NODE, UNSCHEDULABLE } from '../helpers/spill.ts'
import { holds } from '../helpers/webhook.ts'
import { ensureNamespace } from '../helpers/webhook-rights.ts'

const HELPER = `system:serviceaccount:${NAMESPACE}:vnode-profile-helper`
const AS = { user: HELPER, groups: ['system:authenticated'] }
const ADMIN = { user: 'somebody', groups: ['system:masters', 'system:authenticated'] }
const JSON_PATCH = { contentType: 'application/json-patch+json' }
const NOT_READY = {
  key: 'node.kubernetes.io/not-ready',
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: 300,
}
const VNODE = { key: 'k8s.aliyun.com/vnode', operator: 'Equal', value: 'true', effect: 'NoSchedule' }
const RULE = {
  name: 'web',
  objectSelector: { matchLabels: { app: 'web' } },
  policy: { normalNodePrefer: {} },
  effect: {
    annotations: {
      'k8s.aliyun.com/eci-spot-strategy': 'SpotAsPriceGo',
      'controller.kubernetes.io/pod-deletion-cost': '-1000',
    },
    labels: { 'billing.example.com/runs-on': 'eci' },
  },
}

const set = (path: string, value: unknown) => [{ op: 'add', path, value }]

/** Changes that the API server would let others make. */
const REFUSED: Readonly<Record<string, readonly [object[], PodOverrides?]>> = {
  'another image': [set('/spec/containers/0/image', 'evil')],
  'another image of an init container': [
    set('/spec/initContainers/0/image', 'evil'),
    { spec: { initContainers: [{ name: 'init', image: 'localhost/init:1' }] } },
  ],
  'a deadline': [set('/spec/activeDeadlineSeconds', 1)],
  'the end of a scheduling gate': [
    [{ op: 'remove', path: '/spec/schedulingGates' }],
    { spec: { schedulingGates: [{ name: 'quota' }] } },
  ],
  'a node selector, while it is gated': [
    set('/spec/nodeSelector', { 'kubernetes.io/hostname': 'control-plane-1' }),
    { spec: { schedulingGates: [{ name: 'quota' }] } },
  ],
  'an affinity, while it is gated': [
    set('/spec/affinity', {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }],
        },
      },
    }),
    { spec: { schedulingGates: [{ name: 'quota' }] } },
  ],
  'a toleration of everything': [set('/spec/tolerations/-', { operator: 'Exists' })],
  'a toleration of another taint': [
    set('/spec/tolerations/-', { key: 'node-role.kubernetes.io/control-plane', operator: 'Exists' }),
  ],
  'the VNodes’ toleration for another value': [set('/spec/tolerations/-', { ...VNODE, value: 'false' })],
  'the VNodes’ toleration of every effect': [
    set('/spec/tolerations/-', { key: VNODE.key, operator: 'Equal', value: 'true' }),
  ],
  'the VNodes’ toleration for a time': [
    set('/spec/tolerations/-', { ...VNODE, effect: 'NoExecute', tolerationSeconds: 5 }),
  ],
  'less time on a node that is away': [set('/spec/tolerations/0/tolerationSeconds', 0)],
  'less time by a second toleration, as the shortest counts': [
    set('/spec/tolerations/-', {
      key: 'node.kubernetes.io/not-ready',
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: 0,
    }),
  ],
  'another value of the author’s label': [set('/metadata/labels/app', 'api')],
  'a label less': [[{ op: 'remove', path: '/metadata/labels/app' }]],
  'another value of the author’s annotation': [set('/metadata/annotations/team', 'b')],
  'an annotation less': [[{ op: 'remove', path: '/metadata/annotations/team' }]],
  'a finalizer': [set('/metadata/finalizers', ['example.com/stay'])],
  'an owner': [
    set('/metadata/ownerReferences', [
      { apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: '00000000-0000-4000-8000-000000000001' },
    ]),
  ],
}

const helm = helmOrSkip(t)
const controlPlane = helm === undefined ? undefined : await controlPlaneOrSkip(t)

if (helm !== undefined && controlPlane !== undefined) {
  const manifests = await helm.render()
  await ensureNamespace(controlPlane, NAMESPACE)
  const applied = [
    'ClusterRole/vnode-profile-helper',
    'ClusterRoleBinding/vnode-profile-helper',
    'ValidatingAdmissionPolicy/vnode-profile-pods',
    'ValidatingAdmissionPolicyBinding/vnode-profile-pods',
  ]
  for (const name of applied) {
    const { code, stderr } = await controlPlane.kubectl(['apply', '-f', '-'], {
      input: JSON.stringify(find(manifests, name)),
    })
    if (code !== 0) throw new Error(stderr)
  }
  const namespace = await controlPlane.namespace(t)
  const pods = `/api/v1/namespaces/${namespace}/pods`
  let made = 0
  const create = async ({ spec, ...metadata }: PodOverrides = {}): Promise<string> => {
    made += 1
    const name = `pod-${made}`
    const more = { tolerations: [NOT_READY], ...spec }
    const labels = { app: 'web' }
    const body = makePod({ name, labels, annotations: { team: 'a' }, ...metadata, spec: more })
    await controlPlane.ask('POST', pods, { body })
    return `${pods}/${name}`
  }
  const patch = (path: string, body: object, as = AS) =>
    controlPlane.request<{ message?: string }>('PATCH', path, { body, as, ...JSON_PATCH })

  // A policy is in force a moment after it is there.
  const first = await create()
  let tried = 0
  const tryImage = () => patch(first, set('/spec/containers/0/image', `evil:${tried++}`))
  await holds(async () => (await tryImage()).status === 422, 15_000)

  for (const [name, [operations, pod]] of Object.entries(REFUSED)) {
    t.test(`refused: ${name}`, async t => {
      const path = await create(pod)
      const { status, body } = await patch(path, operations)
      t.equal(status, 422)
      t.match(body.message, /vnode-profile's helper/)
      if (name.startsWith('less time')) return
      t.equal((await patch(path, operations, ADMIN)).status, 200, 'others may do that')
    })
  }

  const situation = makeSituation({ environment: { rules: [RULE] } })
  const seen = async (path: string) => pendingPod(await controlPlane.ask('GET', path))

  t.test('a spill goes through, and so does what follows on the VNode', async t => {
    const path = await create()
    await controlPlane.ask('PATCH', `${path}/status`, {
      body: { status: UNSCHEDULABLE },
      contentType: 'application/merge-patch+json',
    })
    const pod = await seen(path)
    const verdict = spillVerdict(pod, situation)
    if (verdict.outcome !== 'spill') throw new Error(verdict.reason)
    const spill = spillPatch(pod, verdict.placed, situation.environment.settings)
    const spilled = await patch(`${path}?fieldManager=${SPILL_MANAGER}`, spill)
    t.match(spilled, {
      status: 200,
      body: { spec: { tolerations: [{ tolerationSeconds: 86_400 }, {}, VNODE] } },
    })
    t.equal((await patch(path, spill)).status, 409, 'the same once more: the Pod is another one by now')
    const target = { apiVersion: 'v1', kind: 'Node', name: SPILL_NODE }
    const { name } = pod
    await controlPlane.ask('POST', `${path}/binding`, { body: { metadata: { name }, target } })
    const onVnode = patchOnVnode(await seen(path), situation.namespace, situation.environment)
    if (onVnode === undefined) throw new Error('there is nothing to add')
    const bound = await patch(`${path}?fieldManager=${BINDING_MANAGER}`, onVnode)
    t.ok(
      JSON.stringify(bound.body).includes(`"manager":"${BINDING_MANAGER}"`),
      'by which the next leader knows',
    )
    t.match(bound, {
      status: 200,
      body: {
        metadata: {
          labels: { app: 'web', 'billing.example.com/runs-on': 'eci' },
          annotations: { team: 'a', 'controller.kubernetes.io/pod-deletion-cost': '-1000' },
        },
      },
    })
  })

  t.test('without labels, annotations and tolerations of its own a Pod spills too', async t => {
    const path = await create({ labels: {}, annotations: {}, spec: { tolerations: [] } })
    const body = [
      ...set('/metadata/annotations', { 'vnode-profile.io/policy': 'x' }),
      ...set('/spec/tolerations/-', VNODE),
    ]
    t.equal((await patch(path, body)).status, 200)
    t.equal((await patch(path, set('/metadata/annotations/vnode-profile.io~1policy', 'y'))).status, 200)
  })

  t.test('its other rights on Pods are to look at them', async t => {
    const path = await create()
    for (const [method, where] of [
      ['DELETE', path],
      ['PUT', path],
      ['POST', pods],
      ['PATCH', `${path}/status`],
      ['PATCH', `${path}/ephemeralcontainers`],
      ['PATCH', `${path}/resize`],
      ['POST', `${path}/binding`],
      ['POST', `${path}/eviction`],
      ['POST', `${path}/exec?command=sh`],
      ['GET', `${path}/log`],
    ] as const) {
      const { status } = await controlPlane.request(method, where, {
        as: AS,
        ...(method === 'GET' ? {} : { body: {} }),
        ...(method === 'PATCH' ? JSON_PATCH : {}),
      })
      t.equal(status, 403, `${method} ${where.slice(path.length)}`)
    }
  })
}
