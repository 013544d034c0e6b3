import t from 'tap'
import { workloadOf } from '../../../../src/core/explain/workload.ts'
import { podFacts } from '../../../../src/core/pod/facts.ts'
import { makeDaemonSet, makeDeployment, makeJob, makePod, makeStatefulSet } from '../../../helpers/pods.ts'

const TEMPLATE = { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'a' }] } }

function podFrom(object: object): Record<string, unknown> | undefined {
  return workloadOf({ ...object }, 'fallback')?.pod
}

t.test('a Pod is the object itself', async t => {
  const pod = { ...makePod({ namespace: 'ci' }) }
  const workload = workloadOf(pod, 'fallback')
  t.equal(workload?.pod, pod)
  t.match(workload, { kind: 'Pod', name: 'app', namespace: 'ci' })
  t.match(workloadOf({ kind: 'Pod' }, 'fallback'), { name: '(no name)', namespace: 'fallback' })
  t.match(workloadOf({ ...makePod({ generateName: 'app-' }) }, 'fallback'), { name: 'app-…' })
})

const OWNERS: Readonly<
  Record<string, readonly [object, { readonly kind: string; readonly name: string }, readonly string[]]>
> = {
  Deployment: [
    makeDeployment({ name: 'web' }),
    { kind: 'ReplicaSet', name: 'web-hash' },
    ['app', 'pod-template-hash'],
  ],
  StatefulSet: [
    makeStatefulSet({ name: 'db' }),
    { kind: 'StatefulSet', name: 'db' },
    ['app', 'apps.kubernetes.io/pod-index', 'controller-revision-hash', 'statefulset.kubernetes.io/pod-name'],
  ],
  DaemonSet: [
    makeDaemonSet({ name: 'logs' }),
    { kind: 'DaemonSet', name: 'logs' },
    ['app', 'controller-revision-hash', 'pod-template-generation'],
  ],
  Job: [
    makeJob({ name: 'build' }),
    { kind: 'Job', name: 'build' },
    [
      'app',
      'batch.kubernetes.io/controller-uid',
      'batch.kubernetes.io/job-name',
      'controller-uid',
      'job-name',
    ],
  ],
  CronJob: [
    {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name: 'report' },
      spec: { jobTemplate: { spec: { template: TEMPLATE } } },
    },
    { kind: 'Job', name: 'report-time' },
    [
      'app',
      'batch.kubernetes.io/controller-uid',
      'batch.kubernetes.io/job-name',
      'controller-uid',
      'job-name',
    ],
  ],
  'a kind of another project': [
    {
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'Rollout',
      metadata: { name: 'web' },
      spec: { template: TEMPLATE },
    },
    { kind: 'Rollout', name: 'web' },
    ['app'],
  ],
}

for (const [name, [object, owner, labels]] of Object.entries(OWNERS)) {
  t.test(`the Pod of ${name}`, async t => {
    const facts = podFacts(podFrom(object))
    t.same(facts.owner, owner)
    t.same([...facts.labels.keys()], labels)
    t.match(facts.object, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'fallback' },
      spec: { containers: [{}] },
    })
  })
}

t.test('names of Pods', async t => {
  t.match(podFrom(makeStatefulSet({ name: 'db' })), { metadata: { name: 'db-0' } })
  t.match(podFrom(makeDeployment({ name: 'web' })), { metadata: { generateName: 'web-hash-' } })
})

t.test('a template gives labels and annotations, but neither name nor namespace', async t => {
  const template = {
    metadata: { name: 'x', generateName: 'y', namespace: 'z', annotations: { a: 'b' } },
    spec: TEMPLATE.spec,
  }
  const pod = podFrom({
    kind: 'ReplicaSet',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { template },
  })
  t.match(pod, { metadata: { generateName: 'web-', namespace: 'shop', annotations: { a: 'b' }, labels: {} } })
  t.notHas((pod as { metadata: object }).metadata, { name: 'x' })
})

/** What is wrong with a workload of a kind that Pods come from. */
const FLAWED: Readonly<Record<string, readonly [object, string]>> = {
  'a template without containers': [
    { apiVersion: 'apps/v1', kind: 'Deployment', spec: { template: { spec: { container: [] } } } },
    'spec.template.spec.containers is missing, or no list',
  ],
  'containers that are no list': [
    { apiVersion: 'apps/v1', kind: 'StatefulSet', spec: { template: { spec: { containers: {} } } } },
    'spec.template.spec.containers is missing, or no list',
  ],
  'no template': [
    { apiVersion: 'v1', kind: 'ReplicationController', spec: {} },
    'spec.template.spec.containers is missing, or no list',
  ],
  'a CronJob with the template of a Job': [
    { apiVersion: 'batch/v1', kind: 'CronJob', spec: { template: TEMPLATE } },
    'spec.jobTemplate.spec.template.spec.containers is missing, or no list',
  ],
}

for (const [name, [object, flaw]] of Object.entries(FLAWED)) {
  t.test(`a workload with ${name}`, async t => {
    t.match(workloadOf({ ...object }, 'fallback'), { flaw, pod: object, namespace: 'fallback' })
  })
}

const NONE: Readonly<Record<string, object>> = {
  'a Service': { apiVersion: 'v1', kind: 'Service', spec: { selector: { app: 'x' } } },
  'no object to speak of': {},
  'a Deployment of no group': { kind: 'Deployment', spec: { template: { spec: {} } } },
  'a Job of another project': {
    apiVersion: 'batch.volcano.sh/v1alpha1',
    kind: 'Job',
    spec: { tasks: [{ template: TEMPLATE }] },
  },
  'a Pod of another group': { apiVersion: 'metrics.k8s.io/v1', kind: 'Pod' },
}

for (const [name, object] of Object.entries(NONE)) {
  t.test(`no Pods come from ${name}`, async t => t.equal(podFrom(object), undefined))
}
