import t from 'tap'
import { LABEL_SKIP } from '../../src/core/names.ts'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import type { KubeList, RequestSettings } from '../helpers/kube-http.ts'
import {
  awayTolerations,
  type Placement,
  placementOf,
  type StoredPod,
  sentToVnodes,
  UNTOUCHED,
} from '../helpers/placed-pods.ts'
import { makeOwner, makePod, type PodOverrides } from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { forwardTo, patchOf, type Review, startReviewServer } from '../helpers/review-server.ts'
import { setRules } from '../helpers/rules.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const ECI = { 'alibabacloud.com/eci': 'true' }
const COST = 'controller.kubernetes.io/pod-deletion-cost'
const RULES = [
  { name: 'eci', objectSelector: { matchLabels: ECI } },
  { name: 'all', effect: { annotations: { [COST]: '-1000' } } },
]
const REAL = 'real-1'
const VNODE = 'cn-hangzhou.vnd-test0000000000000000'

const sent = { ...sentToVnodes('eci', 'all'), labels: ECI }
const placed: Placement = { ...sent, annotations: { ...sent.annotations, [COST]: '-1000' } }
const left: Placement = { ...UNTOUCHED, labels: ECI }

/** A kubelet: it may create the mirrors of its static Pods, and nothing else. */
const KUBELET = { user: `system:node:${REAL}`, groups: ['system:nodes', 'system:authenticated'] }
const MIRROR = {
  'kubernetes.io/config.mirror': '5f2c',
  'kubernetes.io/config.hash': '5f2c',
  'kubernetes.io/config.seen': '2026-01-01T00:00:00.000000000Z',
  'kubernetes.io/config.source': 'file',
}

interface Case {
  readonly pod: PodOverrides
  readonly as?: RequestSettings['as']
  readonly inNamespace?: string
  readonly stored: Placement
  /** Of a Pod that is left as it is, as the debug log says it. */
  readonly reason?: string
}

const cases: Record<string, Case> = {
  'a static Pod, created by its kubelet, is left': {
    pod: {
      annotations: MIRROR,
      ownerReferences: [{ ...makeOwner('Node', REAL), apiVersion: 'v1' }],
      spec: { nodeName: REAL, tolerations: [{ operator: 'Exists', effect: 'NoExecute' }] },
    },
    as: KUBELET,
    stored: { ...left, annotations: MIRROR, tolerations: [{ operator: 'Exists', effect: 'NoExecute' }] },
    reason: 'it is a static Pod: the kubelet has started it already',
  },
  'a Pod with nodeName of a real node is left': {
    pod: { spec: { nodeName: REAL } },
    stored: left,
    reason: 'its nodeName binds it to the real node real-1',
  },
  'a Pod with nodeName of the VNode gets effects and long tolerations, and nothing for the scheduler': {
    pod: { spec: { nodeName: VNODE } },
    stored: { ...placed, nodeSelector: {}, tolerations: awayTolerations(86_400) },
  },
  'a Pod with nodeName of a node that nobody knows is left': {
    pod: { spec: { nodeName: 'cn-hangzhou.vnd-another' } },
    stored: left,
    reason: 'its nodeName binds it to the real node cn-hangzhou.vnd-another',
  },
  'a Pod of kube-system is left': {
    pod: {},
    inNamespace: 'kube-system',
    stored: left,
    reason: 'namespace kube-system is excluded',
  },
  "a Pod of the installation's namespace is left": {
    pod: {},
    inNamespace: 'vnode-system',
    stored: left,
    reason: 'namespace vnode-system is excluded',
  },
  'a Pod with the label to skip is left': {
    pod: { labels: { [LABEL_SKIP]: 'true' } },
    stored: { ...left, labels: { ...ECI, [LABEL_SKIP]: 'true' } },
    reason: 'it has the label vnode-profile.io/skip=true',
  },
  'a Pod with the label to skip, but not true, is sent': {
    pod: { labels: { [LABEL_SKIP]: 'false' } },
    stored: { ...placed, labels: { ...ECI, [LABEL_SKIP]: 'false' } },
  },
  'a Pod that says it belongs to a DaemonSet is left': {
    pod: { ownerReferences: [makeOwner('DaemonSet', 'logs')] },
    stored: left,
    reason: 'it belongs to a DaemonSet, which no VNode runs',
  },
  'a Pod that no rule matches is left': {
    pod: { labels: { 'alibabacloud.com/eci': 'false' } },
    stored: { ...left, labels: { 'alibabacloud.com/eci': 'false' } },
    reason: 'no rule schedules it',
  },
}

const controlPlane = await controlPlaneOrSkip(t)

