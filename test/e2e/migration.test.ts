/** The guide from eci-profile to vnode-profile and back, typed as it is written, while Pods are created. A stand-in plays the vendor. */
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ANNOTATION_RULES } from '../../src/core/names.ts'
import { makeTestAuthority, makeTestLeaf } from '../helpers/certificates.ts'
import { removeOnExit } from '../helpers/child-process.ts'
import { CRD, type E2e, e2eOrSkip, LABELS, SYSTEM, USERS } from '../helpers/e2e.ts'
import { readGuide, runStep } from '../helpers/guide.ts'
import { makePod, type Pod } from '../helpers/pods.ts'

const GUIDE = 'docs/from-eci-profile.md'
const RULES = '/api/v1/namespaces/kube-system/configmaps/eci-profile'
const CONFIGURATION = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/eci-profile'
const NAMED = { name: 'eci-profile', namespace: 'kube-system' }
const ANNOTATION_VENDOR = 'stand-in'

/** As people have them: keys of the cluster beside rules, one of which is vnode-profile's business only in that it must survive. */
const DATA = {
  vpcId: 'vpc-e2e',
  enableClusterIp: 'true',
  selectors: '[ {"name":"mine",   "objectSelector":{"matchLabels":{"alibabacloud.com/eci":"true"}}} ]',
}

/** Everything that the vendor's manifest leaves in a cluster, and takes along again. */
async function playVendor(t: Test, e2e: E2e, image: string): Promise<void> {
  const authority = makeTestAuthority()
  const leaf = makeTestLeaf(authority, { hosts: ['eci-profile.kube-system.svc'] })
  const server = await readFile(new URL('../fixtures/vendor/server.cjs', import.meta.url), 'utf8')
  const labels = { app: 'eci-profile' }
  const objects = new Map<string, object>([
    [RULES, { apiVersion: 'v1', kind: 'ConfigMap', metadata: NAMED, data: DATA }],
    [CRD, selectorCrd()],
    [
      '/api/v1/namespaces/kube-system/secrets/eci-profile',
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: NAMED,
        stringData: { 'server.cjs': server, 'tls.crt': leaf.certPem, 'tls.key': leaf.keyPem },
      },
    ],
    [
      '/api/v1/namespaces/kube-system/services/eci-profile',
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: NAMED,
        spec: { selector: labels, ports: [{ port: 443, targetPort: 8443 }] },
      },
    ],
    ['/apis/apps/v1/namespaces/kube-system/deployments/eci-profile', deployment(image, labels)],
  ])
  t.teardown(async () => {
    for (const path of [CONFIGURATION, ...objects.keys()]) await e2e.remove(path)
  })
  for (const path of [RULES, CRD]) {
    await e2e.remove(path)
    await e2e.waitFor(`${path} is gone`, async () => (await e2e.find(path)) === undefined || undefined)
  }
  for (const [path, object] of objects) await e2e.kube.apply(path, object, { force: true })
  const selector = {
    apiVersion: 'eci.aliyun.com/v1',
    kind: 'Selector',
    metadata: { name: 'web' },
    spec: { objectLabels: { matchLabels: { app: 'web' } }, policy: { virtualNodeOnly: {} } },
  }
  await e2e.waitFor('the type Selector is served', () =>
    e2e.kube.apply('/apis/eci.aliyun.com/v1/selectors/web', selector).catch(() => undefined),
  )
  await e2e.kubectl('-n', 'kube-system', 'rollout', 'status', 'deployment/eci-profile')
  await e2e.kube.apply(CONFIGURATION, registration(authority.certPem), { force: true })
  await e2e.waitFor('the stand-in is called', async () => {
    const pod = await tryPod(e2e)
    return pod.metadata.annotations?.[ANNOTATION_VENDOR] !== undefined || undefined
  })
}

/** As the vendor's: cluster-scoped. */
function selectorCrd(): object {
  const schema = {
    openAPIV3Schema: {
      type: 'object',
      properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
    },
  }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'selectors.eci.aliyun.com' },
    spec: {
      group: 'eci.aliyun.com',
      scope: 'Cluster',
      names: { plural: 'selectors', singular: 'selector', kind: 'Selector' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  }
}

function deployment(image: string, labels: object): object {
  const volume = { name: 'stand-in', secret: { secretName: 'eci-profile' } }
  const container = {
    name: 'eci-profile',
    image,
    command: ['node', '/stand-in/server.cjs'],
    volumeMounts: [{ name: 'stand-in', mountPath: '/stand-in' }],
    readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
  }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: NAMED,
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container], volumes: [volume] } },
    },
  }
}

function registration(caPem: string): object {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'eci-profile' },
    webhooks: [
      {
        name: 'eci-profile.eci.aliyun.com',
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        failurePolicy: 'Ignore',
        objectSelector: { matchLabels: LABELS },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'] }],
        clientConfig: {
          service: { ...NAMED, path: '/' },
          caBundle: Buffer.from(caPem).toString('base64'),
        },
      },
    ],
  }
}

