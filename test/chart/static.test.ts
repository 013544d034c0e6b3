/**
 * What the cluster of the tests cannot show: its network enforces no NetworkPolicies, and its one node leaves nothing to spread over and
 * nothing to drain to. It is rendered, and checked by itself, as each test's name says.
 */
import t, { type Test } from 'tap'
import { find, helmOrSkip, type Manifest, nameOf, type PodOf, podsOf, VARIANTS } from '../helpers/chart.ts'

type Labels = Readonly<Record<string, string>>

interface Selector {
  readonly matchLabels?: Labels
  readonly matchExpressions?: readonly { key: string; operator: string; values: readonly string[] }[]
}

interface PolicyRule {
  readonly ports?: readonly { port: number; protocol?: string }[]
  readonly from?: readonly object[]
  readonly to?: readonly { podSelector?: Selector }[]
}

interface PolicySpec {
  readonly podSelector: Selector
  readonly policyTypes: readonly string[]
  readonly ingress?: readonly PolicyRule[]
  readonly egress?: readonly PolicyRule[]
}

interface Spread {
  readonly topologyKey: string
  readonly whenUnsatisfiable: string
  readonly labelSelector: Selector
}

const helm = helmOrSkip(t)
const WEBHOOK = 'Deployment/vnode-profile-webhook'
const HELPER = 'Deployment/vnode-profile-helper'

function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels = {}): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => {
      if (operator !== 'In') throw new Error(`${operator} is not understood here`)
      return values.includes(labels[key] ?? '')
    })
  )
}

const policiesOf = (manifests: readonly Manifest[]) =>
  manifests.filter(({ kind }) => kind === 'NetworkPolicy')

/** Those that hold a Pod. */
function policiesFor(manifests: readonly Manifest[], { metadata }: PodOf): PolicySpec[] {
  return policiesOf(manifests)
    .map(({ spec }) => spec as unknown as PolicySpec)
    .filter(({ podSelector }) => selects(podSelector, metadata.labels))
}

/** Of rules without a peer: who is let in from everywhere, or out to everywhere. */
function openPorts(rules: readonly PolicyRule[]): number[] {
  return rules
    .filter(({ from, to }) => from === undefined && to === undefined)
    .flatMap(({ ports = [] }) => ports.map(({ port }) => port))
}

function checkPolicies(t: Test, manifests: readonly Manifest[], pod: PodOf): void {
  const policies = policiesFor(manifests, pod)
  const types = new Set(policies.flatMap(({ policyTypes }) => policyTypes))
  t.strictSame([...types].sort(), ['Egress', 'Ingress'], 'what is not allowed is denied, both ways')
  const ingress = policies.flatMap(policy => policy.ingress ?? [])
  const egress = policies.flatMap(policy => policy.egress ?? [])
  t.ok(
    [...ingress, ...egress].every(({ ports = [] }) => ports.length > 0),
    'no rule is about every port',
  )
  for (const port of [443, 6443]) t.ok(openPorts(egress).includes(port), `out to the API server at ${port}`)
  const declared = pod.spec.containers.flatMap(({ ports = [] }) => ports as { containerPort: number }[])
  const entered = ingress.flatMap(({ ports = [] }) => ports.map(({ port }) => port))
  t.strictSame(
    entered.sort(),
    pod.spec.hostNetwork ? [] : declared.map(({ containerPort }) => containerPort).sort(),
    'it is entered at the ports that it listens on, and at no other',
  )
}

function checkSpread(t: Test, { metadata, spec }: PodOf): void {
  const constraints = spec.topologySpreadConstraints as readonly Spread[]
  t.strictSame(
    constraints.map(({ topologyKey, whenUnsatisfiable }) => [topologyKey, whenUnsatisfiable]),
    [
      ['kubernetes.io/hostname', 'ScheduleAnyway'],
      ['topology.kubernetes.io/zone', 'ScheduleAnyway'],
    ],
  )
  for (const { labelSelector } of constraints)
    t.ok(selects(labelSelector, metadata.labels), 'its own Pods are counted')
}