if (controlPlane !== undefined) {
  await startRealNode(controlPlane)
  await startVnode(controlPlane)
  const webhook = await startTestWebhook(t, { controlPlane })
  await setRules(controlPlane, RULES)
  await webhook.inForce('eci', 'all')
  await webhook.until('the VNode is known', state => state.environment.vnodes.hasName(VNODE))
  const front = await startReviewServer(t, forwardTo(webhook))
  // More than the chart registers: what we do not change, we do not change whatever is sent to us.
  const everything = ['pods', 'pods/ephemeralcontainers', 'pods/binding', 'pods/status', 'pods/resize']
  await registerWebhook(t, controlPlane, front, {
    rules: [
      {
        apiGroups: [''],
        apiVersions: ['v1'],
        resources: everything,
        operations: ['CREATE', 'UPDATE', 'DELETE'],
      },
    ],
  })
  const podsOf = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`

  t.test('who is sent and who is left:', async t => {
    const own = await controlPlane.namespace(t)
    for (const [index, [what, { pod, as, inNamespace, stored, reason }]] of Object.entries(cases).entries()) {
      const namespace = inNamespace ?? own
      const name = `pod-${index}`
      const body = makePod({ name, ...pod, labels: { ...ECI, ...pod.labels } })
      const settings = { body, ...(as === undefined ? {} : { as }) }
      const found = await controlPlane.ask<StoredPod>('POST', podsOf(namespace), settings)
      t.strictSame(placementOf(found), stored, what)
      const subject = pod.ownerReferences?.map(({ kind, name }) => ({ owner: `${kind}/${name}` }))[0] ?? {
        name,
      }
      if (reason === undefined) await webhook.logged('Pod changed', { namespace, ...subject })
      else await webhook.logged('Pod left as it is', { namespace, ...subject, reason })
    }
  })

  t.test('a dry run shows the result and stores nothing', async t => {
    const namespace = await controlPlane.namespace(t)
    const args = ['create', '-n', namespace, '--dry-run=server', '-o', 'json', '-f', '-']
    const input = JSON.stringify(makePod({ labels: ECI }))
    const { stdout, code } = await controlPlane.kubectl(args, { input })
    t.equal(code, 0)
    t.strictSame(placementOf(JSON.parse(stdout)), placed)
    t.equal((await controlPlane.request('GET', `${podsOf(namespace)}/app`)).status, 404)
    await webhook.logged('Pod changed', { namespace, name: 'app', dryRun: true })
    t.match(front.exchanges.at(-1)?.request, { dryRun: true })
    const events = `/api/v1/namespaces/${namespace}/events`
    t.strictSame((await controlPlane.ask<KubeList>('GET', events)).items, [])
  })

  t.test('a Pod with generateName, and neither name nor namespace in the object', async t => {
    const namespace = await controlPlane.namespace(t)
    const body = makePod({ generateName: 'job-', labels: ECI })
    const found = await controlPlane.ask<StoredPod>('POST', podsOf(namespace), { body })
    t.match(found.metadata.name, /^job-[a-z0-9]{5}$/)
    t.strictSame(placementOf(found), placed)
    const { request } = front.exchanges.at(-1) ?? {}
    t.match(request, { namespace })
    await webhook.logged('Pod changed', { namespace, name: request?.object.metadata.name ?? 'job-' })
    // Older apiservers leave the namespace out of the object; that of the request counts.
    const { namespace: _, name: __, ...metadata } = { ...request?.object.metadata }
    const object = { ...request?.object, metadata }
    const review = {
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: { ...request, object },
    }
    const { response } = await forwardTo(webhook)(review as Review, '/mutate/pods')
    t.strictSame(response, front.exchanges.at(-1)?.answer.response)
  })

  t.test('what comes after creation is let through as it is', async t => {
    const namespace = await controlPlane.namespace(t)
    const path = `${podsOf(namespace)}/app`
    // No rule matched when it was created; now one would.
    await controlPlane.ask('POST', podsOf(namespace), { body: makePod() })
    const patch = (subPath: string, body: object) =>
      controlPlane.ask('PATCH', `${path}${subPath}`, {
        body,
        contentType: 'application/strategic-merge-patch+json',
      })
    await patch('', { metadata: { labels: ECI } })
    await patch('/ephemeralcontainers', {
      spec: { ephemeralContainers: [{ name: 'debug', image: 'localhost/debug:1' }] },
    })
    await controlPlane.ask('POST', `${path}/binding`, {
      body: { metadata: { name: 'app' }, target: { kind: 'Node', name: VNODE } },
    })
    await patch('/status', { status: { message: 'bound' } })
    const seen = front.exchanges.filter(({ request }) => request.namespace === namespace)
    const kinds = seen.map(({ request }) => `${request.operation} ${request.subResource ?? ''}`.trim())
    for (const kind of ['CREATE', 'UPDATE', 'UPDATE ephemeralcontainers', 'CREATE binding', 'UPDATE status'])
      t.ok(kinds.includes(kind), `was asked about ${kind}`)
    t.ok(seen.every(({ answer }) => answer.response.allowed))
    t.strictSame(seen.flatMap(patchOf), [])
    const found = await controlPlane.ask<StoredPod>('GET', path)
    t.strictSame(placementOf(found), left)
    t.match(found.spec, { ephemeralContainers: [{ name: 'debug' }], nodeName: VNODE })
    await controlPlane.ask('DELETE', path, { body: { gracePeriodSeconds: 0 } })
  })

  t.test('a Pod that is applied twice is not changed by the second time', async t => {
    const namespace = await controlPlane.namespace(t)
    for (const [name, ...mode] of [['by-client'], ['by-server', '--server-side']] as const) {
      const input = JSON.stringify(makePod({ name, labels: ECI, annotations: { mine: 'x' } }))
      const apply = () => controlPlane.kubectl(['apply', '-n', namespace, ...mode, '-f', '-'], { input })
      t.match(await apply(), { code: 0, stderr: '' }, name)
      const path = `${podsOf(namespace)}/${name}`
      const first = await controlPlane.ask<StoredPod>('GET', path)
      t.match(placementOf(first), {
        nodeSelector: placed.nodeSelector,
        annotations: { ...placed.annotations, mine: 'x' },
      })
      t.match(await apply(), { code: 0, stderr: '' }, `${name}, the second time`)
      const second = await controlPlane.ask<StoredPod>('GET', path)
      t.strictSame(placementOf(second), placementOf(first))
    }
  })
}