function tryPod(e2e: E2e): Promise<Pod> {
  const path = `/api/v1/namespaces/${USERS}/pods`
  const body = makePod({ name: 'tried', labels: LABELS })
  return e2e.kube.request<Pod>({ method: 'POST', path, query: { dryRun: 'All' }, body })
}

/** One Pod after the other, created for show, until it is told to stop. */
class Creation {
  count = 0
  readonly refused: string[] = []
  readonly unplaced: string[] = []
  readonly #stop = new AbortController()
  readonly #loop: Promise<void>

  constructor(e2e: E2e) {
    this.#loop = this.#run(e2e)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#loop
  }

  async #run(e2e: E2e): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const at = new Date().toISOString()
      try {
        const { spec } = await tryPod(e2e)
        this.count += 1
        if (spec.nodeSelector?.['k8s.aliyun.com/vnode'] !== 'true') this.unplaced.push(at)
      } catch (error) {
        this.refused.push(`${at} ${String(error)}`)
      }
      await delay(100)
    }
  }
}

type Check = (t: Test, said: string, e2e: E2e) => Promise<unknown>

/** Waits until a Pod is marked by these and by nobody else: API servers hear of registrations that come and go a moment later. */
function markedBy(e2e: E2e, wanted: readonly string[]): Promise<unknown> {
  return e2e.waitFor(`Pods are marked with ${wanted.join(' and ')}`, async () => {
    const { annotations = {} } = (await tryPod(e2e)).metadata
    const marks = [ANNOTATION_VENDOR, ANNOTATION_RULES].filter(mark => annotations[mark] !== undefined)
    return marks.join() === wanted.join() || undefined
  })
}

const OK = /^ok: the API server called the webhook, and applied its answer$/m
const VENDOR =
  /^warning: the vendor's eci-profile is registered as eci-profile; remove it, or take this one out/m
const TYPE = /^warning: the vendor's Selector CRD is cluster-scoped; it is used as it is/m

/** What is so after each step of the guide. */
const CHECKS = new Map<string, Check>([
  [
    '1. Write down what there is',
    async (t, said) => t.match(said, /eci-profile +eci-profile\.eci\.aliyun\.com/),
  ],
  [
    '2. Ask what would become of the rules, and of the workloads',
    async (t, said) => {
      t.match(said, /^2 rules \(1 from Selectors, 1 from the ConfigMap\): 2 schedule Pods; no problems\.$/m)
      t.match(said, /Deployment kube-system\/eci-profile/)
    },
  ],
  [
    '3. Install vnode-profile beside it',
    async (t, said, e2e) => {
      for (const line of [OK, VENDOR, TYPE]) t.match(said, line)
      await markedBy(e2e, [ANNOTATION_VENDOR, ANNOTATION_RULES])
    },
  ],
  [
    "4. Take the vendor's out",
    async (t, _said, e2e) => {
      t.equal(await e2e.find(CONFIGURATION), undefined)
      await markedBy(e2e, [ANNOTATION_RULES])
    },
  ],
  [
    '5. See that it works',
    async (t, said) => {
      for (const line of [OK, TYPE, /vnode-profile\.io\/rules: mine/]) t.match(said, line)
      t.notMatch(said, VENDOR)
    },
  ],
  [
    "6. Bring the vendor's back",
    async (_t, _said, e2e) => markedBy(e2e, [ANNOTATION_VENDOR, ANNOTATION_RULES]),
  ],
  [
    '7. Remove vnode-profile',
    async (t, said, e2e) => {
      t.match(said, /^release "vnode-profile" uninstalled\n$/)
      await markedBy(e2e, [ANNOTATION_VENDOR])
    },
  ],
])

const e2e = await e2eOrSkip(t)

if (e2e !== undefined) {
  const image = process.env.VNODE_E2E_IMAGE ?? ''
  await t.test(
    'no Pod is refused or missed, and nobody writes the rules, while every step does what it says',
    async t => {
      await playVendor(t, e2e, image)
      const folder = await mkdtemp(join(tmpdir(), 'migration-'))
      t.teardown(removeOnExit(folder))
      const here = new Map([
        ['vnode-system', SYSTEM],
        ['--set image.repository=registry.example.com/vnode-profile', e2e.image.join(' ')],
      ])
      const steps = readGuide(GUIDE)
      t.strictSame([...steps.keys()], [...CHECKS.keys()], 'every step is checked')
      const before = await e2e.find<{ readonly metadata: object; readonly data: object }>(RULES)
      const creation = new Creation(e2e)
      for (const [heading, commands] of steps) {
        await t.test(heading, async t => {
          const start = performance.now()
          const said = await runStep(commands, { folder, here })
          t.comment(`${Math.round((performance.now() - start) / 1000)} s`)
          await CHECKS.get(heading)?.(t, said, e2e)
        })
      }
      await creation.stop()
      t.comment(`${creation.count} Pods were created for show meanwhile`)
      t.ok(creation.count > 20)
      t.same(creation.refused, [], 'no Pod was refused')
      t.same(creation.unplaced, [], 'no Pod was created without placement')
      const after = await e2e.find<{ readonly metadata: object; readonly data: object }>(RULES)
      t.strictSame(after, before, 'nobody has written the rules')
    },
  )
}