if (helm !== undefined) {
  for (const [name, options] of VARIANTS) {
    t.test(`rendered, not enforced: NetworkPolicies of every Pod, ${name}`, async t => {
      const manifests = await helm.render(options)
      const { networkPolicy } = (options.values ?? {}) as { networkPolicy?: { enabled?: boolean } }
      if (networkPolicy?.enabled === false) {
        t.strictSame(policiesOf(manifests).map(nameOf), [])
        return
      }
      const namespace = options.namespace ?? 'vnode-system'
      for (const { metadata } of policiesOf(manifests)) {
        t.equal(metadata.namespace, namespace)
        t.equal(metadata.annotations?.['helm.sh/hook'], undefined, 'it is there before a Job is, and after')
      }
      for (const pod of podsOf(manifests)) t.test(pod.of, async t => checkPolicies(t, manifests, pod))
    })
  }

  t.test('rendered, not enforced: the API server reaches the webhook, and who reads metrics', async t => {
    const metricsFrom = [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }]
    const values = { networkPolicy: { metricsFrom, apiserverPorts: [8443] }, approver: { enabled: true } }
    const manifests = await helm.render({ values })
    const ingressOf = (pod: string) =>
      podsOf(manifests)
        .filter(({ of }) => of === pod)
        .flatMap(pod => policiesFor(manifests, pod).flatMap(({ ingress = [] }) => ingress))
    const metrics = { from: metricsFrom, ports: [{ port: 8080 }] }
    t.strictSame(ingressOf(WEBHOOK), [{ ports: [{ port: 8443 }] }, metrics], 'reviews come from anywhere')
    t.strictSame(ingressOf(HELPER), [metrics])
    t.strictSame(ingressOf('Deployment/vnode-profile-approver'), [metrics])
    for (const pod of podsOf(manifests))
      t.strictSame(
        openPorts(policiesFor(manifests, pod).flatMap(({ egress = [] }) => egress)),
        [8443],
        pod.of,
      )
  })

  t.test('rendered, not enforced: the helper reaches every replica of the webhook', async t => {
    for (const hostNetwork of [false, true]) {
      const manifests = await helm.render({ values: { webhook: { hostNetwork, port: 9443 } } })
      const [helper, webhook] = [HELPER, WEBHOOK].map(name => podsOf(manifests).find(({ of }) => of === name))
      if (helper === undefined || webhook === undefined) throw new Error('a Deployment is missing')
      const ways = policiesFor(manifests, helper)
        .flatMap(({ egress = [] }) => egress)
        .filter(({ ports = [] }) => ports.some(({ port }) => port === 9443))
      t.equal(ways.length, 1)
      // No selector knows the addresses of nodes.
      if (hostNetwork) t.equal(ways[0]?.to, undefined)
      else
        t.ok(
          ways[0]?.to?.some(
            ({ podSelector }) => podSelector && selects(podSelector, webhook.metadata.labels),
          ),
        )
      t.notOk(
        ways[0]?.to?.some(({ podSelector }) => podSelector && selects(podSelector, helper.metadata.labels)),
      )
    }
  })

  t.test('rendered, on one node without effect: Pods are spread over nodes and zones', async t => {
    const values = { approver: { enabled: true } }
    const deployed = (pods: readonly PodOf[]) => pods.filter(({ of }) => of.startsWith('Deployment/'))
    for (const pod of deployed(podsOf(await helm.render({ values }))))
      t.test(pod.of, async t => checkSpread(t, pod))
    for (const { of, metadata, spec } of deployed(podsOf(await helm.render({ version: '1.17.17' })))) {
      t.equal(spec.topologySpreadConstraints, undefined, 'which 1.17 does not have')
      const { podAntiAffinity } = spec.affinity as { podAntiAffinity: AntiAffinity }
      const [term] = podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution
      t.equal(term?.podAffinityTerm.topologyKey, 'kubernetes.io/hostname', of)
      t.ok(term !== undefined && selects(term.podAffinityTerm.labelSelector, metadata.labels), of)
    }
  })

  t.test('rendered, on one node without effect: a drain takes one webhook at a time', async t => {
    for (const [version, apiVersion] of [
      ['1.34.4', 'policy/v1'],
      ['1.20.15', 'policy/v1beta1'],
    ] as const) {
      const manifests = await helm.render({ version })
      const budgets = manifests.filter(({ kind }) => kind === 'PodDisruptionBudget')
      t.strictSame(budgets.map(nameOf), ['PodDisruptionBudget/vnode-profile-webhook'])
      t.match(budgets, [{ apiVersion, spec: { maxUnavailable: 1 } }])
      const selector = budgets[0]?.spec?.selector as Selector
      const held = podsOf(manifests).filter(({ metadata }) => selects(selector, metadata.labels))
      t.strictSame(
        held.map(({ of }) => of),
        [WEBHOOK],
        'the Pods of the webhook, and of nobody else',
      )
    }
  })

  t.test(
    'rendered: two of each by default, and an update takes no webhook away before its successor serves',
    async t => {
      const manifests = await helm.render()
      const { spec } = find(manifests, WEBHOOK)
      t.match(spec, { replicas: 2, strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } } })
      t.equal(find(manifests, HELPER).spec?.replicas, 2)
    },
  )
}

interface AntiAffinity {
  readonly preferredDuringSchedulingIgnoredDuringExecution: readonly {
    readonly podAffinityTerm: { readonly topologyKey: string; readonly labelSelector: Selector }
  }[]
}
