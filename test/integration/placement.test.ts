import { join } from 'node:path'
import t from 'tap'
import { controlPlaneOrSkip } from '../helpers/control-plane.ts'
import { awayTolerations, placementOf, type StoredPod, sentToVnodes } from '../helpers/placed-pods.ts'
import {
  makeDaemonSet,
  makeDeployment,
  makeJob,
  makePod,
  makeStatefulSet,
  type WorkloadOverrides,
} from '../helpers/pods.ts'
import { registerWebhook } from '../helpers/registration.ts'
import { startRealNode, startVnode } from '../helpers/vnode.ts'
import { startTestWebhook } from '../helpers/webhook.ts'

const RULE = 'pod-alibabacloud-eci'
const SHIPPED = join(import.meta.dirname, '../../examples/default-rules.yaml')
const ECI = { 'alibabacloud.com/eci': 'true' }

const makeReplicaSet = (overrides: WorkloadOverrides) => ({
  ...makeDeployment(overrides),
  kind: 'ReplicaSet',
})

const isRunning = ({ status }: StoredPod): boolean => status.phase === 'Running'

/** Controllers write labels and annotations of their own. */
const SOMETHING = { labels: Object, annotations: Object }

const controlPlane = await controlPlaneOrSkip(t, { scheduler: true, controllerManager: true })

if (controlPlane !== undefined) {
  const realNode = await startRealNode(controlPlane, { cpu: '64', memory: '256Gi' })
  const vnode = await startVnode(controlPlane)
  const webhook = await startTestWebhook(t, { controlPlane })
  await controlPlane.kubectl(['apply', '-f', SHIPPED])
  await webhook.inForce(
    RULE,
    'pod-eci',
    'namespace-alibabacloud-eci',
    'namespace-eci',
    'namespace-virtual-node-affinity',
  )
  await webhook.until('the VNode is known', state => state.environment.vnodes.hasName(vnode.name))
  await registerWebhook(t, controlPlane, webhook)

  const running = (namespace: string, count: number) =>
    controlPlane.waitForAll<StoredPod>(
      `/api/v1/namespaces/${namespace}/pods`,
      pods => pods.length === count && pods.every(isRunning),
    )

  const pod = { labels: ECI }
  const workloads = {
    'of a Deployment': {
      group: 'apps',
      plural: 'deployments',
      body: makeDeployment({ replicas: 3, pod }),
      count: 3,
    },
    'of a ReplicaSet': {
      group: 'apps',
      plural: 'replicasets',
      body: makeReplicaSet({ replicas: 2, pod }),
      count: 2,
    },
    'of a StatefulSet': {
      group: 'apps',
      plural: 'statefulsets',
      body: makeStatefulSet({ replicas: 2, pod }),
      count: 2,
    },
    'of a Job': {
      group: 'batch',
      plural: 'jobs',
      body: makeJob({ pod, spec: { completions: 2, parallelism: 2 } }),
      count: 2,
    },
  }
  for (const [whose, { group, plural, body, count }] of Object.entries(workloads)) {
    t.test(`Pods ${whose} that the shipped rules match run on the VNode`, async t => {
      const namespace = await controlPlane.namespace(t)
      await controlPlane.ask('POST', `/apis/${group}/v1/namespaces/${namespace}/${plural}`, { body })
      for (const pod of await running(namespace, count)) {
        t.match(placementOf(pod), { ...sentToVnodes(RULE), ...SOMETHING })
        t.match(pod.metadata, { labels: ECI, annotations: sentToVnodes(RULE).annotations })
        t.equal(pod.spec.tolerations?.length, 3)
        t.equal(pod.spec.nodeName, vnode.name)
      }
      const line = await webhook.logged('Pod changed', { namespace, rules: [RULE] })
      t.match(line, { owner: /^(ReplicaSet|StatefulSet|Job)\/app/, policy: 'virtualNodeOnly', route: 'rule' })
    })
  }

  t.test('Pods of a Job made by hand from a suspended CronJob run on the VNode', async t => {
    const namespace = await controlPlane.namespace(t)
    const { apiVersion, metadata, spec } = makeJob({ pod })
    const body = {
      apiVersion,
      kind: 'CronJob',
      metadata,
      spec: { schedule: '0 0 1 1 *', suspend: true, jobTemplate: { spec } },
    }
    await controlPlane.ask('POST', `/apis/batch/v1/namespaces/${namespace}/cronjobs`, { body })
    const made = await controlPlane.kubectl([
      'create',
      'job',
      'by-hand',
      '--from=cronjob/app',
      '-n',
      namespace,
    ])
    t.match(made, { code: 0 })
    const [found] = await running(namespace, 1)
    t.match(found, { spec: { nodeName: vnode.name } })
    t.match(found?.metadata, { annotations: sentToVnodes(RULE).annotations })
  })

  t.test('a namespace that is labelled sends all its Pods, and no other namespace does', async t => {
    const namespace = await controlPlane.namespace(t, {
      labels: { 'virtual-node-affinity-injection': 'enabled' },
    })
    const other = await controlPlane.namespace(t)
    await webhook.until(
      'namespaces are known',
      state => state.knowsNamespace(namespace) && state.knowsNamespace(other),
    )
    for (const name of [namespace, other]) {
      const body = makeDeployment({ replicas: 2 })
      await controlPlane.ask('POST', `/apis/apps/v1/namespaces/${name}/deployments`, { body })
    }
    for (const { spec } of await running(namespace, 2)) t.equal(spec.nodeName, vnode.name)
    for (const { spec, metadata } of await running(other, 2)) {
      t.equal(spec.nodeName, realNode.name)
      t.equal(metadata.annotations, undefined)
      t.strictSame(spec.tolerations, awayTolerations(300))
    }
  })

  t.test(
    'Pods of a DaemonSet are left as they are, whatever rules match, on either kind of node',
    async t => {
      const namespace = await controlPlane.namespace(t)
      const body = makeDaemonSet({ pod: { labels: ECI, spec: { tolerations: [{ operator: 'Exists' }] } } })
      await controlPlane.ask('POST', `/apis/apps/v1/namespaces/${namespace}/daemonsets`, { body })
      const pods = await running(namespace, 2)
      t.strictSame(pods.map(({ spec }) => spec.nodeName).sort(), [vnode.name, realNode.name].sort())
      for (const { metadata, spec } of pods) {
        t.equal(metadata.annotations, undefined)
        t.equal(spec.nodeSelector, undefined)
      }
      await webhook.logged('Pod left as it is', {
        namespace,
        owner: 'DaemonSet/app',
        reason: 'it belongs to a DaemonSet, which no VNode runs',
      })
    },
  )

  t.test(
    'a Pod that no rule matches and that brings its own selector and toleration runs on the VNode',
    async t => {
      const namespace = await controlPlane.namespace(t)
      const spec = {
        nodeSelector: { 'k8s.aliyun.com/vnode': 'true' },
        tolerations: [{ key: 'k8s.aliyun.com/vnode', operator: 'Exists' }],
      }
      await controlPlane.ask('POST', `/api/v1/namespaces/${namespace}/pods`, { body: makePod({ spec }) })
      const [found] = await running(namespace, 1)
      t.equal(found?.spec.nodeName, vnode.name)
      t.strictSame(found?.spec.tolerations, [...spec.tolerations, ...awayTolerations(86_400)])
    },
  )
}
